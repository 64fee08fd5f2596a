"""Pods that start together or not at all: the groups of Volcano."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")
GROUP_ANNOTATION: Final = "scheduling.k8s.io/group-name"


@dataclass(frozen=True, slots=True)
class Gang(Generic[T]):
    """One group at one moment.

    Attributes:
        minimum: how many of its pods must have a node for any to get one.
        placed: how many have one.
        waiting: those that have none.
        known: whether its PodGroup exists; without it nothing is placed.
    """

    name: str
    minimum: int
    placed: int
    waiting: list[T]
    known: bool


def gang_message(gang: Gang[T], reason: str) -> str:
    """Why a member waits: the group as a whole cannot start."""
    if not gang.known:
        return f'pod group "{gang.name}" not found'
    total = gang.placed + len(gang.waiting)
    words = f"pod group is not ready, {len(gang.waiting)} Pending, {gang.minimum} minAvailable"
    if total < gang.minimum:
        return f"{words}; {gang.minimum - total} more pods must exist"
    return f"{words}; Pending: {reason}" if reason else words
