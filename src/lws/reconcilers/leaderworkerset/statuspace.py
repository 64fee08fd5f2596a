"""What is remembered of the statuses that were written, so that the next ones come at a measured pace (CD-80)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lws.apimachinery.objects import Key
from lws.planning.leaderworkerset.statuspacing import Beat, Look, Pacing
from lws.runtime.outcomes import Outcome

SHARE: Final = 0.2  # of the newest measurement in the mean


class StatusPace:
    """The beats of all sets of a process, how many of them move, and how long writes take.

    All of it may be lost at any time: counters of which nothing is remembered are told at once. Memory is bounded by
    the sets that exist.
    """

    def __init__(self) -> None:
        self._beats: dict[Key, Beat] = {}
        self._moving: set[Key] = set()
        self._write_seconds = 0.0

    def of(self, key: Key, now: float) -> Pacing:
        """What a look at this set is given."""
        return Pacing(now, self._beats.get(key), len(self._moving | {key}), self._write_seconds)

    def looked(self, key: Key, look: Look | None, outcome: Outcome, begun: float, now: float) -> None:
        """A plan was carried out, as far as the outcome says, between these monotonic seconds."""
        if outcome.written:
            self._write_seconds += SHARE * ((now - begun) / len(outcome.written) - self._write_seconds)
        if look is None:
            return
        beat = (
            replace(look.beat, differs_at=None, written_at=now, opening=look.opening)
            if outcome.status_written
            else look.beat
        )
        self._beats[key] = beat
        (self._moving.add if look.moving else self._moving.discard)(key)

    def forget(self, key: Key) -> None:
        """The set is gone."""
        self._beats.pop(key, None)
        self._moving.discard(key)

    def __len__(self) -> int:
        """How many sets are remembered."""
        return len(self._beats)
