"""Which of the nodes that fit suits a pod most: what it and others prefer, an even spread, and room.

The weights are kube-scheduler's. Of its scores those for images and for PreferNoSchedule taints are left out, and the
required terms of pods already placed pull no others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from lws_sandbox.controllers.scheduler.nodecache import NodeCache, NodeEntry
from lws_sandbox.controllers.scheduler.requests import PodRequest, parsed_selector, preference
from lws_sandbox.controllers.scheduler.spreading import BEST, Spreading

ROOM: Final = 1
NODE_AFFINITY: Final = 2
POD_AFFINITY: Final = 2
SPREAD: Final = 2


def matter(cache: NodeCache, pod: PodRequest) -> bool:
    """Whether anything but room distinguishes nodes for this pod."""
    return bool(pod.node_wishes or pod.wishes or cache.wishing or any(not each.hard for each in pod.spread))


def best(cache: NodeCache, pod: PodRequest, fitting: Sequence[NodeEntry]) -> NodeEntry | None:
    """The node with the highest score; of equals the first."""
    columns = [(ROOM, [BEST * (1 - load(node)) for node in fitting])]
    if pod.node_wishes:
        columns.append((NODE_AFFINITY, _shares([preference(pod.node_wishes, n.name, n.labels) for n in fitting])))
    if pod.wishes or cache.wishing:
        columns.append((POD_AFFINITY, _neighbours(cache, pod, fitting)))
    if any(not each.hard for each in pod.spread):
        columns.append((SPREAD, Spreading(cache, pod, hard=False).scores(fitting)))
    totals = [sum(weight * column[at] for weight, column in columns) for at in range(len(fitting))]
    at = max(range(len(fitting)), key=totals.__getitem__, default=None)
    return None if at is None else fitting[at]


def load(node: NodeEntry) -> float:
    """How full a node is, by its fullest resource."""
    return max((node.used.get(name, 0) / total for name, total in node.allocatable.items() if total), default=0.0)


def _shares(values: Sequence[int]) -> list[float]:
    """Of the highest, in hundredths."""
    most = max(values, default=0)
    return [BEST * value / most if most else 0.0 for value in values]


def _neighbours(cache: NodeCache, pod: PodRequest, nodes: Sequence[NodeEntry]) -> list[float]:
    """What the pod wishes of its neighbours, and they of it; the least is 0, the most 100."""
    weights: defaultdict[tuple[str, str], int] = defaultdict(int)

    def add(weight: int, topology_key: str, neighbour: PodRequest) -> None:
        value = cache.nodes[cache.node_of(neighbour.uid) or ""].labels.get(topology_key)
        if value is not None:
            weights[topology_key, value] += weight

    for weight, term in pod.wishes:
        for other in cache.candidates(parsed_selector(term.selector), term.where):
            if term.matches(other):
                add(weight, term.topology_key, other)
    for other in cache.wishing.values():
        for weight, term in other.wishes:
            if term.matches(pod):
                add(weight, term.topology_key, other)
    found = [sum(weights.get(label, 0) for label in node.labels.items()) for node in nodes]
    least, most = min(found, default=0), max(found, default=0)
    return [BEST * (value - least) / (most - least) if most > least else 0.0 for value in found]
