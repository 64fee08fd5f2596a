"""Whose fault came first, what is recorded of it, and when it is acted upon (resilience 2.1, 3)."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from lws.api.leaderworkerset.objects import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    Node,
    NodeStatus,
    Pod,
)
from lws.api.leaderworkerset.policies import BackOff
from lws.api.leaderworkerset.status import MESSAGE_BYTES, GroupRestarts
from lws.apimachinery.conditions import timestamp
from lws.apimachinery.objects import Condition, ObjectMeta
from lws.planning.leaderworkerset import backoff, culprit, incidents
from lws.planning.leaderworkerset.incidents import shortened
from lws.planning.leaderworkerset.recovery import Failed
from tests.planning import making
from tests.planning.group import Group, worker
from tests.planning.making import NOW


def at(seconds: float) -> str:
    """A time of the API, so long after the test's moment."""
    return timestamp(NOW + timedelta(seconds=seconds))


def ended(pod: Pod, seconds: float, code: int = 1, reason: str = "Error", **more: Any) -> Pod:
    """The pod, its container having ended then and been restarted."""
    last = ContainerStateTerminated(exit_code=code, reason=reason, finished_at=at(seconds), **more)
    container = ContainerStatus(name="vllm", restart_count=1, last_state=ContainerState(terminated=last))
    return replace(pod, status=replace(pod.status, container_statuses=(container,)))


def evicted(pod: Pod, seconds: float, by: str = "EvictionByEvictionAPI") -> Pod:
    """The pod, its deletion having been asked for then with a grace of 30 s."""
    target = Condition(type="DisruptionTarget", status="True", reason=by, message="so it is")
    meta = replace(pod.metadata, deletion_timestamp=at(seconds + 30), deletion_grace_period_seconds=30)
    return replace(pod, metadata=meta, status=replace(pod.status, conditions=(target,)))


def deleted(pod: Pod, seconds: float) -> Pod:
    """The pod, deleted by somebody who does not say why."""
    return replace(
        pod,
        metadata=replace(pod.metadata, deletion_timestamp=at(seconds + 30), deletion_grace_period_seconds=30),
    )


def lost(name: str, seconds: float) -> dict[str, Node | None]:
    """A node that has not been heard of since then."""
    ready = Condition(type="Ready", status="Unknown", last_transition_time=at(seconds), message="no news")
    return {name: Node(metadata=ObjectMeta(name=name), status=NodeStatus(conditions=(ready,)))}


def member(index: int) -> Pod:
    """A worker of group 0, on a node of its own."""
    pod = worker("key", index)
    return replace(pod, spec=replace(pod.spec, node_name=f"n{index}"))


CASES: dict[str, tuple[list[Pod], dict[str, Node | None], tuple[str, str]]] = {
    "evicted, peers abort 2 s later by clocks 3 s behind": (
        [ended(member(1), -1), evicted(member(2), 0), ended(member(3), -1)],
        {},
        ("sample-0-2", "Deleted"),
    ),
    "killed for memory, peers abort in the same second": (
        [ended(member(1), 0), ended(member(2), 0, 137, "OOMKilled"), ended(member(3), 0)],
        {},
        ("sample-0-2", "OOMKilled"),
    ),
    "a signal before exit codes": (
        [ended(member(1), 0), ended(member(2), 2, 139, "Error")],
        {},
        ("sample-0-2", "Error"),
    ),
    "the lowest index of what is alike": (
        [ended(member(3), 0), ended(member(2), 1)],
        {},
        ("sample-0-2", "Error"),
    ),
    "what came long before is no part of it": (
        [ended(member(1), -20), ended(member(2), 0, 137, "OOMKilled")],
        {},
        ("sample-0-1", "Error"),
    ),
    "a lost node before all": (
        [ended(member(1), -40), member(2)],
        lost("n2", -38),
        ("sample-0-2", "NodeLost"),
    ),
    "a node that was lost just now is none": (
        [ended(member(1), -10), member(2)],
        lost("n2", -10),
        ("sample-0-1", "Error"),
    ),
    "a node that is gone": ([deleted(member(2), -3)], {"n2": None}, ("sample-0-2", "NodeLost")),
    "what ends because of a deletion": (
        [ended(deleted(member(1), -5), -4, 143), ended(member(2), -1)],
        {},
        ("sample-0-1", "Deleted"),
    ),
    "what crashed long before it was deleted": ([ended(deleted(member(1), -5), -19)], {}, ("sample-0-1", "Error")),
}


@pytest.mark.parametrize("case", CASES)
def test_r38_the_culprit_is_whose_fault_came_first(case: str) -> None:
    """R38: the first fault, and of those within five seconds the one that explains the others."""
    pods, nodes, expected = CASES[case]
    found = [fault for pod in pods for fault in culprit.faults(pod, nodes, NOW)]
    first = culprit.first(found)
    assert (first.pod, first.reason) == expected


WORDS = [
    (ended(member(1), 0, 137, "OOMKilled", started_at=at(-252)), "vllm", "exited with 137 (OOMKilled) after 4m12s"),
    (ended(member(1), 0, 0, "Completed", signal=9), "vllm", "exited with signal 9 (Completed)"),
    (evicted(member(1), 0), "", "pod sample-0-1 on node n1 is being deleted (EvictionByEvictionAPI)"),
    (deleted(member(1), 0), "", "pod sample-0-1 on node n1 is being deleted"),
    (worker("key", 1, restarts=1), "main", "container main of pod sample-0-1 on node node-1 was restarted"),
]


@pytest.mark.parametrize(("pod", "container", "words"), WORDS)
def test_a_fault_is_told_in_words(pod: Pod, container: str, words: str) -> None:
    """Of a fault as much is told as the pod itself tells."""
    (fault,) = culprit.faults(pod, {}, NOW)
    assert fault.container == container
    assert words in fault.words


def incident(group: Group, failed: Pod | None, **facts: Any) -> incidents.Incident:
    """The incident of this failed worker."""
    assert group.leader is not None
    snapshot = dataclasses.replace(group.snapshot(), now=NOW, **facts)
    return incidents.of_failed(snapshot, group.leader, Failed("sample-0-1", failed, gone=failed is None))


def test_what_is_recorded() -> None:
    """Time, group, leader, revision, number, pod, node, container, code, message, how long it ran, and the others."""
    group = Group()
    crash = ended(worker(group.key), -1, 137, "OOMKilled", message="x" * 600 + "é", started_at=at(-61))
    group.workers = [crash, ended(worker(group.key, 2), 1)]
    failure = incident(group, crash).failure
    assert failure is not None
    assert failure.model_dump(by_alias=True, exclude_defaults=True, exclude={"message"}) == {
        "time": making.STAMP,
        "group": "0",
        "leaderUID": "uid-leader-0",
        "revision": group.key,
        "restarts": 1,
        "pod": "sample-0-1",
        "node": "node-1",
        "container": "vllm",
        "reason": "OOMKilled",
        "exitCode": 137,
        "ranSeconds": 60,
        "alsoFailed": 1,
    }
    assert len(failure.message.encode()) == MESSAGE_BYTES
    assert len(failure.model_dump_json(by_alias=True).encode()) <= 1024


def test_a_member_that_only_is_missing_vanished() -> None:
    """Of a pod of which nothing is left, its name is recorded and that it is gone (CD-01)."""
    found = incident(Group(), None)
    assert found.failure is not None
    assert (found.failure.pod, found.failure.reason, found.failure.restarts) == ("sample-0-1", "Vanished", 1)
    assert found.told.note == "Group 0 failed: pod sample-0-1 is gone; recreation 1"


@pytest.mark.parametrize("by", ["EvictionByEvictionAPI", "PreemptionByScheduler", "DeletionByTaintManager"])
def test_disruptions_do_not_count(by: str) -> None:
    """What the cluster does to a pod is recorded with who did it, and is acted upon at once however often."""
    group = Group()
    group.workers[0] = evicted(group.workers[0], -1, by)
    entry = GroupRestarts(index="0", leader_uid="earlier", restarts=9)
    found = incident(group, group.workers[0], entry=entry)
    assert found.failure is not None
    assert found.failure.message == f"{by}: so it is"
    assert (found.entry, found.retry, found.failure.restarts) == (entry, 0.0, 0)
    assert found.told.note.endswith("; not counted")


@pytest.mark.parametrize(
    ("number", "age", "expected"), [(1, 0, 0), (2, 0, 0), (3, 0, 10), (3, 4, 6), (3, 30, 0), (4, 0, 20), (9, 0, 300)]
)
def test_waits_grow_and_count_from_the_creation_of_the_leader(number: int, age: float, expected: float) -> None:
    """A third failure waits until its leader is 10 s old, each further one twice as long, at most five minutes."""
    group = Group()
    assert group.leader is not None
    group.leader = replace(group.leader, metadata=replace(group.leader.metadata, creation_timestamp=at(-age)))
    group.workers[0] = ended(group.workers[0], -1)
    entry = GroupRestarts(index="0", leader_uid="earlier", restarts=number - 1)
    found = incident(group, group.workers[0], entry=entry)
    assert found.retry == expected
    assert (found.waits is not None) == bool(expected)
    assert found.entry is not None
    assert found.entry.next_retry_time == (at(expected) if expected else "")


def test_a_clock_that_is_ahead_makes_no_wait_longer() -> None:
    """A leader that was created in our future waits its full length from now, and so does a wait that others wrote."""
    policy = BackOff()
    entry = GroupRestarts(index="0", leader_uid="u", restarts=3)
    assert backoff.waiting(policy, entry, at(3600), NOW).next_retry_time == at(10)
    written = entry.model_copy(update={"next_retry_time": at(3600)})
    assert backoff.capped(policy, written, NOW).next_retry_time == at(10)
    soon = entry.model_copy(update={"next_retry_time": at(4)})
    assert backoff.capped(policy, soon, NOW) == soon


def test_one_leader_counts_once() -> None:
    """A second failure of a group whose leader was judged is neither recorded nor counted again."""
    group = Group()
    group.workers[0] = ended(group.workers[0], -1)
    first = incident(group, group.workers[0])
    again = incident(group, group.workers[0], entry=first.entry, noted=frozenset({"uid-leader-0"}))
    assert again.failure is None
    assert again.entry == first.entry


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [("  short \n", 9, "short"), ("grüße", 4, "grü"), ("grüße", 3, "gr"), ("two words", 4, "two")],
)
def test_texts_are_cut_between_characters(text: str, limit: int, expected: str) -> None:
    """A text that is cut stays text."""
    assert shortened(text, limit) == expected
