"""Pods spread over topology domains: ``topologySpreadConstraints``, hard and soft (kube-scheduler PodTopologySpread).

A pod without constraints gets none: the defaults that kube-scheduler has for pods of Services are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from lws_sandbox.controllers.objects import matches_labels
from lws_sandbox.controllers.scheduler.nodecache import NodeCache, NodeEntry
from lws_sandbox.controllers.scheduler.requests import (
    PodRequest,
    SpreadConstraint,
    matches_node_affinity,
    parsed_placement,
    parsed_selector,
    tolerates,
)

UNEVEN: Final = "node(s) didn't match pod topology spread constraints"
UNLABELLED: Final = f"{UNEVEN} (missing required label)"
BEST: Final = 100.0


class Spreading:
    """How the pods that one pod's constraints speak of lie in the domains, counted when first asked.

    Args:
        cache: all nodes and placed pods; not to change while this is used.
        pod: to be placed.
        hard: whether its hard constraints are meant, or its soft ones.
    """

    def __init__(self, cache: NodeCache, pod: PodRequest, *, hard: bool) -> None:
        self._cache = cache
        self._pod = pod
        self._constraints = tuple(each for each in pod.spread if each.hard is hard)
        self._counts: dict[SpreadConstraint, dict[str, int]] = {}

    def refusal(self, node: NodeEntry) -> str:
        """Why a node would make the spread too uneven; empty if it does not."""
        for constraint in self._constraints:
            value = node.labels.get(constraint.topology_key)
            if value is None:
                return UNLABELLED
            counts = self._count(constraint)
            enough = len(counts) >= constraint.min_domains
            lowest = min(counts.values(), default=0) if enough else 0
            own = matches_labels(parsed_selector(constraint.selector), self._pod.labels)
            if counts.get(value, 0) + own - lowest > constraint.max_skew:
                return UNEVEN
        return ""

    def scores(self, nodes: Sequence[NodeEntry]) -> list[float]:
        """0 to 100 for each node: the fewer such pods its domains hold, the more; 0 where a label is missing."""
        labelled = [node for node in nodes if self._labelled(node)]
        if not labelled:
            return [0.0] * len(nodes)
        weights = [
            math.log(len({node.labels[each.topology_key] for node in labelled}) + 2) for each in self._constraints
        ]
        crowds = {node.name: self._crowd(node, weights) for node in labelled}
        least, most = min(crowds.values()), max(crowds.values())
        return [
            0.0 if node.name not in crowds else BEST * (most + least - crowds[node.name]) / most if most else BEST
            for node in nodes
        ]

    def _crowd(self, node: NodeEntry, weights: Sequence[float]) -> int:
        return round(
            sum(
                self._count(each).get(node.labels[each.topology_key], 0) * weight + each.max_skew - 1
                for each, weight in zip(self._constraints, weights, strict=True)
            )
        )

    def _count(self, constraint: SpreadConstraint) -> dict[str, int]:
        """How many such pods each domain of the nodes that count holds; those that end are not counted."""
        known = self._counts.get(constraint)
        if known is not None:
            return known
        key, selector = constraint.topology_key, parsed_selector(constraint.selector)
        eligible = {name for name, node in self._cache.nodes.items() if self._counts_for(constraint, node)}
        counts = dict.fromkeys((self._cache.nodes[name].labels[key] for name in eligible), 0)
        if selector and (selector.get("matchLabels") or selector.get("matchExpressions")):
            for other in self._cache.candidates(selector, (self._pod.namespace,)):
                where = self._cache.node_of(other.uid) or ""
                meant = other.namespace == self._pod.namespace and other.uid not in self._cache.ending
                if meant and where in eligible and matches_labels(selector, other.labels):
                    counts[self._cache.nodes[where].labels[key]] += 1
        self._counts[constraint] = counts
        return counts

    def _counts_for(self, constraint: SpreadConstraint, node: NodeEntry) -> bool:
        demands = parsed_placement(self._pod.placement)
        if not self._labelled(node):
            return False
        if constraint.honor_affinity:
            chosen = all(node.labels.get(key) == value for key, value in demands["nodeSelector"].items())
            if not chosen or not matches_node_affinity(demands["nodeAffinity"], node.name, node.labels):
                return False
        return not constraint.honor_taints or all(
            tolerates(demands["tolerations"], taint)
            for taint in node.taints
            if taint.get("effect") in ("NoSchedule", "NoExecute")
        )

    def _labelled(self, node: NodeEntry) -> bool:
        return all(each.topology_key in node.labels for each in self._constraints)
