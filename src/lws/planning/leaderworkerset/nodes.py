"""What is known of nodes that nothing is heard of, and what a fresh read of one and its pod tells (resilience 6.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from lws.api.leaderworkerset.objects import Node, Pod
from lws.apimachinery.manifests import JSON
from lws.apimachinery.moments import after, parsed

NODE_LOST_SECONDS: Final = 30.0
NOT_RELEASED: Final = "NotReleasedFromLostNode"  # reason of the event about a pod that stays
MOUNTS: Final = "it mounts claim"
LEAST_LOST: Final = 3  # lost nodes from which on more than half of all are the control plane's view, and not nodes


@dataclass(frozen=True, slots=True)
class NodesSeen:
    """What is known of the nodes of a group that nothing is heard of, and of all nodes.

    Attributes:
        since: since when nothing has been heard of them, by name.
        lost: how many nodes of the cluster are not ready.
        total: how many there are.
    """

    since: Mapping[str, datetime]
    lost: int = 0
    total: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether so many nodes are lost that the fault is with the control plane's view of them."""
        return self.lost >= LEAST_LOST and 2 * self.lost > self.total


@dataclass(frozen=True, slots=True)
class Reread:
    """What a fresh read told.

    Attributes:
        same: the pod is there as it was known, and nothing is heard of its node still.
        claims: the claims that it mounts for writing.
        fresh: whether it was read in this pass; what a pod mounts stays true.
    """

    same: bool
    claims: tuple[str, ...] = ()
    fresh: bool = True


def node_lost(node: Node | None, now: datetime) -> bool:
    """Whether a node is lost: gone, or not ready for `NODE_LOST_SECONDS` (resilience 6.1)."""
    if node is None:
        return True
    condition = node.not_ready
    if condition is None:
        return False
    since = parsed(condition.last_transition_time)
    return since is not None and after(since, NODE_LOST_SECONDS) <= now


def silent(node: Node | None) -> bool:
    """Whether nothing is heard of a node: it is gone, or its Ready condition is Unknown.

    The kubelet of one that says False lives, and is left to act itself.
    """
    condition = None if node is None else node.not_ready
    return node is None or (condition is not None and condition.status == "Unknown")


def silent_since(node: Node | None, seen: datetime) -> datetime:
    """Since when, for a node that is silent, by its condition or by when this process saw it, whichever is later."""
    condition = None if node is None else node.not_ready
    turned = None if condition is None else parsed(condition.last_transition_time)
    return seen if turned is None else max(turned, seen)


def mounts(claims: tuple[str, ...]) -> str:
    """Such as ``it mounts claim data-m-0-2 for writing``."""
    return f"{MOUNTS}{'s' if len(claims) > 1 else ''} {', '.join(claims)} for writing"


def reread(pod: Pod, live: JSON | None, node: JSON | None) -> Reread:
    """What a fresh read of a pod and its node tells; None stands for what is gone."""
    if live is None or live["metadata"].get("uid") != pod.metadata.uid:
        return Reread(same=False)
    typed = None if node is None else msgspec.convert(node, Node)
    return Reread(silent(typed), tuple(sorted(set(_written(live.get("spec") or {})))))


def _written(spec: JSON) -> Iterator[str]:
    """Claims that some container may write to, whatever their access mode.

    One that is made for the pod alone goes with it: no other pod will ever write to that.
    """
    writable = {name for container in _containers(spec) for name in _writable(container)}
    for volume in spec.get("volumes") or ():
        claim = volume.get("persistentVolumeClaim")
        if claim and not claim.get("readOnly") and volume.get("name") in writable:
            yield str(claim.get("claimName", ""))


def _containers(spec: JSON) -> Iterator[JSON]:
    for member in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(member) or ()


def _writable(container: JSON) -> Iterator[Any]:
    yield from (each.get("name") for each in container.get("volumeMounts") or () if not each.get("readOnly"))
    yield from (each.get("name") for each in container.get("volumeDevices") or ())
