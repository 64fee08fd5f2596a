"""What is kept of nodes (resilience 6)."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from lws.api.leaderworkerset.objects import Node, Taint
from lws.reconcilers.leaderworkerset.kinds import NODES

CORDON = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": "2026-01-02T15:04:05Z"}


def decoded(**spec: Any) -> Node:
    """A node as a cache holds it, of a document with all that a kubelet writes."""
    document = {
        "metadata": {
            "name": "n7",
            "labels": {"kubernetes.io/hostname": "n7.local"},
            "annotations": {
                "ext.leaderworkerset.sigs.k8s.io/evacuate": "false",
                "volumes.kubernetes.io/csi": "x" * 500,
            },
        },
        "spec": {"podCIDR": "10.0.0.0/24", "providerID": "metal://7", **spec},
        "status": {
            "conditions": [
                {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory"},
                {"type": "KernelDeadlock", "status": "True", "reason": "DockerHung"},
                {"type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-01-02T15:04:05Z"},
            ],
            "images": [{"names": ["i" * 200], "sizeBytes": 1}] * 50,
        },
    }
    (node,) = NODES.decoder().page(orjson.dumps({"metadata": {}, "items": [document]})).objects
    return node


def test_a_node_is_kept_with_what_says_whether_pods_may_stay_or_come() -> None:
    """Readiness and its time, cordon, taints since when, labels and our annotations are kept."""
    node = decoded(unschedulable=True, taints=[CORDON])
    condition = node.not_ready
    assert condition is not None
    assert (condition.status, condition.last_transition_time) == ("Unknown", "2026-01-02T15:04:05Z")
    assert node.spec.unschedulable
    assert node.spec.taints == (Taint(CORDON["key"], effect=CORDON["effect"], time_added=CORDON["timeAdded"]),)
    assert node.metadata.label("kubernetes.io/hostname") == "n7.local"
    assert node.metadata.annotation("ext.leaderworkerset.sigs.k8s.io/evacuate") == "false"


def test_of_a_nodes_other_conditions_only_trouble_is_kept() -> None:
    """A problem that a node problem detector tells of is there, a pressure that there is not takes no room."""
    node = decoded()
    assert node.condition("KernelDeadlock") is not None
    assert node.condition("MemoryPressure") is None


def test_what_nobody_reads_of_a_node_is_not_kept() -> None:
    """Images, others' annotations and addresses are gone: a node takes less than 600 bytes of JSON."""
    assert len(msgspec.json.encode(decoded(unschedulable=True, taints=[CORDON]))) < 600
