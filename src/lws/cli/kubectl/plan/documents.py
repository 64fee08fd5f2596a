"""What ``kubectl lws plan -o json`` prints (see `lws.cli.kubectl.documents`)."""

from __future__ import annotations

from typing import Literal

from lws.cli.kubectl.documents import Document, Part


class Moment(Part, frozen=True, kw_only=True):
    """A group that restarts, is created or is removed; ``seconds`` after the beginning, an estimate."""

    seconds: float
    step: Literal["restart", "create", "remove"]
    group: int


class PlannedWrite(Part, frozen=True, kw_only=True):
    """A write of the controller; ``changes`` are the members that it changes."""

    verb: str
    object_kind: str
    object_name: str
    changes: tuple[str, ...] = ()


class PlannedSet(Part, frozen=True, kw_only=True):
    """What would happen to one set. ``most`` and ``fewest`` are at the worst moment.

    ``waits`` is not empty where the set would not come to rest as it is wanted.
    """

    namespace: str
    name: str
    new_revision: bool
    affected: tuple[int, ...]
    restarted: tuple[int, ...]
    created: tuple[int, ...]
    removed: tuple[int, ...]
    ready_before: int
    fewest_ready: int
    ready_after: int
    pods_before: int
    most_pods: int
    pods_after: int
    requests_before: dict[str, str]
    most_requests: dict[str, str]
    requests_after: dict[str, str]
    unplaced: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    writes: tuple[PlannedWrite, ...] = ()
    course: tuple[Moment, ...] = ()


class StuckNode(Part, frozen=True, kw_only=True):
    """A node whose drain would not end, and why."""

    node: str
    reason: str


class Plan(Document, frozen=True, kw_only=True, tag="Plan"):
    """What ``plan`` foresees: exact in what happens and in its order; seconds are estimates."""

    change: Literal["edit", "scale", "drain", "upgrade"]
    refused: str
    diff: str
    sets: tuple[PlannedSet, ...] = ()
    stuck: tuple[StuckNode, ...] = ()
    warnings: tuple[str, ...] = ()
    estimated_seconds: float
    start_up_seconds: float
    start_up_measured: bool
