"""The conditions of a LeaderWorkerSet: which are there, what they say, how they turn (spec 8.2, 8.3, CD-16, CD-29)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from lws.apimachinery.conditions import Wanted, find, timestamp, with_condition
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset import events

AVAILABLE: Final = "Available"
PROGRESSING: Final = "Progressing"
UPDATE_IN_PROGRESS: Final = "UpdateInProgress"
BLOCKED: Final = "Blocked"
STATEFULSET: Final = "StatefulSet"
DEPLOYMENT: Final = "Deployment"
NOT_OWNED: Final = "NotOwned"  # these three after the kind of the leader object
OWNED: Final = "Owned"
APPLIED: Final = "Applied"
NO_POD_GROUPS: Final = "PodGroupsUnavailable"
POD_GROUPS: Final = "PodGroupsAvailable"

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
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
        reason, message = TEXTS[kind]
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


def with_reason(values: Sequence[Condition], reason: str, message: str) -> tuple[Condition, ...]:
    """The conditions, an Available that is False saying why (CD-29). Clients use the message as a format: no ``%``."""
    told = message.replace("%", " percent")
    return tuple(
        replace(each, reason=reason, message=told) if each.type == AVAILABLE and each.status == "False" else each
        for each in values
    )


def but_for_reason(values: Sequence[Condition]) -> tuple[Condition, ...]:
    """What of the conditions is worth a write: all but why Available is False."""
    return with_reason(values, "", "")


def refused(
    values: Sequence[Condition], reason: str, message: str, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with Blocked True, in the server's words. Other words of the same refusal are no news (S7)."""
    old = find(values, BLOCKED)
    if old is not None and (old.status, old.reason) == ("True", reason):
        message = old.message
    return with_condition(values, Wanted(BLOCKED, reason, message), generation, now)


def without_pod_groups(
    values: Sequence[Condition], problem: str, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with Blocked True because no PodGroup can be created (CD-44)."""
    wanted = Wanted(BLOCKED, NO_POD_GROUPS, f"groups wait for their PodGroup: {problem}")
    return with_condition(values, wanted, generation, now)


def resolved(
    values: Sequence[Condition], name: str, now: datetime, leaders: str = STATEFULSET
) -> tuple[Condition, ...]:
    """The conditions with Blocked turned False, once its cause is gone (CD-03, CD-44, ND-11)."""
    old = find(values, BLOCKED)
    if old is None or old.status != "True":
        return tuple(values)
    reason, message = leaders + APPLIED, f"{leaders.lower()} {name} was applied"
    if old.reason == leaders + NOT_OWNED:
        reason, message = leaders + OWNED, f"{leaders.lower()} {name} is owned by this LeaderWorkerSet"
    if old.reason == NO_POD_GROUPS:
        reason, message = POD_GROUPS, "PodGroups can be created"
    return with_condition(values, Wanted(BLOCKED, reason, message, "False"), old.observed_generation, now)


def prepared(
    values: Sequence[Condition], wanted: Wanted | None, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with word of typed scheduling; other words of the same problem are no news (ND-17)."""
    if wanted is None:
        return tuple(values)
    old = find(values, wanted.type)
    if old is not None and (old.status, old.reason) == (wanted.status, wanted.reason):
        wanted = Wanted(wanted.type, wanted.reason, old.message, wanted.status)
    return with_condition(values, wanted, generation, now)
