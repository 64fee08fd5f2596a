"""The nodes that the sandbox's kubelets speak for: their objects, addresses, and which of them have failed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import format_micro_time, format_time
from lws_sandbox.nodes import HOSTNAME, NodeShape

VERSION: Final = "v1.36.2"
LEASE_NAMESPACE: Final = "kube-node-lease"
LEASE_SECONDS: Final = 40
_HEALTHY: Final = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


class Fleet:
    """All nodes with a kubelet of ours, and the addresses that they give."""

    def __init__(self, shapes: Iterable[NodeShape]) -> None:
        self.shapes = {shape.name: shape for shape in shapes}
        self.failed: set[str] = set()
        self._numbers = {name: number for number, name in enumerate(self.shapes)}
        self._next_address: dict[str, int] = {}

    def add(self, shape: NodeShape) -> None:
        """Let one more node have a kubelet."""
        self.shapes[shape.name] = shape
        self._numbers.setdefault(shape.name, len(self._numbers))

    def remove(self, node: str) -> None:
        """Let a node have no kubelet any more; its addresses are not given again."""
        self.shapes.pop(node, None)
        self.failed.discard(node)

    def runs(self, node: str) -> bool:
        """Whether the node has a kubelet that works."""
        return node in self.shapes and node not in self.failed

    def host_ip(self, node: str) -> str:
        """The node's own address."""
        number = self._numbers[node] + 1
        return f"10.{64 + number // 65536}.{number // 256 % 256}.{number % 256}"

    def pod_cidr(self, node: str) -> str:
        """The addresses of the node's pods."""
        number = self._numbers[node]
        return f"10.{128 + number // 256}.{number % 256}.0/24"

    def new_pod_ip(self, node: str) -> str:
        """An address for one more pod; they are given in turn."""
        last = self._next_address.get(node, 1) % 254 + 1
        self._next_address[node] = last
        return self.pod_cidr(node).removesuffix("0/24") + str(last)

    def manifest(self, node: str, now: datetime) -> JSON:
        """The node's object as its kubelet registers it."""
        shape = self.shapes[node]
        labels = {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/os": "linux",
            HOSTNAME: node,
            **shape.labels,
        }
        spec: JSON = {"podCIDR": self.pod_cidr(node), "podCIDRs": [self.pod_cidr(node)]}
        if shape.taints:
            spec["taints"] = list(shape.taints)
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": node, "labels": labels},
            "spec": spec,
            "status": self.status(node, now),
        }

    def status(self, node: str, now: datetime) -> JSON:
        """The status of a healthy node."""
        capacity = dict(self.shapes[node].capacity)
        return {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": healthy_conditions((), now),
            "addresses": [
                {"type": "InternalIP", "address": self.host_ip(node)},
                {"type": "Hostname", "address": node},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": _node_info(node),
        }


def healthy_conditions(live: Iterable[JSON], now: datetime) -> list[JSON]:
    """The conditions of a healthy node; the transition time moves with the status only."""
    known = {item["type"]: item for item in live}
    stamp = format_time(now)
    result = []
    for type_, status, reason, message in _HEALTHY:
        before = known.get(type_)
        since = before["lastTransitionTime"] if before and before["status"] == status else stamp
        item = {"type": type_, "status": status, "reason": reason, "message": message}
        result.append({**item, "lastHeartbeatTime": stamp, "lastTransitionTime": since})
    return result


def lease_manifest(node: str, uid: str, now: datetime, seconds: int) -> JSON:
    """The lease by which a kubelet says that it lives."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": node, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": seconds, "renewTime": format_micro_time(now)},
    }


def _node_info(node: str) -> JSON:
    return {
        "architecture": "amd64",
        "bootID": f"boot-{node}",
        "containerRuntimeVersion": "sandbox://1",
        "kernelVersion": "6.12.0",
        "kubeProxyVersion": "",
        "kubeletVersion": VERSION,
        "machineID": f"machine-{node}",
        "operatingSystem": "linux",
        "osImage": "Sandbox",
        "systemUUID": f"system-{node}",
    }
