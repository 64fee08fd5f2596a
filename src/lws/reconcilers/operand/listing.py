"""What there is, listed once: for a look at a cluster that nobody watches (operator 5.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from lws.api.operand.workloads import LEADERWORKERSETS, Workload
from lws.apimachinery.manifests import JSON, name_of
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, PODS, REPLICASETS, Resource
from lws.client.api import ApiClient
from lws.errors import NotFoundError
from lws.reconcilers.operand.caches import LABELLED, OF_OPERAND

PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class ListedSets:
    """Users' sets, all of them known."""

    store: tuple[Workload, ...]
    synced: bool = True


class Listing:
    """Takes the place of caches; what it knows is what `load` listed."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._labelled: list[tuple[Resource, JSON]] = []
        self._pods: tuple[JSON, ...] = ()
        self._replica_sets: tuple[JSON, ...] = ()
        self._definitions: dict[str, ObjectMeta] = {}
        self.workloads: ListedSets | None = None

    async def load(self, resources: Mapping[Resource, bool], namespace: str) -> None:
        """List everything of these resources, as `follow` would watch it.

        Raises:
            ApiError: the server refuses to tell.
            TransportError: no answer.
        """
        found = await asyncio.gather(
            *(self._list(each, namespace if each.namespaced else "", LABELLED) for each in resources),
            self._list(PODS, namespace, OF_OPERAND),
            self._list(REPLICASETS, namespace, OF_OPERAND),
            self._list(CUSTOMRESOURCEDEFINITIONS),
            self._list(LEADERWORKERSETS),
        )
        *labelled, pods, replica_sets, definitions, sets = found
        pairs = zip(resources, labelled, strict=True)
        self._labelled = [(resource, _typed(resource, each)) for resource, listed in pairs for each in listed or ()]
        self._pods, self._replica_sets = tuple(pods or ()), tuple(replica_sets or ())
        self._definitions = {name_of(each): msgspec.convert(each["metadata"], ObjectMeta) for each in definitions or ()}
        self.workloads = (
            ListedSets(tuple(msgspec.convert(each, Workload) for each in sets)) if sets is not None else None
        )

    async def _list(self, resource: Resource, namespace: str = "", selector: str = "") -> list[Any] | None:
        items: list[Any] = []
        more: str | None = None
        while True:
            try:
                page = await self._client.list(resource, namespace, label_selector=selector, limit=PAGE, continue_=more)
            except NotFoundError:
                return None
            items += page["items"]
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return items

    def follow(self, _resources: Mapping[Resource, bool], _namespace: str) -> None:
        """Nothing is watched."""

    def follow_workloads(self, *, served: bool) -> None:
        """Nothing is watched."""

    def definitions_named(self) -> Mapping[str, ObjectMeta]:
        """CustomResourceDefinitions, by name."""
        return self._definitions

    def labelled(self) -> list[tuple[Resource, JSON]]:
        """Everything that bears our label."""
        return self._labelled

    def pods(self) -> tuple[JSON, ...]:
        """Pods of the operand."""
        return self._pods

    def replica_sets(self) -> tuple[JSON, ...]:
        """ReplicaSets of the operand."""
        return self._replica_sets


def _typed(resource: Resource, listed: JSON) -> JSON:
    """An entry of a list says not of what kind it is."""
    return {"apiVersion": resource.api_version, "kind": resource.kind, **listed}
