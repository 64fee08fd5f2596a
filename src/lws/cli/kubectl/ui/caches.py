"""The caches behind the page: one watch for each kind, however many tabs there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.apimachinery.objects import Key, ObjectMeta
from lws.cli.kubectl.observe import own_revisions
from lws.cli.kubectl.reading import read_groups
from lws.cli.kubectl.ui import kinds
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.informers.informer import Informer
from lws.informers.registry import InformerRegistry
from lws.planning.leaderworkerset.diagnosis.facts import Facts, Holder
from lws.planning.leaderworkerset.diagnosis.objects import Event, NodeReport, PodReport

OF_SET: Final = "set"  # index: what carries the label of a set, by the set's key
ON_NODE: Final = "node"  # index: pods by node
ABOUT: Final = "about"  # index: events by every name that their subject's begins with
OF_DS: Final = "ds"  # index: children and scalers by their DisaggregatedSet
_MOST_NAMES: Final = 8  # prefixes of a subject's name under which an event is found


@dataclass(frozen=True, slots=True)
class Touched:
    """What one change concerns: a set, a DisaggregatedSet, or the places."""

    kind: str
    key: Key = ("", "")


Listener = Callable[[Touched], None]


class Caches:
    """Everything that is watched.

    Args:
        client: how the server is reached, with the user's rights.
        clock: for ages.
        random: for jitter.
        namespace: which is watched; empty for all.
    """

    def __init__(self, client: ApiClient, *, clock: Clock, random: Random, namespace: str) -> None:
        self.namespace = namespace
        self.registry = InformerRegistry(client, clock=clock, random=random)
        make = self.registry.informer
        self.sets = make(kinds.SETS, namespace=namespace)
        self.statefulsets = make(kinds.STATEFUL, namespace=namespace, label_selector=labels.NAME)
        self.deployments = make(kinds.DEPLOYED, namespace=namespace, label_selector=labels.NAME, optional=True)
        self.pods = make(kinds.MEMBERS, namespace=namespace, label_selector=labels.NAME)
        self.revisions = make(kinds.REVISIONS, namespace=namespace, label_selector=labels.NAME, optional=True)
        self.events = make(kinds.WARNINGS, namespace=namespace, field_selector="type=Warning", optional=True)
        self.nodes = make(kinds.PLACES, optional=True)
        self.disaggregated = make(kinds.DISAGGREGATED, namespace=namespace, optional=True)
        self.scalers = make(kinds.SCALERS, namespace=namespace, optional=True)
        for labelled in (self.statefulsets, self.deployments, self.pods, self.revisions):
            labelled.add_index(OF_SET, _set_index)
        self.pods.add_index(ON_NODE, _node_of)
        self.events.add_index(ABOUT, _subjects)
        self.sets.add_index(OF_DS, _ds_index)
        self.scalers.add_index(OF_DS, _scaler_index)

    def listen(self, listener: Listener) -> None:
        """Tell the listener, synchronously, of everything that a change concerns."""
        for informer, touches in (
            (self.sets, self._touched_by_set),
            (self.statefulsets, _touched_by_label),
            (self.deployments, _touched_by_label),
            (self.pods, _touched_by_pod),
            (self.revisions, _touched_by_label),
            (self.events, self._touched_by_event),
            (self.nodes, self._touched_by_node),
            (self.disaggregated, lambda ds: [Touched("ds", ds.metadata.key)]),
            (self.scalers, lambda scaler: [Touched("ds", key) for key in [_scaled(scaler)] if key[1]]),
        ):
            _listen(informer, touches, listener)

    def facts(self, namespace: str, name: str) -> Facts | None:
        """What a diagnosis looks at, as it stands in the caches; None if there is no such set.

        What only some sets need, and no cache has (Workloads, PodGroups, Services in the way), is not in it.
        """
        record = self.sets.store.get(namespace, name)
        if record is None:
            return None
        key, lws = (namespace, name), record.facts
        statefulsets = {one.metadata.name: one for one in self.statefulsets.store.by_index(OF_SET, key)}
        pods = sorted(self.pods.store.by_index(OF_SET, key), key=lambda pod: pod.metadata.name)
        revisions = own_revisions(lws, self.revisions.store.by_index(OF_SET, key))
        leader_set = self.deployments.store.get(namespace, name) if lws.hashed else statefulsets.get(name)
        groups, strays = read_groups(lws, leader_set, statefulsets, pods, revisions)
        events = tuple(self.events.store.by_index(ABOUT, key))
        troubled = [pod for pod in pods if not pod.ready or pod.metadata.deleting]
        domains, holders = self._holders(lws.topology, troubled)
        return Facts(lws, leader_set, groups, strays, events, self._nodes(troubled), domains, holders)

    def _nodes(self, pods: list[PodReport]) -> dict[str, NodeReport | None]:
        """The nodes of these pods; nothing where nodes cannot be watched."""
        if not self.nodes.synced or self.nodes.unavailable:
            return {}
        return {name: self.nodes.store.get("", name) for pod in pods if (name := pod.spec.node_name)}

    def _holders(self, key: str, pods: list[PodReport]) -> tuple[frozenset[str] | None, tuple[Holder, ...]]:
        if not key or not any(not pod.spec.node_name and not pod.spec.scheduling_gates for pod in pods):
            return None, ()
        if not self.nodes.synced or self.nodes.unavailable:
            return None, ()
        domains = {
            node.metadata.name: node.metadata.label(key) for node in self.nodes.store if node.metadata.label(key)
        }
        return frozenset(domains.values()), tuple(holders(domains, self.pods.store))

    def _touched_by_set(self, record: kinds.SetRecord) -> list[Touched]:
        ds = _ds_key(record)
        return [Touched("set", record.metadata.key), *([Touched("ds", ds)] if ds[1] else [])]

    def _touched_by_event(self, event: Event) -> list[Touched]:
        return [Touched("set", key) for key in _subjects(event) if self.sets.store.get(*key) is not None]

    def _touched_by_node(self, node: kinds.Place) -> list[Touched]:
        on_it = {_set_of(pod) for pod in self.pods.store.by_index(ON_NODE, node.metadata.name)}
        return [Touched("places"), *(Touched("set", key) for key in on_it if key[1])]


def holders(domains: dict[str, str], pods: Any) -> Iterator[Holder]:
    """The pods of sets on nodes that have a domain."""
    for pod in pods:
        domain = domains.get(pod.spec.node_name)
        if domain is not None:
            meta = pod.metadata
            name, group = meta.label(labels.NAME), meta.label(labels.GROUP_INDEX)
            yield Holder(domain, meta.namespace, name, group, pod.spec.priority)


def _listen(informer: Informer[Any], touches: Callable[[Any], list[Touched]], listener: Listener) -> None:
    def changed(old: Any, new: Any, _initial: bool) -> None:
        for touched in {one: None for obj in (old, new) if obj is not None for one in touches(obj)}:
            listener(touched)

    informer.on_change(changed)


def _touched_by_label(obj: Any) -> list[Touched]:
    key = _set_of(obj)
    return [Touched("set", key)] if key[1] else []


def _touched_by_pod(pod: PodReport) -> list[Touched]:
    return [*_touched_by_label(pod), *([Touched("places")] if pod.spec.node_name else [])]


def _set_of(obj: Any) -> Key:
    meta: ObjectMeta = obj.metadata
    return meta.namespace, meta.label(labels.NAME)


def _set_index(obj: Any) -> list[Key]:
    return [_set_of(obj)]


def _node_of(pod: PodReport) -> str:
    return pod.spec.node_name


def _subjects(event: Event) -> list[Key]:
    """The subject's name, and what it begins with before a dash: an object of a set begins with the set's name."""
    parts = event.involved_object.name.split("-")
    names = ["-".join(parts[:count]) for count in range(len(parts), 0, -1)][:_MOST_NAMES]
    return [(event.metadata.namespace, name) for name in names if name]


def _ds_key(record: kinds.SetRecord) -> Key:
    return record.metadata.namespace, kinds.ds_of(record)


def _scaled(scaler: kinds.ScalerRecord) -> Key:
    owner = scaler.metadata.controller
    return scaler.metadata.namespace, owner.name if owner is not None else ""


def _ds_index(record: kinds.SetRecord) -> list[Key]:
    return [key for key in [_ds_key(record)] if key[1]]


def _scaler_index(scaler: kinds.ScalerRecord) -> list[Key]:
    return [_scaled(scaler)]
