"""The queues, reconcilers and controllers of an operator, wired to one set of caches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from lws.client.api import ApiClient
from lws.clock import Clock
from lws.operator.domain import DomainMetrics
from lws.operator.settings import Settings
from lws.planning.schedulers import PROVIDERS
from lws.reconcilers.apply import Recorder
from lws.reconcilers.build import Queues, Reconcilers, build
from lws.reconcilers.observe import Caches
from lws.reconcilers.triggers import Key
from lws.runtime.controller import Controller, Reconcile
from lws.runtime.freshness import Ledger
from lws.telemetry.metrics import Metrics, QueueMetrics
from lws.workqueue import RateLimitingQueue

SETS = "leaderworkerset"
LEADERS = "pod"
WORKERS = "pod-worker"


@dataclass(frozen=True, slots=True)
class Controllers:
    """The controllers, in the order in which they are started."""

    sets: Controller[Key]
    leaders: Controller[Key]
    workers: Controller[Key]
    reconcilers: Reconcilers

    def __iter__(self) -> Iterator[Controller[Key]]:
        return iter((self.sets, self.leaders, self.workers))


def make_controllers(
    settings: Settings,
    caches: Caches,
    client: ApiClient,
    recorder: Recorder,
    *,
    clock: Clock,
    random: Random,
    metrics: Metrics,
    domain: DomainMetrics,
) -> Controllers:
    """Wire everything that reconciles; nothing runs yet, but changes in the caches already name keys."""

    def queue(name: str) -> RateLimitingQueue[Key]:
        made: RateLimitingQueue[Key] = RateLimitingQueue(
            Random(random.getrandbits(64)),  # noqa: S311 -- jitter, no secret
            clock=clock,
            observer=QueueMetrics(metrics, name),
        )
        metrics.watch_queue(name, made.statistics)
        return made

    def controller(
        name: str, reconcile: Reconcile[Key], queue: RateLimitingQueue[Key], ledger: Ledger[Key]
    ) -> Controller[Key]:
        return Controller(
            name,
            reconcile,
            queue=queue,
            clock=clock,
            workers=settings.workers,
            deadline=settings.reconcile_deadline,
            ledger=ledger,
            metrics=metrics,
        )

    gang = settings.configuration.gang_scheduling_management
    sets, leaders, workers = queue(SETS), queue(LEADERS), queue(WORKERS)
    made = build(
        caches,
        client,
        recorder,
        clock,
        Queues(sets, leaders, workers),
        provider=PROVIDERS[gang.scheduler_provider] if gang is not None else None,
        sets=domain,
        groups=domain,
    )
    return Controllers(
        controller(SETS, made.sets.reconcile, sets, made.sets_ledger),
        controller(LEADERS, made.leaders.reconcile, leaders, made.leaders_ledger),
        controller(WORKERS, made.workers.reconcile, workers, made.workers_ledger),
        made,
    )
