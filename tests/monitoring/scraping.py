"""Scrapes what replicas export while they live in virtual time, and tells it to Prometheus' own rules.

Replicas are pods of a Deployment: they have their places, and one that ends is started again ten seconds later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from hack.alerts import PLACES
from prometheus_client.parser import text_string_to_metric_families

from lws.client.transport import Transport
from tests.monitoring.promtool import INTERVAL, Samples, Series, Story
from tests.simulation.cluster import Cluster, Running

RESTART_SECONDS: Final = 10.0
# What only dashboards show is left out here, for there is much of it.
SKIPPED: Final = ("rest_client_", "workqueue_queue", "workqueue_work", "controller_runtime_reconcile_time")
Wrap = Callable[[Transport], Transport]


class Replica:
    """A pod of the controller's Deployment, and who keeps it running."""

    def __init__(self, cluster: Cluster, name: str, wrap: Wrap = lambda transport: transport) -> None:
        self.name = name
        self.running: Running | None = None
        self.wanted = True
        self._cluster = cluster
        self._wrap = wrap

    async def keep(self) -> None:
        """Start it, and again whenever it has ended."""
        while True:
            if self.wanted:
                self.running = await self._cluster.start(self._wrap, ready=False)
                await asyncio.wait([self.running.task])
                ended, self.running = self.running, None
                await ended.stop()
            await asyncio.sleep(RESTART_SECONDS)

    def exposition(self) -> bytes | None:
        """What a scrape gets; None if nobody answers."""
        return None if self.running is None else self.running.operator.metrics.exposition()


class Scraper:
    """Takes the place of Prometheus: every `INTERVAL` it asks every replica, with ``honorLabels``."""

    def __init__(self, cluster: Cluster, replicas: list[Replica]) -> None:
        self.replicas = replicas
        self._cluster = cluster
        self._begin = cluster.clock.now().timestamp()
        self._scrapes = 0
        self._series: dict[str, list[float | None]] = {}

    @property
    def now(self) -> float:
        """The time of the last scrape, in seconds from the first."""
        return (self._scrapes - 1) * INTERVAL

    @property
    def series(self) -> Series:
        """Everything that was scraped."""
        return {name: self._filled(values) for name, values in self._series.items()}

    def story(self) -> Story:
        """A story of what was scraped."""
        return Story(self.series)

    async def run(self) -> None:
        """Scrape for ever."""
        while True:
            self._scrapes += 1
            for replica in self.replicas:
                self._scrape(replica)
            await asyncio.sleep(INTERVAL)

    async def wait(self, seconds: float) -> float:
        """Let time pass, until just after a scrape; returns its time."""
        end = self._scrapes + round(seconds / INTERVAL)
        while self._scrapes < end:  # noqa: ASYNC110 -- virtual time: a look costs nothing
            await asyncio.sleep(1)
        return self.now

    def _scrape(self, replica: Replica) -> None:
        text = replica.exposition()
        target = {
            "job": PLACES["job"],
            "namespace": PLACES["namespace"],
            "pod": f"lws-{replica.name}",
            "instance": replica.name,
        }
        self._note("up", target, 0.0 if text is None else 1.0)
        for family in text_string_to_metric_families((text or b"").decode()):
            if not family.name.startswith(SKIPPED):
                for sample in family.samples:
                    self._note(sample.name, {**target, **sample.labels}, self._shifted(sample.name, sample.value))

    def _shifted(self, name: str, value: float) -> float:
        """Times are told from the first scrape on, for there promtool's clock begins."""
        return value - self._begin if name.endswith("_timestamp_seconds") and value else value

    def _note(self, name: str, labels: dict[str, str], value: float) -> None:
        written = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels))
        values = self._series.setdefault(f"{name}{{{written}}}", [])
        values += [None] * (self._scrapes - 1 - len(values))
        values.append(value)

    def _filled(self, values: list[float | None]) -> Samples:
        return [*values, *[None] * (self._scrapes - len(values))]


@asynccontextmanager
async def scraped(cluster: Cluster, *wraps: Wrap) -> AsyncIterator[Scraper]:
    """A replica for each of these transports, kept running and scraped until the end."""
    replicas = [Replica(cluster, "ab"[number], wrap) for number, wrap in enumerate(wraps)]
    scraper = Scraper(cluster, replicas)
    tasks = []
    for replica in replicas:
        tasks.append(asyncio.create_task(replica.keep(), name=f"keeper of {replica.name}"))
        await asyncio.sleep(5)
    tasks.append(asyncio.create_task(scraper.run(), name="scraper"))
    try:
        yield scraper
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
