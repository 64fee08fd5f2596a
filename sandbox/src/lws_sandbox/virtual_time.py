"""An event loop whose time is virtual: it jumps to the next timer whenever nothing is left to do.

Guarantees: no call ever waits in real time; a run without threads, sockets and unseeded randomness gives the same trace
every time; a program in which nothing can ever happen again fails with `Deadlock` instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Deadlock(RuntimeError):  # noqa: N818 -- a state of the program, named by the field's own word
    """Every task waits, and no timer is set that could wake one."""


class _JumpingSelector(selectors.SelectSelector):
    """Polls, and when nothing is ready lets time jump instead of waiting."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise Deadlock("every task waits and no timer is set")
            self.loop.advance(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time, starting at 0 seconds."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self._virtual = 0.0
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual

    def advance(self, seconds: float) -> None:
        """Let time pass; timers that come due run on the next turn."""
        self._virtual += max(0.0, seconds)


class VirtualClock:
    """The clock that goes with a `VirtualTimeLoop`: the time of day is ``epoch`` plus the loop's time."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, epoch: datetime = EPOCH) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._epoch = epoch

    def now(self) -> datetime:
        """The virtual time of day, in UTC."""
        return self._epoch + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._loop.time()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end in virtual time, then cancel what it left behind."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
