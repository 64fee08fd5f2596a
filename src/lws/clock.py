"""Time as an argument.

Everything that waits does so on the running event loop (``asyncio.sleep``, ``asyncio.timeout``, ``loop.call_at``), so a
loop with a virtual clock makes all waiting virtual. What needs the time of day, or a span, takes a `Clock`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The time of day, and a clock for spans that never goes back."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never falls."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never falls."""
        return time.monotonic()
