"""What one LeaderWorkerSet needs now whose groups are known by a key: its leaders come from a Deployment (next 3.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.status import RolloutStatus
from lws.apimachinery.actions import DONE, FOREIGN_RECHECK, Action, Apply, Patch, Plan, Reference
from lws.apimachinery.conditions import find
from lws.apimachinery.ownership import Relation
from lws.apimachinery.resources import DEPLOYMENTS
from lws.planning.leaderworkerset import (
    blockers,
    disruption,
    evacuation,
    events,
    groups,
    groupstatus,
    hash_budget,
    hash_evacuation,
    hash_status,
    leader_deployment,
    leader_statefulset,
    ownership,
    prerequisites,
    revisions,
    services,
    status,
    undoing,
    workloads,
)
from lws.planning.leaderworkerset import moves as moves_of
from lws.planning.leaderworkerset.conditions import DEPLOYMENT, UPDATE_IN_PROGRESS
from lws.planning.leaderworkerset.disruption import BudgetPlan
from lws.planning.leaderworkerset.groups import GroupState, lives
from lws.planning.leaderworkerset.groupstatus import GroupsSeen
from lws.planning.leaderworkerset.hash_status import HashCounts
from lws.planning.leaderworkerset.moves import NOTHING, Extra, Moves
from lws.planning.leaderworkerset.prerequisites import Problem
from lws.planning.leaderworkerset.revisions import Choice
from lws.planning.leaderworkerset.rollout import Budget
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from lws.planning.leaderworkerset.status import StatusPlan
from lws.planning.leaderworkerset.statuspacing import PacedPlan
from lws.planning.leaderworkerset.steering import Course, Steering, held, steer, told

DELETION_CHECK: Final = 5.0  # seconds until we look again at a leader object that is going (spec 5.8)


def plan_hash_set(snapshot: SetSnapshot, now: datetime) -> tuple[Plan, GroupsSeen, RolloutStatus | None, Moves]:
    """Plan one pass over such a set; with what is to be remembered of its groups, its rollout and its moves.

    Raises:
        TerminalError: the set cannot be planned for until it is edited.
    """
    first = _not_ours(snapshot, now)
    if first is not None:
        return first, GroupsSeen(), snapshot.rollout, NOTHING
    seen = _look(snapshot, now)
    return _roll(seen, now), seen.seen, seen.steering.rollout, seen.moves


def _not_ours(snapshot: SetSnapshot, now: datetime) -> Plan | None:
    """What is done instead while something stands in the way; None if nothing does."""
    lws, deployment, leftover = snapshot.lws, snapshot.leader_deployment, snapshot.leader_statefulset
    if lws.metadata.deleting:
        return DONE
    if leftover is not None:
        relation = ownership.of_leader_set(lws, leftover)
        if leftover.metadata.deleting or relation is Relation.EARLIER:
            return Plan(requeue_after=DELETION_CHECK)
        if relation is not Relation.FOREIGN or ownership.selects_leaders(lws, leftover.spec.selector):
            return _blocked(snapshot, now, events.STATEFULSET)
    if deployment is not None:
        if deployment.metadata.deleting:
            return Plan(requeue_after=DELETION_CHECK)
        relation = ownership.of_leader_set(lws, deployment)
        if relation is Relation.EARLIER:
            return Plan(requeue_after=DELETION_CHECK)
        if relation is Relation.FOREIGN:
            return _blocked(snapshot, now, events.DEPLOYMENT)
    if snapshot.no_deployments:
        return Plan(error=f"no leader deployment can be made: {snapshot.no_deployments}")
    return None


def plan_unprepared(snapshot: SetSnapshot, now: datetime, problem: Problem) -> Plan:
    """As `lws.planning.leaderworkerset.sets.plan_unprepared`."""
    described = _describe(_look(snapshot, now), now, problem=problem)
    return PacedPlan((*described.actions, problem.event), look=described.look)


def plan_refused(snapshot: SetSnapshot, now: datetime, error: str, *, final: bool) -> Plan:
    """As `lws.planning.leaderworkerset.sets.plan_refused`."""
    reason = events.FAILED_CREATE if snapshot.leader_deployment is None else events.FAILED_UPDATE
    refusal = status.Refusal(reason, error) if final else status.UNDECIDED
    described = _describe(_look(snapshot, now), now, refusal)
    return PacedPlan(described.actions, requeue_after=described.put_off, look=described.look)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a pass goes by: the snapshot, and what follows from it."""

    snapshot: SetSnapshot
    budget: Budget
    choice: Choice
    apply: Apply | None
    counts: HashCounts
    seen: GroupsSeen
    steering: Steering
    moves: Moves
    kept_budget: BudgetPlan


def _look(snapshot: SetSnapshot, time: datetime) -> _Seen:
    lws = snapshot.lws
    budget = Budget.of(lws)
    choice = revisions.choose(lws, snapshot.leader_deployment, snapshot.revisions, snapshot.contents)
    leaders = groups.leaders_by_number(snapshot.leaders)
    states = {number: _state(snapshot, leader, choice.key) for number, leader in leaders.items() if lives(leader)}
    course = Course(choice.key, budget, leaders, states, snapshot.lookup, hashed=True)
    steering = undoing.considered(snapshot, steer(lws, snapshot.policies, snapshot.rollout, course, time), choice.key)
    outdated = _outdated(snapshot, choice)
    rolling = choice.armed or (outdated and any(not state.updated for state in states.values()))
    moves = evacuation.moves(snapshot, leaders, states, time, rolling=rolling)
    replicas = budget.replicas + (moves.extra is Extra.WANTED)
    apply = _apply(snapshot, choice, steering, replicas)
    counts = hash_status.count(
        snapshot.leader_deployment,
        choice.key,
        snapshot.leaders,
        budget.replicas,
        changing=apply is not None and not apply.look_first,
        outdated=outdated,
        extra=moves_of.concerns(snapshot) and not outdated,
        exhausted=[pod for pod in snapshot.leaders if groups.marked(pod)],
    )
    seen = groupstatus.look(snapshot, leaders, states, time)
    return _Seen(snapshot, budget, choice, apply, counts, seen, steering, moves, disruption.planned(snapshot))


def _state(snapshot: SetSnapshot, leader: Pod, key: str) -> GroupState:
    size = groups.size_of(leader, snapshot.lws, snapshot.revisions, snapshot.contents)
    return groups.state_of(leader, size, groups.workers_of(leader, snapshot.statefulsets), key)


def _outdated(snapshot: SetSnapshot, choice: Choice) -> bool:
    """Whether there is anything to update; revisions that are kept as history are none of it (resilience 5)."""
    if choice.armed or not snapshot.policies.revision_history_limit:
        return choice.armed or choice.surging
    updating = find(snapshot.lws.status.conditions, UPDATE_IN_PROGRESS)
    other = any(groups.revision_key(pod) != choice.key for pod in snapshot.leaders)
    return choice.surging and (other or (updating is not None and updating.status == "True"))


def _roll(seen: _Seen, now: datetime) -> Plan:
    """Revision, leader Deployment, Service, status, truncation: in this order."""
    snapshot, lws = seen.snapshot, seen.snapshot.lws
    undone = undoing.undo(snapshot, seen.steering, seen.choice.key)
    if undone:
        return Plan(undone)
    done = seen.counts.update_done(seen.budget)
    actions: list[Action] = [*hash_budget.prune(lws, snapshot.leaders, seen.choice.key, done=done)]
    pruned = any(isinstance(each, Patch) for each in actions)
    actions += seen.choice.actions
    prepared = workloads.plan(snapshot, seen.choice.key, 0)
    if prepared.problem is not None:
        problem = prepared.problem
        described = _describe(seen, now, problem=problem)
        return Plan((*actions, *described.actions, problem.event), error=problem.message, remedy=prerequisites.REMEDY)
    actions += prepared.actions
    if not prepared.complete:
        return Plan(tuple(actions))
    actions += seen.moves.marks
    actions += (seen.apply,) if seen.apply is not None else ()
    actions += [*hash_evacuation.unmarked(snapshot.leaders, seen.moves.record), *seen.moves.deletes]
    actions += services.shared(lws, snapshot.service)
    actions += seen.kept_budget.actions
    described = StatusPlan() if pruned else _describe(seen, now)  # its own event brings the pass that writes it
    actions += described.actions
    actions += [events.invalid_policy(key, value, why, lws.metadata.uid) for key, value, why in snapshot.chosen.bad]
    actions += [*seen.moves.told, *moves_of.told_of_retained(snapshot)]
    unadmitted = blockers.unadmitted(lws, [pod for pod in snapshot.leaders if lives(pod)])
    actions += [unadmitted] if unadmitted is not None else []
    if done:
        actions += revisions.truncate(
            lws, snapshot.revisions, seen.choice.key, snapshot.leaders, snapshot.policies.revision_history_limit
        )
    actions += told(seen.steering, snapshot.policies, lws, seen.choice.key)
    times = (described.put_off, seen.seen.again, seen.steering.again, seen.moves.again, seen.kept_budget.again)
    again = min((each for each in times if each is not None), default=None)
    return PacedPlan(tuple(actions), requeue_after=again, look=described.look)


def _apply(snapshot: SetSnapshot, choice: Choice, steering: Steering, replicas: int) -> Apply | None:
    """The apply of the Deployment, with the events that go with it; None if it would change nothing."""
    lws, live, name = snapshot.lws, snapshot.leader_deployment, snapshot.lws.metadata.name
    # A Deployment that is paused before it has a ReplicaSet never gets one.
    begun = live is not None and live.metadata.annotation(f"{leader_deployment.NOTES}revision") is not None
    held_back = replace(steering, paused=held(steering, snapshot.policies) and begun)
    body = leader_deployment.manifest(lws, snapshot.contents.sections(lws), choice.key, replicas, held_back)
    digest = leader_statefulset.digest(body)
    failed = events.leader_set_failed(name, existed=live is not None, kind=events.DEPLOYMENT)
    if live is None:
        created = events.leader_set_created(name, choice.reference, events.DEPLOYMENT)
        owner = Reference.to(LEADERWORKERSETS, lws.metadata)
        return Apply(
            DEPLOYMENTS, body, digest, look_first=True, owner=owner, on_success=(created,), on_failure=(failed,)
        )
    if leader_deployment.unchanged(snapshot.applied, digest, live.metadata):
        return None
    return Apply(
        DEPLOYMENTS,
        body,
        digest,
        look_first=snapshot.applied is None,
        expected=(live.metadata.uid, live.metadata.generation),
        on_failure=(failed,),
    )


def _describe(
    seen: _Seen, now: datetime, refusal: status.Refusal | None = None, *, problem: Problem | None = None
) -> StatusPlan:
    snapshot = seen.snapshot
    return status.plan_status(
        snapshot.lws,
        seen.budget,
        seen.counts.replicas,
        seen.counts,
        now,
        status.Circumstances(
            pacing=snapshot.pacing,
            moving=_moving(seen),
            refusal=refusal,
            no_pod_groups=snapshot.no_pod_groups,
            leaders=DEPLOYMENT,
            records=snapshot.records,
            news_age=snapshot.news_age,
            told=snapshot.told,
            seen=seen.seen,
            steering=seen.steering,
            policies=snapshot.policies,
            moves=seen.moves,
            budget_kept=seen.kept_budget.kept,
            suspects=snapshot.suspects,
            prepared=prerequisites.condition(problem) if snapshot.lws.spec.scheduling is not None else None,
        ),
    )


def _moving(seen: _Seen) -> bool:
    """Whether something goes on by itself: groups come, go or are replaced, and are not held for want of room."""
    if seen.snapshot.leader_deployment is None or any(pod.metadata.deleting for pod in seen.snapshot.leaders):
        return True
    live = [pod for pod in seen.snapshot.leaders if lives(pod)]
    unready = [pod for pod in live if not groups.running_and_ready(pod)]
    return len(live) < seen.budget.replicas or not all(groups.waiting_for_room(pod) for pod in unready)


def _blocked(snapshot: SetSnapshot, now: datetime, kind: str) -> Plan:
    """Someone else's object has our name, or an earlier one of ours our pods: write nothing of it, say so (ND-11)."""
    lws = snapshot.lws
    message = f"{kind} {lws.metadata.namespace}/{lws.metadata.name} exists and is not owned by this LeaderWorkerSet"
    if kind == events.STATEFULSET:
        message = f"{kind} {lws.metadata.namespace}/{lws.metadata.name} exists and selects the leader pods of this set"
    existed = status.ever_owned(lws)
    event = events.leader_set_failed(lws.metadata.name, existed=existed, error=message, kind=events.DEPLOYMENT)
    return Plan(status.plan_blocked(lws, message, event, now, DEPLOYMENT), requeue_after=FOREIGN_RECHECK)
