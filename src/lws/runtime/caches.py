"""The caches of a process as a service, and what they report of themselves to probes and metrics.

Being cut off from the API server is readiness and a metric, never liveness: no restart mends it, and replicas that are
restarted all through an outage serve no admission when it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from lws.clock import Clock
from lws.errors import ConfigurationError
from lws.informers.registry import InformerRegistry, InformerStatistics
from lws.runtime.lifetimes import Service
from lws.telemetry.metrics import MetricsRegistry, Samples

_log = structlog.stdlib.get_logger("lws.caches")


def cache_service(registry: InformerRegistry, *, clock: Clock, patience: float) -> Service:
    """Runs every informer; ready once all are synced.

    Args:
        registry: the informers.
        clock: measures how long a list has been refused.
        patience: for how many seconds, at the start, the server may refuse a list before the service ends with a
            `ConfigurationError`: a server that keeps refusing means that the installation is broken. A resource that
            is not served is waited for: its CustomResourceDefinition may be installed later.
    """

    async def run(ready: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(registry.run(), name="informers")
            await _synced(registry, clock, patience)
            _log.info("caches synced", objects={each.resource: each.objects for each in registry.statistics()})
            ready()

    return Service("caches", run)


async def _synced(registry: InformerRegistry, clock: Clock, patience: float) -> None:
    refused_since: float | None = None
    syncing = asyncio.create_task(registry.wait_synced(), name="caches")
    try:
        while not (await asyncio.wait([syncing], timeout=0.5))[0]:
            refused = [
                each for each in registry if not (each.synced or each.healthy or each.missing or each.unavailable)
            ]
            now = clock.monotonic()
            if not refused:
                refused_since = None
            elif refused_since is None:
                refused_since = now
            if refused_since is not None and now - refused_since >= patience:
                raise ConfigurationError(refused[0].trouble)
    finally:
        syncing.cancel()


def unsynced(registry: InformerRegistry) -> str | None:
    """Which caches are not synced, and what stands in the way; None if all are, or are optional and unavailable."""
    missing = sorted(str(each.kind) for each in registry if not (each.synced or each.unavailable or each.on_demand))
    troubles = "; ".join(registry.troubles)
    return f"not synced: {', '.join(missing)}{f' ({troubles})' if troubles else ''}" if missing else None


def failing_watches(registry: InformerRegistry) -> str | None:
    """Which watches the server refuses, or has not answered for a minute; None if there are none."""
    failing = (each for each in registry if not (each.healthy or each.unavailable))
    return "; ".join(each.trouble or str(each.kind) for each in failing) or None


def unavailable_apis(registry: InformerRegistry) -> str | None:
    """Which optional resources the server does not serve or grant, and the remedy; None if there are none."""
    return "; ".join(registry.unavailable) or None


def broken_informers(registry: InformerRegistry) -> str | None:
    """Which informers an internal error keeps from working, so that a restart may help; None if there are none."""
    return "; ".join(each.trouble or str(each.kind) for each in registry if each.broken) or None


def export_informers(metrics: MetricsRegistry, registry: InformerRegistry, prefix: str) -> None:
    """Export size, age, health and faults of every cache, as ``<prefix>_informer_…``."""

    def sampled(read: Callable[[InformerStatistics], float]) -> Callable[[], Samples]:
        return lambda: [((each.resource,), read(each)) for each in registry.statistics()]

    label = ("resource",)
    metrics.sampled_gauge(
        f"{prefix}_informer_objects", "Objects in the caches.", label, sampled(lambda each: each.objects)
    )
    metrics.sampled_gauge(
        f"{prefix}_informer_last_event_age_seconds",
        "How long ago the server last said anything on a watch.",
        label,
        sampled(lambda each: each.last_event_age),
    )
    metrics.sampled_gauge(
        f"{prefix}_informer_healthy",
        "0 while the server refuses a watch that is needed, or has been out of reach for a minute; else 1.",
        label,
        sampled(lambda each: each.healthy),
    )
    metrics.sampled_counter(
        f"{prefix}_informer_faults",
        "Watches and lists that failed since the start.",
        label,
        sampled(lambda each: each.faults),
    )
