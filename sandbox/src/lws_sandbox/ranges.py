"""Ranges of numbers that the commands and the drills take: what is outside would end the sandbox, or mean nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Range:
    """From the lowest to the highest number, both included."""

    low: float
    high: float

    def __contains__(self, number: float) -> bool:
        """Whether the number is in it; NaN is in none."""
        return self.low <= number <= self.high

    def __str__(self) -> str:
        return f"from {self.low:g} to {self.high:g}"


SECONDS: Final = Range(0, 10 * 365 * 86400)
SPEEDS: Final = Range(0.001, 10_000)
SHARES: Final = Range(0, 1)
STATUS_CODES: Final = Range(400, 599)
EXIT_CODES: Final = Range(0, 255)
COUNTS: Final = Range(1, 2**31 - 1)
NUMBERS: Final = Range(-1e15, 1e15)
