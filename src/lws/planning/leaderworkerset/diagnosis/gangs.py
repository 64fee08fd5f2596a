"""Why the members of a gang wait: what its PodGroup, its queue and the other members say (spec 11)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.gangs import DEFAULT_QUEUE, NOT_ENQUEUED
from lws.api.leaderworkerset.objects import PodGroup
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GangFacts
from lws.planning.leaderworkerset.diagnosis.findings import Finding, Reason
from lws.planning.leaderworkerset.diagnosis.objects import Event, ObjectReference, PodReport
from lws.planning.leaderworkerset.diagnosis.quoting import after_colon

_OF_THE_GROUP = ("pod group is not ready", "can possibly be assigned")
"""What Volcano says of a member that fits, or of all at once: not why the group waits."""
_GOOD_NEWS: Final = ("Scheduled", "Running")  # reasons of events that say nothing of what is missing


def words_of(pod_group: PodGroup, events: Iterable[Event]) -> str:
    """What its scheduler says of a PodGroup that waits; empty if nothing.

    Volcano tells some things by Normal events, others by condition ``Unschedulable``, and counts its pods by both: what
    names a cause goes before what merely counts, and the newest event before older ones and the condition.

    Args:
        pod_group: the PodGroup.
        events: about it, or about an earlier one of its name.
    """
    about = [each for each in events if each.involved_object.uid in ("", pod_group.metadata.uid)]
    news = sorted((each for each in about if each.reason not in _GOOD_NEWS), key=lambda each: each.time, reverse=True)
    said = [message for message in (*(each.message for each in news), pod_group.unschedulable) if message]
    return next((each for each in said if not _counts(each)), said[0] if said else "")


def _counts(message: str) -> bool:
    return any(part in message for part in _OF_THE_GROUP)


def waiting_member(facts: Facts, pod: PodReport) -> Finding | None:
    """Why this member of a gang has no node; None if it is no member, or its own condition says it best."""
    name = pod.metadata.annotation(labels.POD_GROUP_NAME) or ""
    if name not in facts.gangs:
        return None
    gang = facts.gangs[name]
    if gang is None:
        return _missing(facts, pod, name)
    if gang.pod_group.status.phase in NOT_ENQUEUED:
        return _not_enqueued(name, gang)
    return _held_by_others(facts, pod, name, gang)


def _missing(facts: Facts, pod: PodReport, name: str) -> Finding:
    lws, leader = facts.lws, f"{facts.lws.name}-{pod.metadata.label(labels.GROUP_INDEX)}"
    refused = facts.failure(ObjectReference("LeaderWorkerSet", lws.name, lws.metadata.uid), leader)
    text = f"waits for PodGroup {name}, which does not exist{after_colon(refused)}"
    if refused:
        remedy = "Correct what the message names; the permissions for PodGroups are in config/volcano."
    else:
        remedy = f"If this lasts, see that the controller runs with gang scheduling on, and delete leader pod {leader}."
    return Finding(Reason.POD_GROUP_PENDING, text, remedy)


def _not_enqueued(name: str, gang: GangFacts) -> Finding:
    queue = gang.pod_group.spec.queue or DEFAULT_QUEUE
    if gang.queue_exists is False:
        text = f"waits for PodGroup {name}, whose queue {queue} does not exist"
        remedy = f"Correct the set's annotation {labels.QUEUE_NAME}, or create Queue {queue}."
        return Finding(Reason.QUEUE_MISSING, text, remedy)
    if not gang.pod_group.status.phase:
        text = f"waits for PodGroup {name}, which the scheduler has not looked at yet"
        return Finding(Reason.POD_GROUP_PENDING, text, f"See that Volcano runs, and that Queue {queue} is open.")
    text = f"waits for PodGroup {name} to be admitted to queue {queue}{after_colon(gang.words)}"
    return Finding(Reason.POD_GROUP_PENDING, text)


def _held_by_others(facts: Facts, pod: PodReport, name: str, gang: GangFacts) -> Finding | None:
    """The member that fits nowhere is the reason; to the others it is told."""
    if _own_reason(pod):
        return None
    members = (each for group in facts.groups for each in group.pods if _is_member(each, name))
    for other in members:
        words = _own_reason(other)
        if words:
            text = f"waits with PodGroup {name} for pod {other.metadata.name}, which finds no node{after_colon(words)}"
            return Finding(Reason.POD_GROUP_PENDING, text)
    text = f"waits for PodGroup {name}{after_colon(gang.words)}"
    return Finding(Reason.POD_GROUP_PENDING, text) if gang.words else None


def _is_member(pod: PodReport, name: str) -> bool:
    return not pod.spec.node_name and pod.metadata.annotation(labels.POD_GROUP_NAME) == name


def _own_reason(pod: PodReport) -> str:
    """Why this very pod finds no node; empty if its condition speaks of the group only."""
    scheduled = pod.condition("PodScheduled")
    message = scheduled.message if scheduled is not None and scheduled.status == "False" else ""
    return "" if _counts(message) else message
