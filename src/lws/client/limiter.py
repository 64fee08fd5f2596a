"""Client-side rate limits."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Limiter(Protocol):
    """Says when the next request may go."""

    async def acquire(self) -> None:
        """Return once one request may be sent."""
        ...


class TokenBucket:
    """A bucket of ``burst`` tokens that refills with ``qps`` tokens a second.

    Callers are served in the order in which they came. A cancelled caller returns its token.
    """

    def __init__(self, qps: float, burst: int) -> None:
        if qps <= 0 or burst < 1:
            raise ValueError("qps must be above 0 and burst at least 1")
        self._qps = qps
        self._burst = float(burst)
        self._tokens = float(burst)  # below zero: that many callers wait
        self._filled_at: float | None = None

    async def acquire(self) -> None:
        """Take a token, waiting for it if there is none."""
        now = asyncio.get_running_loop().time()
        self._refill(now)
        self._tokens -= 1.0
        if self._tokens >= 0.0:
            return
        try:
            await asyncio.sleep(-self._tokens / self._qps)
        except asyncio.CancelledError:
            self._tokens = min(self._burst, self._tokens + 1.0)
            raise

    def _refill(self, now: float) -> None:
        if self._filled_at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._qps)
        self._filled_at = now
