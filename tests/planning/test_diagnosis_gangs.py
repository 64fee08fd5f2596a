"""Groups that wait for their gang are told why, by the object that has the reason (G6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import PodGroup
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GangFacts
from lws.planning.leaderworkerset.diagnosis.gangs import words_of
from lws.planning.leaderworkerset.diagnosis.objects import Event
from tests.planning.diagnosis_facts import SET_UID, group, pod, said, unscheduled, with_group_0

OVERUSED = "resource in cluster is overused: overused cpu"
TOGETHER = "pod group is not ready, 2 Pending, 2 minAvailable; Pending: 2 Unschedulable"
FITS = "Pod ns/s-0 can possibly be assigned to n2, once minAvailable is satisfied"
NO_CPU = "0/4 nodes are available: 4 Insufficient cpu."


def member(name: str, index: int, message: str) -> Any:
    """A pod of the gang without a node, and what its condition says; nothing without a message."""
    status = unscheduled(message) if message else {"phase": "Pending"}
    metadata = {"annotations": {labels.SIZE: "2", labels.POD_GROUP_NAME: "s-0-new"}}
    spec = {"nodeName": "", "schedulerName": "volcano"}
    return pod(name, group=0, worker=index, metadata=metadata, spec=spec, status=status)


def facts(gang: GangFacts | None, leader: str = TOGETHER, worker: str = TOGETHER, **more: Any) -> Facts:
    """A group of two whose pods wait with these words."""
    found = with_group_0(group(0, member("s-0", 0, leader), member("s-0-1", 1, worker)))
    return replace(found, gangs={"s-0-new": gang}, **more)


def gang(phase: str = "", queue: str = "gold", *, exists: bool | None = True, words: str = "") -> GangFacts:
    """A PodGroup in this phase."""
    raw = {"metadata": {"name": "s-0-new", "namespace": "ns"}, "spec": {"queue": queue}, "status": {"phase": phase}}
    return GangFacts(msgspec.convert(raw, PodGroup), exists, words)


REFUSED = "Failed to create pod group for leader pod s-0: podgroups is forbidden"
REFUSAL = {
    "metadata": {"name": "e", "namespace": "ns"},
    "type": "Warning",
    "reason": "FailedCreate",
    "message": REFUSED,
    "involvedObject": {"kind": "LeaderWorkerSet", "name": "s", "uid": SET_UID},
}
WORDS: dict[str, tuple[Facts, str]] = {
    "larger than the cluster": (
        facts(gang("Pending", words=OVERUSED)),
        f"waits for PodGroup s-0-new to be admitted to queue gold: {OVERUSED}.",
    ),
    "no such queue": (
        facts(gang(queue="glod", exists=False), leader="", worker=""),
        f"whose queue glod does not exist. Correct the set's annotation {labels.QUEUE_NAME}, or create Queue glod.",
    ),
    "queues may not be read": (
        facts(gang(exists=None), leader="", worker=""),
        "waits for PodGroup s-0-new, which the scheduler has not looked at yet. See that Volcano runs",
    ),
    "refused": (
        facts(None, leader="", worker="", events=(msgspec.convert(REFUSAL, Event),)),
        f"waits for PodGroup s-0-new, which does not exist: {REFUSED}. Correct what the message names",
    ),
    "nobody makes it": (
        facts(None, leader="", worker=""),
        "which does not exist. If this lasts, see that",
    ),
    "one does not fit": (
        facts(gang("Inqueue"), leader=FITS, worker=NO_CPU),
        "leader pod s-0 waits with PodGroup s-0-new for pod s-0-1, which finds no node: 0/4 nodes are available: 4",
    ),
    "by its condition": (
        facts(gang("Inqueue", words="2/2 tasks in gang unschedulable")),
        "s-0-new: 2/2 tasks",
    ),
}


@pytest.mark.parametrize("case", WORDS)
def test_g6_the_reason_of_a_gang_that_waits(case: str) -> None:
    """Queue, refusal, cluster or the member that does not fit: whatever holds the group is named, with its remedy."""
    found, words = WORDS[case]
    text = " ".join(said(found))
    assert words in text
    assert "has not been looked at by scheduler" not in text


def test_g6_a_member_that_fits_nowhere_says_so_itself() -> None:
    """The pod with a reason of its own is told by that, not by its group's."""
    text = " ".join(said(facts(gang("Inqueue"), leader=FITS, worker=NO_CPU)))
    assert f"orker pod s-0-1 finds no node: {NO_CPU}" in text


def test_what_could_not_be_read_changes_nothing() -> None:
    """Without rights to PodGroups the pods' own conditions are quoted, as before."""
    text = " ".join(said(replace(facts(None), gangs={})))
    assert f"finds no node: {TOGETHER}" in text


COUNTED = "6/6 tasks in gang unschedulable: pod group is not ready, 6 Pending, 6 minAvailable; Pending: 6 Unschedulable"
QUOTA = "queue resource quota insufficient: insufficient cpu"


def told(message: str, second: int, *, reason: str = "Unschedulable", uid: str = "u") -> Event:
    """An event about the PodGroup, last seen in this second."""
    about = {"kind": "PodGroup", "name": "s-0-new", "uid": uid}
    raw = {"metadata": {"name": "e", "namespace": "ns"}, "reason": reason, "message": message, "involvedObject": about}
    return msgspec.convert({**raw, "lastTimestamp": f"2026-01-01T00:00:{second:02}Z"}, Event)


@pytest.mark.parametrize(
    ("events", "condition", "words"),
    [
        ([told(QUOTA, 9), told(COUNTED, 9)], COUNTED, QUOTA),  # what Volcano says each second, in either order
        ([told(COUNTED, 9), told(QUOTA, 9)], COUNTED, QUOTA),
        ([told(OVERUSED, 3), told(QUOTA, 9)], COUNTED, QUOTA),
        ([told(QUOTA, 3), told("pod group is ready", 9, reason="Scheduled")], "", QUOTA),
        ([told(QUOTA, 9, uid="of an earlier one")], COUNTED, COUNTED),
        ([told(COUNTED, 9)], "", COUNTED),
        ([], "", ""),
    ],
)
def test_g6_of_what_volcano_says_the_cause_is_quoted(events: list[Event], condition: str, words: str) -> None:
    """A cause goes before a count of pods, news before what was; events about an earlier PodGroup do not count."""
    conditions = [{"type": "Unschedulable", "status": "True", "message": condition}] if condition else []
    raw = {"metadata": {"name": "s-0-new", "uid": "u"}, "status": {"conditions": conditions}}
    assert words_of(msgspec.convert(raw, PodGroup), events) == words
