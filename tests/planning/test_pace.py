"""What the leader StatefulSet is told as its maxUnavailable (CD-37)."""

from __future__ import annotations

import pytest

from lws.planning.leaderworkerset.pace import max_unavailable
from lws.planning.leaderworkerset.rollout import Budget, Decision, LeaderNumbers
from tests.planning import making


def told(letters: str, partition: int, *, unavailable: int = 1, surge: int = 0, live: int | None = 1) -> int:
    """The number for leaders that are (o)ld, (n)ew, old and down (x), new and down (u), ending (-) or absent (.)."""
    keys = {"o": "old", "x": "old", "-": "old", "n": "new", "u": "new"}
    leaders = {
        index: making.leader(
            index, keys[letter], ready=letter in "on", deletion_timestamp=making.STAMP if letter == "-" else None
        )
        for index, letter in enumerate(letters)
        if letter != "."
    }
    budget = Budget(len(letters) - surge, unavailable, surge)
    now = LeaderNumbers(len(letters), partition, None, live)
    return max_unavailable(budget, now, Decision("5", partition, len(letters)), leaders, "new")


@pytest.mark.parametrize(
    ("letters", "partition", "expected"),
    [
        ("oooo", 4, 1),  # armed
        ("oooo", 3, 1),  # one is released
        ("oou.", 2, 1),  # nothing is owed
        ("xooo", 3, 2),  # one is down below the partition and counts for the StatefulSet controller
        ("xxoo", 2, 4),
        ("xxxx", 0, 8),  # each one counts as down, and once more when it is deleted
        ("xxnn", 2, 1),  # the last released ones are replaced
        ("xo-o", 2, 3),  # what is ending is down and not owed
        ("nnnn", 0, 1),
    ],
)
def test_released_groups_are_never_held_back(letters: str, partition: int, expected: int) -> None:
    """It covers the leaders that are down and those that are released."""
    assert told(letters, partition) == expected


def test_a_raised_number_stays_until_the_rollout_is_over() -> None:
    """What was raised costs no second write between two steps, and goes back with the last."""
    assert told("xooo", 4, live=3) == 3
    assert told("xonn", 2, live=3) == 3
    assert told("unnn", 0, live=3) == 1


@pytest.mark.parametrize("letters", ["oooou", "ooonn", "onnnn", "uunnn"])
def test_an_undisturbed_rollout_is_told_the_budget(letters: str) -> None:
    """While nothing else is down it is U + S, as the reference sends it."""
    assert told(letters, 4, unavailable=1, surge=1) == 2


def test_cd_81_a_server_that_drops_it_is_told_the_same_all_along() -> None:
    """Where the live object lacks the field, no leader that is down makes an apply that changes nothing."""
    assert told("xxoo", 2, live=None) == told("xooo", 3, live=None) == 1
