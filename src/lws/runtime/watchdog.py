"""Watches how late the event loop is.

Guarantees: every lag is reported; `Watchdog.problem` is non-empty from the first lag beyond ``tolerance`` until
``memory`` seconds have passed without another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from lws.clock import Clock

_log = structlog.stdlib.get_logger("lws.watchdog")


class Watchdog:
    """Sets a timer again and again and measures how late it fires.

    Args:
        clock: measures lateness.
        period: seconds between two timers.
        tolerance: seconds of lateness beyond which the loop counts as stalled.
        memory: for how many seconds a stall is remembered.
        lagged: called with each lag in seconds.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        period: float = 1.0,
        tolerance: float = 5.0,
        memory: float = 30.0,
        lagged: Callable[[float], None] | None = None,
    ) -> None:
        self.lag = 0.0  # seconds, the last one
        self._clock = clock
        self._period = period
        self._tolerance = tolerance
        self._memory = memory
        self._lagged = lagged
        self._stall: tuple[float, float] | None = None  # monotonic time and length of the last stall

    @property
    def problem(self) -> str | None:
        """A description of the last stall, while it is remembered."""
        if self._stall is None or self._clock.monotonic() - self._stall[0] > self._memory:
            return None
        ago = self._clock.monotonic() - self._stall[0]
        return f"the event loop was blocked for {self._stall[1]:.1f} s, {ago:.0f} s ago"

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            due = self._clock.monotonic() + self._period
            await asyncio.sleep(self._period)
            self.lag = max(0.0, self._clock.monotonic() - due)
            if self._lagged is not None:
                self._lagged(self.lag)
            if self.lag > self._tolerance:
                self._stall = (self._clock.monotonic(), self.lag)
                _log.warning("event loop was blocked", seconds=round(self.lag, 3))
