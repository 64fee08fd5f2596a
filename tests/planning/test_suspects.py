"""Which nodes are suspect, by rule (resilience 6.5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from lws.api.leaderworkerset.affinity import with_avoided_hosts
from lws.api.leaderworkerset.objects import Node, NodeStatus
from lws.api.leaderworkerset.policies import SuspectNodes
from lws.api.leaderworkerset.status import Failure
from lws.apimachinery.conditions import timestamp
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Condition, Key, ObjectMeta
from lws.planning.leaderworkerset.suspects import Suspicion, find, recreated

NOW: Final = datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC)
POLICY: Final = SuspectNodes()


def failure(minutes: float, node: str = "n7", **changes: Any) -> Failure:
    """A failure so many minutes ago, of a container that was killed."""
    time = timestamp(NOW - timedelta(minutes=minutes))
    members: dict[str, Any] = {"pod": "m-0-1", "container": "main", "reason": "OOMKilled", "exit_code": 137}
    return Failure(**{"time": time, "group": "0", "node": node, "revision": "a", **members, **changes})


def nodes(count: int = 30, **conditions: str) -> dict[str, Node]:
    """So many nodes; the conditions are those of n7."""
    told = tuple(Condition(type=type_, status=status, message="hangs") for type_, status in conditions.items())
    made = {f"n{index}": Node(metadata=ObjectMeta(name=f"n{index}")) for index in range(count)}
    return {**made, "n7": Node(metadata=ObjectMeta(name="n7"), status=NodeStatus(conditions=told))}


def judged(
    *failures: Failure, others: tuple[Failure, ...] = (), policy: SuspectNodes = POLICY, count: int = 30
) -> dict[str, Suspicion]:
    """The suspect nodes, by the failures of one set and those of another."""
    every: dict[Key, tuple[Failure, ...]] = {("default", "m"): failures, ("default", "o"): others}
    return find(every, nodes(count), policy, NOW)


def test_r20_three_incidents_in_two_sets_make_a_node_suspect() -> None:
    """R20: three incidents within an hour, of any sets, make their node suspect for an hour after the last."""
    found = judged(failure(50), failure(20), others=(failure(30, revision="b"),))
    assert set(found) == {"n7"}
    assert found["n7"].reason == "Incidents"
    assert found["n7"].until == NOW + timedelta(minutes=40)
    assert found["n7"].told == ("3 incidents within 1h0m0s began here (3 OOMKilled), the last with pod default/m-0-1")
    assert judged(failure(50), failure(20)) == {}


def test_r20_a_program_that_fails_everywhere_makes_no_node_suspect() -> None:
    """R20: incidents of one revision on three or more nodes point to the program, and count for none of them."""
    bad = tuple(failure(minute, f"n{node}") for node in range(10) for minute in (5, 10, 15))
    assert judged(*bad) == {}
    assert judged(*(failure(5, "n1"), failure(5, "n2"), *[failure(each) for each in (5, 6, 7)])) == {}
    assert set(judged(*(failure(5, "n1"), *[failure(each) for each in (5, 6, 7)]))) == {"n7"}


def test_the_window_slides_and_ends() -> None:
    """Three incidents that no hour holds are too few; an hour after the last that sufficed the node is free again."""
    assert judged(failure(5), failure(40), failure(66)) == {}
    assert set(judged(failure(30), failure(80), failure(85))) == {"n7"}
    assert set(judged(failure(59), failure(80), failure(85))) == {"n7"}
    assert judged(failure(60), failure(80), failure(85)) == {}
    assert judged(failure(5), failure(90), failure(95)) == {}


def test_one_pod_that_a_kubelet_refused_is_enough() -> None:
    """An UnexpectedAdmissionError is the node's own word."""
    refused = failure(5, container="", reason="UnexpectedAdmissionError", exit_code=0)
    assert judged(refused)["n7"].reason == "UnexpectedAdmissionError"


@pytest.mark.parametrize(
    "changes",
    [
        {"container": "", "reason": "Deleted", "exit_code": 0},
        {"container": "", "reason": "Preempting", "exit_code": 0},
        {"reason": "Completed", "exit_code": 0},
        {"node": ""},
    ],
)
def test_what_tells_nothing_of_the_node_does_not_count(changes: JSON) -> None:
    """Deletions, preemptions and containers that ended well say nothing of the node."""
    assert judged(*[failure(minute, **{"node": "n7", **changes}) for minute in (1, 2, 3)]) == {}


def test_a_lost_node_counts_though_no_container_ended() -> None:
    """A failure without a container has no exit code, and counts all the same."""
    lost = [failure(minute, container="", reason="NodeLost", exit_code=0) for minute in (1, 2, 3)]
    assert set(judged(*lost)) == {"n7"}


@pytest.mark.parametrize(("bad", "count", "expected"), [(1, 3, 1), (2, 30, 2), (2, 19, 0), (3, 30, 3), (4, 30, 0)])
def test_if_too_many_would_be_suspect_none_is(bad: int, count: int, expected: int) -> None:
    """More than a tenth of the nodes, and at least two, are no suspects: it is not the nodes."""
    every = [failure(minute, f"n{node}", revision=f"r{node}") for node in range(1, bad + 1) for minute in (1, 2, 3)]
    assert len(judged(*every, count=count)) == expected


def test_conditions_that_are_named_count_while_they_last() -> None:
    """A node problem detector's condition makes a node suspect if the policy names it, however many nodes have it."""
    policy = SuspectNodes(conditions=("KernelDeadlock",))
    found = find({}, nodes(KernelDeadlock="True"), policy, NOW)
    assert found["n7"] == Suspicion("KernelDeadlock", NOW, None, "condition KernelDeadlock is True: hangs")
    assert find({}, nodes(KernelDeadlock="False"), policy, NOW) == {}
    assert find({}, nodes(KernelDeadlock="True"), POLICY, NOW) == {}


def test_a_node_that_is_gone_is_not_suspect() -> None:
    """What has no Node any more takes no pods."""
    assert judged(*[failure(minute, "gone") for minute in (1, 2, 3)]) == {}


def test_which_groups_were_recreated() -> None:
    """A group was if the status tells of it within the window; a failure that healed recreated nothing."""
    assert recreated([failure(59)], "0", 3600, NOW)
    assert not recreated([failure(60)], "0", 3600, NOW)
    assert not recreated([failure(1)], "1", 3600, NOW)
    assert recreated([failure(1)], "", 3600, NOW)
    assert not recreated([failure(1, healed=True)], "0", 3600, NOW)


def test_hosts_are_avoided_by_preference_and_what_was_asked_for_stays() -> None:
    """The term is a preference of weight 100, beside those that the pod has; nothing is required."""
    own = {"weight": 1, "preference": {"matchExpressions": []}}
    kept: JSON = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
    terms = {"preferredDuringSchedulingIgnoredDuringExecution": [own], **kept}
    pod: JSON = {"spec": {"affinity": {"nodeAffinity": terms, "podAffinity": {}}}}
    affinity = with_avoided_hosts(pod, ["n7.local"])["spec"]["affinity"]
    added = {
        "weight": 100,
        "preference": {
            "matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["n7.local"]}]
        },
    }
    assert affinity == {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [own, added], **kept},
        "podAffinity": {},
    }
    assert with_avoided_hosts(pod, []) is pod
