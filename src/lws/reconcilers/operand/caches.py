"""What is watched: the operator's object, everything that bears its label, the operand's pods, and users' sets.

Definitions are watched by their metadata alone. Watches of optional APIs come and go with the API; a watch that is not
synced, refused or gone is no obstacle, for observers then ask the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.api.operand.types import LeaderWorkerSetOperator
from lws.api.operand.workloads import LEADERWORKERSETS, Workload
from lws.apimachinery.manifests import JSON, name_of
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import (
    CUSTOMRESOURCEDEFINITIONS,
    PODS,
    REPLICASETS,
    Resource,
)
from lws.informers.informer import Informer
from lws.informers.kinds import Kind, MetadataObject, RawObject, metadata_kind, no_annotation, raw_kind, typed_kind
from lws.informers.registry import InformerRegistry
from lws.planning.operand.world import Key
from lws.reconcilers.operand.apis import GROUPS

KEY: Final = names.SINGLETON  # of the one thing that is reconciled


def _operator(raw: Any) -> LeaderWorkerSetOperator:
    return LeaderWorkerSetOperator.from_json(bytes(raw))


OPERATOR_KIND: Final[Kind[LeaderWorkerSetOperator]] = Kind(OPERATORS, msgspec.Raw, _operator)
WORKLOAD_KIND: Final = typed_kind(LEADERWORKERSETS, Workload, annotations=no_annotation)
LABELLED: Final = f"{names.MANAGED_BY}={names.MANAGED_BY_VALUE}"
OF_OPERAND: Final = ",".join(f"{key}={value}" for key, value in sorted(names.POD_LABELS.items()))


class Caches:
    """The informers of one operator.

    Args:
        registry: makes and runs them.
        wake: have the installation looked at; its argument says whether nothing may have happened.
        definition_changed: told the name of every definition that changes; returns whether that is of interest.
    """

    def __init__(
        self,
        registry: InformerRegistry,
        wake: Callable[[bool], None],
        definition_changed: Callable[[str], bool],
    ) -> None:
        self._registry = registry
        self._wake = wake
        self._definition_changed = definition_changed
        self._workload_changed: Callable[[], None] = lambda: wake(True)
        self._labelled: dict[Resource, Informer[RawObject]] = {}
        self._namespace = ""
        self._operand: tuple[Informer[RawObject], ...] = ()
        self.workloads: Informer[Workload] | None = None
        self.operators = registry.informer(OPERATOR_KIND)
        self.definitions = registry.informer(metadata_kind(CUSTOMRESOURCEDEFINITIONS))
        self._follow(self.operators)
        self.definitions.on_change(self._on_definition)

    def follow(self, resources: Mapping[Resource, bool], namespace: str) -> None:
        """Watch these resources: those of the cluster, and in this namespace; optional ones (true) may go again."""
        if namespace != self._namespace:
            for informer in (*self._labelled.values(), *self._operand):
                self._registry.drop(informer)
            self._labelled, self._namespace = {}, namespace
            self._operand = tuple(self._pods_of(resource) for resource in (PODS, REPLICASETS))
        for resource in [*self._labelled]:
            if resource not in resources:
                self._registry.drop(self._labelled.pop(resource))
        for resource in resources:
            if resource not in self._labelled:
                where = namespace if resource.namespaced else ""
                made = self._registry.informer(raw_kind(resource), namespace=where, label_selector=LABELLED)
                self._labelled[resource] = made
                self._follow(made)

    def follow_workloads(self, *, served: bool) -> None:
        """Watch users' sets while the cluster serves them."""
        if served and self.workloads is None:
            self.workloads = self._registry.informer(WORKLOAD_KIND)
            self.workloads.on_change(lambda _old, _new, initial: self._wake(initial))
        elif not served and self.workloads is not None:
            self._registry.drop(self.workloads)
            self.workloads = None

    def informer(self, resource: Resource) -> Informer[Any] | None:
        """The cache whose versions writes are compared with; none of what may go away, which would be waited for."""
        if resource == OPERATORS:
            return self.operators
        return None if resource.group in GROUPS else self._labelled.get(resource)

    def definitions_named(self) -> dict[str, ObjectMeta]:
        """CustomResourceDefinitions, by name."""
        return {each.metadata.name: each.metadata for each in self.definitions.store}

    def labelled(self) -> Iterator[tuple[Resource, JSON]]:
        """Everything that bears our label, as far as the caches know."""
        for resource, informer in self._labelled.items():
            for each in informer.store:
                yield resource, each.raw

    def knows(self, resource: Resource) -> bool:
        """Whether the cache of a resource can be relied on."""
        informer = self._labelled.get(resource)
        return informer is not None and informer.synced and informer.healthy

    def pods(self) -> tuple[JSON, ...]:
        """Pods of the operand."""
        return tuple(each.raw for each in self._operand[0].store) if self._operand else ()

    def replica_sets(self) -> tuple[JSON, ...]:
        """ReplicaSets of the operand."""
        return tuple(each.raw for each in self._operand[1].store) if self._operand else ()

    def _pods_of(self, resource: Resource) -> Informer[RawObject]:
        made = self._registry.informer(raw_kind(resource), namespace=self._namespace, label_selector=OF_OPERAND)
        self._follow(made)
        return made

    def _follow(self, informer: Informer[Any]) -> None:
        informer.on_change(lambda _old, _new, initial: self._wake(initial))

    def _on_definition(self, old: MetadataObject | None, new: MetadataObject | None, initial: bool) -> None:
        changed = new or old
        if changed is not None and self._definition_changed(changed.metadata.name):
            self._wake(initial)


def key_of(resource: Resource, manifest: JSON) -> Key:
    """Kind and name."""
    return resource.kind, name_of(manifest)
