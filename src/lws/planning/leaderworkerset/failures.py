"""One look at a group for failures: the pod in question, and members that went unseen (spec 9, CD-01)."""

from __future__ import annotations

from dataclasses import dataclass

from lws.api.leaderworkerset.objects import Pod
from lws.apimachinery.actions import Delete
from lws.planning.leaderworkerset import members, recovery
from lws.planning.leaderworkerset.groups import group_index, is_leader, size_of
from lws.planning.leaderworkerset.members import MemberRecord
from lws.planning.leaderworkerset.recovery import Failed, Outcome
from lws.planning.leaderworkerset.snapshots import GroupSnapshot


@dataclass(frozen=True, slots=True)
class Review:
    """What came of it.

    Attributes:
        record: the members as they are to be remembered once the plan has run.
        outcome: what decides; NO_FAILURE if nothing does.
        deletion: the deletion of the leader, if the group is to be recreated.
        error: why a failed pod could not be judged.
    """

    record: MemberRecord | None
    outcome: Outcome = Outcome.NO_FAILURE
    deletion: Delete | None = None
    error: str | None = None


def review(snapshot: GroupSnapshot, name: str, pod: Pod | None) -> Review:
    """Judge the pod of this name, and every member of its group that is gone or was replaced.

    While the cache has no StatefulSet that could speak for a worker, its failure is not forgotten: the set comes by
    another watch than the pods, and will decide.

    Args:
        snapshot: the group; ``lws`` is set.
        name: the pod in question.
        pod: the pod as it is, or None when it is gone.
    """
    record, named, gone = _members(snapshot)
    leader = snapshot.leader
    suspects = [Failed(name, pod)] if pod is not None else []
    if leader is not None:
        suspects += [Failed(f"{leader.metadata.name}-{index}", None, gone=True) for index in gone]
    for failed in suspects:
        outcome = _judge(snapshot, failed)
        if outcome is Outcome.RECREATE:
            assert leader is not None
            return Review(record, outcome, recovery.recreate(leader, failed, snapshot.worker_set_of_leader))
        if outcome is Outcome.NO_ORDINAL:
            return Review(record, outcome, error=f"parsing pod name for pod {failed.name}")
        if outcome is Outcome.GOING:
            return Review(record, outcome)
        undecided = outcome is Outcome.STALE_MEMBER and snapshot.worker_statefulset is None
        if record is not None and leader is not None and outcome is not Outcome.NO_FAILURE and not undecided:
            record = _passed_over(record, failed, leader, named)
    return Review(record)


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


def _judge(snapshot: GroupSnapshot, failed: Failed) -> Outcome:
    lws, leader = snapshot.lws, snapshot.leader
    assert lws is not None
    reference = leader or failed.pod
    size = 0 if reference is None else size_of(reference, lws, snapshot.revisions, snapshot.contents)
    if failed.pod is not None and is_leader(failed.pod):
        leader = failed.pod
    return recovery.judge(
        lws,
        failed,
        leader,
        snapshot.worker_statefulset,
        snapshot.group_pods,
        size,
        going=leader is not None and snapshot.going == leader.metadata.uid,
    )


def _passed_over(record: MemberRecord, failed: Failed, leader: Pod, named: dict[int, Pod]) -> MemberRecord:
    """A failure that leads to nothing is forgotten: the member that is there now is the one expected (spec 9.3)."""
    index = members.worker_index(failed.name, leader.metadata.name)
    return record if index is None else members.consume(record, index, named)
