"""What one LeaderWorkerSet needs now (spec 5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.status import RolloutStatus
from lws.apimachinery.actions import DONE, FOREIGN_RECHECK, Action, Apply, EmitEvent, Patch, Plan, Reference
from lws.apimachinery.conditions import find
from lws.apimachinery.ownership import Relation
from lws.apimachinery.resources import STATEFULSETS
from lws.planning.leaderworkerset import (
    blockers,
    disruption,
    evacuation,
    events,
    groups,
    groupstatus,
    hash_sets,
    leader_statefulset,
    ownership,
    prerequisites,
    release,
    restartbudget,
    retention,
    revisions,
    services,
    status,
    steering,
    undoing,
    workloads,
)
from lws.planning.leaderworkerset import moves as moves_of
from lws.planning.leaderworkerset.blockers import Blocker
from lws.planning.leaderworkerset.conditions import UPDATE_IN_PROGRESS
from lws.planning.leaderworkerset.counts import Counts, count
from lws.planning.leaderworkerset.disruption import BudgetPlan
from lws.planning.leaderworkerset.groups import GroupState
from lws.planning.leaderworkerset.groupstatus import GroupsSeen
from lws.planning.leaderworkerset.moves import NOTHING, Moves
from lws.planning.leaderworkerset.pace import max_unavailable
from lws.planning.leaderworkerset.prerequisites import Prerequisites, Problem
from lws.planning.leaderworkerset.revisions import Choice
from lws.planning.leaderworkerset.rollout import Budget, Decision, LeaderNumbers, decide
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from lws.planning.leaderworkerset.status import StatusPlan
from lws.planning.leaderworkerset.statuspacing import PacedPlan
from lws.planning.leaderworkerset.steering import Course, Steering, steer, steered
from lws.planning.leaderworkerset.steering import budget_of as steer_budget

DELETION_CHECK: Final = 5.0  # seconds until we look again at a leader StatefulSet that is going (spec 5.8)


@dataclass(frozen=True, slots=True)
class SetPlan:
    """A plan, and what is to be remembered of looking at the set's groups, its rollout and its moves."""

    plan: Plan
    seen: GroupsSeen = field(default_factory=GroupsSeen)
    rollout: RolloutStatus | None = None
    moves: Moves = NOTHING


def plan_leaderworkerset(snapshot: SetSnapshot, now: datetime) -> Plan:
    """Plan one pass over a LeaderWorkerSet.

    Raises:
        TerminalError: the set cannot be planned for until it is edited.
    """
    return plan_set(snapshot, now).plan


def plan_set(snapshot: SetSnapshot, now: datetime) -> SetPlan:
    """The same, with what is to be remembered of the look at its groups."""
    lws, statefulset = snapshot.lws, snapshot.leader_statefulset
    if lws.spec.hashed:
        return SetPlan(*hash_sets.plan_hash_set(snapshot, now))
    if lws.metadata.deleting:
        return SetPlan(DONE)
    if statefulset is not None:
        if statefulset.metadata.deleting:
            return SetPlan(Plan(requeue_after=DELETION_CHECK))
        relation = ownership.of_leader_set(lws, statefulset)
        if relation is Relation.EARLIER:
            return SetPlan(Plan(requeue_after=DELETION_CHECK))
        if relation is Relation.FOREIGN:
            return SetPlan(_blocked(snapshot, now))
    seen = _look(snapshot, now)
    return SetPlan(_roll(seen, now), seen.seen, seen.steering.rollout, seen.moves)


def plan_unprepared(snapshot: SetSnapshot, now: datetime, problem: Problem) -> Plan:
    """What is still to be done in a pass that failed at a Workload or PodGroup: say so (next 7.5, ND-18)."""
    if snapshot.lws.spec.hashed:
        return hash_sets.plan_unprepared(snapshot, now, problem)
    described = _describe(_look(snapshot, now), now, problem=problem)
    return PacedPlan((*described.actions, problem.event), look=described.look)


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
    seen = _look(snapshot, now)
    reason = events.FAILED_CREATE if snapshot.leader_statefulset is None else events.FAILED_UPDATE
    described = _describe(seen, now, status.Refusal(reason, error) if final else status.UNDECIDED)
    return PacedPlan(described.actions, requeue_after=described.put_off, look=described.look)


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
    seen: GroupsSeen
    steering: Steering
    moves: Moves
    capped: bool  # whether the extra group of a move is not counted beside the one that it stands in for

    @property
    def kept_budget(self) -> BudgetPlan:
        """What becomes of the closed budget."""
        return disruption.planned(self.snapshot)

    @property
    def blocker(self) -> Blocker | None:
        """What keeps the set from becoming Available."""
        lws = self.snapshot.lws
        groups_made = self.budget.burst if self.choice.surging else self.budget.replicas
        extra = self.budget.replicas + 1 if self.snapshot.policies.evacuate and self.budget.replicas else 0
        long = blockers.name_too_long(lws, max(groups_made, extra))
        if long is not None or self.now is None:
            return long
        return blockers.rollout_waiting(lws, self.choice.key, self.now, self.decision, self.states)


def _look(snapshot: SetSnapshot, time: datetime) -> _Seen:
    lws, statefulset = snapshot.lws, snapshot.leader_statefulset
    budget = Budget.of(lws)
    choice = revisions.choose(lws, statefulset, snapshot.revisions, snapshot.contents)
    leaders = groups.own_leaders(snapshot.leaders, statefulset)
    belongings = (snapshot.statefulsets, snapshot.revisions, snapshot.contents)
    waiting = {pod.metadata.name for pod in leaders if snapshot.records.waits(pod)}
    states = groups.states(choice.key, lws, leaders, *belongings, waiting)
    states |= retention.outdated(snapshot.leaders, lws.metadata.name, choice.key)
    now = None if statefulset is None else LeaderNumbers.of(statefulset)
    by_index = groups.leaders_by_index(leaders, lws.metadata.name)
    course = Course(choice.key, budget, by_index, states, snapshot.lookup)
    steered_by = undoing.considered(snapshot, steer(lws, snapshot.policies, snapshot.rollout, course, time), choice.key)
    surging = _surging(snapshot, choice, by_index)
    decision = decide(steer_budget(steered_by, budget), now, states, armed=choice.armed, surging=surging)
    ending = [pod for pod in snapshot.leaders if pod.metadata.deleting]
    every = groups.leaders_by_index((*ending, *leaders), lws.metadata.name)
    decision = steered(steered_by, snapshot.policies, decision, now, replace(course, leaders=every))
    counts = count(lws, budget, choice.key, leaders, *belongings, waiting)
    rolling = choice.armed or counts.moved < counts.current or (surging and counts.done < counts.current)
    moves = evacuation.moves(snapshot, every, states, time, rolling=rolling)
    decision = evacuation.steered(moves, budget, decision, now, armed=choice.armed)
    capped = not surging and moves_of.concerns(snapshot)
    counts = counts.capped(budget.replicas) if capped else counts
    counts = counts.with_exhausted(restartbudget.exhausted_groups(snapshot.leaders, lws.metadata.name), budget)
    seen = groupstatus.look(snapshot, every, states, time)
    return _Seen(snapshot, budget, choice, leaders, now, states, decision, counts, seen, steered_by, moves, capped)


def _surging(snapshot: SetSnapshot, choice: Choice, leaders: Mapping[int, Pod]) -> bool:
    """Whether surge has anything to cover; revisions that are kept as history are none of it (CD-14, resilience 5)."""
    if choice.armed or not snapshot.policies.revision_history_limit:
        return choice.surging
    updating = find(snapshot.lws.status.conditions, UPDATE_IN_PROGRESS)
    outdated = any(groups.revision_key(pod) != choice.key for pod in leaders.values())
    return choice.surging and (outdated or (updating is not None and updating.status == "True"))


def _roll(seen: _Seen, now: datetime) -> Plan:
    """Revision, numbers, leader StatefulSet, Service, status, truncation: in this order."""
    snapshot, lws = seen.snapshot, seen.snapshot.lws
    undone = undoing.undo(snapshot, seen.steering, seen.choice.key)
    if undone:
        return Plan(undone)
    done = seen.counts.update_done(seen.budget)
    groups_kept = max(seen.decision.replicas, seen.budget.replicas)
    actions: list[Action] = [*restartbudget.prune(lws, groups_kept, seen.choice.key, done=done)]
    pruned = any(isinstance(each, Patch) for each in actions)
    prepared = _prerequisites(seen)
    if prepared.problem is not None:
        described = _describe(seen, now, problem=prepared.problem)
        told = prepared.problem.event
        every = (*actions, *described.actions, told)
        return PacedPlan(every, error=prepared.problem.message, remedy=prerequisites.REMEDY, look=described.look)
    actions += [*seen.choice.actions, *prepared.actions]
    if not prepared.complete:
        return Plan(tuple(actions))
    actions += _leader_statefulset(seen)
    released = release.released_leaders(
        lws,
        snapshot.leader_statefulset,
        seen.choice.key,
        steer_budget(seen.steering, seen.budget),
        seen.states,
        seen.leaders,
        one_by_one=snapshot.one_by_one,
    )
    actions += [*released.deletes, *seen.moves.deletes]
    actions += services.shared(lws, snapshot.service)
    actions += seen.kept_budget.actions
    # A set that was pruned has another version now: its own event brings the pass that writes the status.
    described = StatusPlan() if pruned else _describe(seen, now)
    actions += described.actions
    actions += [events.invalid_policy(key, value, why, lws.metadata.uid) for key, value, why in snapshot.chosen.bad]
    actions += [*seen.moves.told, *moves_of.told_of_retained(snapshot)]
    actions += steering.told(seen.steering, snapshot.policies, lws, seen.choice.key)
    actions += [each for each in (seen.blocker and seen.blocker.event, blockers.unadmitted(lws, seen.leaders)) if each]
    if done:
        kept = snapshot.policies.revision_history_limit
        actions += revisions.truncate(lws, snapshot.revisions, seen.choice.key, snapshot.leaders, kept)
    again = _earliest(described.put_off, seen.seen.again, seen.steering.again, seen.moves.again, seen.kept_budget.again)
    return PacedPlan(tuple(actions), requeue_after=again, look=described.look, owed=released.owed)


def _earliest(*seconds: float | None) -> float | None:
    """The first of some moments; None for those that never come."""
    return min((each for each in seconds if each is not None), default=None)


def _prerequisites(seen: _Seen) -> Prerequisites:
    return workloads.plan(seen.snapshot, seen.choice.key, seen.decision.replicas)


def _describe(
    seen: _Seen, now: datetime, refusal: status.Refusal | None = None, *, problem: Problem | None = None
) -> StatusPlan:
    snapshot, blocker = seen.snapshot, seen.blocker
    return status.plan_status(
        snapshot.lws,
        seen.budget,
        _replicas(seen),
        seen.counts,
        now,
        status.Circumstances(
            pacing=snapshot.pacing,
            moving=_moving(seen),
            blocker=None if blocker is None else (blocker.reason, blocker.message),
            refusal=refusal,
            no_pod_groups=snapshot.no_pod_groups,
            records=snapshot.records,
            news_age=snapshot.news_age,
            told=snapshot.told,
            prepared=prerequisites.condition(problem) if snapshot.lws.spec.scheduling is not None else None,
            seen=seen.seen,
            steering=seen.steering,
            policies=snapshot.policies,
            moves=seen.moves,
            budget_kept=seen.kept_budget.kept,
            suspects=snapshot.suspects,
        ),
    )


def _replicas(seen: _Seen) -> int:
    """How many groups the status tells of."""
    replicas = status.replicas_of(seen.snapshot.lws, seen.snapshot.leader_statefulset)
    return min(replicas, seen.budget.replicas) if seen.capped else replicas


def _moving(seen: _Seen) -> bool:
    """Whether something goes on by itself: groups come, go or are replaced, and are not held for want of room."""
    if seen.now is None or seen.snapshot.leader_statefulset is None:
        return True
    if seen.snapshot.leader_statefulset.status.replicas != seen.now.replicas:
        return True
    leaders = groups.leaders_by_index(seen.leaders, seen.snapshot.lws.metadata.name)
    wanted = {index: pod for index, pod in leaders.items() if index < seen.budget.replicas}
    unready = [pod for index, pod in wanted.items() if not seen.states[index].ready]
    if len(wanted) < seen.budget.replicas or not all(groups.waiting_for_room(pod) for pod in unready):
        return True
    return not unready and seen.counts.moved < seen.counts.current  # the next group is about to be replaced


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
        live=b"" if snapshot.applied is not None else live.document,
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
