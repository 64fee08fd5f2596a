"""How long a group that fails again and again waits to be recreated (resilience 3).

A group's failures are counted until it is settled; the count, and a wait that was begun, stand in the set's status, so
that another process goes on where this one ended.
"""

from __future__ import annotations

from datetime import datetime

from lws.api.leaderworkerset.policies import BackOff
from lws.api.leaderworkerset.status import GroupRestarts
from lws.apimachinery.conditions import timestamp
from lws.apimachinery.durations import format_duration
from lws.apimachinery.moments import after, parsed, rounded_up

_DOUBLINGS = 64  # more make no difference: any first wait has reached any limit by then


def length(policy: BackOff, number: int) -> float:
    """For how many seconds after the creation of its leader a group's failure of this number is not acted upon."""
    if policy.off or number <= policy.free:
        return 0.0
    doubled = policy.initial * 2.0 ** min(number - policy.free - 1, _DOUBLINGS)
    return min(doubled, policy.max)


def counted(entry: GroupRestarts | None, group: str, leader_uid: str, now: datetime) -> GroupRestarts:
    """The count with one more failure, that of this leader; a failure that is counted already counts no more."""
    if entry is not None and entry.leader_uid == leader_uid:
        return entry
    number = 1 if entry is None else entry.restarts + 1
    return GroupRestarts(index=group, leader_uid=leader_uid, restarts=number, time=timestamp(now))


def waiting(policy: BackOff, entry: GroupRestarts, leader_created: str | None, now: datetime) -> GroupRestarts:
    """The count with the moment at which the group is to be recreated, if that is still to come.

    Server times are compared with our clock, so a wait is never longer than its length counted from now.
    """
    wait = length(policy, entry.restarts)
    due = after(min(parsed(leader_created) or now, now), wait)
    if due <= now:
        return entry.model_copy(update={"next_retry_time": ""})
    return entry.model_copy(update={"next_retry_time": timestamp(rounded_up(due))})


def remaining(entry: GroupRestarts | None, now: datetime) -> float:
    """For how many seconds the group still waits; 0 if it does not."""
    due = None if entry is None else parsed(entry.next_retry_time)
    return 0.0 if due is None else max(0.0, (due - now).total_seconds())


def capped(policy: BackOff, entry: GroupRestarts, now: datetime) -> GroupRestarts:
    """An entry that another process wrote, as it is first seen: no wait is longer than its full length from then."""
    due, latest = parsed(entry.next_retry_time), after(now, length(policy, entry.restarts))
    if due is None or due <= latest:
        return entry
    return entry.model_copy(update={"next_retry_time": timestamp(rounded_up(latest))})


def words(entry: GroupRestarts, now: datetime) -> str:
    """What a group that waits has to say of it, such as ``failed 5 times; recreated at 12:03:10 (in 38s)``."""
    due = entry.next_retry_time[11:19]
    left = format_duration(float(round(remaining(entry, now))))
    return f"failed {entry.restarts} time{'s' if entry.restarts != 1 else ''}; recreated at {due} (in {left})"
