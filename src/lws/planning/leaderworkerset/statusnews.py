"""What of a status is worth a write, and for how long a write may wait for others (resilience 2.2, 3.1, 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from lws.api.leaderworkerset.types import LeaderWorkerSetStatus
from lws.apimachinery.conditions import find
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset import conditions, groupstatus

RECORD_SECONDS: Final = 10.0  # how long what is remembered of failures may wait for a write that happens anyway
WORDS_SECONDS: Final = 300.0  # how long a mere change of messages about groups waits after a write
BEYOND: Final = {
    "disruption_budget",
    "evacuation",
    "failures",
    "groups",
    "groups_not_shown",
    "restarts",
    "rollout",
    "suspect_nodes",
}  # members that are not the reference's

COUNTERS: Final[Mapping[str, object]] = {"replicas": 0, "ready_replicas": 0, "updated_replicas": 0}
GROUPS: Final[Mapping[str, object]] = {"groups": (), "groups_not_shown": 0, "suspect_nodes": ()}
RECORDS: Final[Mapping[str, object]] = {"failures": (), "restarts": ()}


def put_off(
    told: LeaderWorkerSetStatus,
    after: LeaderWorkerSetStatus,
    *,
    counters: float,
    age: float | None,
    news_age: float | None,
) -> float:
    """For how many seconds a write may wait for others: of its changes the most pressing decides.

    Args:
        told: the status as it is.
        after: as it is to be.
        counters: for how long a mere change of counters may wait.
        age: seconds since we last wrote the status; None after a start.
        news_age: for how many seconds something is known of failures that no status tells.
    """
    if news(after, but=(COUNTERS, RECORDS, GROUPS)) != news(told, but=(COUNTERS, RECORDS, GROUPS)):
        return 0.0
    waits = []
    if news(after, but=(RECORDS, GROUPS)) != news(told, but=(RECORDS, GROUPS)):
        waits.append(counters)
    if news(after, but=(COUNTERS, GROUPS)) != news(told, but=(COUNTERS, GROUPS)):
        waits.append(RECORD_SECONDS - (news_age or 0.0))
    if news(after, but=(COUNTERS, RECORDS)) != news(told, but=(COUNTERS, RECORDS)):
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


def news(status: LeaderWorkerSetStatus, but: Sequence[Mapping[str, object]] = ()) -> LeaderWorkerSetStatus:
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
    return (
        groups,
        status.groups_not_shown,
        status.suspect_nodes,
        None if healthy is None else (healthy.status, healthy.reason),
    )
