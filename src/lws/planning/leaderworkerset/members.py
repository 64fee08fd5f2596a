"""What is remembered of a group's members, so that no end of a pod goes unseen (CD-01).

A pod that is deleted at once, or replaced under its name before anyone looked, leaves no trace in a single look at the
cluster. So for each pair of leader and worker StatefulSet the UID expected at each worker index is remembered, seeded
from what is first seen. Another UID at a known index, or a known UID gone, is the deletion of that member.

The record lives in memory. It survives a restart of the controller without a single write, because the objects tell
what it held: when the set's status says Available, it was last written by a controller that saw every wanted group
complete. The server stamped that write with its own clock (``managedFields``), as it stamped the creation of every
pod. So in a group whose leader and worker StatefulSet are older than that write, a worker that is younger is a
replacement, and one that is missing was lost (`Evidence`). Several API servers of one cluster stamp with several
clocks: a worker counts as younger only if it is so by more than `SKEW`. The leader and the set need no such margin:
the controller that made a new set for a new leader had written by then that the set is not Available. What cannot be
proved is not acted on and counts as first sight: the worst is a missed restart, never a needless one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Deployment, Pod, StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.integers import natural
from lws.apimachinery.names import parent_and_ordinal

SKEW: Final = timedelta(seconds=10)  # by which clocks of one cluster's API servers may differ; etcd warns above 1 s
LARGEST_GROUP: Final = 10_000  # what claims to be larger proves nothing: no record grows with a number that was written
LOST: Final = "lost"  # stands for the UID of a member that is known to have been, but was never seen; no UID reads so


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """The UID expected at each worker index of one leader's one worker StatefulSet.

    ``pending`` are the indices whose member was in phase Pending when it was last seen.
    """

    leader_uid: str
    worker_set_uid: str
    uids: Mapping[int, str] = field(default_factory=dict)
    pending: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The last moment at which every wanted group is known to have been complete.

    Attributes:
        time: RFC 3339 in UTC, whole seconds, by the clock of the API server that took the status.
        over: by the clock of any API server that moment is over.
        groups: groups of a lower index were wanted then.
    """

    time: str
    over: str
    groups: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look finds under the names of a group's workers.

    Attributes:
        gone: indices whose expected member is gone.
        named: the pods that are there, by index.
    """

    gone: tuple[int, ...] = ()
    named: Mapping[int, Pod] = field(default_factory=dict)


def evidence(lws: LeaderWorkerSet, leader_statefulset: StatefulSet | None) -> Evidence | None:
    """What the set's own status proves about its groups; None if it is not Available, or speaks of an earlier spec."""
    if lws.status.observed_generation != lws.metadata.generation:
        return None
    available = any(c.type == "Available" and c.status == "True" for c in lws.status.conditions)
    if not available or not lws.status_written or leader_statefulset is None:
        return None
    wanted = natural(leader_statefulset.metadata.annotation(labels.REPLICAS)) or 0
    return Evidence(lws.status_written, _over(lws.status_written), min(lws.spec.replicas, wanted))


def evidence_by_key(lws: LeaderWorkerSet, deployment: Deployment | None, leader: Pod) -> Evidence | None:
    """The same for one group that is known by a key: when the set was Available all its leaders were ready.

    That is so of the leaders that the Deployment had counted by then; so this one must have been ready already.
    """
    if lws.status.observed_generation != lws.metadata.generation or deployment is None:
        return None
    available = any(c.type == "Available" and c.status == "True" for c in lws.status.conditions)
    ready = next((c for c in leader.status.conditions or () if c.type == "Ready" and c.status == "True"), None)
    if not available or not lws.status_written or ready is None or not ready.last_transition_time:
        return None
    if ready.last_transition_time > lws.status_written:
        return None
    return Evidence(lws.status_written, _over(lws.status_written), 1)


def _over(moment: str) -> str:
    over = datetime.fromisoformat(moment) + SKEW
    return f"{over:%Y-%m-%dT%H:%M:%SZ}"


def worker_index(pod_name: str, base: str) -> int | None:
    """The worker's index in the group whose workers are named so, by its name; None if it belongs to none."""
    parent, ordinal = parent_and_ordinal(pod_name)
    return ordinal if parent == base and ordinal >= 1 else None


def by_index(workers: Mapping[str, Pod], base: str) -> dict[int, Pod]:
    """The pods that bear names of this group's workers, by index, whoever owns them."""
    found = {}
    for pod in workers.values():
        index = worker_index(pod.metadata.name, base)
        if index is not None:
            found[index] = pod
    return found


def members(named: Mapping[int, Pod], worker_set_uid: str) -> dict[int, Pod]:
    """Those of them that belong to this worker StatefulSet."""
    return {
        index: pod
        for index, pod in named.items()
        if pod.metadata.controller is not None and pod.metadata.controller.uid == worker_set_uid
    }


def seed(
    leader: Pod, worker_set: StatefulSet, named: Mapping[int, Pod], size: int, proof: Evidence | None
) -> MemberRecord:
    """A fresh record: what is seen now is what is expected, except where evidence of this group says otherwise.

    The evidence speaks of the replicas that the worker StatefulSet has. Those may be fewer than the group's size wants:
    older releases made such sets in mid-resize, and they are kept (spec 5.6).
    """
    live = members(named, worker_set.metadata.uid)
    uids = _lasting(live)
    record = MemberRecord(leader.metadata.uid, worker_set.metadata.uid, uids, _pending(live))
    if proof is None:
        return record
    stamps = (leader.metadata.creation_timestamp, worker_set.metadata.creation_timestamp)
    if any(stamp is None or stamp >= proof.time for stamp in stamps):
        return record
    replicas = worker_set.spec.replicas
    end = size if replicas is None else min(size, replicas + 1)
    if end > LARGEST_GROUP:
        return record
    for at in range(1, end):
        pod = named.get(at)
        if pod is None or (pod.metadata.creation_timestamp or "") > proof.over:
            uids[at] = LOST
    return record


def foresee(record: MemberRecord | None, leader: Pod, base: str, named: Mapping[int, Pod]) -> MemberRecord | None:
    """The record while the worker StatefulSet is not in the cache: its pods, which a faster watch brought, name it."""
    owners = {pod.metadata.controller for pod in named.values() if pod.metadata.controller is not None}
    sets = {owner.uid for owner in owners if (owner.kind, owner.name) == ("StatefulSet", base)}
    if len(sets) != 1:
        return record
    identity = (leader.metadata.uid, sets.pop())
    if record is None or (record.leader_uid, record.worker_set_uid) != identity:
        record = MemberRecord(*identity)
    return observe(record, named)[0]


def observe(record: MemberRecord, named: Mapping[int, Pod]) -> tuple[MemberRecord, tuple[int, ...]]:
    """Compare the record with the pods that are there.

    A pod that its StatefulSet released is still there; only a pod of another UID, or none, tells of an end.

    Returns:
        The record with members adopted that were not known, and the indices whose expected member is gone. Those keep
        their place in the record until `consume` takes them out.
    """
    gone = {
        index: None
        for index, uid in sorted(record.uids.items())
        if index not in named or named[index].metadata.uid != uid
    }
    live = members(named, record.worker_set_uid)
    adopted = {at: uid for at, uid in _lasting(live).items() if at not in record.uids}
    seen = {at: pod for at, pod in named.items() if at not in gone}
    pending = frozenset(at for at in record.pending if at not in seen) | _pending(seen)
    if adopted or pending != record.pending:
        record = replace(record, uids={**record.uids, **adopted}, pending=pending)
    return record, tuple(gone)


def _lasting(live: Mapping[int, Pod]) -> dict[int, str]:
    """UIDs of the members that are not being deleted; those that are have been judged by their own events."""
    return {index: pod.metadata.uid for index, pod in live.items() if not pod.metadata.deleting}


def _pending(pods: Mapping[int, Pod]) -> frozenset[int]:
    return frozenset(index for index, pod in pods.items() if pod.status.phase == "Pending")


def consume(record: MemberRecord, indices: Collection[int], named: Mapping[int, Pod]) -> MemberRecord:
    """Forget what was expected at these indices and adopt what is there (spec 9.3: a skipped deletion is forgotten)."""
    live = members(named, record.worker_set_uid)
    there = {at: uid for at, uid in _lasting(live).items() if at in indices}
    uids = {at: uid for at, uid in record.uids.items() if at not in indices} | there
    if uids == record.uids:
        return record
    pending = {at for at in record.pending if at not in indices} | {at for at in _pending(live) if at in there}
    return replace(record, uids=uids, pending=frozenset(pending))
