"""Real time that can be pushed forward and sped up: for a sandbox on sockets, what virtual time is for one without.

All waiting of the sandbox is on the event loop, so moving the loop's clock moves every timer: leases run out,
back-offs end, certificates age.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from datetime import UTC, datetime, timedelta


class _ScaledSelector(selectors.DefaultSelector):
    """Waits less, in real time, when time runs faster."""

    loop: TravellingLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as long as the loop says, in its own seconds."""
        if timeout is not None and timeout > 0:
            timeout /= self.loop.speed
        return super().select(timeout)


class TravellingLoop(asyncio.SelectorEventLoop):
    """An event loop in real time that can be pushed forward and sped up."""

    def __init__(self) -> None:
        selector = _ScaledSelector()
        selector.loop = self
        self.speed = 1.0
        self._origin = time.monotonic()
        self._base = self._origin
        super().__init__(selector)

    def time(self) -> float:
        """The loop's seconds."""
        return self._base + (time.monotonic() - self._origin) * self.speed

    def advance(self, seconds: float) -> None:
        """Let time pass at once; timers that come due run on the next turn."""
        self._base += max(0.0, seconds)

    def run_at(self, speed: float) -> None:
        """From now on let a second of the clock on the wall be so many of the loop's.

        Raises:
            ValueError: the speed is not positive.
        """
        if speed <= 0:
            raise ValueError("speed must be positive")
        self._base, self._origin = self.time(), time.monotonic()
        self.speed = speed


class LoopClock:
    """The time of day on a loop's own time: it goes where the loop goes."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._epoch = datetime.now(UTC) - timedelta(seconds=self._loop.time())

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return self._epoch + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """The loop's seconds."""
        return self._loop.time()
