"""What counts as a node that is to be emptied (resilience 6.3, R34)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from lws.api.leaderworkerset.objects import Node, NodeSpec, Pod, PodSpec, PodStatus, Taint, Toleration
from lws.api.leaderworkerset.policykeys import EVACUATE
from lws.apimachinery.conditions import timestamp
from lws.apimachinery.objects import Condition, ObjectMeta
from lws.planning.leaderworkerset import emptying
from lws.planning.leaderworkerset.groupstatus import Lookup
from tests.planning.making import NOW

EVERYTHING = Toleration(operator="Exists")
CORDON = Toleration(key="node.kubernetes.io/unschedulable", operator="Exists")
DAEMON = Toleration(key="node.kubernetes.io/unschedulable", operator="Exists", effect="NoSchedule")


def node(*taints: Taint, unschedulable: bool = False, annotations: Mapping[str, str] | None = None) -> Node:
    """A node with these taints."""
    meta = ObjectMeta(name="n", annotations=dict(annotations or {}))
    return Node(metadata=meta, spec=NodeSpec(unschedulable=unschedulable, taints=taints))


def pod(*tolerations: Toleration, bound: float = -3600.0, phase: str = "Running", **meta: Any) -> Pod:
    """A pod on it, bound so many seconds after `NOW`."""
    when = timestamp(NOW + timedelta(seconds=bound))
    scheduled = Condition(type="PodScheduled", status="True", last_transition_time=when)
    return Pod(
        metadata=ObjectMeta(name="p", namespace="default", uid="u", **meta),
        spec=PodSpec(node_name="n", tolerations=tolerations),
        status=PodStatus(phase=phase, conditions=(scheduled,)),
    )


def taint(key: str, effect: str = "NoSchedule", value: str = "", time_added: str | None = None) -> Taint:
    """A taint."""
    return Taint(key=key, effect=effect, value=value, time_added=time_added)


GPU = taint("nvidia.com/gpu", value="present")
CASES = [
    ("no taint", node(), pod(), False),
    ("cordoned", node(unschedulable=True), pod(), True),
    ("cordoned, with the taint that follows", node(taint(emptying.UNSCHEDULABLE), unschedulable=True), pod(), True),
    ("the taint of a cordon that is being lifted", node(taint(emptying.UNSCHEDULABLE)), pod(), True),
    ("cordoned under a pod that tolerates it", node(unschedulable=True), pod(CORDON), False),
    ("cordoned under a daemon's pod", node(unschedulable=True), pod(DAEMON), False),
    ("cordoned under a pod that tolerates everything", node(unschedulable=True), pod(EVERYTHING), False),
    ("cordoned for inspection", node(unschedulable=True, annotations={EVACUATE: "false"}), pod(), False),
    ("tainted for inspection", node(taint("team/repair"), annotations={EVACUATE: "false"}), pod(), False),
    ("marked otherwise", node(unschedulable=True, annotations={EVACUATE: "true"}), pod(), True),
    ("not ready", node(taint("node.kubernetes.io/not-ready", "NoExecute")), pod(), False),
    ("unreachable", node(taint("node.kubernetes.io/unreachable")), pod(), False),
    ("no network", node(taint("node.kubernetes.io/network-unavailable")), pod(), False),
    ("disk pressure", node(taint("node.kubernetes.io/disk-pressure")), pod(), False),
    ("memory pressure", node(taint("node.kubernetes.io/memory-pressure")), pod(), False),
    ("pid pressure", node(taint("node.kubernetes.io/pid-pressure")), pod(), False),
    ("somebody else's pressure", node(taint("team/disk-pressure")), pod(), True),
    ("out of service", node(taint("node.kubernetes.io/out-of-service", "NoExecute", "nodeshutdown")), pod(), True),
    ("pressure and a person", node(taint("node.kubernetes.io/disk-pressure"), taint("team/repair")), pod(), True),
    ("an autoscaler", node(taint("ToBeDeletedByClusterAutoscaler", value="1700000000")), pod(), True),
    ("karpenter", node(taint("karpenter.sh/disrupted")), pod(), True),
    ("only preferred", node(taint("team/repair", "PreferNoSchedule")), pod(), False),
    ("accelerators", node(GPU), pod(Toleration(key="nvidia.com/gpu", operator="Exists")), False),
    ("accelerators by value", node(GPU), pod(Toleration(key="nvidia.com/gpu", value="present")), False),
    ("accelerators by another value", node(GPU), pod(Toleration(key="nvidia.com/gpu", value="absent")), True),
    ("by key for another effect", node(GPU), pod(Toleration(key="nvidia.com/gpu", effect="NoExecute")), True),
    ("an operator that compares", node(GPU), pod(Toleration(key="nvidia.com/gpu", operator="Gt", value="1")), False),
    ("accelerators and a cordon", node(GPU, unschedulable=True), pod(Toleration(key=GPU.key, operator="Exists")), True),
    ("no key but Equal", node(GPU), pod(Toleration(value="present")), True),
]


@pytest.mark.parametrize(("name", "there", "stands", "wanted"), CASES, ids=[each[0] for each in CASES])
def test_r34_what_counts_as_to_be_emptied(name: str, there: Node, stands: Pod, wanted: bool) -> None:
    """R34: cordons and taints that a pod does not tolerate count; what the control plane says by itself does not."""
    assert (emptying.reason(there, stands) is not None) is wanted, name


def test_a_node_that_is_gone_is_not_to_be_emptied() -> None:
    """There is nothing to move off a node that does not exist: the control plane ends its pods."""
    assert emptying.reason(None, pod()) is None


def found(there: Node, *pods: Pod, seen: float | None = None) -> emptying.Found:
    """Look at one group of these pods."""
    since = None if seen is None else NOW + timedelta(seconds=seen)
    lookup = Lookup(lambda _: pods, lambda _: {"n": there}, emptied_since=lambda *_: since)
    return emptying.look({0: pods[0]}, lookup)


@pytest.mark.parametrize(
    ("stands", "added", "seen", "wanted"),
    [
        (pod(bound=-10), None, None, True),  # nobody knows since when the node is to be emptied
        (pod(bound=-10), None, -30.0, True),  # the pod came within a minute
        (pod(bound=-10), None, -71.0, False),
        (pod(bound=-10), -71.0, None, False),
        (pod(bound=-10), -71.0, -5.0, False),  # the taint's own time counts
        (pod(bound=-10), -60.0, -300.0, True),
        (pod(phase="Succeeded"), None, None, False),
        (pod(deletion_timestamp=timestamp(NOW)), None, None, False),
    ],
)
def test_r34_a_pod_that_came_on_purpose_is_told_apart(
    stands: Pod, added: float | None, seen: float | None, wanted: bool
) -> None:
    """R34: a pod bound to a node that had been to be emptied for a minute is left; one that goes is no matter."""
    when = None if added is None else timestamp(NOW + timedelta(seconds=added))
    looked = found(node(taint("team/repair", time_added=when)), stands, seen=seen)
    stays = stands.status.phase == "Running" and not stands.metadata.deleting
    assert (bool(looked.affected), bool(looked.placed)) == (wanted, stays and not wanted)
