"""The view of places: the domains of a node label as boxes of nodes, and who is on them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Taint
from lws.apimachinery.objects import Key
from lws.apimachinery.quantity import Quantity, QuantityError
from lws.cli.kubectl.departures import Chosen, departures
from lws.cli.kubectl.ui.fits import fits
from lws.cli.kubectl.ui.kinds import Place, SetRecord
from lws.planning.leaderworkerset import accelerators, emptying
from lws.planning.leaderworkerset.diagnosis.objects import PodReport
from lws.planning.leaderworkerset.diagnosis.quoting import quoted

MOST_KEYS: Final = 40  # node labels that are offered
_USUAL: Final = (
    "topology.kubernetes.io/zone",
    "nvidia.com/gpu.clique",
    "cloud.google.com/gce-topology-host",
    "cloud.google.com/gke-nodepool",
    "topology.kubernetes.io/region",
    "kubernetes.io/hostname",
)
_OWN_TAINTS: Final = (
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
)


@dataclass(slots=True)
class NodeUse:
    """A node, and what the sets have on it.

    Attributes:
        node: the node.
        groups: pods of each group, by namespace, set and index.
        ready: those of them that are ready.
        used: accelerators that they ask for.
        total: accelerators that the node has.
    """

    node: Place
    groups: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    ready: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    used: Counter[str] = field(default_factory=Counter)
    total: dict[str, float] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether new pods may come, taints apart."""
        return self.node.not_ready is None and not self.node.spec.unschedulable

    @property
    def full(self) -> bool:
        """Whether some accelerator that it has is asked for to the last one."""
        return any(self.used[name] >= total > 0 for name, total in self.total.items())


def document(nodes: Sequence[Place], pods: Sequence[PodReport], sets: Sequence[SetRecord], key: str) -> dict[str, Any]:
    """Everything that the view shows, by key: domains, nodes, what leaves which, and where exclusive groups could go.

    ``key`` is the node label; an empty one stands for the first that is offered.
    """
    offered = keys(nodes, sets)
    chosen = key or (offered[0]["key"] if offered else "")
    uses = used(nodes, pods)
    shown: dict[str, Any] = {"meta": {"key": chosen, "keys": offered, "nodes": len(nodes)}}
    domains: dict[str, list[NodeUse]] = {}
    for use in uses.values():
        domains.setdefault(use.node.metadata.label(chosen), []).append(use)
    for name, members in domains.items():
        shown[f"domain/{name}"] = _domain(name, members)
        for use in members:
            shown[f"node/{use.node.metadata.name}"] = _node(use, name)
    for record in sets:
        if record.facts.topology == chosen and chosen:
            shown["fit/{}/{}".format(*record.metadata.key)] = fits(record, domains)
    return shown | _leaving(nodes, pods, sets)


def _leaving(nodes: Sequence[Place], pods: Sequence[PodReport], sets: Sequence[SetRecord]) -> dict[str, Any]:
    """What comes off the nodes that are to be emptied, in the words of `kubectl lws evacuate`."""
    emptied = {node.metadata.name: node for node in nodes if any(emptying.reasons(node))}
    if not emptied:
        return {}
    told: dict[Key, Chosen] = {
        record.metadata.key: Chosen(record.metadata.annotations or {}, record.status) for record in sets
    }
    return {
        f"leaving/{place}": {
            "ns": one.namespace,
            "name": one.name,
            "groups": [[group, list(names)] for group, names in one.groups.items()],
            "moved": one.moved,
            "text": one.text,
        }
        for place, one in enumerate(departures(emptied, pods, told.get))
    }


def keys(nodes: Sequence[Place], sets: Sequence[SetRecord]) -> list[dict[str, Any]]:
    """Node labels to choose from: those of exclusive placement, then usual ones, then others by how few values."""
    asked = Counter(
        value
        for record in sets
        for annotation in (labels.EXCLUSIVE_TOPOLOGY, labels.SUBGROUP_EXCLUSIVE_TOPOLOGY)
        if (value := record.metadata.annotation(annotation))
    )
    values: dict[str, set[str]] = {}
    for node in nodes:
        for name, value in (node.metadata.labels or {}).items():
            values.setdefault(name, set()).add(value)
    usual = [name for name in _USUAL if name in values and name not in asked]
    others = sorted(
        (name for name in values if name not in asked and name not in usual), key=lambda one: (len(values[one]), one)
    )
    ordered = [*(name for name, _ in asked.most_common()), *usual, *others][:MOST_KEYS]
    return [{"key": name, "exclusive": name in asked, "domains": len(values.get(name, ()))} for name in ordered]


def used(nodes: Iterable[Place], pods: Iterable[PodReport]) -> dict[str, NodeUse]:
    """Every node with what is on it."""
    uses = {node.metadata.name: NodeUse(node, total=offered_accelerators(node)) for node in nodes}
    asked: dict[tuple[str, str, str, bool], Mapping[str, float]] = {}
    for pod in pods:
        use, meta = uses.get(pod.spec.node_name), pod.metadata
        if use is None or pod.status.phase in ("Succeeded", "Failed"):
            continue
        name = meta.label(labels.NAME)
        group = (meta.namespace, name, meta.label(labels.GROUP_INDEX))
        use.groups[group] += 1
        use.ready[group] += pod.ready and not meta.deleting
        kind = (
            meta.namespace,
            name,
            meta.label(labels.REVISION),
            meta.label(labels.WORKER_INDEX) == labels.LEADER_INDEX,
        )
        if kind not in asked:
            asked[kind] = accelerators.of_pod(pod)
        for resource, amount in asked[kind].items():
            use.used[resource] += int(amount)
    return uses


def offered_accelerators(node: Place) -> dict[str, float]:
    """What the node has beside what every node has."""
    found = {}
    for name, amount in (node.status.allocatable or {}).items():
        domain, slash, _ = name.partition("/")
        if slash and not domain.endswith("kubernetes.io"):
            try:
                found[name] = float(Quantity.parse(amount).value())
            except (QuantityError, ValueError):
                continue
    return found


def _domain(name: str, members: Sequence[NodeUse]) -> dict[str, Any]:
    groups: Counter[tuple[str, str, str]] = Counter()
    for use in members:
        groups.update(use.groups)
    return {"name": name, "nodes": len(members), "groups": [[*group, count] for group, count in sorted(groups.items())]}


def _node(use: NodeUse, domain: str) -> dict[str, Any]:
    node, lost = use.node, use.node.not_ready
    return {
        "name": node.metadata.name,
        "domain": domain,
        "lost": "" if lost is None else quoted(lost.message or lost.reason) or "not ready",
        "cordoned": node.spec.unschedulable,
        "emptied": ", ".join(map(_reason, emptying.reasons(node))),
        "suspect": suspicions(node),
        "full": use.full,
        "accelerators": [[name, use.used[name], int(total)] for name, total in sorted(use.total.items()) if total],
        "groups": [[*group, count, use.ready[group]] for group, count in sorted(use.groups.items())],
    }


def _reason(taint: Taint) -> str:
    """Why a node is to be emptied."""
    return "cordoned" if taint.key == emptying.UNSCHEDULABLE else f"taint {quoted(taint.key)}"


def suspicions(node: Place) -> list[str]:
    """Why a ready node is doubtful: conditions that ought to be False, and taints that drive pods off."""
    conditions = [one.type for one in node.status.conditions or () if one.type != "Ready" and one.status == "True"]
    taints = [one for one in node.spec.taints or () if one.effect == "NoExecute" and one.key not in _OWN_TAINTS]
    return [quoted(each) for each in (*conditions, *(f"taint {one.key}" for one in taints))]
