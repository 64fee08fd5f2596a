"""What one LeaderWorkerSet needs now (spec 5.2)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from lws.apimachinery.actions import DONE, FOREIGN_RECHECK, Action, Apply, EmitEvent, Plan
from lws.apimachinery.ownership import Relation
from lws.apimachinery.resources import STATEFULSETS
from lws.planning.leaderworkerset import events, groups, leader_statefulset, ownership, revisions, services, status
from lws.planning.leaderworkerset.pace import max_unavailable
from lws.planning.leaderworkerset.revisions import Choice
from lws.planning.leaderworkerset.rollout import Budget, Decision, LeaderNumbers, decide
from lws.planning.leaderworkerset.snapshots import SetSnapshot

DELETION_CHECK: Final = 5.0  # seconds until we look again at a leader StatefulSet that is going (spec 5.8)


def plan_leaderworkerset(snapshot: SetSnapshot, now: datetime) -> Plan:
    """Plan one pass over a LeaderWorkerSet.

    Raises:
        TerminalError: the set cannot be planned for until it is edited.
    """
    lws, statefulset = snapshot.lws, snapshot.leader_statefulset
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
    return _roll(snapshot, now)


def _roll(snapshot: SetSnapshot, now: datetime) -> Plan:
    """Revision, numbers, leader StatefulSet, Service, status, truncation: in this order."""
    lws, statefulset = snapshot.lws, snapshot.leader_statefulset
    budget = Budget.of(lws)
    choice = revisions.choose(lws, statefulset, snapshot.revisions, snapshot.contents)
    decision = _decide(snapshot, budget, choice)
    actions: list[Action] = [*choice.actions, *_leader_statefulset(snapshot, budget, choice, decision)]
    actions += services.shared(lws, snapshot.service)
    own = groups.own_leaders(snapshot.leaders, statefulset)
    counts = status.count(
        lws,
        budget,
        choice.key,
        own,
        snapshot.statefulsets,
        snapshot.revisions,
        snapshot.contents,
    )
    replicas = statefulset.status.replicas if statefulset is not None else 0
    described = status.plan_status(lws, budget, replicas, counts, now, snapshot.status_age, snapshot.no_pod_groups)
    actions += described.actions
    if counts.update_done(budget):
        actions += revisions.truncate(lws, snapshot.revisions, choice.key, snapshot.leaders)
    facts = {"ready": counts.ready, "updated": counts.updated, "desired": budget.replicas, "blocked": 0}
    return Plan(tuple(actions), requeue_after=described.put_off, facts=facts)


def _decide(snapshot: SetSnapshot, budget: Budget, choice: Choice) -> Decision:
    statefulset = snapshot.leader_statefulset
    if statefulset is None:
        return decide(budget, None, {}, armed=choice.armed, surging=choice.surging)
    numbers = LeaderNumbers.of(statefulset)
    found = groups.states(
        choice.key,
        snapshot.lws,
        groups.own_leaders(snapshot.leaders, statefulset),
        snapshot.statefulsets,
        snapshot.revisions,
        snapshot.contents,
    )
    return decide(budget, numbers, found, armed=choice.armed, surging=choice.surging)


def _leader_statefulset(snapshot: SetSnapshot, budget: Budget, choice: Choice, decision: Decision) -> list[Action]:
    """Event 8 comes before the write, events 4 to 7 with it (spec 12)."""
    lws, live = snapshot.lws, snapshot.leader_statefulset
    section = snapshot.contents.sections(lws)
    numbers = None if live is None else LeaderNumbers.of(live)
    leaders = groups.leaders_by_index(snapshot.leaders, lws.metadata.name)
    pace = max_unavailable(budget, numbers, decision, leaders, choice.key)
    body = leader_statefulset.manifest(lws, section, choice.key, decision, pace)
    digest = leader_statefulset.digest(body)
    name = lws.metadata.name
    failed = events.leader_set_failed(name, existed=live is not None)
    if live is None or numbers is None:
        created = events.leader_set_created(name, choice.reference)
        return [Apply(STATEFULSETS, body, digest, look_first=True, on_success=(created,), on_failure=(failed,))]
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
    return Plan(
        status.plan_blocked(lws, message, event, now),
        requeue_after=FOREIGN_RECHECK,
        facts={"blocked": 1},
    )
