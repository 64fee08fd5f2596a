"""One look at a LeaderWorkerSet and all that a diagnosis wants to know about it.

What belongs to the set is always read. What only explains trouble (nodes, other sets, Workloads of Kueue, PodGroups of
Volcano, objects in the way) is read where there is trouble, within the user's rights, and its absence is never an
error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, Deployment, StatefulSet
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.ownership import controller_of
from lws.apimachinery.resources import (
    CONTROLLERREVISIONS,
    CORE_EVENTS,
    DEPLOYMENTS,
    NODES,
    PODS,
    SERVICES,
    STATEFULSETS,
    Resource,
)
from lws.cli.kubectl.gangs import MOST_LOOKS, read_gangs
from lws.cli.kubectl.members import missing
from lws.cli.kubectl.reading import read_groups, read_set
from lws.client.api import ApiClient
from lws.errors import ForbiddenError, NotFoundError
from lws.planning.leaderworkerset.diagnosis.facts import (
    WORKLOAD,
    Facts,
    ForeignObject,
    GangFacts,
    GroupFacts,
    Holder,
    SetFacts,
)
from lws.planning.leaderworkerset.diagnosis.objects import Event, NodeReport, PodReport, Workload
from lws.planning.leaderworkerset.diagnosis.writers import scaled_by

T = TypeVar("T")
WORKLOADS: Final = tuple(
    Resource("kueue.x-k8s.io", version, "workloads", "Workload") for version in ("v1beta2", "v1beta1")
)


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen.

    Attributes:
        facts: for the diagnosis.
        revisions: the set's own ControllerRevisions, by name.
    """

    facts: Facts
    revisions: tuple[ControllerRevision, ...] = ()


async def read_only_set(client: ApiClient, namespace: str, name: str) -> SetFacts:
    """The LeaderWorkerSet alone.

    Raises:
        NotFoundError: there is no such LeaderWorkerSet.
    """
    return read_set(await client.get(LEADERWORKERSETS, namespace, name))


async def observe(client: ApiClient, namespace: str, name: str) -> Observation:
    """Read the set, what belongs to it, and what may stand in its way.

    Raises:
        NotFoundError: there is no such LeaderWorkerSet.
    """
    lws = await read_only_set(client, namespace, name)
    selector = f"{labels.NAME}={name}"
    sets, pods, stored, events = await asyncio.gather(
        client.list(STATEFULSETS, namespace, label_selector=selector),
        client.list(PODS, namespace, label_selector=selector),
        client.list(CONTROLLERREVISIONS, namespace, label_selector=selector),
        _allowed(client.list(CORE_EVENTS, namespace, field_selector="type=Warning")),
    )
    statefulsets = {one.metadata.name: one for one in msgspec.convert(sets["items"], list[StatefulSet])}
    revisions = own_revisions(lws, msgspec.convert(stored["items"], list[ControllerRevision]))
    leader_set = await _leader_deployment(client, lws) if lws.hashed else statefulsets.get(name)
    reports = msgspec.convert(pods["items"], tuple[PodReport, ...])
    groups, strays = read_groups(lws, leader_set, statefulsets, reports, revisions)
    managers = {one["metadata"]["name"]: scaled_by(one["metadata"].get("managedFields") or ()) for one in sets["items"]}
    groups = tuple(replace(group, scaled_by=managers.get(group.base, "")) for group in groups)
    about = [event for event in (events or {}).get("items", ()) if _concerns(event, name)]
    facts = Facts(lws, leader_set, groups, strays, msgspec.convert(about, tuple[Event, ...]))
    return Observation(await _explained(client, facts), revisions)


async def _leader_deployment(client: ApiClient, lws: SetFacts) -> Deployment | None:
    """The Deployment of the set's name, with our label."""
    _, raw = await _look(client, DEPLOYMENTS, lws.metadata.namespace, lws.name)
    found = None if raw is None else msgspec.convert(raw, Deployment)
    return found if found is not None and found.metadata.label(labels.NAME) == lws.name else None


def own_revisions(lws: SetFacts, listed: Iterable[ControllerRevision]) -> tuple[ControllerRevision, ...]:
    """The set's revisions, by name: with a controller that is absent or this set (spec 6.1)."""
    uid = lws.metadata.uid
    own = [one for one in listed if one.metadata.controller is None or one.metadata.controller.uid == uid]
    return tuple(sorted(own, key=lambda one: one.metadata.name))


def _concerns(event: JSON, name: str) -> bool:
    subject = str((event.get("involvedObject") or {}).get("name", ""))
    return subject == name or subject.startswith(f"{name}-")


async def _explained(client: ApiClient, facts: Facts) -> Facts:
    """The facts with what explains trouble. A Service in the way leaves groups ready, so it is looked for always."""
    troubled = _troubled(facts)
    if _quiet(facts, troubled):
        return replace(facts, foreign=await _foreign(client, facts, ()))
    nodes, (domains, holders), rest = await asyncio.gather(
        _nodes(client, troubled), _holders(client, facts, troubled), look_around(client, facts)
    )
    return with_surroundings(replace(facts, nodes=nodes, domains=domains, holders=holders), rest)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What explains trouble and belongs to others, nodes and other sets apart.

    Attributes:
        workloads: as `Facts` has them.
        gangs: likewise.
        foreign: likewise.
        worker_sets: StatefulSets without our label under the names of missing worker StatefulSets.
        unlabelled: by the index of their group, pods without our label under the names of missing workers.
    """

    workloads: Mapping[str, Workload | None] = field(default_factory=dict)
    gangs: Mapping[str, GangFacts | None] = field(default_factory=dict)
    foreign: tuple[ForeignObject, ...] = ()
    worker_sets: Mapping[str, StatefulSet] = field(default_factory=dict)
    unlabelled: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


async def look_around(client: ApiClient, facts: Facts) -> Surroundings:
    """Read what a diagnosis wants of others' objects, as far as they may be read."""
    unready, troubled = [group for group in facts.groups if not group.state.ready], _troubled(facts)
    if _quiet(facts, troubled):
        return Surroundings(foreign=await _foreign(client, facts, ()))
    workloads, gangs, foreign, workers, unlabelled = await asyncio.gather(
        _workloads(client, facts, troubled),
        read_gangs(client, facts.lws.metadata.namespace, troubled),
        _foreign(client, facts, unready),
        _worker_sets(client, facts, unready),
        _unlabelled(client, facts, unready),
    )
    return Surroundings(workloads, gangs, foreign, workers, unlabelled)


def with_surroundings(facts: Facts, seen: Surroundings) -> Facts:
    """The facts with what was seen around them."""
    groups = tuple(
        replace(
            group,
            worker_set=group.worker_set or seen.worker_sets.get(group.base),
            unlabelled=seen.unlabelled.get(group.index, ()),
        )
        for group in facts.groups
    )
    return replace(facts, groups=groups, workloads=seen.workloads, gangs=seen.gangs, foreign=seen.foreign)


def _troubled(facts: Facts) -> list[PodReport]:
    """Pods that are not ready or do not stay."""
    unready = [group for group in facts.groups if not group.state.ready]
    troubled = [pod for group in unready for pod in group.pods if not pod.ready or pod.metadata.deleting]
    return troubled + [pod for pod in facts.strays if pod.metadata.deleting]


def _quiet(facts: Facts, troubled: Sequence[PodReport]) -> bool:
    return all(group.state.ready for group in facts.groups) and not troubled and facts.leader_set is not None


async def _unlabelled(client: ApiClient, facts: Facts, unready: Iterable[GroupFacts]) -> dict[int, tuple[str, ...]]:
    """Workers that are there under their names, but not for who selects by our label (resilience 2.3)."""
    absent = [
        (group.index, name)
        for group in unready
        if group.worker_set is not None and group.leader is not None and not group.leader.metadata.deleting
        for name in missing(facts.lws, group)
    ][:MOST_LOOKS]
    namespace, found = facts.lws.metadata.namespace, dict[int, tuple[str, ...]]()
    seen = await asyncio.gather(*(_look(client, PODS, namespace, name) for _, name in absent))
    for (index, name), (_, raw) in zip(absent, seen, strict=True):
        if raw is not None and (raw["metadata"].get("labels") or {}).get(labels.NAME) != facts.lws.name:
            found[index] = (*found.get(index, ()), name)
    return found


async def _nodes(client: ApiClient, pods: Iterable[PodReport]) -> dict[str, NodeReport | None]:
    names = list(dict.fromkeys(pod.spec.node_name for pod in pods if pod.spec.node_name))[:MOST_LOOKS]
    found = await asyncio.gather(*(_look(client, NODES, "", name) for name in names))
    return {
        name: msgspec.convert(raw, NodeReport) if raw else None
        for name, (seen, raw) in zip(names, found, strict=True)
        if seen
    }


async def _workloads(client: ApiClient, facts: Facts, pods: Iterable[PodReport]) -> dict[str, Workload | None]:
    gated = [pod.metadata.label(WORKLOAD) for pod in pods if pod.spec.scheduling_gates]
    names = list(dict.fromkeys(name for name in gated if name))[:MOST_LOOKS]
    namespace = facts.lws.metadata.namespace
    found = await asyncio.gather(*(_workload(client, namespace, name) for name in names))
    return {name: workload for name, (seen, workload) in zip(names, found, strict=True) if seen}


async def _workload(client: ApiClient, namespace: str, name: str) -> tuple[bool, Workload | None]:
    """Whether Kueue's API is served and may be read, and the Workload, if there is one."""
    for resource in WORKLOADS:
        try:
            return True, msgspec.convert(await client.get(resource, namespace, name), Workload)
        except ForbiddenError:
            return False, None
        except NotFoundError as error:
            if error.details.get("name"):
                return True, None
    return False, None


async def _holders(
    client: ApiClient, facts: Facts, pods: Iterable[PodReport]
) -> tuple[frozenset[str] | None, tuple[Holder, ...]]:
    """The topology domains that there are, and the pods in them."""
    key = facts.lws.topology
    if not key or not any(not pod.spec.node_name and not pod.spec.scheduling_gates for pod in pods):
        return None, ()
    nodes = await _allowed(client.list(NODES, label_selector=key))
    placed = await _allowed(client.list(PODS, label_selector=labels.NAME))
    if placed is None:
        placed = await _allowed(client.list(PODS, facts.lws.metadata.namespace, label_selector=labels.NAME))
    domain_of = {
        node["metadata"]["name"]: str(node["metadata"]["labels"][key]) for node in (nodes or {}).get("items", ())
    }
    domains = None if nodes is None else frozenset(domain_of.values())
    return domains, tuple(
        Holder(domain_of[node], pod.metadata.namespace, *_place(pod), pod.spec.priority)
        for pod in msgspec.convert((placed or {}).get("items", ()), tuple[PodReport, ...])
        if (node := pod.spec.node_name) in domain_of
    )


def _place(pod: PodReport) -> tuple[str, str]:
    return pod.metadata.label(labels.NAME), pod.metadata.label(labels.GROUP_INDEX)


async def _foreign(client: ApiClient, facts: Facts, unready: Iterable[GroupFacts]) -> tuple[ForeignObject, ...]:
    """StatefulSet and Services that have a name of ours without being ours."""
    lws = facts.lws
    services = [group.base for group in unready if group.base] if lws.subdomain_per_group else [lws.name]
    found = await asyncio.gather(
        *(_foreign_service(client, lws, name) for name in services[:MOST_LOOKS]),
        *([_foreign_leader_set(client, lws)] if facts.leader_set is None else []),
    )
    return tuple(one for one in found if one is not None)


async def _foreign_service(client: ApiClient, lws: SetFacts, name: str) -> ForeignObject | None:
    _, raw = await _look(client, SERVICES, lws.metadata.namespace, name)
    spec = (raw or {}).get("spec") or {}
    wrong = "" if spec.get("clusterIP") == "None" else "it is not headless"
    if not wrong and (spec.get("selector") or {}).get(labels.NAME) != lws.name:
        wrong = "it selects other pods"
    return ForeignObject("Service", name, wrong) if raw and wrong else None


async def _foreign_leader_set(client: ApiClient, lws: SetFacts) -> ForeignObject | None:
    _, raw = await _look(client, DEPLOYMENTS if lws.hashed else STATEFULSETS, lws.metadata.namespace, lws.name)
    if raw is None:
        return None
    owner = controller_of(raw["metadata"])
    whose = f"it is controlled by {owner.kind} {owner.name}" if owner else "it has no owner and not our labels"
    return ForeignObject(lws.leaders_by, lws.name, whose)


async def _worker_sets(client: ApiClient, facts: Facts, unready: Iterable[GroupFacts]) -> dict[str, StatefulSet]:
    """StatefulSets under the names of worker StatefulSets that are missing: they lack our label."""
    names = [
        group.base for group in unready if group.leader is not None and group.size > 1 and group.worker_set is None
    ][:MOST_LOOKS]
    namespace = facts.lws.metadata.namespace
    found = await asyncio.gather(*(_look(client, STATEFULSETS, namespace, name) for name in names))
    return {name: msgspec.convert(raw, StatefulSet) for name, (_, raw) in zip(names, found, strict=True) if raw}


async def _look(client: ApiClient, resource: Resource, namespace: str, name: str) -> tuple[bool, JSON | None]:
    """Whether an object could be looked for, and the object if it exists."""
    try:
        return True, await client.get(resource, namespace, name)
    except NotFoundError:
        return True, None
    except ForbiddenError:
        return False, None


async def _allowed(reading: Awaitable[T]) -> T | None:
    """What was read; None where that is not permitted."""
    try:
        return await reading
    except ForbiddenError:
        return None
