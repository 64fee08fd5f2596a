"""When a status that differs in nothing but its counters is written (spec 8.5, CD-80).

Groups that come and go move the counters one by one, and most values between two states are news to nobody. So:

* the first change after a condition has turned is told at once, but in a creation;
* what has come to rest is told `SETTLED` seconds after its last movement;
* while groups move, what means something (in an update a group more of the new revision, else another number of ready
  groups) is told after a lull, and what has differed from the status for `OVERDUE` intervals is told in any case. No
  set is told of more often than once in an interval, which is 5 s, and longer when so many sets move that together they
  would write more than `WRITES_PER_SECOND`; it is the same for all of them.

On a slow server one movement takes longer, and the waits grow with it. Conditions, the generation and the selector
are no counters: a change of these never waits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, NamedTuple

from lws.apimachinery.actions import Plan

SETTLED: Final = 1.0  # seconds after the last movement of a set at which its state is told
LULL: Final = 2.0  # seconds of no movement in an update that are worth a write
LONG_LULL: Final = 5.0  # the same in a creation, a scaling or a recovery
INTERVAL: Final = 5.0  # seconds from one write to the next
OVERDUE: Final = 3  # intervals after which counters are told that mean little, or never come to a lull
WRITES_PER_SECOND: Final = 10.0  # of such writes, over all sets
QUICK_WRITE: Final = 0.1  # seconds; a server whose writes take longer is slow
SLOWEST: Final = 10.0  # by what the waits are multiplied at most
WORTH_WAITING: Final = 0.05  # seconds; a shorter rest, down to rounding errors, is not waited for


class Counters(NamedTuple):
    """The numbers of a status."""

    replicas: int
    ready: int
    updated: int


class Motion(Enum):
    """What goes on in a set, as its conditions and groups tell."""

    NONE = auto()  # nothing that would go on by itself
    CREATION = auto()  # it has never been Available
    UPDATE = auto()
    RECOVERY = auto()  # groups are missing or not ready
    SHRINKING = auto()  # it is Available, and pods of groups that are not wanted any more end


@dataclass(frozen=True, slots=True)
class Beat:
    """What is remembered of a set's status between two looks; times are monotonic seconds.

    Attributes:
        counters: as they were at the last look.
        changed_at: when they were found changed.
        differs_at: since when they have not been what the status says; None if they are.
        written_at: when we last wrote the status; None after a start.
        opening: whether no change of counters was told since a condition turned.
    """

    counters: Counters
    changed_at: float
    differs_at: float | None = None
    written_at: float | None = None
    opening: bool = False


@dataclass(frozen=True, slots=True)
class Pacing:
    """What a look at a set is given.

    Attributes:
        now: monotonic seconds.
        beat: of the last look; None after a start.
        moving_sets: how many sets move.
        write_seconds: what a write of ours takes.
    """

    now: float = 0.0
    beat: Beat | None = None
    moving_sets: int = 1
    write_seconds: float = 0.0

    def seen(self, told: Counters, counters: Counters) -> Beat:
        """The beat of this look, at which the status says ``told``."""
        beat = self.beat or Beat(counters, self.now)
        return replace(
            beat,
            counters=counters,
            changed_at=beat.changed_at if beat.counters == counters else self.now,
            differs_at=None if told == counters else self.now if beat.differs_at is None else beat.differs_at,
        )

    @property
    def age(self) -> float | None:
        """Seconds since we last wrote the status; None after a start."""
        written = None if self.beat is None else self.beat.written_at
        return None if written is None else self.now - written

    @property
    def interval(self) -> float:
        """Seconds between two writes of one set while groups move."""
        return self._slowness * max(INTERVAL, self.moving_sets / WRITES_PER_SECOND)

    @property
    def _slowness(self) -> float:
        return min(SLOWEST, max(1.0, self.write_seconds / QUICK_WRITE))

    def wait(self, told: Counters, counters: Counters, motion: Motion) -> float:
        """For how many seconds counters that differ from what the status says need not be written."""
        beat = self.seen(told, counters)
        if (
            beat.written_at is None
            or beat.differs_at is None
            or (beat.opening and motion not in (Motion.CREATION, Motion.NONE))
        ):
            return 0.0
        still, age = self.now - beat.changed_at, self.now - beat.written_at
        if motion is Motion.NONE:
            return SETTLED - still
        overdue = max(self.interval - age, OVERDUE * self.interval - (self.now - beat.differs_at))
        if not _means_something(told, counters, motion):
            return overdue
        lull = self._slowness * (LULL if motion is Motion.UPDATE else LONG_LULL)
        return min(overdue, max(self.interval - age, lull - still))


UNKNOWN: Final = Pacing()  # nothing is remembered


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be remembered of a look.

    Attributes:
        beat: of this look.
        moving: whether the set moves.
        opening: the beat's, once the status has been written.
    """

    beat: Beat
    moving: bool = False
    opening: bool = False


@dataclass(frozen=True, slots=True)
class PacedPlan(Plan):
    """The plan for a set, what is to be remembered of its status, and whether leaders are owed to it (CD-81)."""

    look: Look | None = None
    owed: bool | None = None


def _means_something(told: Counters, counters: Counters, motion: Motion) -> bool:
    match motion:
        case Motion.UPDATE:
            return counters.updated > told.updated
        case Motion.SHRINKING:
            return False
        case _:
            return counters.ready != told.ready
