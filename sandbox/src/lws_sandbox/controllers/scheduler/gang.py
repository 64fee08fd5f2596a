"""Pods that start together or not at all: the groups of Volcano."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from lws.apimachinery.manifests import JSON

T = TypeVar("T")
SCHEDULER: Final = "volcano"
GROUP_ANNOTATION: Final = "scheduling.k8s.io/group-name"


@dataclass(frozen=True, slots=True)
class Gang(Generic[T]):
    """One group at one moment.

    Attributes:
        minimum: how many of its pods must have a node for any to get one.
        placed: how many have one.
        waiting: those that have none.
        group: its PodGroup.
    """

    minimum: int
    placed: int
    waiting: list[T]
    group: JSON

    @property
    def whole(self) -> bool:
        """Whether as many pods exist as must have a node."""
        return self.placed + len(self.waiting) >= self.minimum


def gang_message(gang: Gang[T]) -> str:
    """Why no member is placed: the group as a whole cannot start."""
    waiting = len(gang.waiting)
    words = f"pod group is not ready, {waiting} Pending, {gang.minimum} minAvailable"
    return f"{words}; Pending: {waiting} Unschedulable" if gang.whole else words


def fits_message(namespace: str, name: str, node: str) -> str:
    """What a member is told that would have a node, if others had one too."""
    return f"Pod {namespace}/{name} can possibly be assigned to {node}, once minAvailable is satisfied"
