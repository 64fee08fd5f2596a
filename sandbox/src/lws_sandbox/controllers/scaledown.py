"""Which pods a ReplicaSet deletes first (``pkg/controller``, ``ActivePodsWithRanks``)."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import annotations_of, condition, meta, name_of, parse_time, uid_of
from lws_sandbox.controllers.pods import is_ready, phase

DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
_PHASES: Final = {"Pending": 0, "Unknown": 1}


def by_deletion_order(pods: Iterable[JSON], now: datetime) -> list[JSON]:
    """The active pods of a set, the first to be deleted first.

    Without a node, pending, not ready, cheap to delete, on a node with many of the set; then among ready pods those
    that are so for a shorter time, those restarted more often, the younger ones. Times count by powers of two. What a
    real controller leaves to chance goes by name, so that a cluster and its copy do the same.
    """
    found = sorted(pods, key=name_of)
    neighbours = Counter(_node(pod) for pod in found)

    def compare(one: JSON, other: JSON) -> int:
        first, second = _rank(one, neighbours), _rank(other, neighbours)
        if first != second:
            return -1 if first < second else 1
        return _by_times(one, other, now)

    return sorted(found, key=functools.cmp_to_key(compare))


def deletion_cost(pod: JSON) -> int:
    """The pod's annotation `DELETION_COST`; 0 if it is absent or not a number of 32 bits."""
    text = annotations_of(pod).get(DELETION_COST) or ""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
        return 0
    return int(text) if -(2**31) <= int(text) < 2**31 else 0


def _node(pod: JSON) -> str:
    return str(pod["spec"].get("nodeName") or "")


def _rank(pod: JSON, neighbours: Counter[str]) -> tuple[bool, int, bool, int, int]:
    node = _node(pod)
    return (bool(node), _PHASES.get(phase(pod), 2), is_ready(pod), deletion_cost(pod), -neighbours[node])


def _by_times(one: JSON, other: JSON, now: datetime) -> int:
    if is_ready(one) and (order := _younger(one, other, _ready_since(one), _ready_since(other), now)):
        return order
    restarts = _restarts(other) - _restarts(one)
    if restarts:
        return restarts
    return _younger(one, other, _created(one), _created(other), now)


def _younger(one: JSON, other: JSON, since: datetime | None, also: datetime | None, now: datetime) -> int:
    """The one that is so for a shorter time first; within one power of two by UID; 0 if both times are equal."""
    if since == also:
        return 0
    if since is None or also is None:
        return -1 if since is None else 1
    difference = _magnitude(since, now) - _magnitude(also, now)
    return difference or (-1 if uid_of(one) < uid_of(other) else 1)


def _magnitude(since: datetime, now: datetime) -> int:
    nanoseconds = (now - since).total_seconds() * 1e9
    return math.floor(math.log2(nanoseconds)) if nanoseconds >= 1 else -1


def _created(pod: JSON) -> datetime | None:
    return parse_time(meta(pod).get("creationTimestamp"))


def _ready_since(pod: JSON) -> datetime | None:
    return parse_time((condition(pod, "Ready") or {}).get("lastTransitionTime"))


def _restarts(pod: JSON) -> int:
    statuses: Sequence[JSON] = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((int(item.get("restartCount") or 0) for item in statuses), default=0)
