"""One look at a group for failures: the pod in question, and members that went unseen (spec 9, CD-01)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Action, Delete, EmitEvent, Reference
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset import (
    events,
    grace,
    group_ready,
    incidents,
    lostnodes,
    members,
    recovery,
    restartbudget,
    restarts,
)
from lws.planning.leaderworkerset.grace import Healing
from lws.planning.leaderworkerset.groups import group_index, is_hashed, is_leader, size_of
from lws.planning.leaderworkerset.incidents import Incident
from lws.planning.leaderworkerset.members import LOST, Evidence, MemberRecord
from lws.planning.leaderworkerset.recovery import Failed, Outcome
from lws.planning.leaderworkerset.snapshots import GroupSnapshot

STRAY_REMEDY: Final = f"no StatefulSet made this pod: remove its label {labels.NAME}, or delete it"


@dataclass(frozen=True, slots=True)
class Review:
    """What came of it.

    Attributes:
        record: the members as they are to be remembered once the plan has run.
        outcome: what decides; NO_FAILURE if nothing does.
        deletion: the deletion of the leader, if the group is to be recreated, at once or after a wait, or terminated.
        error: why a failed pod could not be judged.
        remedy: what to do about that.
        told: events about members that are neither well nor failed, or about a wait that begins.
        settled: by pod UID, how many restarts count no more.
        incident: the failure that makes the group be recreated, or be waited for.
        retry: in how many seconds a group that waits, or is given time, is to be recreated; None if none is.
        before: what is written before the leader is deleted.
        budgeted: whether a restart budget decided, so that what it was judged by is to be read afresh (next 5.4).
        exhausted: whether this is the end of the group.
        healing: what is to be remembered of a group that is given time to get over failures.
        meanwhile: what is written while the group waits.
    """

    record: MemberRecord | None
    outcome: Outcome = Outcome.NO_FAILURE
    deletion: Delete | None = None
    error: str | None = None
    told: tuple[EmitEvent, ...] = ()
    settled: Mapping[str, int] = field(default_factory=dict)
    incident: Incident | None = None
    retry: float | None = None
    remedy: str = ""
    before: tuple[Action, ...] = ()
    budgeted: bool = False
    exhausted: bool = False
    healing: Healing | None = None
    meanwhile: tuple[Action, ...] = ()


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
    missing = _Missing.of(snapshot, gone, record)
    settled, granted = _settled(snapshot), grace.granted(snapshot)
    named_pod = () if pod is None else (_named(snapshot, name, pod, settled, granted=granted),)
    lacking: Failed | None = None
    for failed in (*named_pod, *missing.suspect):
        outcome = _judge(snapshot, failed, missing)
        if outcome is Outcome.RECREATE and granted and not failed.leads:
            lacking = lacking or failed
            continue
        if outcome is Outcome.RECREATE:
            return _decided(snapshot, failed, missing.absent, record, settled)
        if outcome is Outcome.NO_ORDINAL:
            return Review(record, outcome, error=f"parsing pod name for pod {failed.name}", remedy=STRAY_REMEDY)
        if outcome is Outcome.GOING:
            return _with_end(Review(record, outcome, settled=settled), snapshot, pod)
        undecided = outcome is Outcome.STALE_MEMBER and snapshot.worker_statefulset is None
        if record is not None and leader is not None and outcome is not Outcome.NO_FAILURE and not undecided:
            record = members.consume(record, gone if failed.gone else _indices(failed, snapshot.base), named)
    found = Review(record, told=told, settled=settled)
    if granted:
        found = _given_time(snapshot, found, lacking, missing.absent, members.Seen(gone, named))
    return found if found.outcome.group_goes else _with_end(found, snapshot, pod)


def _given_time(
    snapshot: GroupSnapshot, found: Review, failed: Failed | None, absent: Reference | None, seen: members.Seen
) -> Review:
    """The review of a group whose members are replaced first; its leader's failures were judged (resilience 7)."""
    leader = snapshot.leader
    assert leader is not None
    before, given = grace.known(snapshot, leader).failure, grace.look(snapshot, failed)
    found = replace(found, healing=given.healing, retry=given.left)
    if given.whole and found.record is not None:
        found = replace(found, record=members.consume(found.record, seen.gone, seen.named))
    if before is not None and given.left == 0.0:
        incident = incidents.not_healed(snapshot, leader, before)
        deletion = recovery.recreate(leader, Failed(before.pod, leader), None, told=incident.told)
        over = replace(found, outcome=Outcome.RECREATE, deletion=deletion, incident=incident, retry=None)
        return _spent(snapshot, over)
    if before is not None and given.whole:
        incident = incidents.healed(snapshot, before)
    elif failed is not None and given.news:
        incident = incidents.begun(snapshot, leader, failed, healed=given.whole)
    else:
        return found
    found = replace(found, told=(*found.told, incident.told), incident=incident)
    if given.whole or failed is None or incident.failure is None:
        return found
    left, healing = grace.left(snapshot, leader, incident.failure), replace(given.healing, failure=incident.failure)
    deletion = recovery.recreate(leader, failed, snapshot.worker_set_of_leader, absent)
    return replace(found, deletion=deletion, healing=healing, retry=left)


def _over(snapshot: GroupSnapshot, pod: Pod, settled: Mapping[str, int], *, granted: bool) -> int:
    """How many restarts of a pod count no more."""
    count = settled.get(pod.metadata.uid, 0)
    return max(count, grace.got_over(snapshot, pod, leads=is_leader(pod))) if granted else count


def _named(snapshot: GroupSnapshot, name: str, pod: Pod, settled: Mapping[str, int], *, granted: bool) -> Failed:
    """The pod in question, which has failed too if its node has been lost for long enough (resilience 6.2)."""
    over = _over(snapshot, pod, settled, granted=granted)
    return Failed(name, pod, settled=over, lost=lostnodes.look(snapshot, pod).lost)


def _waited(snapshot: GroupSnapshot) -> Review | None:
    """What becomes of a group that waits: it was decided, whatever became of its pods since (resilience 3.2)."""
    lws, leader, retry = snapshot.lws, snapshot.leader, incidents.in_wait(snapshot)
    assert lws is not None
    if leader is None or retry is None or leader.metadata.deleting or recovery.tolerates(lws):
        return None
    if retry or snapshot.going == leader.metadata.uid:
        meanwhile = _not_ready(snapshot, leader) if retry else ()
        waits = Review(snapshot.record, Outcome.GOING, settled=_settled(snapshot), meanwhile=meanwhile)
        return replace(waits, retry=retry or None)
    found = (each for each in lws.status.failures if each.leader_uid == leader.metadata.uid)
    name = next((each.pod for each in found), leader.metadata.name)
    deletion = recovery.recreate(leader, Failed(name, leader), None)
    return _spent(snapshot, Review(snapshot.record, Outcome.RECREATE, deletion, settled=_settled(snapshot)))


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
    if incident.retry and not restartbudget.ends(snapshot.lws, leader):
        told = () if incident.failure is None else tuple(each for each in (incident.told, incident.waits) if each)
        deletion = recovery.recreate(leader, failed, snapshot.worker_set_of_leader, absent)
        waits = Review(record, Outcome.GOING, deletion, None, told, settled, incident, incident.retry)
        return replace(waits, meanwhile=_not_ready(snapshot, leader))
    deletion = recovery.recreate(leader, failed, snapshot.worker_set_of_leader, absent, incident.told)
    return _spent(snapshot, Review(record, Outcome.RECREATE, deletion, settled=settled, incident=incident))


def _not_ready(snapshot: GroupSnapshot, leader: Pod) -> tuple[Action, ...]:
    """By key a Deployment counts groups, so the leader of one that waits has to say that it is not ready."""
    if not is_hashed(leader) or snapshot.worker_set_of_leader is None:
        return ()
    return group_ready.plan(leader, None, snapshot.now)


def _spent(snapshot: GroupSnapshot, found: Review) -> Review:
    """The review, once the recreation was charged to the group's restart budget (next 5.4)."""
    lws, leader, deletion = snapshot.lws, snapshot.leader, found.deletion
    assert lws is not None
    assert leader is not None
    assert deletion is not None
    spent = restartbudget.spend(snapshot, leader, deletion)
    if spent.deletion is None:
        return replace(found, deletion=None, error=spent.error, remedy=restartbudget.INVALID_REMEDY)
    budgeted = spent.exhausted or lws.spec.leader_worker_template.max_group_restarts is not None
    return replace(found, before=spent.before, deletion=spent.deletion, budgeted=budgeted, exhausted=spent.exhausted)


def _with_end(found: Review, snapshot: GroupSnapshot, pod: Pod | None) -> Review:
    """The review, if the pod is a leader that others end with a word about that (resilience 2.1)."""
    incident = incidents.of_ended_leader(snapshot, pod) if pod is not None and is_leader(pod) else None
    return found if incident is None else replace(found, told=(*found.told, incident.told), incident=incident)


def _settled(snapshot: GroupSnapshot) -> dict[str, int]:
    lws, leader = snapshot.lws, snapshot.leader
    assert lws is not None
    # What a group got over under resilience 7 counts again without it.
    looks_back = leader is not None and not snapshot.policies.group_recovery_grace
    covered = _proof(snapshot, lws, leader) if looks_back and leader is not None else None
    pods = [*snapshot.group_pods, *([] if leader is None else [leader])]
    return restarts.settled(snapshot.settled, pods, tolerated=recovery.tolerates(lws), proof=covered)


def _proof(snapshot: GroupSnapshot, lws: LeaderWorkerSet, leader: Pod) -> Evidence | None:
    """What the set's status proves about the group of this leader."""
    if is_hashed(leader):
        return members.evidence_by_key(lws, snapshot.leader_deployment, leader)
    proof, index = members.evidence(lws, snapshot.leader_statefulset), group_index(leader, lws.metadata.name)
    return proof if proof is not None and index is not None and index < proof.groups else None


def _apart(
    snapshot: GroupSnapshot, record: MemberRecord | None, gone: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[EmitEvent, ...]]:
    """The members that are really gone, and word of those that only lost their label (resilience 2.3)."""
    if snapshot.leader is None or record is None or not snapshot.released:
        return gone, ()
    names = {index: f"{snapshot.base}-{index}" for index in gone}
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
    def of(cls, snapshot: GroupSnapshot, gone: tuple[int, ...], record: MemberRecord | None) -> _Missing:
        """Those at these indices; starting still if one of them was when it was last seen."""
        leader, released = snapshot.leader, snapshot.released
        if leader is None or record is None or not gone:
            return cls(frozenset(released))
        names = [f"{snapshot.base}-{index}" for index in gone]
        uid = record.uids[gone[0]]
        absent = Reference(PODS, leader.metadata.namespace, names[0], "" if uid == LOST else uid)
        suspect = Failed(names[0], None, gone=True)
        return cls(frozenset((*names, *released)), (suspect,), not record.pending.isdisjoint(gone), absent)


def _members(snapshot: GroupSnapshot) -> tuple[MemberRecord | None, dict[int, Pod], tuple[int, ...]]:
    """The record brought up to date, the pods of its names, and the indices of members that are gone."""
    lws, leader, worker_set = snapshot.lws, snapshot.leader, snapshot.worker_set_of_leader
    if lws is None or leader is None or leader.metadata.deleting or snapshot.going:
        return snapshot.record, {}, ()
    named = members.by_index(snapshot.workers, snapshot.base)
    record = snapshot.record
    if worker_set is None:
        foreseen = record if snapshot.worker_statefulset else members.foresee(record, leader, snapshot.base, named)
        return foreseen, named, ()
    if record is None or (record.leader_uid, record.worker_set_uid) != (leader.metadata.uid, worker_set.metadata.uid):
        size = size_of(leader, lws, snapshot.revisions, snapshot.contents)
        record = members.seed(leader, worker_set, named, size, _proof(snapshot, lws, leader))
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


def _indices(failed: Failed, base: str) -> tuple[int, ...]:
    index = members.worker_index(failed.name, base)
    return () if index is None else (index,)
