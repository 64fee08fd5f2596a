"""Builds a controller: a queue, a ledger, the caches that it reads, an executor and workers, wired to one another.

Flow: say what wakes keys (`ControllerBuilder.watch`) and what else is read (`ControllerBuilder.read`), take an
`ControllerBuilder.executor` for the reconciler, and `ControllerBuilder.build` with its reconcile function. Nothing runs
until the controller does, and no key is queued before: it begins with all that the caches hold then, so a standby keeps
no keys, least of all of what came and went while it waited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, Protocol, TypeVar

from lws.apimachinery.objects import Object
from lws.apimachinery.ownership import OwnershipRule, same_controller
from lws.apimachinery.resources import Resource
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.informers.informer import Informer
from lws.runtime.controller import Controller, Reconcile
from lws.runtime.events import Recorder
from lws.runtime.executor import Executor
from lws.runtime.freshness import Ledger
from lws.telemetry.controllers import ControllerMetrics
from lws.workqueue import RateLimitingQueue


class _Orderable(Hashable, Protocol):
    """A key of a queue: hashable, and comparable so that a batch is queued in a stable order."""

    def __lt__(self, other: Any, /) -> bool: ...


K = TypeVar("K", bound=_Orderable)
T = TypeVar("T", bound=Object)


@dataclass(frozen=True, slots=True)
class ControllerOptions:
    """What the controllers of one process have in common.

    Attributes:
        clock: measures spans.
        rng: seeds the jitter of each queue.
        metrics: where to count; nowhere if absent.
        workers: how many keys each controller reconciles at once.
        deadline: seconds that one reconcile may take.
    """

    clock: Clock
    rng: Random
    metrics: ControllerMetrics | None = None
    workers: int = 1
    deadline: float = 60.0


class ControllerBuilder(Generic[K]):
    """Builds one controller; see the module for its flow.

    Args:
        name: label of metrics and log lines.
        options: what the process's controllers share.
    """

    def __init__(self, name: str, options: ControllerOptions) -> None:
        self.name = name
        self._options = options
        rng = Random(options.rng.getrandbits(64))  # noqa: S311 -- jitter, no secret
        observer = options.metrics.queue_observer(name) if options.metrics is not None else None
        self.queue: RateLimitingQueue[K] = RateLimitingQueue(rng, clock=options.clock, observer=observer)
        self.ledger: Ledger[K] = Ledger(self.queue.add)
        self._informers: dict[Resource, Informer[Any]] = {}
        self._sources: list[Callable[[], Awaitable[None]]] = []
        if options.metrics is not None:
            options.metrics.export_queue(name, self.queue.statistics)

    def watch(self, informer: Informer[T], trigger: Callable[[T | None, T | None], Iterable[K]]) -> None:
        """Have every change in a cache wake the keys that the trigger names; what is there at first comes last."""
        self.read(informer)

        def changed(old: T | None, new: T | None, initial: bool) -> None:
            for key in sorted(trigger(old, new)):
                self.queue.add(key, background=initial)

        self._sources.append(lambda: informer.follow(changed))

    async def _begin(self) -> None:
        """Follow the caches from now on."""
        sources, self._sources = self._sources, []
        for follow in sources:
            await follow()

    def watch_availability(self, informer: Informer[Any], waiting: Callable[[], Iterable[K]]) -> None:
        """Have the keys that ``waiting`` names woken whenever an optional resource comes or goes."""

        def changed() -> None:
            for key in sorted(waiting()):
                self.queue.add(key)

        informer.on_availability(changed)

    def read(self, *informers: Informer[Any] | None) -> None:
        """Have keys wait for these caches after they wrote what the caches hold; None is passed over."""
        for informer in informers:
            if informer is not None:
                self._informers[informer.kind.resource] = informer

    def informer(self, resource: Resource) -> Informer[Any] | None:
        """The cache of this kind of object, if the controller reads one."""
        return self._informers.get(resource)

    def executor(
        self, client: ApiClient, recorder: Recorder, *, ownership: OwnershipRule = same_controller
    ) -> Executor[K]:
        """An executor whose writes the controller's keys wait for."""
        return Executor(client, recorder, self, self.ledger, ownership=ownership, clock=self._options.clock)

    def build(self, reconcile: Reconcile[K]) -> Controller[K]:
        """The controller, ready to run."""
        options = self._options
        return Controller(
            self.name,
            reconcile,
            queue=self.queue,
            clock=options.clock,
            workers=options.workers,
            deadline=options.deadline,
            ledger=self.ledger,
            metrics=options.metrics,
            begin=self._begin,
        )
