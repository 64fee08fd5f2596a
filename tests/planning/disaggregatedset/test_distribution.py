"""Which old revisions a drain takes from (disaggregatedset 12.2)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.planning.disaggregatedset.distribution import distribute, retire_newest

Counts = dict[str, int]

TABLE: list[tuple[str, Counts, list[Counts], Counts, Counts, list[Counts]]] = [
    ("one revision", {"p": 2, "d": 2}, [{"p": 4, "d": 4}], {}, {"p": 4, "d": 4}, [{"p": 2, "d": 2}]),
    (
        "newest first",
        {"p": 2, "d": 2},
        [{"p": 2, "d": 2}, {"p": 2, "d": 2}],
        {},
        {},
        [{"p": 0, "d": 0}, {"p": 2, "d": 2}],
    ),
    ("a role that is not present", {"p": 0, "d": 1, "e": 3}, [{"p": 4, "d": 4}], {}, {}, [{"p": 4, "d": 3}]),
    ("whole, when the rest carries it", {"p": 1, "d": 2}, [{"p": 3, "d": 2}], {"p": 8, "d": 8}, {"p": 4, "d": 4},
     [{"p": 0, "d": 0}]),
    ("one is kept, when it does not", {"p": 1, "d": 2}, [{"p": 3, "d": 2}], {}, {"p": 4, "d": 4}, [{"p": 2, "d": 1}]),
    ("a role at 0 forces nothing", {"d": 6, "p": 0}, [{"p": 0, "d": 6}], {"d": 0}, {"d": 6}, [{"p": 0, "d": 0}]),
    ("DD-06", {"p": 0, "d": 1}, [{"p": 3, "d": 1}, {"p": 5, "d": 2}], {"p": 0, "d": 1}, {"p": 8, "d": 2},
     [{"p": 3, "d": 1}, {"p": 5, "d": 1}]),
    ("a rise is ignored", {"p": -2, "d": 1}, [{"p": 3, "d": 3}], {}, {}, [{"p": 3, "d": 2}]),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_spec_12_2(row: tuple[str, Counts, list[Counts], Counts, Counts, list[Counts]]) -> None:
    """What each revision keeps."""
    assert list(distribute(row[1], row[2], row[3], row[4])) == row[5]


def test_the_last_resort() -> None:
    """The newest revision goes whole."""
    assert list(retire_newest([{"p": 3, "d": 1}, {"p": 5}])) == [{"p": 0, "d": 0}, {"p": 5}]


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=300)
def test_drains_are_delayed_and_never_added(chance: Any) -> None:
    """No more is taken than there is; beyond the budget only if all the rest keeps the floor; no role is orphaned."""
    random: Random = chance
    names = "pde"[: random.randint(2, 3)]
    revisions = [{name: random.randint(0, 5) for name in names} for _ in range(random.randint(1, 3))]
    budget = {name: random.randint(0, 6) for name in names}
    new = {name: random.randint(0, 5) for name in names}
    floors = {name: random.randint(0, 8) for name in names}
    kept = distribute(budget, revisions, new, floors)
    for before, after in zip(revisions, kept, strict=True):
        assert all(0 <= after[name] <= before[name] for name in names)
        orphaned = {bool(after[name]) for name in names if before[name]} == {True, False}
        assert not orphaned
    for name in names:
        had, has = (sum(each[name] for each in every) for every in (revisions, kept))
        assert had - has <= budget[name] or has + new[name] >= floors[name]
