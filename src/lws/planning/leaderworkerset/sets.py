"""What one LeaderWorkerSet needs now (spec 5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.actions import DONE, FOREIGN_RECHECK, Action, Apply, EmitEvent, Patch, Plan, Reference
from lws.apimachinery.ownership import Relation
from lws.apimachinery.resources import STATEFULSETS
from lws.planning.leaderworkerset import (
    blockers,
    events,
    groups,
    hash_sets,
    leader_statefulset,
    ownership,
    release,
    restartbudget,
    retention,
    revisions,
    services,
    status,
    workloads,
)
from lws.planning.leaderworkerset.blockers import Blocker
from lws.planning.leaderworkerset.groups import GroupState
from lws.planning.leaderworkerset.pace import max_unavailable
from lws.planning.leaderworkerset.revisions import Choice
from lws.planning.leaderworkerset.rollout import Budget, Decision, LeaderNumbers, decide
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from lws.planning.leaderworkerset.status import Counts, StatusPlan
from lws.planning.leaderworkerset.workloads import Prerequisites, Problem

SCHEDULING_REMEDY: Final = "see condition WorkloadSchedulingCreated of the set, and spec.scheduling"
DELETION_CHECK: Final = 5.0  # seconds until we look again at a leader StatefulSet that is going (spec 5.8)


def plan_leaderworkerset(snapshot: SetSnapshot, now: datetime) -> Plan:
    """Plan one pass over a LeaderWorkerSet.

    Raises:
        TerminalError: the set cannot be planned for until it is edited.
    """
    lws, statefulset = snapshot.lws, snapshot.leader_statefulset
    if lws.spec.hashed:
        return hash_sets.plan_hash_set(snapshot, now)
    if lws.metadata.deleting:
        return DONE
    if statefulset is not None:
        if statefulset.metadata.deleting:
            return Plan(requeue_after=DELETION_CHECK)
        relation = ownership.of_leader_set(lws, statefulset)
        if relation is Relation.EARLIER:
            return Plan(requeue_after=DELETION_CHECK)
        if relation is Relation.FOREIGN:
            return _blocked(snapshot, now)
    return _roll(_look(snapshot), now)


def plan_unprepared(snapshot: SetSnapshot, now: datetime, problem: Problem) -> Plan:
    """What is still to be done in a pass that failed at a Workload or PodGroup: say so (next 7.5, ND-18)."""
    if snapshot.lws.spec.hashed:
        return hash_sets.plan_unprepared(snapshot, now, problem)
    return Plan((*_describe(_look(snapshot), now, problem=problem).actions, problem.event))


def plan_refused(snapshot: SetSnapshot, now: datetime, error: str, *, final: bool) -> Plan:
    """What is still to be done in a pass whose apply has failed: say so in the status, and what else it has to tell.

    Args:
        snapshot: what the failed plan was made from.
        now: stamps conditions.
        error: the server's words.
        final: whether the server refused the object; else it may take the same one soon.
    """
    if snapshot.lws.spec.hashed:
        return hash_sets.plan_refused(snapshot, now, error, final=final)
    seen = _look(snapshot)
    reason = events.FAILED_CREATE if snapshot.leader_statefulset is None else events.FAILED_UPDATE
    described = _describe(seen, now, status.Refusal(reason, error) if final else status.UNDECIDED)
    return Plan(described.actions, requeue_after=described.put_off)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a pass goes by: the snapshot, and what follows from it."""

    snapshot: SetSnapshot
    budget: Budget
    choice: Choice
    leaders: tuple[Pod, ...]  # those that count
    now: LeaderNumbers | None
    states: Mapping[int, GroupState]
    decision: Decision
    counts: Counts

    @property
    def blocker(self) -> Blocker | None:
        """What keeps the set from becoming Available."""
        lws = self.snapshot.lws
        long = blockers.name_too_long(lws, self.budget, self.choice.surging)
        if long is not None or self.now is None:
            return long
        return blockers.rollout_waiting(lws, self.choice.key, self.now, self.decision, self.states)


def _look(snapshot: SetSnapshot) -> _Seen:
    lws, statefulset = snapshot.lws, snapshot.leader_statefulset
    budget = Budget.of(lws)
    choice = revisions.choose(lws, statefulset, snapshot.revisions, snapshot.contents)
    leaders = groups.own_leaders(snapshot.leaders, statefulset)
    belongings = (snapshot.statefulsets, snapshot.revisions, snapshot.contents)
    waiting = {pod.metadata.name for pod in leaders if snapshot.records.waits(pod)}
    states = groups.states(choice.key, lws, leaders, *belongings, waiting)
    states |= retention.outdated(snapshot.leaders, lws.metadata.name, choice.key)
    now = None if statefulset is None else LeaderNumbers.of(statefulset)
    decision = decide(budget, now, states, armed=choice.armed, surging=choice.surging)
    counts = status.count(lws, budget, choice.key, leaders, *belongings, waiting)
    counts = counts.with_exhausted(restartbudget.exhausted_groups(snapshot.leaders, lws.metadata.name), budget)
    return _Seen(snapshot, budget, choice, leaders, now, states, decision, counts)


def _roll(seen: _Seen, now: datetime) -> Plan:
    """Revision, numbers, leader StatefulSet, Service, status, truncation: in this order."""
    snapshot, lws = seen.snapshot, seen.snapshot.lws
    done = seen.counts.update_done(seen.budget)
    groups_kept = max(seen.decision.replicas, seen.budget.replicas)
    actions: list[Action] = [*restartbudget.prune(lws, groups_kept, seen.choice.key, done=done)]
    pruned = any(isinstance(each, Patch) for each in actions)
    prepared = _prerequisites(seen)
    if prepared is not None:
        if prepared.problem is not None:
            described = _describe(seen, now, problem=prepared.problem)
            told = prepared.problem.event
            return Plan((*actions, *described.actions, told), error=prepared.problem.message, remedy=SCHEDULING_REMEDY)
        actions += [*seen.choice.actions, *prepared.actions]
        if not prepared.complete:
            return Plan(tuple(actions))
        actions += _leader_statefulset(seen)
    else:
        actions += [*seen.choice.actions, *_leader_statefulset(seen)]
    actions += release.waiting_leaders(lws, snapshot.leader_statefulset, seen.choice.key, seen.states, seen.leaders)
    actions += services.shared(lws, snapshot.service)
    # A set that was pruned has another version now: its own event brings the pass that writes the status.
    described = StatusPlan() if pruned else _describe(seen, now)
    actions += described.actions
    actions += [events.invalid_policy(key, value, why, lws.metadata.uid) for key, value, why in snapshot.chosen.bad]
    actions += [each for each in (seen.blocker and seen.blocker.event, blockers.unadmitted(lws, seen.leaders)) if each]
    if done:
        actions += revisions.truncate(lws, snapshot.revisions, seen.choice.key, snapshot.leaders)
    return Plan(tuple(actions), requeue_after=described.put_off)


def _prerequisites(seen: _Seen) -> Prerequisites | None:
    snapshot, lws = seen.snapshot, seen.snapshot.lws
    section = snapshot.contents.sections(lws)
    return workloads.plan(lws, section, snapshot.scheduling, snapshot.leaders, seen.choice.key, seen.decision.replicas)


def _describe(
    seen: _Seen, now: datetime, refusal: status.Refusal | None = None, *, problem: Problem | None = None
) -> StatusPlan:
    snapshot, blocker = seen.snapshot, seen.blocker
    return status.plan_status(
        snapshot.lws,
        seen.budget,
        0 if snapshot.leader_statefulset is None else snapshot.leader_statefulset.status.replicas,
        seen.counts,
        now,
        status.Circumstances(
            age=snapshot.status_age,
            moving=_moving(seen),
            blocker=None if blocker is None else (blocker.reason, blocker.message),
            refusal=refusal,
            no_pod_groups=snapshot.no_pod_groups,
            records=snapshot.records,
            news_age=snapshot.news_age,
            told=snapshot.told,
            prepared=workloads.condition(problem) if snapshot.lws.spec.scheduling is not None else None,
        ),
    )


def _moving(seen: _Seen) -> bool:
    """Whether some wanted group that is not ready may become so by itself: it is not held for want of room."""
    leaders = groups.leaders_by_index(seen.leaders, seen.snapshot.lws.metadata.name)
    wanted = {index: pod for index, pod in leaders.items() if index < seen.budget.replicas}
    unready = [pod for index, pod in wanted.items() if not seen.states[index].ready]
    return len(wanted) < seen.budget.replicas or not all(groups.waiting_for_room(pod) for pod in unready)


def _leader_statefulset(seen: _Seen) -> list[Action]:
    """Event 8 comes before the write, events 4 to 7 with it (spec 12)."""
    snapshot, choice, decision, numbers = seen.snapshot, seen.choice, seen.decision, seen.now
    lws, live = snapshot.lws, snapshot.leader_statefulset
    name = lws.metadata.name
    leaders = groups.leaders_by_index(snapshot.leaders, name)
    pace = max_unavailable(seen.budget, numbers, decision, leaders, choice.key)
    body = leader_statefulset.manifest(lws, snapshot.contents.sections(lws), choice.key, decision, pace)
    digest = leader_statefulset.digest(body)
    failed = events.leader_set_failed(name, existed=live is not None)
    if live is None or numbers is None:
        created, owner = events.leader_set_created(name, choice.reference), Reference.to(LEADERWORKERSETS, lws.metadata)
        return [
            Apply(STATEFULSETS, body, digest, look_first=True, owner=owner, on_success=(created,), on_failure=(failed,))
        ]
    if leader_statefulset.unchanged(snapshot.applied, digest, live.metadata):
        return []
    applied = Apply(
        STATEFULSETS,
        body,
        digest,
        look_first=snapshot.applied is None,
        expected=(live.metadata.uid, live.metadata.generation),
        on_success=_progress(numbers, decision, choice),
        on_failure=(failed,),
    )
    if decision.replicas < numbers.replicas:
        return [events.surge_deleted(name, decision.replicas, numbers.replicas), applied]
    return [applied]


def _progress(numbers: LeaderNumbers, decision: Decision, choice: Choice) -> tuple[EmitEvent, ...]:
    """Event 7: only when the partition falls, and no revision was made (CD-15)."""
    if choice.armed or decision.partition >= numbers.partition:
        return ()
    return (events.partition_fell(numbers.partition, decision.partition, choice.reference),)


def _blocked(snapshot: SetSnapshot, now: datetime) -> Plan:
    """Someone else's StatefulSet has our name: write nothing of it, and say so (CD-03)."""
    lws = snapshot.lws
    message = (
        f"statefulset {lws.metadata.namespace}/{lws.metadata.name} exists and is not owned by this LeaderWorkerSet"
    )
    existed = status.ever_owned(lws)
    event = events.leader_set_failed(lws.metadata.name, existed=existed, error=message)
    return Plan(status.plan_blocked(lws, message, event, now), requeue_after=FOREIGN_RECHECK)
