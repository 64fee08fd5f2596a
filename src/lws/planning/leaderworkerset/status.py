"""Status of a LeaderWorkerSet: counters, conditions, and whether its update is done (spec 8, CD-06, CD-10, CD-16)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import StatefulSet
from lws.api.leaderworkerset.policies import DEFAULTS, SetPolicies
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.status import SuspectNode
from lws.api.leaderworkerset.types import LeaderWorkerSet, LeaderWorkerSetStatus
from lws.apimachinery.actions import EmitEvent, UpdateStatus
from lws.apimachinery.conditions import Wanted, find, with_condition
from lws.apimachinery.conditions import as_json as condition_json
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset import conditions, degraded, events, groupstatus, steering
from lws.planning.leaderworkerset.conditions import (
    AVAILABLE,
    BLOCKED,
    NOT_OWNED,
    PROGRESSING,
    STATEFULSET,
    TEXTS,
    UPDATE_IN_PROGRESS,
    set_true,
    with_reason,
)
from lws.planning.leaderworkerset.counts import Counts
from lws.planning.leaderworkerset.groupstatus import GroupsSeen
from lws.planning.leaderworkerset.hash_status import HashCounts
from lws.planning.leaderworkerset.moves import Moves
from lws.planning.leaderworkerset.records import NONE, Records
from lws.planning.leaderworkerset.rollout import Budget
from lws.planning.leaderworkerset.statusnews import BEYOND, RECORD_SECONDS, news, put_off, restored
from lws.planning.leaderworkerset.statuspacing import UNKNOWN, WORTH_WAITING, Counters, Look, Motion, Pacing
from lws.planning.leaderworkerset.steering import Steering


@dataclass(frozen=True, slots=True)
class StatusPlan:
    """The write of a status, if there is one now, and in how many seconds to look again if it was put off.

    ``look`` is what is to be remembered of it.
    """

    actions: tuple[UpdateStatus, ...] = ()
    put_off: float | None = None
    look: Look | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An apply of the leader StatefulSet that failed: the reason for its condition, and the server's words."""

    reason: str = ""
    words: str = ""


UNDECIDED: Final = Refusal()  # an apply that failed, and may succeed soon: what Blocked says stays


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a status depends on besides the counts.

    Attributes:
        pacing: what is remembered of earlier looks.
        moving: whether something in the set is going on by itself.
        blocker: reason and message of what keeps the set from becoming Available.
        refusal: how the apply of this pass failed.
        no_pod_groups: why a group that waits for its PodGroup cannot get one; else empty (CD-44).
        prepared: what the condition of typed scheduling is to say; None for a set without it (next 7.5).
        leaders: the kind of the object that makes the leaders.
        records: what is remembered of failures.
        news_age: for how many seconds some of that is not in the status.
        told: what our last write of the status said beyond the reference.
        seen: which groups are not as wanted; None if nobody looked, and what is told of them stays.
        steering: how the rollout is steered; None if nobody looked.
        policies: what the set has chosen.
        moves: what is done for the sake of nodes; None if nobody looked.
        budget_kept: whether the closed budget is there.
        suspects: nodes that its recreated groups avoid.
    """

    pacing: Pacing = UNKNOWN
    moving: bool = True
    blocker: tuple[str, str] | None = None
    refusal: Refusal | None = None
    no_pod_groups: str = ""
    prepared: Wanted | None = None
    leaders: str = STATEFULSET
    records: Records = NONE
    news_age: float | None = None
    told: JSON = field(default_factory=dict)
    seen: GroupsSeen | None = None
    steering: Steering | None = None
    policies: SetPolicies = DEFAULTS
    moves: Moves | None = None
    budget_kept: bool = False
    suspects: tuple[SuspectNode, ...] = ()


NOTHING_SPECIAL: Final = Circumstances()


def plan_status(
    lws: LeaderWorkerSet,
    budget: Budget,
    replicas: int,
    counts: Counts | HashCounts,
    now: datetime,
    besides: Circumstances = NOTHING_SPECIAL,
) -> StatusPlan:
    """Write the status, if anything in it changes (spec 8.3.6); event 10 when a condition turned (CD-10).

    If nothing but counters changed, the write waits for its time (`lws.planning.leaderworkerset.statuspacing`). A
    change of a condition, of the generation or of the selector is never put off. Why Available is False is no reason
    for a write of its own (CD-29). What is remembered of failures waits for at most `RECORD_SECONDS` (resilience 2.2,
    3.1), what is told of groups comes at most once in as many, and in `WORDS_SECONDS` where only words differ
    (resilience 4).
    """
    wanted = counts.wanted_conditions(budget.replicas)
    turned = set_true(lws.status.conditions, wanted, lws.metadata.generation, now)
    halted = counts.halted_conditions(budget.replicas)
    turned = degraded.told(turned, lws.status.conditions, halted, counts.exhausted, lws.metadata.generation, now)
    values = _blocked(turned.values, lws, besides, now)
    values = conditions.prepared(values, besides.prepared, lws.metadata.generation, now)
    if besides.seen is not None:
        values = groupstatus.condition(values, besides.seen, lws.metadata.generation, now)
    if besides.steering is not None:
        values = steering.conditions(values, besides.steering, besides.policies, lws, now)
    told = restored(lws.status, besides.told)
    after = told.model_copy(
        update={
            "conditions": with_reason(values, *_why(values, counts, budget, besides)),
            "replicas": replicas,
            "ready_replicas": counts.ready,
            "updated_replicas": counts.renewed if isinstance(counts, Counts) and is_queued(lws) else counts.updated,
            "observed_generation": lws.metadata.generation,
            "hpa_pod_selector": lws.status.hpa_pod_selector or pod_selector(lws.metadata.name),
            "failures": besides.records.failures,
            "restarts": besides.records.written_restarts,
            **_looked(besides, lws),
            "suspect_nodes": besides.suspects,
        }
    )
    motion = _motion(after) if besides.moving else Motion.NONE
    beat = besides.pacing.seen(_counters(lws.status), _counters(after))
    look = Look(beat, besides.moving, turned.turned and AVAILABLE not in wanted)
    if news(after) == news(told):
        return StatusPlan(look=look)
    events_on_success: tuple[EmitEvent, ...] = ()
    if turned.turned:
        reason, message = degraded.STOPPED if counts.exhausted else TEXTS[wanted[0]]
        events_on_success = (events.condition_set(reason, message, counts.ready, budget.replicas),)
    pacing = besides.pacing
    counters = pacing.wait(_counters(told), _counters(after), motion)
    # The pods that replace a group avoid suspect nodes by what statuses tell, so there that does not wait.
    news_age = (
        RECORD_SECONDS if besides.policies.avoid_suspect_nodes and besides.news_age is not None else besides.news_age
    )
    wait = put_off(told, after, counters=counters, age=pacing.age, news_age=news_age)
    if wait > WORTH_WAITING:
        return StatusPlan(put_off=wait, look=look)
    return StatusPlan(write(lws, after, events_on_success), look=look)


def _counters(status: LeaderWorkerSetStatus) -> Counters:
    return Counters(status.replicas, status.ready_replicas, status.updated_replicas)


def _motion(status: LeaderWorkerSetStatus) -> Motion:
    """What moves in a set with this status."""
    true = {each.type for each in status.conditions if each.status == "True"}
    if UPDATE_IN_PROGRESS in true:
        return Motion.UPDATE
    if AVAILABLE in true:
        return Motion.SHRINKING
    known = any(each.type in (AVAILABLE, UPDATE_IN_PROGRESS) for each in status.conditions)
    return Motion.RECOVERY if known else Motion.CREATION


def _looked(besides: Circumstances, lws: LeaderWorkerSet) -> dict[str, object]:
    """The members of the status that a look at groups, rollout and nodes gave."""
    out: dict[str, object] = {}
    if besides.moves is not None:
        kept = lws.metadata.name if besides.budget_kept else ""
        out |= {"evacuation": besides.moves.record, "disruption_budget": kept}
    if besides.seen is not None:
        out |= {"groups": besides.seen.groups, "groups_not_shown": besides.seen.hidden}
    return out if besides.steering is None else {**out, "rollout": besides.steering.rollout}


def is_queued(lws: LeaderWorkerSet) -> bool:
    """Whether Kueue queues the set's groups. It judges a rollout by the set's counters (CD-35)."""
    return bool(lws.metadata.label(labels.KUEUE_QUEUE))


def replicas_of(lws: LeaderWorkerSet, statefulset: StatefulSet | None) -> int:
    """How many groups the status tells of (spec 8.1).

    Of a set that Kueue queues, a leader on its way back still counts: Kueue takes fewer for the end of a surge (CD-35).
    """
    if statefulset is None:
        return 0
    leaders, wanted = statefulset.status.replicas, statefulset.spec.replicas
    if not is_queued(lws):
        return leaders
    return max(leaders, min(lws.status.replicas, 1 if wanted is None else wanted))


def _blocked(
    values: tuple[Condition, ...], lws: LeaderWorkerSet, besides: Circumstances, now: datetime
) -> tuple[Condition, ...]:
    refusal = besides.refusal
    if refusal is None and besides.no_pod_groups:
        return conditions.without_pod_groups(values, besides.no_pod_groups, lws.metadata.generation, now)
    if refusal is None:
        return conditions.resolved(values, lws.metadata.name, now, besides.leaders)
    if refusal is UNDECIDED:
        return values
    return conditions.refused(values, refusal.reason, refusal.words, lws.metadata.generation, now)


def _why(
    values: tuple[Condition, ...], counts: Counts | HashCounts, budget: Budget, besides: Circumstances
) -> tuple[str, str]:
    """Reason and message of an Available that is False (CD-29, next 5.4)."""
    if AVAILABLE in counts.halted_conditions(budget.replicas):
        return degraded.NOT_AVAILABLE
    updating = find(values, UPDATE_IN_PROGRESS)
    in_update = updating is not None and updating.status == "True"
    reason = TEXTS[UPDATE_IN_PROGRESS if in_update else PROGRESSING][0]
    message = f"{counts.serving} of {budget.replicas} groups ready"
    if in_update:
        message += f", {counts.moved} of {budget.replicas - min(budget.partition, budget.replicas)} updated"
    if besides.refusal is not None and besides.refusal is not UNDECIDED:
        return besides.refusal.reason, f"{message}; the leader {besides.leaders} is refused, see condition {BLOCKED}"
    if besides.blocker is not None:
        return besides.blocker[0], f"{message}; {besides.blocker[1]}"
    return reason, message


def plan_blocked(
    lws: LeaderWorkerSet, message: str, event: EmitEvent, now: datetime, leaders: str = STATEFULSET
) -> tuple[UpdateStatus, ...]:
    """Say that the leader object is not ours (CD-03, ND-11). The three standard conditions stay as they are."""
    generation, reason = lws.metadata.generation, leaders + NOT_OWNED
    old = find(lws.status.conditions, BLOCKED)
    newly = old is None or (old.status, old.reason) != ("True", reason)
    values = with_condition(lws.status.conditions, Wanted(BLOCKED, reason, message), generation, now)
    after = lws.status.model_copy(update={"conditions": values, "observed_generation": generation})
    return write(lws, after, (event,) if newly else ())


def ever_owned(lws: LeaderWorkerSet) -> bool:
    """Whether some earlier pass got as far as to describe a leader StatefulSet of ours (CD-03)."""
    return any(each.type in TEXTS for each in lws.status.conditions)


def pod_selector(name: str) -> str:
    """The selector of leader pods, for autoscalers (spec 2.3)."""
    return f"{labels.NAME}={name},{labels.WORKER_INDEX}={labels.LEADER_INDEX}"


def write(
    lws: LeaderWorkerSet, after: LeaderWorkerSetStatus, on_success: tuple[EmitEvent, ...]
) -> tuple[UpdateStatus, ...]:
    """Write the status if it differs from the one that was read."""
    if after == lws.status:
        return ()
    meta = lws.metadata
    return (
        UpdateStatus(
            LEADERWORKERSETS,
            meta.namespace,
            meta.name,
            meta.uid,
            meta.resource_version,
            as_json(after),
            on_success,
        ),
    )


def as_json(status: LeaderWorkerSetStatus) -> JSON:
    """A status as it is written; zeros and empty members are left out, as the reference leaves them out."""
    numbers = {
        "replicas": status.replicas,
        "readyReplicas": status.ready_replicas,
        "updatedReplicas": status.updated_replicas,
        "observedGeneration": status.observed_generation,
        "hpaPodSelector": status.hpa_pod_selector,
    }
    out: JSON = {key: value for key, value in numbers.items() if value}
    if status.conditions:
        out["conditions"] = [condition_json(each) for each in status.conditions]
    if any(getattr(status, name) for name in BEYOND):
        out |= status.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=BEYOND)
    return out
