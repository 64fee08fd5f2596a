"""One look at a group for failures: the pod in question, and members that went unseen (spec 9, CD-01)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from lws.api.leaderworkerset.objects import Pod
from lws.apimachinery.actions import Delete, EmitEvent, Reference
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset import events, incidents, members, recovery, restarts
from lws.planning.leaderworkerset.groups import group_index, is_leader, size_of
from lws.planning.leaderworkerset.incidents import Incident
from lws.planning.leaderworkerset.members import LOST, MemberRecord
from lws.planning.leaderworkerset.recovery import Failed, Outcome
from lws.planning.leaderworkerset.snapshots import GroupSnapshot


@dataclass(frozen=True, slots=True)
class Review:
    """What came of it.

    Attributes:
        record: the members as they are to be remembered once the plan has run.
        outcome: what decides; NO_FAILURE if nothing does.
        deletion: the deletion of the leader, if the group is to be recreated, at once or after a wait.
        error: why a failed pod could not be judged.
        told: events about members that are neither well nor failed, or about a wait that begins.
        settled: by pod UID, how many restarts count no more.
        incident: the failure that makes the group be recreated, or be waited for.
        retry: in how many seconds a group that waits is to be recreated; None if none waits.
    """

    record: MemberRecord | None
    outcome: Outcome = Outcome.NO_FAILURE
    deletion: Delete | None = None
    error: str | None = None
    told: tuple[EmitEvent, ...] = ()
    settled: Mapping[str, int] = field(default_factory=dict)
    incident: Incident | None = None
    retry: float | None = None


def review(snapshot: GroupSnapshot, name: str, pod: Pod | None) -> Review:
    """Judge the pod of this name, and every member of its group that is gone or was replaced.

    While the cache has no StatefulSet that could speak for a worker, its failure is not forgotten: the set comes by
    another watch than the pods, and will decide.

    Args:
        snapshot: the group; ``lws`` is set.
        name: the pod in question.
        pod: the pod as it is, or None when it is gone.
    """
    waited = _waited(snapshot)
    if waited is not None:
        return waited
    record, named, gone = _members(snapshot)
    leader = snapshot.leader
    gone, told = _apart(snapshot, record, gone)
    missing = _Missing.of(leader, gone, record, snapshot.released)
    settled = _settled(snapshot)
    named_pod = () if pod is None else (Failed(name, pod, settled=settled.get(pod.metadata.uid, 0)),)
    for failed in (*named_pod, *missing.suspect):
        outcome = _judge(snapshot, failed, missing)
        if outcome is Outcome.RECREATE:
            return _decided(snapshot, failed, missing.absent, record, settled)
        if outcome is Outcome.NO_ORDINAL:
            return Review(record, outcome, error=f"parsing pod name for pod {failed.name}")
        if outcome is Outcome.GOING:
            return _with_end(Review(record, outcome, settled=settled), snapshot, pod)
        undecided = outcome is Outcome.STALE_MEMBER and snapshot.worker_statefulset is None
        if record is not None and leader is not None and outcome is not Outcome.NO_FAILURE and not undecided:
            record = members.consume(record, gone if failed.gone else _indices(failed, leader), named)
    return _with_end(Review(record, told=told, settled=settled), snapshot, pod)


def _waited(snapshot: GroupSnapshot) -> Review | None:
    """What becomes of a group that waits: it was decided, whatever became of its pods since (resilience 3.2)."""
    lws, leader, retry = snapshot.lws, snapshot.leader, incidents.in_wait(snapshot)
    assert lws is not None
    if leader is None or retry is None or leader.metadata.deleting or recovery.tolerates(lws):
        return None
    if retry or snapshot.going == leader.metadata.uid:
        return Review(snapshot.record, Outcome.GOING, settled=_settled(snapshot), retry=retry or None)
    found = (each for each in lws.status.failures if each.leader_uid == leader.metadata.uid)
    name = next((each.pod for each in found), leader.metadata.name)
    deletion = recovery.recreate(leader, Failed(name, leader), None)
    return Review(snapshot.record, Outcome.RECREATE, deletion, settled=_settled(snapshot))


def _decided(
    snapshot: GroupSnapshot,
    failed: Failed,
    absent: Reference | None,
    record: MemberRecord | None,
    settled: Mapping[str, int],
) -> Review:
    """The group is recreated now, or waits for it."""
    leader = snapshot.leader
    assert leader is not None
    incident = incidents.of_failed(snapshot, leader, failed)
    if incident.retry:
        told = () if incident.failure is None else tuple(each for each in (incident.told, incident.waits) if each)
        deletion = recovery.recreate(leader, failed, snapshot.worker_set_of_leader, absent)
        return Review(record, Outcome.GOING, deletion, None, told, settled, incident, incident.retry)
    deletion = recovery.recreate(leader, failed, snapshot.worker_set_of_leader, absent, incident.told)
    return Review(record, Outcome.RECREATE, deletion, settled=settled, incident=incident)


def _with_end(found: Review, snapshot: GroupSnapshot, pod: Pod | None) -> Review:
    """The review, if the pod is a leader that others end with a word about that (resilience 2.1)."""
    incident = incidents.of_ended_leader(snapshot, pod) if pod is not None and is_leader(pod) else None
    return found if incident is None else replace(found, told=(*found.told, incident.told), incident=incident)


def _settled(snapshot: GroupSnapshot) -> dict[str, int]:
    lws, leader = snapshot.lws, snapshot.leader
    assert lws is not None
    proof = members.evidence(lws, snapshot.leader_statefulset)
    index = None if leader is None else group_index(leader, lws.metadata.name)
    covered = proof if proof is not None and index is not None and index < proof.groups else None
    pods = [*snapshot.group_pods, *([] if leader is None else [leader])]
    return restarts.settled(snapshot.settled, pods, tolerated=recovery.tolerates(lws), proof=covered)


def _apart(
    snapshot: GroupSnapshot, record: MemberRecord | None, gone: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[EmitEvent, ...]]:
    """The members that are really gone, and word of those that only lost their label (resilience 2.3)."""
    if snapshot.leader is None or record is None or not snapshot.released:
        return gone, ()
    names = {index: f"{snapshot.leader.metadata.name}-{index}" for index in gone}
    there = {
        index: name
        for index, name in names.items()
        if name in snapshot.released and record.uids[index] in (LOST, snapshot.released[name])
    }
    told = tuple(events.lost_label(name, snapshot.released[name]) for name in there.values())
    return tuple(index for index in gone if index not in there), told


@dataclass(frozen=True, slots=True)
class _Missing:
    """The members that are gone: all are judged alike, so the first speaks for all.

    A group from which members were lost is not starting for that reason: whether it is, is judged by the others.
    """

    names: frozenset[str] = frozenset()
    suspect: tuple[Failed, ...] = ()
    pending: bool = False
    absent: Reference | None = None

    @classmethod
    def of(
        cls, leader: Pod | None, gone: tuple[int, ...], record: MemberRecord | None, released: Collection[str]
    ) -> _Missing:
        """Those at these indices; starting still if one of them was when it was last seen."""
        if leader is None or record is None or not gone:
            return cls(frozenset(released))
        names = [f"{leader.metadata.name}-{index}" for index in gone]
        uid = record.uids[gone[0]]
        absent = Reference(PODS, leader.metadata.namespace, names[0], "" if uid == LOST else uid)
        suspect = Failed(names[0], None, gone=True)
        return cls(frozenset((*names, *released)), (suspect,), not record.pending.isdisjoint(gone), absent)


def _members(snapshot: GroupSnapshot) -> tuple[MemberRecord | None, dict[int, Pod], tuple[int, ...]]:
    """The record brought up to date, the pods of its names, and the indices of members that are gone."""
    lws, leader, worker_set = snapshot.lws, snapshot.leader, snapshot.worker_set_of_leader
    if lws is None or leader is None or leader.metadata.deleting or snapshot.going:
        return snapshot.record, {}, ()
    named = members.by_index(snapshot.workers, leader.metadata.name)
    record = snapshot.record
    if worker_set is None:
        return record if snapshot.worker_statefulset else members.foresee(record, leader, named), named, ()
    if record is None or (record.leader_uid, record.worker_set_uid) != (leader.metadata.uid, worker_set.metadata.uid):
        size = size_of(leader, lws, snapshot.revisions, snapshot.contents)
        index = group_index(leader, lws.metadata.name)
        proof = members.evidence(lws, snapshot.leader_statefulset)
        record = members.seed(leader, worker_set, named, size, index, proof)
    record, gone = members.observe(record, named)
    return record, named, gone


def _judge(snapshot: GroupSnapshot, failed: Failed, missing: _Missing) -> Outcome:
    lws, leader = snapshot.lws, snapshot.leader
    assert lws is not None
    reference = leader or failed.pod
    size = 0 if reference is None else size_of(reference, lws, snapshot.revisions, snapshot.contents)
    if failed.pod is not None and is_leader(failed.pod):
        leader = failed.pod
    others = [each for each in snapshot.group_pods if each.metadata.name not in missing.names]
    return recovery.judge(
        lws,
        failed,
        leader,
        snapshot.worker_statefulset,
        pending=missing.pending or recovery.pending(others, size - len(missing.names)),
        going=leader is not None and snapshot.going == leader.metadata.uid,
    )


def _indices(failed: Failed, leader: Pod) -> tuple[int, ...]:
    index = members.worker_index(failed.name, leader.metadata.name)
    return () if index is None else (index,)
