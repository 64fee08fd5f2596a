"""How fast a tab is told: at once while little happens, and never more than a rate over time. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

RATE: Final = 14 * 1024  # bytes a second
BURST: Final = 32 * 1024  # bytes that may be ahead of it
SHORTEST: Final = 0.08  # seconds between two messages


@dataclass(slots=True)
class Pace:
    """A bucket that fills with time; changes that wait for it are sent together, as one difference.

    Times are seconds of one clock that never goes back.
    """

    _level: float = BURST
    _filled: float = field(default=float("-inf"))
    _last: float = field(default=float("-inf"))

    def wait(self, now: float) -> float:
        """Seconds until the next message may go."""
        self._fill(now)
        owed = -self._level / RATE if self._level < 0 else 0.0
        return max(owed, self._last + SHORTEST - now, 0.0)

    def spent(self, now: float, size: int) -> None:
        """A message of so many bytes went."""
        self._fill(now)
        self._level -= size
        self._last = now

    def _fill(self, now: float) -> None:
        gained = (now - self._filled) * RATE
        self._level, self._filled = min(BURST, self._level + gained), now
