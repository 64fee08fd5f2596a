"""The state of a group in one word, as the page colours it. Pure.

The findings are the diagnosis's own; here they are only sorted into as many states as an eye tells apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GroupFacts
from lws.planning.leaderworkerset.diagnosis.findings import Finding, Reason
from lws.planning.leaderworkerset.diagnosis.objects import PodReport
from lws.planning.leaderworkerset.groups import waiting_for_room


class State(Enum):
    """What a group does, from good to bad; the value is its letter on the wire."""

    READY = "r"
    STARTING = "s"
    RESTARTING = "t"
    QUEUED = "q"
    BACKING_OFF = "b"
    DEGRADED = "d"
    STUCK = "x"


SEVERITY: Final = {state: place for place, state in enumerate(State)}
_QUEUED: Final = (Reason.GATED, Reason.POD_GROUP_PENDING)
_STUCK: Final = (
    Reason.BLOCKED,
    Reason.NAME_TOO_LONG,
    Reason.NODE_LOST,
    Reason.WORKERS_SCALED,
    Reason.LOST_LABEL,
    Reason.FAILED_CREATE,
    Reason.TOPOLOGY_HELD,
    Reason.QUEUE_MISSING,
    Reason.IMAGE_PULL,
    Reason.UNADMITTED,
)
_RESTARTING: Final = (Reason.TERMINATING, Reason.WAITING_FOR_NAMES, Reason.DELETING)


def group_state(group: GroupFacts, findings: Sequence[Finding]) -> State:
    """The state of a group, by what was found about it."""
    if group.state.ready:
        return State.READY
    reasons = {one.reason for one in findings}
    room = any(waiting_for_room(pod) for pod in group.pods)
    if reasons & {*_STUCK} or (Reason.UNSCHEDULABLE in reasons and room):
        return State.STUCK
    if Reason.CRASH_LOOP in reasons:
        return State.BACKING_OFF
    if reasons & {*_QUEUED}:
        return State.QUEUED
    if reasons & {*_RESTARTING}:
        return State.RESTARTING
    return State.DEGRADED if _serves_in_part(group) else State.STARTING


def _serves_in_part(group: GroupFacts) -> bool:
    """Every pod is there and runs, some are ready, and some are not."""
    pods = group.pods
    whole = len(pods) >= group.size and all(_runs(pod) for pod in pods)
    return whole and any(pod.ready for pod in pods) and any(not pod.ready for pod in pods)


def _runs(pod: PodReport) -> bool:
    statuses = pod.status.container_statuses or ()
    return bool(statuses) and all(one.state is not None and one.state.running is not None for one in statuses)


def told_states(status: JSON) -> dict[int, State]:
    """What the controller says of groups in the status: that they wait to be made anew, or are given up."""
    told = {}
    for each in restarts(status).values():
        if each.get("nextRetryTime"):
            told[int(each["index"])] = State.BACKING_OFF
    for each in _entries(status, "groups").values():
        state = {"BackOff": State.BACKING_OFF, "Failed": State.STUCK}.get(str(each.get("state")))
        if state is not None:
            told[int(each["index"])] = state
    return told


def restarts(status: JSON) -> dict[int, JSON]:
    """The groups that failed and are not settled again, by index."""
    return _entries(status, "restarts")


def _entries(status: JSON, name: str) -> dict[int, JSON]:
    listed = status.get(name)
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return {int(each["index"]): each for each in entries if natural(str(each.get("index"))) is not None}


def by_group(
    facts: Facts, status: JSON, findings: Sequence[Finding] | None = None
) -> dict[int, tuple[State, list[Finding]]]:
    """Every group's state, and what was found about it; a group that is ready is ready, whatever its status says."""
    told = told_states(status)
    found: dict[int, list[Finding]] = {group.index: [] for group in facts.groups}
    for one in diagnose(facts) if findings is None else findings:
        if one.group in found:
            found[one.group].append(one)
    return {
        group.index: (_state(group, found[group.index], told.get(group.index)), found[group.index])
        for group in facts.groups
    }


def _state(group: GroupFacts, found: Sequence[Finding], told: State | None) -> State:
    state = group_state(group, found)
    return told if told is not None and state is not State.READY and SEVERITY[told] > SEVERITY[state] else state


def letter(state: State, group: GroupFacts) -> str:
    """The state's letter; a capital marks a group that has not the current revision."""
    old = group.state.present and not group.state.updated
    return state.value.upper() if old else state.value
