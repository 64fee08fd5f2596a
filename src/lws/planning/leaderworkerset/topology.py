"""Exclusive placement: the workers follow their leader into its topology domain (spec 10.1, CD-21)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Node, Pod
from lws.api.leaderworkerset.types import LeaderWorkerSet


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the workers may run.

    Attributes:
        waiting: the leader is not bound to a node yet; its binding brings the next pass.
        error: why the domain cannot be told; retried with back-off.
        remedy: what operators can do about it.
        node_selector: topology key and value; empty without exclusive placement.
    """

    waiting: bool = False
    error: str | None = None
    remedy: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)


def placement(lws: LeaderWorkerSet, leader: Pod, node: Node | None) -> Placement:
    """Find the leader's topology domain. An empty annotation counts as absent."""
    key = lws.metadata.annotation(labels.EXCLUSIVE_TOPOLOGY)
    if not key:
        return Placement()
    name = leader.spec.node_name
    if not name:
        return Placement(waiting=True)
    if node is None:
        remedy = f"delete the leader pod {leader.metadata.name} if the node does not come back"
        return Placement(error=f'getting node "{name}": nodes "{name}" not found', remedy=remedy)
    value = (node.metadata.labels or {}).get(key)
    if value is None:
        remedy = f"label the node with {key}, or correct the set's annotation {labels.EXCLUSIVE_TOPOLOGY}"
        return Placement(error=f'node "{name}" does not have topology label: {key}', remedy=remedy)
    return Placement(node_selector={key: value})
