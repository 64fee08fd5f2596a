"""What a diagnosis finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto


class Reason(IntEnum):
    """Why something is not as wanted; of several reasons the first declared names a group (resilience 4)."""

    DELETING = auto()
    BLOCKED = auto()
    NOT_APPLIED = auto()
    NAME_TOO_LONG = auto()
    EXHAUSTED = auto()
    NODE_LOST = auto()
    TERMINATING = auto()
    WORKERS_SCALED = auto()
    LOST_LABEL = auto()
    FAILED_CREATE = auto()
    WAITING_FOR_NAMES = auto()
    WAITING_FOR_LEADER = auto()
    TOPOLOGY_HELD = auto()
    QUEUE_MISSING = auto()
    POD_GROUP_PENDING = auto()
    GATED = auto()
    UNSCHEDULABLE = auto()
    IMAGE_PULL = auto()
    CRASH_LOOP = auto()
    INIT_RUNNING = auto()
    NOT_READY = auto()
    UNADMITTED = auto()
    ROLLOUT = auto()
    ROLLOUT_HELD = auto()

    @property
    def text(self) -> str:
        """As status and events spell it, such as ``NodeLost``."""
        return "".join(word.capitalize() for word in self.name.split("_"))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as wanted.

    Attributes:
        reason: its kind.
        text: a sentence without its final stop; the rest of one where ``noun`` and ``name`` begin it.
        remedy: what a person can do, as a sentence of its own; empty where nothing helps but waiting.
        group: index of the group, or None where it concerns the whole set.
        noun: ``leader pod``, ``worker pod`` or ``StatefulSet`` where it is about one object.
        name: of that object.
        node: the pod's node, where that matters.
    """

    reason: Reason
    text: str
    remedy: str = ""
    group: int | None = None
    noun: str = ""
    name: str = ""
    node: str = ""
