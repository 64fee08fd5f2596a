"""How long to wait after faults."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles from ``base`` to ``cap`` seconds; each delay is between half and all of that, at random.

    A server's ``Retry-After`` is honoured up to ``max_retry_after`` seconds, so that no answer can blind us for long.
    """

    random: Random
    base: float = 0.25
    cap: float = 30.0
    max_retry_after: float = 300.0

    def delay(self, failures: int, at_least: float | None = None) -> float:
        """Seconds to wait after so many faults in a row, and no less than what the server asked for."""
        full = min(self.cap, self.base * 2.0 ** min(failures - 1, 32))
        return max(full * (0.5 + self.random.random() / 2), min(at_least or 0.0, self.max_retry_after))
