"""Reads a LeaderWorkerSet and its objects from JSON into the facts of a diagnosis.

Only what the plugin shows is read, with the defaults of spec 2; building the API's models for that would cost more than
the rest of a call. A test holds both readings to the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, Deployment, StatefulSet
from lws.apimachinery.integers import natural
from lws.apimachinery.intstr import scaled
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset.diagnosis.facts import GroupFacts, SetFacts
from lws.planning.leaderworkerset.diagnosis.objects import Metadata, PodReport
from lws.planning.leaderworkerset.groups import (
    ABSENT,
    HASH,
    base_name,
    is_leader,
    leaders_by_index,
    own_leaders,
    state_of,
    workers_of,
)

_LEADER_READY: Final = "LeaderReady"
_UNIQUE: Final = "UniquePerReplica"


def read_set(raw: JSON) -> SetFacts:
    """What a LeaderWorkerSet declares and what its status says."""
    spec, status = _member(raw, "spec"), _member(raw, "status")
    rolling = _member(_member(spec, "rolloutStrategy"), "rollingUpdateConfiguration")
    replicas = _number(spec.get("replicas"), 1)
    unavailable = max(0, _scaled(rolling.get("maxUnavailable"), 1, replicas, round_up=False))
    surge = min(replicas, max(0, _scaled(rolling.get("maxSurge"), 0, replicas, round_up=True)))
    observed = status.get("observedGeneration")
    return SetFacts(
        metadata=msgspec.convert(raw["metadata"], Metadata),
        replicas=replicas,
        size=_number(_member(spec, "leaderWorkerTemplate").get("size"), 1),
        leader_ready_first=spec.get("startupPolicy") == _LEADER_READY,
        subdomain_per_group=_member(spec, "networkConfig").get("subdomainPolicy") == _UNIQUE,
        partition=max(0, _number(rolling.get("partition"), 0)),
        allowed_unavailable=1 if replicas and not unavailable and not surge else unavailable,
        max_surge=surge,
        observed_generation=observed if isinstance(observed, int) else None,
        ready=_number(status.get("readyReplicas"), 0),
        updated=_number(status.get("updatedReplicas"), 0),
        present=_number(status.get("replicas"), 0),
        conditions=msgspec.convert(status.get("conditions") or (), tuple[Condition, ...]),
        waits=_waits(status),
        hashed=spec.get("groupIdentity") == HASH,
    )


def _waits(status: JSON) -> dict[str, str]:
    """What is told of groups that wait to be recreated (resilience 3.2), by UID of their leader."""
    found = (each for each in status.get("restarts") or () if isinstance(each, dict) and each.get("nextRetryTime"))
    return {
        str(each.get("leaderUID", "")): f"failed {each.get('restarts', 0)} times and is recreated at "
        f"{str(each['nextRetryTime'])[11:19]}"
        for each in found
    }


def read_groups(
    lws: SetFacts,
    leader_set: StatefulSet | Deployment | None,
    statefulsets: Mapping[str, StatefulSet],
    pods: Iterable[PodReport],
    revisions: Iterable[ControllerRevision] = (),
) -> tuple[tuple[GroupFacts, ...], tuple[PodReport, ...]]:
    """The groups by index, and the pods that belong to none of them.

    There are as many groups as are wanted or have a leader, whatever somebody scaled the StatefulSet to.
    """
    every = tuple(pods)
    if lws.hashed or isinstance(leader_set, Deployment):
        groups = _groups_by_key(lws, leader_set, statefulsets, every)
        return groups, _strays(every, groups)
    leaders = leaders_by_index([pod for pod in every if _worker_index(pod) == 0], lws.name)
    members: dict[str, list[PodReport]] = {}
    for pod in every:
        if _worker_index(pod) > 0:
            members.setdefault(pod.metadata.label(labels.GROUP_INDEX), []).append(pod)
    found: list[GroupFacts] = []
    own = {pod.metadata.name for pod in own_leaders(leaders.values(), leader_set)}
    key = leader_set.metadata.label(labels.REVISION) if leader_set is not None else ""
    sizes = {one.metadata.label(labels.REVISION): _revision_size(one) for one in revisions}
    for index in range(_count(lws, leader_set, leaders)):
        leader = leaders.get(index)
        assert leader is None or isinstance(leader, PodReport)
        size = _size(leader, sizes, lws.size)
        workers = sorted(members.pop(str(index), ()), key=_worker_index)
        name = f"{lws.name}-{index}"
        worker_set = statefulsets.get(name)
        state = state_of(leader, size, worker_set, key) if leader is not None and name in own else ABSENT
        found.append(GroupFacts(index, state, size, leader, tuple(workers), worker_set, name))
    return tuple(found), _strays(every, found)


def _strays(pods: Iterable[PodReport], groups: Iterable[GroupFacts]) -> tuple[PodReport, ...]:
    counted = {pod.metadata.name for group in groups for pod in group.pods}
    return tuple(pod for pod in pods if pod.metadata.name not in counted)


def _groups_by_key(
    lws: SetFacts,
    deployment: StatefulSet | Deployment | None,
    statefulsets: Mapping[str, StatefulSet],
    pods: tuple[PodReport, ...],
) -> tuple[GroupFacts, ...]:
    """The groups that have a leader, the oldest first, and those that lack one."""
    if deployment is None:
        return ()
    key = deployment.metadata.label(labels.REVISION)
    leaders = sorted((pod for pod in pods if is_leader(pod)), key=_age)
    found = []
    for index, leader in enumerate(leaders):
        group = leader.metadata.label(labels.GROUP_INDEX)
        mates = [pod for pod in pods if not is_leader(pod) and pod.metadata.label(labels.GROUP_INDEX) == group]
        size, workers = _size(leader, {}, lws.size), workers_of(leader, statefulsets)
        state = ABSENT if leader.metadata.deleting else state_of(leader, size, workers, key)
        members = tuple(sorted(mates, key=_worker_index)) if group else ()
        found.append(GroupFacts(index, state, size, leader, members, workers, base_name(leader, workers)))
    lacking = range(sum(not leader.metadata.deleting for leader in leaders), lws.replicas)
    missing = [GroupFacts(len(leaders) + at, ABSENT, lws.size) for at in range(len(lacking))]
    return (*found, *missing)


def _age(pod: PodReport) -> tuple[str, str]:
    return pod.metadata.creation_timestamp or "", pod.metadata.name


def _count(lws: SetFacts, leader_set: StatefulSet | None, leaders: Mapping[int, object]) -> int:
    if leader_set is None:
        return 0
    replicas = 1 if leader_set.spec.replicas is None else leader_set.spec.replicas
    return min(replicas, max(lws.replicas + lws.max_surge, max(leaders, default=-1) + 1))


def _size(leader: PodReport | None, of_revision: Mapping[str, int], live: int) -> int:
    """The size that a leader was made with (CD-04)."""
    if leader is None:
        return live
    size = natural(leader.metadata.annotation(labels.SIZE), lowest=1)
    return of_revision.get(leader.metadata.label(labels.REVISION), live) if size is None else size


def _revision_size(revision: ControllerRevision) -> int:
    data = revision.data if isinstance(revision.data, dict) else {}
    return _number(_member(_member(data, "spec"), "leaderWorkerTemplate").get("size"), 1)


def _worker_index(pod: PodReport) -> int:
    """The pod's index in its group; -1 if it has none."""
    index = natural(pod.metadata.label(labels.WORKER_INDEX))
    return -1 if index is None else index


def _member(parent: JSON, name: str) -> JSON:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _scaled(value: Any, default: int, replicas: int, *, round_up: bool) -> int:
    """An int or percentage; what is neither, which only a missing webhook lets in, reads as the default."""
    try:
        return scaled(default if value is None else value, replicas, round_up)
    except ValueError:
        return default
