"""Conditions of a status, kept as `meta.SetStatusCondition` keeps them: set in place, added at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Condition


@dataclass(frozen=True, slots=True)
class Wanted:
    """A condition as it is to be."""

    type: str
    reason: str
    message: str
    status: str = "True"


def find(conditions: Sequence[Condition], kind: str) -> Condition | None:
    """The condition of this type."""
    return next((each for each in conditions if each.type == kind), None)


def with_condition(
    conditions: Sequence[Condition], wanted: Wanted, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with this one set; the time of its transition moves only with its status."""
    new = Condition(
        type=wanted.type,
        status=wanted.status,
        reason=wanted.reason,
        message=wanted.message,
        last_transition_time=timestamp(now),
        observed_generation=generation,
    )
    old = find(conditions, wanted.type)
    if old is None:
        return (*conditions, new)
    if old.status == new.status:
        new = replace(new, last_transition_time=old.last_transition_time)
    return tuple(new if each is old else each for each in conditions)


def timestamp(now: datetime) -> str:
    """A time as the API writes it: UTC, whole seconds."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_json(condition: Condition) -> JSON:
    """A condition as it is written."""
    out: JSON = {
        "type": condition.type,
        "status": condition.status,
        "lastTransitionTime": condition.last_transition_time,
        "reason": condition.reason,
        "message": condition.message,
    }
    if condition.observed_generation:
        out["observedGeneration"] = condition.observed_generation
    return out
