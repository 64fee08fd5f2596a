"""One pod, one node: which nodes come into question, which fit, and why none does."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.scheduler import scores
from lws_sandbox.controllers.scheduler.nodecache import Domain, NodeCache, NodeEntry
from lws_sandbox.controllers.scheduler.requests import (
    PODS,
    AffinityTerm,
    PodRequest,
    matches_node_affinity,
    parsed_placement,
    parsed_selector,
    tolerates,
)
from lws_sandbox.controllers.scheduler.spreading import UNLABELLED, Spreading

NO_NODES: Final = "no nodes available to schedule pods"
UNSCHEDULABLE_TAINT: Final[JSON] = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
_SAMPLE: Final = 8  # nodes that fit, among which the emptiest is taken


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one node does not come into question; ``final`` when taking other pods away would not help."""

    reasons: tuple[str, ...]
    final: bool = True


@dataclass(slots=True)
class _Nearby:
    """What the pod's required terms and those of pods already placed say of topology domains, judged once each."""

    cache: NodeCache
    pod: PodRequest
    near: dict[AffinityTerm, frozenset[str] | None] = field(default_factory=dict)
    verdicts: dict[tuple[str, str], bool] = field(default_factory=dict)

    def refusal(self, node: NodeEntry) -> Refusal | None:
        """Why the node's neighbourhood forbids the pod, or None."""
        if not all(self._is_near(term, node) for term in self.pod.affinity):
            return Refusal(("node(s) didn't match pod affinity rules",))
        for term in self.pod.anti_affinity:
            domain = self._domain(term.topology_key, node)
            if domain is not None and any(term.matches(other) for other in domain.pods.values()):
                return Refusal(("node(s) didn't match pod anti-affinity rules",), final=False)
        if any(not self._allowed(key, node) for key, count in self.cache.anti_affinity_keys.items() if count):
            return Refusal(("node(s) didn't satisfy existing pods anti-affinity rules",), final=False)
        return None

    def _is_near(self, term: AffinityTerm, node: NodeEntry) -> bool:
        value = node.labels.get(term.topology_key)
        if value is None:
            return False
        if term not in self.near:
            self.near[term] = self._domains_of(term)
        allowed = self.near[term]
        return allowed is None or value in allowed

    def _domains_of(self, term: AffinityTerm) -> frozenset[str] | None:
        """The domains that hold a pod of the term; None: any will do, as the pod is the first of its kind."""
        found = set()
        matched = False
        for other in self.cache.candidates(parsed_selector(term.selector), term.where):
            if term.matches(other):
                matched = True
                node = self.cache.nodes[self.cache.node_of(other.uid) or ""]
                value = node.labels.get(term.topology_key)
                if value is not None:
                    found.add(value)
        if not matched and all(own.matches(self.pod) for own in self.pod.affinity):
            return None
        return frozenset(found)

    def _allowed(self, topology_key: str, node: NodeEntry) -> bool:
        value = node.labels.get(topology_key)
        if value is None:
            return True
        known = self.verdicts.get((topology_key, value))
        if known is None:
            domain = self._domain(topology_key, node)
            known = domain is None or not any(term.matches(self.pod) for term in domain.forbidden)
            self.verdicts[topology_key, value] = known
        return known

    def _domain(self, topology_key: str, node: NodeEntry) -> Domain | None:
        value = node.labels.get(topology_key)
        return None if value is None else self.cache.domains(topology_key).get(value)


class Placer:
    """Finds nodes for pods; remembers per kind of demand which nodes come into question, until nodes change."""

    def __init__(self, cache: NodeCache) -> None:
        self._cache = cache
        self._static: dict[str, list[NodeEntry]] = {}
        self._static_version = -1
        self._cursor: Counter[str] = Counter()

    def find(self, pod: PodRequest) -> str | None:
        """A node for the pod, or None."""
        node = self._find(pod)
        return None if node is None else node.name

    def _find(self, pod: PodRequest) -> NodeEntry | None:
        candidates = self._candidates(pod.placement)
        if not candidates:
            return None
        nearby, spreading = _Nearby(self._cache, pod), Spreading(self._cache, pod, hard=True)
        start = self._cursor[pod.placement] % len(candidates)
        self._cursor[pod.placement] = start + 1
        fitting = (
            node
            for node in itertools.chain(candidates[start:], candidates[:start])
            if not node.lacks(pod.resources) and not spreading.refusal(node) and nearby.refusal(node) is None
        )
        if scores.matter(self._cache, pod):
            return scores.best(self._cache, pod, [*fitting])
        sample = itertools.islice(fitting, _SAMPLE)
        return min(sample, key=scores.load, default=None)

    def explain(self, pod: PodRequest) -> str:
        """Why no node takes the pod, in the scheduler's words."""
        total = len(self._cache.nodes)
        if not total:
            return NO_NODES
        nearby, spreading = _Nearby(self._cache, pod), Spreading(self._cache, pod, hard=True)
        refusals = [self._refusal(node, pod, nearby, spreading) for node in self._cache.nodes.values()]
        reasons = Counter(reason for refusal in refusals for reason in refusal.reasons)
        unhelpful = sum(refusal.final for refusal in refusals)
        preemption = {
            "No preemption victims found for incoming pod": total - unhelpful,
            "Preemption is not helpful for scheduling": unhelpful,
        }
        return unschedulable_message(total, _counted(reasons), _counted(preemption))

    def _candidates(self, placement: str) -> list[NodeEntry]:
        if self._static_version != self._cache.nodes_version:
            self._static.clear()
            self._static_version = self._cache.nodes_version
        known = self._static.get(placement)
        if known is None:
            demands = parsed_placement(placement)
            pool = self._cache.nodes_with_labels(demands["nodeSelector"])
            known = [node for node in pool if static_refusal(node, demands) is None]
            known.sort(key=lambda node: node.name)
            self._static[placement] = known
        return known

    def _refusal(self, node: NodeEntry, pod: PodRequest, nearby: _Nearby, spreading: Spreading) -> Refusal:
        refused = static_refusal(node, parsed_placement(pod.placement))
        if refused is not None:
            return refused
        lacking = node.lacks(pod.resources)
        if lacking:
            words = ("Too many pods" if name == PODS else f"Insufficient {name}" for name in lacking)
            hopeless = any(pod.resources[name] > node.allocatable.get(name, 0) for name in lacking)
            return Refusal(tuple(words), final=hopeless)
        uneven = spreading.refusal(node)
        if uneven:
            return Refusal((uneven,), final=uneven == UNLABELLED)
        return nearby.refusal(node) or Refusal(())


def static_refusal(node: NodeEntry, demands: JSON) -> Refusal | None:
    """Why a node does not come into question whatever runs where, or None."""
    tolerations = demands["tolerations"]
    if node.unschedulable and not tolerates(tolerations, UNSCHEDULABLE_TAINT):
        return Refusal(("node(s) were unschedulable",))
    if demands["nodeName"] and demands["nodeName"] != node.name:
        return Refusal(("node(s) didn't match the requested node name",))
    for taint in node.taints:
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not tolerates(tolerations, taint):
            return Refusal((f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}",))
    selector: Mapping[str, str] = demands["nodeSelector"]
    chosen = all(node.labels.get(key) == value for key, value in selector.items())
    if not chosen or not matches_node_affinity(demands["nodeAffinity"], node.name, node.labels):
        return Refusal(("node(s) didn't match Pod's node affinity/selector",))
    return None


def unschedulable_message(total: int, reasons: str, preemption: str) -> str:
    """The whole sentence of a failed placement."""
    nodes = f"0/{total} nodes are available"
    return f"{nodes}: {reasons}. no new claims to deallocate, preemption: {nodes}: {preemption}."


def prefilter_message(total: int, reason: str) -> str:
    """The sentence of a pod that no node could take, whatever it is like."""
    return unschedulable_message(total, reason, f"{total} Preemption is not helpful for scheduling")


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items() if count))
