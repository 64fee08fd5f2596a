"""Which nodes are to be emptied, and which groups that concerns (resilience 6.3).

A node is to be emptied for a pod: what one pod tolerates another does not. What the control plane says of a node by
itself is no reason to move anything, for it may take that back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lws.api.leaderworkerset.objects import Node, Pod, Taint, Toleration
from lws.api.leaderworkerset.policykeys import EVACUATE
from lws.apimachinery.moments import after, parsed
from lws.planning.leaderworkerset.groupstatus import Lookup

UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
_PREFIX: Final = "node.kubernetes.io/"
_CONDITIONS: Final = frozenset({f"{_PREFIX}not-ready", f"{_PREFIX}unreachable", f"{_PREFIX}network-unavailable"})
_EFFECTS: Final = ("NoSchedule", "NoExecute")
_CORDON: Final = Taint(key=UNSCHEDULABLE, effect="NoSchedule")
ON_PURPOSE: Final = 60.0  # seconds for which a node was to be emptied before a pod was bound to it all the same


def of_control_plane(key: str) -> bool:
    """Whether a taint of this key tells of a node's condition, and of nobody's will."""
    return key in _CONDITIONS or (key.startswith(_PREFIX) and key.endswith("-pressure"))


def empties(taint: Taint) -> bool:
    """Whether a taint may be a reason to empty its node."""
    return taint.effect in _EFFECTS and not of_control_plane(taint.key)


def reason(node: Node | None, pod: Pod) -> Taint | None:
    """The taint, be it of a cordon, for which the pod is to leave the node; None if it may stay."""
    if node is None:
        return None
    tolerations = pod.spec.tolerations or ()
    return next((taint for taint in reasons(node) if not tolerated(taint, tolerations)), None)


def reasons(node: Node) -> Iterator[Taint]:
    """The taints, be one that of a cordon, for which a node is to be emptied of pods that tolerate none."""
    if node.metadata.annotation(EVACUATE) == "false":
        return
    taints = [taint for taint in node.spec.taints or () if empties(taint)]
    if node.spec.unschedulable and not any(taint.key == UNSCHEDULABLE for taint in taints):
        yield _CORDON  # the control plane adds the taint a moment later
    yield from taints


def tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    """Whether one of the tolerations is for this taint, by the rules of Kubernetes."""
    return any(_tolerates(each, taint) for each in tolerations)


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect not in ("", taint.effect) or (toleration.key and toleration.key != taint.key):
        return False
    if toleration.operator in ("", "Equal"):
        return bool(toleration.key) and toleration.value == taint.value
    return True  # Exists, or one that compares: whatever let the pod come there


@dataclass(frozen=True, slots=True)
class Affected:
    """A group with pods on nodes that are to be emptied.

    Attributes:
        leader: its leader.
        pods: its pods there, the leader first if it is one of them.
    """

    leader: Pod
    pods: tuple[Pod, ...]

    @property
    def nodes(self) -> str:
        """The names of these nodes."""
        return ", ".join(sorted({pod.spec.node_name for pod in self.pods}))


@dataclass(frozen=True, slots=True)
class Found:
    """What came of looking at a set's groups.

    Attributes:
        affected: by index, or whatever else groups are known by here.
        placed: pods that were put on such a node on purpose, and are left there.
    """

    affected: Mapping[int, Affected]
    placed: tuple[Pod, ...] = ()


NOTHING: Final = Found({})


def look(leaders: Mapping[int, Pod], lookup: Lookup) -> Found:
    """Look where the pods of groups are.

    Args:
        leaders: leader pods that count, by index.
        lookup: finds pods of groups, and nodes.
    """
    affected: dict[int, Affected] = {}
    placed: list[Pod] = []
    groups = {index: lookup.members(leader) or (leader,) for index, leader in sorted(leaders.items())}
    nodes = lookup.nodes({pod.spec.node_name for pods in groups.values() for pod in pods if stands(pod)})
    for index, pods in groups.items():
        leader, there = leaders[index], []
        for pod in pods:
            node = nodes.get(pod.spec.node_name) if stands(pod) else None
            why = reason(node, pod)
            if node is None or why is None:
                continue
            if _on_purpose(pod, why, lookup.emptied_since(node.metadata.name, why)):
                placed.append(pod)
            else:
                there.append(pod)
        if there:
            there.sort(key=lambda pod: (pod.metadata.uid != leader.metadata.uid, pod.metadata.name))
            affected[index] = Affected(leader, tuple(there))
    return Found(affected, tuple(placed)) if affected or placed else NOTHING


def stands(pod: Pod) -> bool:
    """Whether a pod keeps its node from being empty and does not go by itself."""
    ended = pod.status.phase in ("Succeeded", "Failed")
    return bool(pod.spec.node_name) and not ended and not pod.metadata.deleting


def _on_purpose(pod: Pod, why: Taint, seen: datetime | None) -> bool:
    """Whether the node had been to be emptied for a minute when the pod came to it."""
    since = parsed(why.time_added) or seen
    scheduled = pod.condition("PodScheduled")
    bound = parsed(scheduled.last_transition_time) if scheduled is not None else None
    bound = bound or parsed(pod.metadata.creation_timestamp)
    return since is not None and bound is not None and bound >= after(since, ON_PURPOSE)
