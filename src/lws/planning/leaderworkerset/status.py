"""Status of a LeaderWorkerSet: counters, conditions, and whether its update is done (spec 8, CD-06, CD-10, CD-16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, Pod, StatefulSet
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet, LeaderWorkerSetStatus
from lws.apimachinery.actions import EmitEvent, UpdateStatus
from lws.apimachinery.conditions import as_json as condition_json
from lws.apimachinery.conditions import timestamp
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.groups import group_index, revision_key, size_of, state_of
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.rollout import Budget

AVAILABLE: Final = "Available"
PROGRESSING: Final = "Progressing"
UPDATE_IN_PROGRESS: Final = "UpdateInProgress"
BLOCKED: Final = "Blocked"
NOT_OWNED: Final = "StatefulSetNotOwned"
OWNED: Final = "StatefulSetOwned"
NO_POD_GROUPS: Final = "PodGroupsUnavailable"
POD_GROUPS: Final = "PodGroupsAvailable"
COUNTER_SECONDS: Final = 2.0  # how long a mere change of counters may wait for others after a write
CREATION_SECONDS: Final = 15.0  # the same for a set that comes up for the first time, once its first numbers are told
WORTH_WAITING: Final = 0.05  # seconds; a shorter rest, down to rounding errors, is not waited for

_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    AVAILABLE: (events.ALL_GROUPS_READY, "All replicas are ready"),
    PROGRESSING: (events.GROUPS_PROGRESSING, "Replicas are progressing"),
    UPDATE_IN_PROGRESS: (events.GROUPS_UPDATING, "Rolling Upgrade is in progress"),
}
_EXCLUDES: Final[Mapping[str, tuple[str, ...]]] = {
    AVAILABLE: (PROGRESSING, UPDATE_IN_PROGRESS),
    PROGRESSING: (AVAILABLE,),
    UPDATE_IN_PROGRESS: (AVAILABLE,),
}


@dataclass(frozen=True, slots=True)
class Counts:
    """One pass over the leader pods (spec 8.1, CD-30).

    ``ready`` and ``updated`` are the counters of the status. The others decide the conditions and look at wanted
    groups only: ``current`` at those the user's partition lets go, of which ``moved`` are updated and ``done`` ready
    too; ``serving`` at all that are ready.
    """

    ready: int = 0
    updated: int = 0
    current: int = 0
    moved: int = 0
    done: int = 0
    serving: int = 0

    def wanted_conditions(self, replicas: int) -> tuple[str, ...]:
        """Condition types to be True (spec 8.2)."""
        if self.moved < self.current:
            return (UPDATE_IN_PROGRESS, PROGRESSING)
        if self.serving == replicas and self.done == self.current:
            return (AVAILABLE,)
        return (PROGRESSING,)

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
) -> Counts:
    """Count the groups of these leaders (`lws.planning.leaderworkerset.groups.own_leaders`), surge included.

    A group whose worker StatefulSet is missing is left out of the counters; for the conditions it is there, unready,
    and updated if its leader is (CD-06).
    """
    ready = updated = current = moved = done = serving = 0
    for leader in leaders:
        index = group_index(leader, lws.metadata.name)
        if index is None:
            continue
        size = size_of(leader, lws, revisions, contents)
        state = state_of(leader, size, statefulsets.get(leader.metadata.name), key)
        is_updated = state.updated if state.present else revision_key(leader) == key
        ready += state.ready
        updated += state.updated
        if index < budget.replicas:
            serving += state.ready
            if index >= budget.partition:
                current += 1
                moved += is_updated
                done += is_updated and state.ready
    return Counts(ready, updated, current, moved, done, serving)


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions as they are to be, and whether some status among the three standard ones changed."""

    values: tuple[Condition, ...]
    turned: bool


def set_true(current: Sequence[Condition], wanted: Sequence[str], generation: int, now: datetime) -> Conditions:
    """Make the wanted conditions True, in one go (spec 8.3, CD-16)."""
    values = {each.type: each for each in current}
    stamp = timestamp(now)
    turned = False
    for kind in wanted:
        reason, message = _TEXTS[kind]
        old = values.get(kind)
        for other in _EXCLUDES[kind]:
            excluded = values.get(other)
            if excluded is not None and excluded.status == "True":
                values[other] = replace(excluded, status="False", last_transition_time=stamp)
                turned = True
        if old is None or old.status != "True":
            values[kind] = Condition(
                type=kind, status="True", reason=reason, message=message, last_transition_time=stamp
            )
            turned = True
        elif old.observed_generation != generation:
            values[kind] = replace(old, reason=reason, message=message)
    seen = tuple(replace(each, observed_generation=generation) for each in values.values())
    return Conditions(seen, turned)


def _without_pod_groups(
    values: Sequence[Condition], problem: str, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with Blocked True because no PodGroup can be created (CD-39)."""
    old = next((each for each in values if each.type == BLOCKED), None)
    stamp = old.last_transition_time if old is not None and old.status == "True" else timestamp(now)
    blocked = Condition(
        type=BLOCKED,
        status="True",
        reason=NO_POD_GROUPS,
        message=f"groups wait for their PodGroup: {problem}",
        last_transition_time=stamp,
        observed_generation=generation,
    )
    return (*(each for each in values if each.type != BLOCKED), blocked)


def resolved(values: Sequence[Condition], name: str, now: datetime) -> tuple[Condition, ...]:
    """The conditions with Blocked turned False, once its cause is gone (CD-03, CD-39)."""
    causes = {NO_POD_GROUPS: (POD_GROUPS, "PodGroups can be created")}
    owned = (OWNED, f"statefulset {name} is owned by this LeaderWorkerSet")
    return tuple(
        replace(
            each,
            status="False",
            reason=causes.get(each.reason, owned)[0],
            message=causes.get(each.reason, owned)[1],
            last_transition_time=timestamp(now),
        )
        if each.type == BLOCKED and each.status == "True"
        else each
        for each in values
    )


@dataclass(frozen=True, slots=True)
class StatusPlan:
    """The write of a status, if there is one now, and in how many seconds to look again if it was put off."""

    actions: tuple[UpdateStatus, ...] = ()
    put_off: float | None = None


def plan_status(
    lws: LeaderWorkerSet,
    budget: Budget,
    replicas: int,
    counts: Counts,
    now: datetime,
    age: float | None = None,
    no_pod_groups: str = "",
) -> StatusPlan:
    """Write the status, if anything in it changes (spec 8.3.6); event 10 when a condition turned (CD-10).

    Groups that come up one by one move the counters one by one. If nothing but counters changed, and we wrote the
    status ``age`` seconds ago, the write is put off until `COUNTER_SECONDS` have passed, so that one write tells of
    them all; in a creation until `CREATION_SECONDS` have, so that it costs three writes of the status, however unevenly
    groups come up. A change of a condition, of the generation or of the selector is never put off.

    ``no_pod_groups`` says why a group that waits for its PodGroup cannot get one: then the set is Blocked (CD-39).
    """
    wanted = counts.wanted_conditions(budget.replicas)
    conditions = set_true(lws.status.conditions, wanted, lws.metadata.generation, now)
    after = lws.status.model_copy(
        update={
            "conditions": (
                _without_pod_groups(conditions.values, no_pod_groups, lws.metadata.generation, now)
                if no_pod_groups
                else resolved(conditions.values, lws.metadata.name, now)
            ),
            "replicas": replicas,
            "ready_replicas": counts.ready,
            "updated_replicas": counts.updated,
            "observed_generation": lws.metadata.generation,
            "hpa_pod_selector": lws.status.hpa_pod_selector or pod_selector(lws.metadata.name),
        }
    )
    events_on_success: tuple[EmitEvent, ...] = ()
    if conditions.turned:
        reason, message = _TEXTS[wanted[0]]
        events_on_success = (events.condition_set(reason, message, counts.ready, budget.replicas),)
    wait = 0.0 if age is None else _patience(lws.status) - age
    if wait > WORTH_WAITING and after != lws.status and _but_for_counters(after) == _but_for_counters(lws.status):
        return StatusPlan(put_off=wait)
    return StatusPlan(write(lws, after, events_on_success))


def _patience(told: LeaderWorkerSetStatus) -> float:
    """How long a mere change of counters may wait after a write; who mends what never came up watches an update."""
    creation = all(each.type not in (AVAILABLE, UPDATE_IN_PROGRESS) for each in told.conditions)
    return CREATION_SECONDS if creation and (told.replicas or told.updated_replicas) else COUNTER_SECONDS


def _but_for_counters(status: LeaderWorkerSetStatus) -> LeaderWorkerSetStatus:
    return status.model_copy(update={"replicas": 0, "ready_replicas": 0, "updated_replicas": 0})


def plan_blocked(lws: LeaderWorkerSet, message: str, event: EmitEvent, now: datetime) -> tuple[UpdateStatus, ...]:
    """Say that the leader StatefulSet is not ours (CD-03). The three standard conditions stay as they are."""
    generation = lws.metadata.generation
    old = next((each for each in lws.status.conditions if each.type == BLOCKED), None)
    newly = old is None or old.status != "True"
    stamp = timestamp(now) if old is None or newly else old.last_transition_time
    blocked = Condition(
        type=BLOCKED,
        status="True",
        reason=NOT_OWNED,
        message=message,
        last_transition_time=stamp,
        observed_generation=generation,
    )
    others = tuple(each for each in lws.status.conditions if each.type != BLOCKED)
    after = lws.status.model_copy(update={"conditions": (*others, blocked), "observed_generation": generation})
    if old == blocked and lws.status.observed_generation == generation:
        return ()
    return write(lws, after, (event,) if newly else ())


def ever_owned(lws: LeaderWorkerSet) -> bool:
    """Whether some earlier pass got as far as to describe a leader StatefulSet of ours (CD-03)."""
    return any(each.type in _TEXTS for each in lws.status.conditions)


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
    return out
