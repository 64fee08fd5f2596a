"""What ``kubectl lws plan -o json`` prints (see `lws.cli.kubectl.documents`)."""

from __future__ import annotations

from typing import Literal

from lws.cli.kubectl.documents import Document, Part


class Moment(Part, frozen=True, kw_only=True):
    """A group that restarts, is created or is removed; ``seconds`` after the beginning, an estimate.

    A group is named by its index, or by the beginning of its key; one that will be known by a key has no name yet.
    """

    seconds: float
    step: Literal["restart", "create", "remove"]
    group: str


class PlannedWrite(Part, frozen=True, kw_only=True):
    """A write of the controller; ``changes`` are the members that it changes."""

    verb: str
    object_kind: str
    object_name: str
    changes: tuple[str, ...] = ()


class Peak(Part, frozen=True, kw_only=True):
    """Pods and what they request; ``most`` is at the worst moment."""

    pods_before: int
    most_pods: int
    pods_after: int
    requests_before: dict[str, str]
    most_requests: dict[str, str]
    requests_after: dict[str, str]


class PlannedSet(Peak, frozen=True, kw_only=True):
    """What would happen to one LeaderWorkerSet. ``fewest`` is at the worst moment.

    Groups are named as in the moments of ``course``. ``waits`` is not empty where the set would not come to rest as it
    is wanted; ``disaggregated_set`` and ``role`` are empty for a set of its own.
    """

    namespace: str
    name: str
    disaggregated_set: str = ""
    role: str = ""
    new_revision: bool
    affected: tuple[str, ...]
    restarted: tuple[str, ...]
    created: tuple[str, ...]
    removed: tuple[str, ...]
    ready_before: int
    fewest_ready: int
    ready_after: int
    unplaced: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    writes: tuple[PlannedWrite, ...] = ()
    course: tuple[Moment, ...] = ()


class PlannedRole(Part, frozen=True, kw_only=True):
    """Groups of one role, of all slices and revisions, that are ready; ``fewest`` is at the worst moment."""

    name: str
    ready_before: int
    fewest_ready: int
    ready_after: int


class RoleMoment(Part, frozen=True, kw_only=True):
    """A moment of one of its LeaderWorkerSets."""

    seconds: float
    step: Literal["restart", "create", "remove"]
    set: str
    group: str


class PlannedRoles(Peak, frozen=True, kw_only=True):
    """What would happen to one DisaggregatedSet as a whole; its LeaderWorkerSets are among the sets."""

    namespace: str
    name: str
    new_revision: bool
    revision: str
    roles: tuple[PlannedRole, ...] = ()
    waits: tuple[str, ...] = ()
    writes: tuple[PlannedWrite, ...] = ()
    course: tuple[RoleMoment, ...] = ()


class StuckNode(Part, frozen=True, kw_only=True):
    """A node whose drain would not end, and why."""

    node: str
    reason: str


class Plan(Document, frozen=True, kw_only=True):
    """What ``plan`` foresees: exact in what happens and in its order; seconds are estimates."""

    change: Literal["edit", "scale", "drain", "upgrade"]
    refused: str
    diff: str
    sets: tuple[PlannedSet, ...] = ()
    disaggregated_sets: tuple[PlannedRoles, ...] = ()
    stuck: tuple[StuckNode, ...] = ()
    warnings: tuple[str, ...] = ()
    estimated_seconds: float
    start_up_seconds: float
    start_up_measured: bool
