"""Which pods are ganged, and under which name (spec 4.5, 11, CD-31, CD-33)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from lws.api.leaderworkerset import labels

NOT_ENQUEUED: Final = ("", "Pending")  # phases of a PodGroup that holds nothing of its queue yet
DEFAULT_QUEUE: Final = "default"  # of a PodGroup that names none
SCHEDULERS: Final = ("volcano",)  # the names that pods give to the provider's scheduler, unless a policy has others


def group_name(pod_labels: Mapping[str, str] | None) -> str:
    """The name of a group's PodGroup, by the labels of its pods."""
    found = pod_labels or {}
    parts = (labels.NAME, labels.GROUP_INDEX, labels.REVISION)
    return "-".join(found.get(part) or "" for part in parts)


def may_be_marked(mark: str | None, own: str) -> bool:
    """Whether a pod with this mark is ours to mark: it has none, or our own. Others have their reasons (CD-33)."""
    return not mark or mark == own


def is_ganged(scheduler_name: str | None, schedulers: Collection[str]) -> bool:
    """Whether a pod with this ``schedulerName`` is placed by a scheduler that starts gangs (CD-31)."""
    return bool(scheduler_name) and scheduler_name in schedulers
