"""What an operator's caches say of themselves: to probes and to metrics (operations 4)."""

from __future__ import annotations

from collections.abc import Callable

from lws.informers.registry import InformerRegistry, InformerStatistics
from lws.telemetry.metrics import Metrics, Samples


def unsynced(registry: InformerRegistry) -> str | None:
    """Which caches are not synced, and what stands in the way; None if all are."""
    missing = sorted(str(each.kind) for each in registry if not each.synced)
    troubles = "; ".join(registry.troubles)
    return f"not synced: {', '.join(missing)}{f' ({troubles})' if troubles else ''}" if missing else None


def dead_watches(registry: InformerRegistry) -> str | None:
    """Which watches are refused, or out of reach for too long; None if none is."""
    dead = [each.trouble or str(each.kind) for each in registry if not each.healthy]
    return "; ".join(dead) or None


def export_informers(metrics: Metrics, registry: InformerRegistry) -> None:
    """Export size, age and faults of every cache."""

    def sampled(read: Callable[[InformerStatistics], float]) -> Callable[[], Samples]:
        return lambda: [((each.resource,), read(each)) for each in registry.statistics()]

    label = ("resource",)
    metrics.watch("lws_informer_objects", "Objects in the caches.", label, sampled(lambda each: each.objects))
    metrics.watch(
        "lws_informer_last_event_age_seconds",
        "How long ago the server last said anything on a watch.",
        label,
        sampled(lambda each: each.last_event_age),
    )
    metrics.watch(
        "lws_informer_faults",
        "Watches and lists that failed since the start.",
        label,
        sampled(lambda each: each.faults),
    )
