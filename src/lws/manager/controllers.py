"""The queues, reconcilers and controllers of an operator, wired to one set of caches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from lws.client.api import ApiClient
from lws.clock import Clock
from lws.manager.settings import Settings
from lws.planning.leaderworkerset.schedulers import PROVIDERS
from lws.reconcilers.leaderworkerset.build import Queues, Reconcilers, build
from lws.reconcilers.leaderworkerset.metrics import DomainMetrics
from lws.reconcilers.leaderworkerset.observe import Caches
from lws.reconcilers.leaderworkerset.triggers import Key
from lws.runtime.controller import Controller, Reconcile
from lws.runtime.executor import Recorder
from lws.runtime.freshness import Ledger
from lws.telemetry.metrics import Metrics, QueueMetrics
from lws.workqueue import RateLimitingQueue

SETS = "leaderworkerset"
LEADERS = "pod"
WORKERS = "pod-worker"


@dataclass(frozen=True, slots=True)
class Controllers:
    """The controllers, and what they run."""

    sets: Controller[Key]
    leaders: Controller[Key]
    workers: Controller[Key]
    reconcilers: Reconcilers

    def __iter__(self) -> Iterator[Controller[Key]]:
        return iter((self.sets, self.leaders, self.workers))


class ControllerFactory:
    """Makes queues and controllers that share settings, clock and metrics.

    Args:
        settings: workers and deadlines.
        clock: measures spans.
        random: source of the jitter of each queue.
        metrics: where to count.
    """

    def __init__(self, settings: Settings, *, clock: Clock, random: Random, metrics: Metrics) -> None:
        self._settings = settings
        self._clock = clock
        self._random = random
        self._metrics = metrics

    def make(self, caches: Caches, client: ApiClient, recorder: Recorder, domain: DomainMetrics) -> Controllers:
        """Wire everything that reconciles; nothing runs yet, but changes in the caches already name keys."""
        gang = self._settings.configuration.gang_scheduling_management
        sets, leaders, workers = self._queue(SETS), self._queue(LEADERS), self._queue(WORKERS)
        made = build(
            caches,
            client,
            recorder,
            self._clock,
            Queues(sets, leaders, workers),
            provider=PROVIDERS[gang.scheduler_provider] if gang is not None else None,
            sets=domain,
            groups=domain,
        )
        return Controllers(
            self._controller(SETS, made.sets.reconcile, sets, made.sets_ledger),
            self._controller(LEADERS, made.leaders.reconcile, leaders, made.leaders_ledger),
            self._controller(WORKERS, made.workers.reconcile, workers, made.workers_ledger),
            made,
        )

    def _queue(self, name: str) -> RateLimitingQueue[Key]:
        chance = Random(self._random.getrandbits(64))  # noqa: S311 -- jitter, no secret
        observer = QueueMetrics(self._metrics, name)
        made: RateLimitingQueue[Key] = RateLimitingQueue(chance, clock=self._clock, observer=observer)
        self._metrics.watch_queue(name, made.statistics)
        return made

    def _controller(
        self, name: str, reconcile: Reconcile[Key], queue: RateLimitingQueue[Key], ledger: Ledger[Key]
    ) -> Controller[Key]:
        return Controller(
            name,
            reconcile,
            queue=queue,
            clock=self._clock,
            workers=self._settings.workers,
            deadline=self._settings.reconcile_deadline,
            ledger=ledger,
            metrics=self._metrics,
        )
