"""When a status that differs in nothing but its counters is written (spec 8.5, CD-80)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws.planning.leaderworkerset.statuspacing import (
    INTERVAL,
    OVERDUE,
    SETTLED,
    SLOWEST,
    WRITES_PER_SECOND,
    Beat,
    Counters,
    Motion,
    Pacing,
)

NOW = 1000.0
TOLD = Counters(4, 3, 1)
MEANS_LITTLE, READY, UPDATED = Counters(3, 3, 1), Counters(4, 2, 1), Counters(4, 3, 2)


def wait(counters: Counters, motion: Motion, *, still: float, age: float, **pacing: float) -> float:
    """For how long counters wait that have differed since they last changed."""
    beat = Beat(counters, NOW - still, NOW - still, NOW - age)
    return Pacing(NOW, beat, int(pacing.get("sets", 1)), pacing.get("seconds", 0.0)).wait(TOLD, counters, motion)


@pytest.mark.parametrize(
    ("counters", "motion", "still", "age", "expected"),
    [
        (READY, Motion.NONE, 0.0, 0.1, 1.0),  # at rest: within two seconds, however short ago the last write was
        (READY, Motion.NONE, 0.7, 0.7, 0.3),
        (UPDATED, Motion.UPDATE, 0.0, 9.0, 2.0),  # a lull
        (UPDATED, Motion.UPDATE, 2.0, 2.5, 2.5),  # no more often than every five seconds
        (UPDATED, Motion.UPDATE, 2.0, 9.0, 0.0),
        (READY, Motion.UPDATE, 2.0, 9.0, 13.0),  # ready groups come and go in an update
        (MEANS_LITTLE, Motion.UPDATE, 14.0, 20.0, 1.0),
        (READY, Motion.CREATION, 0.0, 9.0, 5.0),
        (READY, Motion.RECOVERY, 4.0, 9.0, 1.0),
        (MEANS_LITTLE, Motion.RECOVERY, 4.0, 9.0, 11.0),
        (READY, Motion.SHRINKING, 4.0, 9.0, 11.0),
    ],
)
def test_wait_8_5(counters: Counters, motion: Motion, still: float, age: float, expected: float) -> None:
    """Each rule of the table, with what is left of its wait."""
    assert wait(counters, motion, still=still, age=age) == pytest.approx(expected)


@pytest.mark.parametrize("motion", [Motion.UPDATE, Motion.RECOVERY, Motion.SHRINKING])
def test_first_change_after_a_condition_is_told_at_once(motion: Motion) -> None:
    """An opening beat waits for nothing, and its successor does."""
    beat = Beat(TOLD, NOW - 0.1, None, NOW - 0.1, opening=True)
    assert Pacing(NOW, beat).wait(TOLD, READY, motion) == 0
    assert Pacing(NOW, Beat(TOLD, NOW - 0.1, None, NOW - 0.1)).wait(TOLD, READY, motion) > 0


def test_first_change_of_a_creation_waits() -> None:
    """The pods of a creation come all at once, and so do its first numbers."""
    beat = Beat(TOLD, NOW - 0.1, None, NOW - 0.1, opening=True)
    assert Pacing(NOW, beat).wait(TOLD, READY, Motion.CREATION) == 5.0


def test_after_a_start_counters_are_told_at_once() -> None:
    """Nothing is remembered, so nothing is waited for."""
    assert Pacing(NOW).wait(TOLD, READY, Motion.UPDATE) == 0


def test_what_never_comes_to_a_lull_is_told_all_the_same() -> None:
    """Counters that change all the time are overdue after three intervals."""
    beat = Beat(UPDATED, NOW, NOW - OVERDUE * INTERVAL, NOW - OVERDUE * INTERVAL)
    assert Pacing(NOW, beat).wait(TOLD, UPDATED, Motion.UPDATE) == 0


def test_a_difference_is_remembered_until_it_is_gone() -> None:
    """The beat knows since when the status is wrong, and when the counters last moved."""
    first = Pacing(NOW, None).seen(TOLD, READY)
    assert (first.changed_at, first.differs_at) == (NOW, NOW)
    second = Pacing(NOW + 1, first).seen(TOLD, UPDATED)
    assert (second.changed_at, second.differs_at) == (NOW + 1, NOW)
    third = Pacing(NOW + 2, second).seen(TOLD, TOLD)
    assert (third.changed_at, third.differs_at) == (NOW + 2, None)


@given(
    sets=st.integers(1, 5000),
    seconds=st.floats(0, 5),
    age=st.floats(0, 60),
    still=st.floats(0, 60),
    motion=st.sampled_from([each for each in Motion if each is not Motion.NONE]),
    counters=st.sampled_from([READY, UPDATED, MEANS_LITTLE]),
)
def test_budget_of_the_process(
    sets: int, seconds: float, age: float, still: float, motion: Motion, counters: Counters
) -> None:
    """All sets together write no more than the budget, and each of them has the same share of it."""
    between = age + max(0.0, wait(counters, motion, still=still, age=age, sets=sets, seconds=seconds))
    assert between >= INTERVAL - 1e-6
    assert sets / between <= WRITES_PER_SECOND + 1e-6


@given(still=st.floats(0, 10), age=st.floats(0, 10), sets=st.integers(1, 5000), seconds=st.floats(0, 5))
def test_final_state_is_never_later_than_that(still: float, age: float, sets: int, seconds: float) -> None:
    """Whatever the load, what has come to rest is told a second after its last movement."""
    assert wait(READY, Motion.NONE, still=still, age=age, sets=sets, seconds=seconds) + still <= SETTLED + 1e-6


@pytest.mark.parametrize(("seconds", "factor"), [(0.0, 1.0), (0.1, 1.0), (0.3, 3.0), (60.0, SLOWEST)])
def test_waits_grow_with_the_time_that_a_write_takes(seconds: float, factor: float) -> None:
    """On a slow server the interval is longer, up to a bound."""
    assert Pacing(NOW, None, 1, seconds).interval == pytest.approx(factor * INTERVAL)
