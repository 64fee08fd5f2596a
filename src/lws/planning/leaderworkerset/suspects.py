"""Nodes on which groups fail that do well elsewhere (resilience 6.5).

All of it follows from the statuses of all sets and the conditions of nodes, so every replica comes to the same result.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lws.api.leaderworkerset.objects import Node
from lws.api.leaderworkerset.policies import SuspectNodes
from lws.api.leaderworkerset.status import MOST_SUSPECTS, Failure, SuspectNode
from lws.apimachinery.conditions import timestamp
from lws.apimachinery.durations import format_duration
from lws.apimachinery.moments import after, parsed
from lws.apimachinery.objects import Key

INCIDENTS: Final = "Incidents"
REFUSED: Final = "UnexpectedAdmissionError"  # a kubelet that takes no pod: one is enough
PROGRAM: Final = 3  # nodes on which one revision fails are not at fault
FEW: Final = 2  # suspect nodes that are more than a tenth of all are none
_OTHERS: Final = ("Deleted", "Preempting")  # reasons that tell nothing of the node


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a node is suspect, and for how long.

    Attributes:
        reason: `INCIDENTS`, `REFUSED`, or the type of a condition.
        since: when the last thing came about that made it so.
        until: when it ends by itself; None while a condition lasts.
        told: in words, for people.
    """

    reason: str
    since: datetime
    until: datetime | None = None
    told: str = ""


@dataclass(frozen=True, slots=True)
class _Incident:
    """One failure that speaks against a node."""

    node: str
    time: datetime
    failure: Failure
    key: Key


def find(
    failures: Mapping[Key, Sequence[Failure]], nodes: Mapping[str, Node], policy: SuspectNodes, now: datetime
) -> dict[str, Suspicion]:
    """The suspect nodes, by name.

    Args:
        failures: what the statuses of sets tell, by set.
        nodes: every node, by name.
        policy: what makes a node suspect.
        now: the time.
    """
    found = _by_incidents(failures, nodes, policy, now)
    if len(found) >= FEW and len(found) * 10 > len(nodes):
        found = {}  # it is not the nodes
    for name, node in nodes.items() if policy.conditions else ():
        for type_ in policy.conditions:
            condition = node.condition(type_)
            if condition is not None and condition.status == "True":
                since = parsed(condition.last_transition_time) or now
                found[name] = Suspicion(
                    type_, since, None, f"condition {type_} is True: {condition.message}".rstrip(": ")
                )
                break
    return found


def speaks_against(failure: Failure) -> bool:
    """Whether a failure tells something of the node that it was on: not one that others or the program wanted."""
    ended_well = bool(failure.container) and not failure.exit_code and not failure.signal
    return bool(failure.node) and failure.reason not in _OTHERS and not ended_well


def recreated(failures: Iterable[Failure], group: str, window: float, now: datetime) -> bool:
    """Whether this group, or any if its name is empty, was recreated within so many seconds."""
    return any(
        not group or each.group == group
        for each in failures
        if not each.healed and (time := parsed(each.time)) is not None and after(time, window) > now
    )


def as_status(found: Mapping[str, Suspicion]) -> tuple[SuspectNode, ...]:
    """As the status of a set tells them, by name."""
    return tuple(
        SuspectNode(
            node=name,
            reason=each.reason,
            since=timestamp(each.since),
            until="" if each.until is None else timestamp(each.until),
        )
        for name, each in sorted(found.items())[:MOST_SUSPECTS]
    )


def _by_incidents(
    failures: Mapping[Key, Sequence[Failure]], nodes: Mapping[str, Node], policy: SuspectNodes, now: datetime
) -> dict[str, Suspicion]:
    every = [each for each in _incidents(failures) if after(each.time, policy.window + policy.duration) > now]
    of_revision: defaultdict[str, set[str]] = defaultdict(set)
    for each in every:
        of_revision[each.failure.revision].add(each.node)
    by_node: defaultdict[str, list[_Incident]] = defaultdict(list)
    for each in every:
        revision = each.failure.revision
        if each.node in nodes and (not revision or len(of_revision[revision]) < PROGRAM):
            by_node[each.node].append(each)
    judged = (
        (name, _judged(sorted(found, key=lambda each: each.time), policy, now)) for name, found in by_node.items()
    )
    return {name: suspicion for name, suspicion in judged if suspicion is not None}


def _incidents(failures: Mapping[Key, Sequence[Failure]]) -> Iterator[_Incident]:
    for key, found in failures.items():
        for failure in filter(speaks_against, found):
            time = parsed(failure.time)
            if time is not None:
                yield _Incident(failure.node, time, failure, key)


def _judged(found: Sequence[_Incident], policy: SuspectNodes, now: datetime) -> Suspicion | None:
    """Whether these incidents of one node, by time, make it suspect still; the last that does counts."""
    for at in reversed(range(len(found))):
        last = found[at]
        if after(last.time, policy.duration) <= now:
            return None
        within = [each for each in found[: at + 1] if after(each.time, policy.window) >= last.time]
        refused = last.failure.reason == REFUSED
        if refused or len(within) >= policy.threshold:
            told = _told(within, policy)
            return Suspicion(REFUSED if refused else INCIDENTS, last.time, after(last.time, policy.duration), told)
    return None


def _told(found: Sequence[_Incident], policy: SuspectNodes) -> str:
    """Such as ``3 incidents within 1h began here (2 OOMKilled, 1 Error), the last with pod default/m-1-2``."""
    counts = Counter(each.failure.reason or "Error" for each in found)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items(), key=lambda one: (-one[1], one)))
    last = found[-1]
    several = "s" if len(found) != 1 else ""
    return (
        f"{len(found)} incident{several} within {format_duration(policy.window)} began here ({reasons}), the last with"
        f" pod {last.key[0]}/{last.failure.pod}"
    )
