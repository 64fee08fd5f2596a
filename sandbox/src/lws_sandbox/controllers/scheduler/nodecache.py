"""The scheduler's cache of nodes: what each has, gives and holds, kept up change by change.

Every change costs as much as the object changed, never as much as the cluster. Pods are found by label and by topology
domain, nodes by label, so that one placement looks at few of either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import labels_of, name_of
from lws_sandbox.controllers.scheduler.requests import AffinityTerm, PodRequest, amount


@dataclass(slots=True, eq=False)
class NodeEntry:
    """One node: its labels and taints, what it can give and what is given."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[JSON, ...]
    unschedulable: bool
    allocatable: dict[str, int]
    used: dict[str, int] = field(default_factory=dict)
    pods: dict[str, PodRequest] = field(default_factory=dict)

    def lacks(self, wanted: Mapping[str, int]) -> list[str]:
        """The resources of which too little is left."""
        return [
            name
            for name, value in wanted.items()
            if value > 0 and value > self.allocatable.get(name, 0) - self.used.get(name, 0)
        ]


class Domain:
    """The pods in one topology domain, and the anti-affinity terms that they hold up against others."""

    __slots__ = ("forbidden", "pods")

    def __init__(self) -> None:
        self.pods: dict[str, PodRequest] = {}
        self.forbidden: dict[AffinityTerm, int] = {}


class NodeCache:
    """All nodes, and all pods that are on one.

    ``version`` grows with every change that could make room for a pod that found none.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, NodeEntry] = {}
        self.version = 0
        self.nodes_version = 0
        self._where: dict[str, str] = {}
        self._by_label: defaultdict[tuple[str, str, str], dict[str, PodRequest]] = defaultdict(dict)
        self._nodes_by_label: defaultdict[tuple[str, str], dict[str, NodeEntry]] = defaultdict(dict)
        self._domains: dict[str, defaultdict[str, Domain]] = {}
        self.anti_affinity_keys: defaultdict[str, int] = defaultdict(int)
        self.wishing: dict[str, PodRequest] = {}  # placed pods that would like to be near others, or far from them
        self.ending: set[str] = set()  # placed pods that are being deleted

    def set_node(self, node: JSON) -> None:
        """Take in a node as it is now; its pods stay on it."""
        entry = read_node(node)
        before = self.nodes.get(entry.name)
        if before is not None:
            if _same(before, entry):
                return
            entry.used, entry.pods = before.used, before.pods
            self._unindex(before)
        self.nodes[entry.name] = entry
        for item in entry.labels.items():
            self._nodes_by_label[item][entry.name] = entry
        self._index(entry)
        self._nodes_changed()

    def remove_node(self, name: str) -> None:
        """Take in that a node is gone."""
        entry = self.nodes.get(name)
        if entry is None:
            return
        for uid in [*entry.pods]:
            self.remove_pod(uid)
        del self.nodes[name]
        self._unindex(entry)
        self._nodes_changed()

    def node_of(self, uid: str) -> str | None:
        """The node that a pod is on."""
        return self._where.get(uid)

    def add_pod(self, pod: PodRequest, node_name: str) -> None:
        """Put a pod on a node; what does not exist yet holds nothing."""
        if self._where.get(pod.uid) == node_name:
            return
        self.remove_pod(pod.uid)
        entry = self.nodes.get(node_name)
        if entry is None:
            return
        self._where[pod.uid] = node_name
        entry.pods[pod.uid] = pod
        for name, units in pod.resources.items():
            entry.used[name] = entry.used.get(name, 0) + units
        for key, value in pod.labels.items():
            self._by_label[pod.namespace, key, value][pod.uid] = pod
        if pod.wishes:
            self.wishing[pod.uid] = pod
        self._place_in_domains(entry, pod)
        self.version += 1

    def remove_pod(self, uid: str) -> None:
        """Take a pod off its node."""
        node_name = self._where.pop(uid, None)
        if node_name is None:
            return
        self.wishing.pop(uid, None)
        self.ending.discard(uid)
        entry = self.nodes[node_name]
        pod = entry.pods.pop(uid)
        for name, units in pod.resources.items():
            entry.used[name] -= units
        for key, value in pod.labels.items():
            found = self._by_label[pod.namespace, key, value]
            found.pop(uid, None)
            if not found:
                del self._by_label[pod.namespace, key, value]
        self._take_from_domains(entry, pod)
        self.version += 1

    def end_pod(self, uid: str) -> None:
        """Take in that a placed pod is being deleted: it keeps its node's resources, but is no longer spread over."""
        if uid in self._where and uid not in self.ending:
            self.ending.add(uid)
            self.version += 1

    def nodes_with_labels(self, selector: Mapping[str, str]) -> Iterable[NodeEntry]:
        """The nodes that carry all these labels, found through the rarest of them."""
        if not selector:
            return self.nodes.values()
        groups = [self._nodes_by_label.get(item, {}) for item in selector.items()]
        smallest = min(groups, key=len)
        return [
            node for node in smallest.values() if all(node.labels.get(key) == value for key, value in selector.items())
        ]

    def pods_with_label(self, namespace: str, key: str, value: str) -> Iterable[PodRequest]:
        """The placed pods of a namespace that carry a label."""
        return self._by_label.get((namespace, key, value), {}).values()

    def candidates(self, selector: JSON | None, namespaces: Iterable[str] | None) -> Iterable[PodRequest]:
        """Placed pods that the selector may pick, found by a label that it demands if there is one.

        Without such a label, or without namespaces, these are all.
        """
        demanded = _demanded_labels(selector)
        if demanded is None or namespaces is None:
            return self.all_pods()
        key, values = demanded
        return [
            pod
            for namespace in sorted(namespaces)
            for value in values
            for pod in self.pods_with_label(namespace, key, value)
        ]

    def all_pods(self) -> Iterable[PodRequest]:
        """Every placed pod."""
        return (pod for node in self.nodes.values() for pod in node.pods.values())

    def domains(self, topology_key: str) -> Mapping[str, Domain]:
        """The domains of a topology key, by the value of the nodes' label."""
        found = self._domains.get(topology_key)
        if found is None:
            found = self._domains[topology_key] = defaultdict(Domain)
            for entry in self.nodes.values():
                for pod in entry.pods.values():
                    self._enter(topology_key, entry, pod)
        return found

    def _nodes_changed(self) -> None:
        self.version += 1
        self.nodes_version += 1

    def _place_in_domains(self, entry: NodeEntry, pod: PodRequest) -> None:
        for term in pod.anti_affinity:
            self.anti_affinity_keys[term.topology_key] += 1
            self.domains(term.topology_key)
        for topology_key in self._domains:
            self._enter(topology_key, entry, pod)

    def _take_from_domains(self, entry: NodeEntry, pod: PodRequest) -> None:
        for term in pod.anti_affinity:
            self.anti_affinity_keys[term.topology_key] -= 1
        for topology_key in self._domains:
            self._leave(topology_key, entry, pod)

    def _enter(self, topology_key: str, entry: NodeEntry, pod: PodRequest) -> None:
        value = entry.labels.get(topology_key)
        if value is None:
            return
        domain = self._domains[topology_key][value]
        if pod.uid in domain.pods:
            return
        domain.pods[pod.uid] = pod
        for term in pod.anti_affinity:
            if term.topology_key == topology_key:
                domain.forbidden[term] = domain.forbidden.get(term, 0) + 1

    def _leave(self, topology_key: str, entry: NodeEntry, pod: PodRequest) -> None:
        value = entry.labels.get(topology_key)
        if value is None:
            return
        domain = self._domains[topology_key][value]
        if domain.pods.pop(pod.uid, None) is None:
            return
        for term in pod.anti_affinity:
            if term.topology_key == topology_key:
                domain.forbidden[term] -= 1
                if not domain.forbidden[term]:
                    del domain.forbidden[term]

    def _index(self, entry: NodeEntry) -> None:
        for pod in entry.pods.values():
            self._place_in_domains(entry, pod)

    def _unindex(self, entry: NodeEntry) -> None:
        for pod in entry.pods.values():
            self._take_from_domains(entry, pod)
        for item in entry.labels.items():
            self._nodes_by_label[item].pop(entry.name, None)


def read_node(node: JSON) -> NodeEntry:
    """Read what the scheduler wants to know of a node."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    allocatable = status.get("allocatable") or status.get("capacity") or {}
    return NodeEntry(
        name=name_of(node),
        labels=labels_of(node),
        taints=tuple(spec.get("taints") or ()),
        unschedulable=bool(spec.get("unschedulable")),
        allocatable={name: amount(name, value) for name, value in allocatable.items()},
    )


def _demanded_labels(selector: JSON | None) -> tuple[str, list[str]] | None:
    """A label of which every match has one of these values."""
    if selector is None:
        return None
    for key, value in (selector.get("matchLabels") or {}).items():
        return key, [value]
    for item in selector.get("matchExpressions") or ():
        if item["operator"] == "In":
            return item["key"], list(item.get("values") or [])
    return None


def _same(left: NodeEntry, right: NodeEntry) -> bool:
    return (
        left.labels == right.labels
        and left.taints == right.taints
        and left.unschedulable == right.unschedulable
        and left.allocatable == right.allocatable
    )
