"""A deduplicating queue of keys with two classes.

Guarantees:
    * A key is with at most one worker at a time, from the `Queue.get` that handed it out to its `Queue.done`.
    * A key waits at most once, however often it is added. Added while it is with a worker, it waits again as soon as
      that worker is done: no addition is lost.
    * Within a class keys leave in the order in which they came.
    * Live keys leave before background keys, but after ``LIVE_RUN`` live keys in a row one background key leaves, so a
      background key with *p* others before it leaves within ``(p + 1) * (LIVE_RUN + 1)`` hand-outs.
    * A background key that is added as live becomes live; a live key never becomes background.
    * Memory is bounded by the number of distinct keys that wait or are with a worker.
    * Nothing is told to the observer, and `Queue.statistics` are all zero, before the first `Queue.get`: where nobody
      takes keys yet, as on a standby, none waits for a worker. What is there then begins to wait at that moment.

Caveats:
    Additions after `Queue.shut_down` are ignored. Not for use from several threads.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from lws.clock import Clock, SystemClock

K = TypeVar("K", bound=Hashable)

LIVE_RUN: Final = 4


class QueueShutDown(Exception):  # noqa: N818 -- a state of the queue, named by the field's own word
    """There will be no more keys."""


class QueueObserver(Protocol):
    """Told what a queue does, for metrics; durations are in seconds."""

    def added(self) -> None:
        """A key began to wait."""

    def handed_out(self, waited: float) -> None:
        """A key was given to a worker after it had waited so long."""

    def finished(self, worked: float) -> None:
        """A worker was done with a key after so long."""

    def retried(self) -> None:
        """A key was added with a delay."""


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """What a queue holds right now.

    Attributes:
        live: live keys that wait.
        background: background keys that wait.
        delayed: keys whose time has not come.
        in_work: keys that are with a worker.
        unfinished_seconds: sum over the keys in work of how long they have been there.
        longest_seconds: how long the longest of them has been there.
        waiting_seconds: how long the live key that has waited longest has waited.
    """

    live: int = 0
    background: int = 0
    delayed: int = 0
    in_work: int = 0
    unfinished_seconds: float = 0.0
    longest_seconds: float = 0.0
    waiting_seconds: float = 0.0


class Queue(Generic[K]):
    """Hands keys to workers; see the module for its guarantees.

    Args:
        clock: measures how long keys wait and are worked on.
        observer: told of it, for metrics.
    """

    def __init__(self, *, clock: Clock | None = None, observer: QueueObserver | None = None) -> None:
        self._clock = clock or SystemClock()
        self._observer = observer
        # Each maps a waiting key to the time at which it began to wait. The two are disjoint, and disjoint from _work
        # but for no key: a key in work that is added again sits in _again instead.
        self._live: OrderedDict[K, float] = OrderedDict()
        self._background: OrderedDict[K, float] = OrderedDict()
        self._work: dict[K, float] = {}  # key -> when it was handed out
        self._again: dict[K, bool] = {}  # subset of _work: whether the next wait is in the background
        self._live_run = 0  # live keys handed out in a row while a background key waited
        self._getters: deque[asyncio.Future[None]] = deque()
        self._idle_waiters: list[asyncio.Future[None]] = []
        self._shut = False
        self._open = False  # whether anybody ever took keys

    def add(self, key: K, background: bool = False) -> None:
        """Make a key wait for a worker, unless it waits already. Never blocks."""
        if self._shut:
            return
        if key in self._work:
            self._again[key] = background and self._again.get(key, True)
            return
        self._wait(key, background)

    async def get(self) -> K:
        """Wait for a key and take it; the taker must call `done`.

        Raises:
            QueueShutDown: the queue is shut down, and nothing is left that it may hand out.
        """
        self._begin()
        while not (self._live or self._background):
            if self._shut and not self._again:
                raise QueueShutDown
            await self._next_wake()
        return self._take()

    def done(self, key: K) -> None:
        """The worker is finished with a key that `get` gave it.

        Raises:
            KeyError: the key is not in work.
        """
        started = self._work.pop(key)
        if self._observer is not None:
            self._observer.finished(self._clock.monotonic() - started)
        again = self._again.pop(key, None)
        if again is not None:
            self._wait(key, again)
        if self._shut:
            self._wake_all()
        if not self._work:
            self._wake(self._idle_waiters)

    def shut_down(self, drain: bool) -> None:
        """Take no more keys. With ``drain`` those that wait are still handed out, else they are dropped. Idempotent."""
        self._shut = True
        if not drain:
            self._live.clear()
            self._background.clear()
            self._again.clear()
        self._wake_all()

    async def wait_idle(self) -> None:
        """Wait until no key is with a worker."""
        while self._work:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle_waiters.append(future)
            await future

    @property
    def shutting_down(self) -> bool:
        """Whether `shut_down` was called."""
        return self._shut

    def __len__(self) -> int:
        """How many keys wait."""
        return len(self._live) + len(self._background)

    def __contains__(self, key: object) -> bool:
        """Whether a key waits, or will wait once its worker is done."""
        return key in self._live or key in self._background or key in self._again

    def statistics(self) -> QueueStatistics:
        """What the queue holds right now."""
        if not self._open:
            return QueueStatistics()
        now = self._clock.monotonic()
        spans = [now - started for started in self._work.values()]
        return QueueStatistics(
            live=len(self._live),
            background=len(self._background),
            in_work=len(self._work),
            unfinished_seconds=sum(spans),
            longest_seconds=max(spans, default=0.0),
            waiting_seconds=max((now - since for since in self._live.values()), default=0.0),
        )

    def _begin(self) -> None:
        """There are consumers from now on."""
        if self._open:
            return
        self._open = True
        now = self._clock.monotonic()
        for waiting in (self._live, self._background):
            for key in waiting:
                waiting[key] = now
                if self._observer is not None:
                    self._observer.added()

    def _wait(self, key: K, background: bool) -> None:
        if key in self._live:
            return
        since = self._background.get(key)
        if since is not None and background:
            return
        if since is None:
            if self._open and self._observer is not None:
                self._observer.added()
            since = self._clock.monotonic()
        if background:
            self._background[key] = since
        else:
            self._background.pop(key, None)
            self._live[key] = since
        self._wake_one()

    def _take(self) -> K:
        source = self._live
        if not self._live or (self._background and self._live_run >= LIVE_RUN):
            source, self._live_run = self._background, 0
        elif self._background:
            self._live_run += 1
        else:
            self._live_run = 0
        key, since = source.popitem(last=False)
        now = self._clock.monotonic()
        self._work[key] = now
        if self._observer is not None:
            self._observer.handed_out(now - since)
        return key

    async def _next_wake(self) -> None:
        getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        try:
            await getter
        except BaseException:
            # Cancelled after it was woken: another getter takes the key it was woken for.
            if getter.done() and not getter.cancelled():
                self._wake_one()
            else:
                getter.cancel()
                with suppress(ValueError):  # passed over already, because it was cancelled
                    self._getters.remove(getter)
            raise

    def _wake_one(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _wake_all(self) -> None:
        self._wake(self._getters)

    @staticmethod
    def _wake(futures: deque[asyncio.Future[None]] | list[asyncio.Future[None]]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(None)
        futures.clear()
