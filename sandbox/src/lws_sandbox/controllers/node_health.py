"""Nodes that no longer report: their condition, their taints, and when pods have to leave them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import condition, format_time, meta, parse_time
from lws_sandbox.controllers.scheduler.requests import tolerates

GRACE: Final = 50.0  # seconds without a heartbeat until a node's health is unknown
NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
_SILENT: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


def is_silent(lease: JSON | None, node: JSON, now: datetime, grace: float = GRACE) -> bool:
    """Whether the node has not been heard of for longer than the grace."""
    renewed = parse_time(((lease or {}).get("spec") or {}).get("renewTime"))
    heard = renewed or parse_time(meta(node).get("creationTimestamp"))
    return heard is not None and now - heard > timedelta(seconds=grace)


def silent_conditions(node: JSON, now: datetime) -> list[JSON] | None:
    """The conditions of a node that fell silent; None when they say so already."""
    conditions: list[JSON] = (node.get("status") or {}).get("conditions") or []
    stamp = format_time(now)
    words = {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
    changed = [
        {**item, **words, "status": "Unknown", "lastTransitionTime": stamp}
        if item["type"] in _SILENT and item["status"] != "Unknown"
        else item
        for item in conditions
    ]
    return None if changed == conditions else changed


def wanted_taints(node: JSON, now: datetime) -> list[JSON]:
    """The node's taints as its conditions and its spec ask for them; those of others are kept."""
    live: Sequence[JSON] = node["spec"].get("taints") or ()
    status = (condition(node, "Ready") or {}).get("status")
    wanted = {("Unknown"): UNREACHABLE, ("False"): NOT_READY}.get(status or "")
    managed = {
        (UNREACHABLE, "NoSchedule"): wanted == UNREACHABLE,
        (UNREACHABLE, "NoExecute"): wanted == UNREACHABLE,
        (NOT_READY, "NoSchedule"): wanted == NOT_READY,
        (NOT_READY, "NoExecute"): wanted == NOT_READY,
        (UNSCHEDULABLE, "NoSchedule"): bool(node["spec"].get("unschedulable")),
    }
    kept = [taint for taint in live if managed.get((taint["key"], taint["effect"]), True)]
    present = {(taint["key"], taint["effect"]) for taint in kept}
    added = [
        {"key": key, "effect": effect, "timeAdded": format_time(now)}
        for (key, effect), needed in managed.items()
        if needed and (key, effect) not in present
    ]
    return [*kept, *added]


def eviction_in(pod: JSON, taints: Sequence[JSON], now: datetime) -> float | None:
    """Seconds until the pod has to leave a node with these taints; None when it may stay."""
    waits = []
    for taint in taints:
        if taint.get("effect") != "NoExecute":
            continue
        covering = [item for item in pod["spec"].get("tolerations") or () if tolerates([item], taint)]
        if not covering:
            return 0.0
        limits = [item["tolerationSeconds"] for item in covering if item.get("tolerationSeconds") is not None]
        if limits:
            since = parse_time(taint.get("timeAdded")) or now
            waits.append(max(0.0, (since + timedelta(seconds=min(limits)) - now).total_seconds()))
    return min(waits, default=None)
