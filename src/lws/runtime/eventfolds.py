"""Events of which many come at once are told of one by one at first, and then several by one.

Guarantees:
    * Of one kind of event about one object the first `Fold.single` within a minute are told as they come.
    * Later ones are gathered for ten seconds; one alone is told as it is, of several the range and the number.
    * Nothing is lost at an orderly stop: what was gathered is told then (`Folds.flush`).
    * Memory is bounded by the objects of the last minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from lws.apimachinery.actions import Fold
from lws.clock import Clock

E = TypeVar("E")

WINDOW_SECONDS: Final = 60.0
GATHER_SECONDS: Final = 10.0
PRUNED: Final = 1000  # remembered bursts from which on old ones are looked for


@dataclass(slots=True)
class _Burst(Generic[E]):
    begun: float
    count: int = 0
    gathered: list[tuple[E, Fold]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Folds(Generic[E]):
    """The bursts of one recorder.

    Args:
        clock: measures spans.
        tell: takes an event, and its note if it stands for several.
    """

    def __init__(self, clock: Clock, tell: Callable[[E, str | None], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._bursts: dict[tuple[object, str], _Burst[E]] = {}

    def add(self, about: object, event: E, fold: Fold) -> None:
        """Tell of an event now, or gather it. Needs a running event loop for the latter."""
        now = self._clock.monotonic()
        key = (about, fold.kind)
        burst = self._bursts.get(key)
        if burst is None or (now - burst.begun >= WINDOW_SECONDS and not burst.gathered):
            self._prune(now)
            burst = self._bursts[key] = _Burst(now)
        burst.count += 1
        if burst.count <= fold.single:
            self._tell(event, None)
            return
        burst.gathered.append((event, fold))
        if burst.timer is None:
            burst.timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._end, burst)

    def flush(self) -> None:
        """Tell of all that was gathered."""
        for burst in self._bursts.values():
            self._end(burst)

    def __len__(self) -> int:
        """How many bursts are remembered."""
        return len(self._bursts)

    def _end(self, burst: _Burst[E]) -> None:
        gathered, burst.gathered = burst.gathered, []
        if burst.timer is not None:
            burst.timer.cancel()
            burst.timer = None
        if not gathered:
            return
        event, fold = gathered[-1]
        if len(gathered) == 1:
            self._tell(event, None)
            return
        low, high = min(each.low for _, each in gathered), max(each.high for _, each in gathered)
        self._tell(event, fold.several.format(low=low, high=high, count=len(gathered)))

    def _prune(self, now: float) -> None:
        if len(self._bursts) < PRUNED:
            return
        over = [key for key, each in self._bursts.items() if now - each.begun >= WINDOW_SECONDS and not each.gathered]
        for key in over:
            del self._bursts[key]
