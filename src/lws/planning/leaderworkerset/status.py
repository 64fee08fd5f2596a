"""Status of a LeaderWorkerSet: counters, conditions, and whether its update is done (spec 8, CD-06, CD-10, CD-16)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, Pod, StatefulSet
from lws.api.leaderworkerset.policies import DEFAULTS, SetPolicies
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
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
from lws.planning.leaderworkerset.groups import group_index, marked, revision_key, size_of, state_of
from lws.planning.leaderworkerset.groupstatus import GroupsSeen
from lws.planning.leaderworkerset.hash_status import HashCounts
from lws.planning.leaderworkerset.records import NONE, Records
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.rollout import Budget
from lws.planning.leaderworkerset.statuspacing import UNKNOWN, WORTH_WAITING, Counters, Look, Motion, Pacing
from lws.planning.leaderworkerset.steering import Steering

RECORD_SECONDS: Final = 10.0  # how long what is remembered of failures may wait for a write that happens anyway
WORDS_SECONDS: Final = 300.0  # how long a mere change of messages about groups waits after a write
BEYOND: Final = {
    "failures",
    "groups",
    "groups_not_shown",
    "restarts",
    "rollout",
}  # members that are not the reference's


@dataclass(frozen=True, slots=True)
class Counts:
    """One pass over the leader pods (spec 8.1, CD-30).

    ``ready`` and ``updated`` are the counters of the status. The others decide the conditions and look at wanted
    groups only: ``current`` at those the user's partition lets go, of which ``moved`` are updated and ``done`` ready
    too; ``serving`` at all that are ready, of which ``renewed`` are updated too, and that have not exhausted their
    restart budget. ``exhausted`` are those that have, surge included, and ``stopped`` the wanted ones of them
    (next 5.4).
    """

    ready: int = 0
    updated: int = 0
    current: int = 0
    moved: int = 0
    done: int = 0
    serving: int = 0
    renewed: int = 0
    exhausted: int = 0
    stopped: int = 0

    def with_exhausted(self, indices: Sequence[int], budget: Budget) -> Counts:
        """The counts, with the groups of these indices told apart (next 5.4)."""
        if not indices:
            return self
        return replace(self, exhausted=len(indices), stopped=sum(index < budget.replicas for index in indices))

    def wanted_conditions(self, replicas: int) -> tuple[str, ...]:
        """Condition types to be True (spec 8.2, next 5.4)."""
        if self.moved < self.current:
            return (UPDATE_IN_PROGRESS, PROGRESSING)
        if self.serving == replicas and self.done == self.current:
            return (AVAILABLE,)
        if self.exhausted and self.serving + self.stopped >= replicas:
            return ()
        return (PROGRESSING,)

    def halted_conditions(self, replicas: int) -> tuple[str, ...]:
        """Condition types to be False for a reason of their own: automatic recovery has stopped (next 5.4)."""
        wanted = self.wanted_conditions(replicas)
        if not self.exhausted or UPDATE_IN_PROGRESS in wanted or AVAILABLE in wanted:
            return ()
        return tuple(kind for kind in (AVAILABLE, PROGRESSING, UPDATE_IN_PROGRESS) if kind not in wanted)

    def update_done(self, budget: Budget) -> bool:
        """Whether every wanted group is updated and ready, and none is held back (spec 8.4)."""
        return budget.partition == 0 and self.done == budget.replicas


def count(
    lws: LeaderWorkerSet,
    budget: Budget,
    key: str,
    leaders: Sequence[Pod],
    statefulsets: Mapping[str, StatefulSet],
    revisions: Sequence[ControllerRevision],
    contents: Contents | None = None,
    waiting: Collection[str] = (),
) -> Counts:
    """Count the groups of these leaders (`lws.planning.leaderworkerset.groups.own_leaders`), surge included.

    A group whose worker StatefulSet is missing is left out of the counters; for the conditions it is there, unready,
    and updated if its leader is (CD-06). Groups whose leaders are ``waiting`` to be recreated are not ready, whatever
    their probes say (resilience 3.2).
    """
    ready = updated = current = moved = done = serving = renewed = 0
    for leader in leaders:
        index = group_index(leader, lws.metadata.name)
        if index is None:
            continue
        size = size_of(leader, lws, revisions, contents)
        state = state_of(leader, size, statefulsets.get(leader.metadata.name), key)
        if leader.metadata.name in waiting:
            state = replace(state, ready=False)
        is_updated = state.updated if state.present else revision_key(leader) == key
        ready += state.ready
        updated += state.updated
        if index < budget.replicas:
            serving += state.ready and not marked(leader)
            renewed += state.good and not marked(leader)
            if index >= budget.partition:
                current += 1
                moved += is_updated
                done += is_updated and state.ready
    return Counts(ready, updated, current, moved, done, serving, renewed)


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
            **(
                {} if besides.seen is None else {"groups": besides.seen.groups, "groups_not_shown": besides.seen.hidden}
            ),
        }
    )
    motion = _motion(after) if besides.moving else Motion.NONE
    beat = besides.pacing.seen(_counters(lws.status), _counters(after))
    look = Look(beat, besides.moving, turned.turned and AVAILABLE not in wanted)
    if _news(after) == _news(told):
        return StatusPlan(look=look)
    events_on_success: tuple[EmitEvent, ...] = ()
    if turned.turned:
        reason, message = degraded.STOPPED if counts.exhausted else TEXTS[wanted[0]]
        events_on_success = (events.condition_set(reason, message, counts.ready, budget.replicas),)
    wait = _put_off(told, after, motion, besides)
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


def _groups(seen: GroupsSeen | None) -> dict[str, object]:
    return {} if seen is None else {"groups": seen.groups, "groups_not_shown": seen.hidden}


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


def _put_off(
    told: LeaderWorkerSetStatus, after: LeaderWorkerSetStatus, motion: Motion, besides: Circumstances
) -> float:
    """For how many seconds a write may wait for others: of its changes the most pressing decides."""
    if _news(after, but=(COUNTERS, RECORDS, GROUPS)) != _news(told, but=(COUNTERS, RECORDS, GROUPS)):
        return 0.0
    waits, age = [], besides.pacing.age
    if _news(after, but=(RECORDS, GROUPS)) != _news(told, but=(RECORDS, GROUPS)):
        waits.append(besides.pacing.wait(_counters(told), _counters(after), motion))
    if _news(after, but=(COUNTERS, GROUPS)) != _news(told, but=(COUNTERS, GROUPS)):
        waits.append(RECORD_SECONDS - (besides.news_age or 0.0))
    if _news(after, but=(COUNTERS, RECORDS)) != _news(told, but=(COUNTERS, RECORDS)):
        seconds = WORDS_SECONDS if _wordless(after) == _wordless(told) else RECORD_SECONDS
        waits.append(0.0 if age is None else seconds - age)
    return min(waits)


def restored(status: LeaderWorkerSetStatus, told: JSON) -> LeaderWorkerSetStatus:
    """The status with members that we wrote and that the server dropped, for its API does not know them (R23)."""
    dropped = LeaderWorkerSetStatus.model_validate(told) if told else None
    if dropped is None:
        return status
    lost = {name: getattr(dropped, name) for name in BEYOND if not getattr(status, name)}
    return status.model_copy(update=lost)


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


COUNTERS: Final[Mapping[str, object]] = {"replicas": 0, "ready_replicas": 0, "updated_replicas": 0}
GROUPS: Final[Mapping[str, object]] = {"groups": (), "groups_not_shown": 0}
RECORDS: Final[Mapping[str, object]] = {"failures": (), "restarts": ()}


def _news(status: LeaderWorkerSetStatus, but: Sequence[Mapping[str, object]] = ()) -> LeaderWorkerSetStatus:
    """What of a status is worth a write; ``but`` names what does not come in."""
    values = conditions.but_for_reason(status.conditions)
    update_rollout = None if status.rollout is None else status.rollout.fallback or None
    if GROUPS in but:
        values = tuple(each for each in values if each.type != groupstatus.HEALTHY)
    # The progress of a rollout goes with writes that happen anyway.
    update: dict[str, object] = {"conditions": values, "rollout": update_rollout}
    for members in but:
        update |= members
    return status.model_copy(update=update)


def _wordless(status: LeaderWorkerSetStatus) -> object:
    """What is told of groups but for messages, which may change at every attempt of a scheduler."""
    healthy = find(status.conditions, groupstatus.HEALTHY)
    groups = tuple(each.model_copy(update={"message": ""}) for each in status.groups)
    return groups, status.groups_not_shown, None if healthy is None else (healthy.status, healthy.reason)


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
