"""Workers that take keys from a queue and reconcile them.

Guarantees:
    * A key is reconciled by one worker at a time; different keys by up to ``workers`` at once.
    * Whatever a reconcile raises, only its own key is affected: it is retried with back-off, and the worker goes on.
    * A reconcile that exceeds its deadline is cancelled and counts as failed.
    * A key whose caches are behind its own last write is not reconciled until they have caught up.
    * Stopping hands out no more keys and lets the reconciles under way finish, for at most ``stop_seconds``.

Flow:
    ``Done`` rests the key until something changes; ``RequeueAfter`` looks again after so many seconds. Both end the row
    of failures. `TerminalError` rests the key too. `StaleError`, in its pause if it names one, and
    `ConflictError` try again soon and are no errors.
    Everything else is an error, and the key is tried again with exponential back-off, or when the server asks for it.
    A terminal error, and what is forbidden, is logged once; the same again, until a success, is no news to the reader.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

import structlog

from lws.clock import Clock
from lws.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    LwsError,
    NamespaceTerminatingError,
    PauseError,
    StaleError,
    TerminalError,
)
from lws.runtime.errorfields import error_fields
from lws.runtime.failing import Failing, FailureReason, reason_of
from lws.runtime.freshness import Ledger
from lws.telemetry.controllers import RESULTS, ControllerMetrics
from lws.workqueue import QueueShutDown, RateLimitingQueue

K = TypeVar("K", bound=Hashable)

STALE_SECONDS: Final = 1.0  # how soon to look whether a cache has caught up, should nothing wake the key before
MAX_RETRY_AFTER: Final = 300.0  # a server's Retry-After is honoured up to this many seconds
TOLD: Final = 10_000  # keys of which it is remembered what was logged
_log = structlog.stdlib.get_logger("lws.controller")


@dataclass(frozen=True, slots=True)
class Done:
    """The world is as desired, or will wake the key when it changes."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Look again after so many seconds, even if nothing changes."""

    seconds: float


Verdict: TypeAlias = Done | RequeueAfter
Reconcile: TypeAlias = Callable[[K], Awaitable[Verdict]]


class Controller(Generic[K]):
    """Runs the workers of one reconciler; see the module for its guarantees.

    Args:
        name: label of metrics and log lines.
        reconcile: brings one key's world towards what it should be.
        queue: where keys come from; triggers add to it.
        clock: measures spans.
        workers: how many keys may be reconciled at once.
        deadline: seconds that one reconcile may take.
        stop_seconds: how long a stop waits for the reconciles under way.
        ledger: knows which keys must wait for their caches.
        metrics: where to count; nowhere if absent.
        begin: starts what adds keys to the queue; awaited before the first key is handed out.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile[K],
        *,
        queue: RateLimitingQueue[K],
        clock: Clock,
        workers: int = 1,
        deadline: float = 60.0,
        stop_seconds: float = 5.0,
        ledger: Ledger[K] | None = None,
        metrics: ControllerMetrics | None = None,
        begin: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.name = name
        self.queue = queue
        self.reconciles = 0  # how many were begun
        self._reconcile = reconcile
        self._clock = clock
        self._workers = workers
        self._deadline = deadline
        self._stop_seconds = stop_seconds
        self._ledger = ledger
        self._begin = begin
        self._count = _Counts(metrics, name, workers) if metrics is not None else None
        self._ids = itertools.count(1)
        self._told: OrderedDict[K, str] = OrderedDict()  # key -> lasting error that was logged last
        self._failing: dict[K, Failing] = {}

    @property
    def failing(self) -> Mapping[K, Failing]:
        """The keys whose reconcile has failed since it last ended well, bounded by the keys that there are.

        A key whose object is gone ends well, so it does not stay.
        """
        return self._failing

    async def run(self) -> None:
        """Work until cancelled; then finish what is under way and raise `asyncio.CancelledError`.

        Raises:
            BaseException: what ended a worker, and is no Exception, such as a keyboard interrupt.
        """
        if self._begin is not None:
            await self._begin()
        workers = [asyncio.create_task(self._work(), name=f"{self.name}-{i}") for i in range(self._workers)]
        try:
            ended, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.queue.shut_down(drain=False)
            await self._finish(workers)
        for worker in ended:
            worker.result()

    async def _finish(self, workers: list[asyncio.Task[None]]) -> None:
        try:
            _, late = await asyncio.wait(workers, timeout=self._stop_seconds)
            if late:
                _log.warning("reconciles cut off by the stop", controller=self.name, count=len(late))
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueShutDown:
                return
            try:
                if self._ledger is not None and self._ledger.stale(key):
                    self.queue.add_after(key, STALE_SECONDS)
                else:
                    with structlog.contextvars.bound_contextvars(
                        controller=self.name, reconcile_id=next(self._ids), **_identity(key)
                    ):
                        await self._once(key)
            finally:
                self.queue.done(key)
            await asyncio.sleep(0)  # a reconcile that waits for nothing would take the next key at once, and so on

    async def _once(self, key: K) -> None:
        """Reconcile one key and decide when it is looked at again. Raises only when the worker itself is cancelled."""
        self.reconciles += 1
        started = self._clock.monotonic()
        if self._count is not None:
            self._count.active.inc()
        result = "error"
        try:
            async with asyncio.timeout(self._deadline) as deadline:
                verdict = await self._reconcile(key)
            result = self._rest(key, verdict)
        except Exception as error:
            result = self._failed(key, error, timed_out=deadline.expired())
        except asyncio.CancelledError as error:
            # Raised by the reconcile itself, and not because this worker is being stopped: a fault like any other.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            result = self._failed(key, error, timed_out=False)
        finally:
            seconds = self._clock.monotonic() - started
            _log.debug("reconciled", result=result, seconds=round(seconds, 6))
            if self._count is not None:
                self._count.active.dec()
                self._count.ended(result, seconds)

    def _rest(self, key: K, verdict: Verdict) -> str:
        self.queue.forget(key)
        self._told.pop(key, None)
        self._failing.pop(key, None)
        match verdict:
            case Done():
                return "success"
            case RequeueAfter(seconds):
                self.queue.add_after(key, seconds)
                return "requeue_after"
            case other:
                raise TypeError(f"a reconcile must return Done or RequeueAfter, not {other!r}")

    def _failed(self, key: K, error: BaseException, *, timed_out: bool) -> str:
        match error:
            case PauseError():
                self.queue.add_after(key, error.seconds)
                self._tell_once(key, "waits before it writes the same again", logging.WARNING, **error_fields(error))
                return "requeue"
            case StaleError():
                _log.debug("waiting for caches", cause=str(error))
                self.queue.add_after(key, STALE_SECONDS)
                return "requeue"
            case ConflictError():
                self.queue.add_rate_limited(key, charged=False)
                _log.debug("conflict, retrying", cause=str(error))
                return "requeue"
            case NamespaceTerminatingError():
                self.queue.forget(key)
                _log.debug("namespace is being deleted, nothing to do", cause=str(error))
                return "success"
        self._note(key, reason_of(error, timed_out=timed_out))
        match error:
            case TerminalError():
                self.queue.forget(key)
                self._tell_once(key, "terminal error, not retrying", logging.ERROR, **error_fields(error))
                self._fault("terminal")
                return "error"
        asked = error.retry_after if isinstance(error, ApiError) else None
        delay = self.queue.add_rate_limited(key, at_least=min(asked or 0.0, MAX_RETRY_AFTER))
        if timed_out:
            _log.error("reconcile exceeded its deadline", deadline=self._deadline, retry_in=round(delay, 3))
            self._fault("timeout")
        elif isinstance(error, ForbiddenError):
            self._tell_once(key, "reconcile is forbidden", logging.WARNING, **error_fields(error))
        elif isinstance(error, LwsError):
            _log.warning("reconcile failed", **error_fields(error), retry_in=round(delay, 3))
        else:
            _log.error("reconcile failed unexpectedly", retry_in=round(delay, 3), exc_info=error)
            self._fault("panic")
        return "error"

    def _tell_once(self, key: K, event: str, level: int, **fields: str) -> None:
        cause = fields["cause"]
        known = self._told.pop(key, None) == cause
        self._told[key] = cause
        if len(self._told) > TOLD:
            self._told.popitem(last=False)
        _log.log(logging.DEBUG if known else level, event, **fields)

    def _note(self, key: K, reason: FailureReason) -> None:
        before = self._failing.get(key)
        since = self._clock.now().timestamp() if before is None else before.since
        self._failing[key] = Failing(since, reason)
        if self._count is not None:
            self._count.failures[reason].inc()

    def _fault(self, kind: str) -> None:
        if self._count is not None:
            self._count.faults[kind].inc()


class _Counts:
    """The metrics of one controller, looked up once."""

    def __init__(self, metrics: ControllerMetrics, name: str, workers: int) -> None:
        metrics.max_workers.labels(name).set(workers)
        self.active = metrics.active_workers.labels(name)
        self.seconds = metrics.reconcile_seconds.labels(name)
        self.errors = metrics.reconcile_errors.labels(name)
        self.results = {result: metrics.reconciles.labels(name, result) for result in RESULTS}
        self.failures = {reason: metrics.reconcile_failures.labels(name, reason) for reason in FailureReason}
        self.faults = {
            "terminal": metrics.terminal_errors.labels(name),
            "timeout": metrics.timeouts.labels(name),
            "panic": metrics.panics.labels(name),
        }

    def ended(self, result: str, seconds: float) -> None:
        """Count one reconcile."""
        self.results[result].inc()
        self.seconds.observe(seconds)
        if result == "error":
            self.errors.inc()


def _identity(key: object) -> dict[str, str]:
    """How a key is named in log lines: by namespace and name where it has them."""
    match key:
        case (str(namespace), str(name)):
            return {"namespace": namespace, "name": name}
        case _:
            return {"key": str(key)}
