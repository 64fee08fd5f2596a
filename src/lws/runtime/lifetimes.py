"""The order in which things start and stop.

Guarantees:
    * Services start one after the other, each only once the one before it is ready, and stop in reverse: a service runs
      only while all before it run.
    * A service that ends by itself, before or after it was ready, brings all down; its error is the supervisor's.
    * Before the first service is stopped, the ``stopping`` hook is called, so that others can be told.
    * Stopping waits for each service at most its ``stop_seconds``, then cancels it once more and goes on.
    * A cancelled supervisor stops everything before it raises `asyncio.CancelledError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog

Run: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs until cancelled; calls its argument once it is ready."""

_log = structlog.stdlib.get_logger("lws.manager")


class ServiceEndedError(RuntimeError):
    """A service returned without having been stopped."""


@dataclass(frozen=True, slots=True)
class Service:
    """Something that runs for as long as its supervisor does.

    Attributes:
        name: for log lines.
        run: runs it.
        stop_seconds: how long its own ending may take once it is cancelled.
    """

    name: str
    run: Run
    stop_seconds: float = 5.0


def background(name: str, run: Callable[[], Awaitable[None]], stop_seconds: float = 5.0) -> Service:
    """A service that counts as ready at once."""

    async def begin(ready: Callable[[], None]) -> None:
        ready()
        await run()

    return Service(name, begin, stop_seconds)


def together(name: str, services: Sequence[Service]) -> Service:
    """One service out of several that start and stop at the same time; ready when all are."""

    async def run(ready: Callable[[], None]) -> None:
        running = [_Running(service) for service in services]
        try:
            await _first_end(running, until_ready=True)
            ready()
            await _first_end(running, until_ready=False)
        finally:
            await asyncio.shield(asyncio.gather(*(each.stop() for each in reversed(running))))

    return Service(name, run, max((service.stop_seconds for service in services), default=0.0) + 1.0)


class Supervisor:
    """Runs services in nested scopes; see the module for its guarantees.

    Args:
        services: in the order in which they start.
        stopping: called once when stopping begins, for whatever reason.
    """

    def __init__(self, services: Sequence[Service], *, stopping: Callable[[], None] | None = None) -> None:
        self._services = services
        self._stopping = stopping
        self.ready = asyncio.Event()  # set while every service is ready

    async def run(self) -> None:
        """Start everything, and run until cancelled or until a service ends.

        Raises:
            ServiceEndedError: a service returned.
            Exception: whatever a service raised.
        """
        running: list[_Running] = []
        try:
            for service in self._services:
                _log.debug("starting", service=service.name)
                running.append(_Running(service))
                await _first_end(running, until_ready=True)
            self.ready.set()
            await _first_end(running, until_ready=False)
        finally:
            self.ready.clear()
            if self._stopping is not None:
                self._stopping()
            await _stop_all(running)


async def _stop_all(running: Sequence[_Running]) -> None:
    """Stop in reverse order, to the end even if we are cancelled again meanwhile."""

    async def stop() -> None:
        for each in reversed(running):
            _log.debug("stopping", service=each.service.name)
            await each.stop()

    task = asyncio.create_task(stop())
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled


async def _first_end(running: Sequence[_Running], *, until_ready: bool) -> None:
    """Return once all are ready, if that is asked; raise as soon as one has ended."""
    tasks = [each.task for each in running]
    while True:
        for each in running:
            each.raise_if_ended()
        if until_ready and all(each.ready.is_set() for each in running):
            return
        waits = [asyncio.create_task(each.ready.wait()) for each in running if until_ready and not each.ready.is_set()]
        try:
            await asyncio.wait([*tasks, *waits], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


@dataclass(slots=True, eq=False)
class _Running:
    service: Service
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] = field(init=False)

    def __post_init__(self) -> None:
        self.task = asyncio.create_task(self._run(), name=self.service.name)

    async def _run(self) -> None:
        await self.service.run(self.ready.set)

    def raise_if_ended(self) -> None:
        if not self.task.done():
            return
        if self.task.cancelled():
            raise ServiceEndedError(f"{self.service.name} was cancelled from outside the supervisor")
        if (error := self.task.exception()) is not None:
            raise _single(error)
        raise ServiceEndedError(f"{self.service.name} ended unexpectedly")

    async def stop(self) -> None:
        """Cancel and wait; errors of the ending are logged only."""
        for _ in range(2):
            if self.task.done():
                break
            self.task.cancel()
            await asyncio.wait([self.task], timeout=self.service.stop_seconds)
        if not self.task.done():
            _log.error("does not stop", service=self.service.name)
        elif not self.task.cancelled() and (error := self.task.exception()) is not None:
            _log.debug("ended with an error", service=self.service.name, cause=str(error))


def _single(error: BaseException) -> BaseException:
    """The error itself where a task group has wrapped just one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
