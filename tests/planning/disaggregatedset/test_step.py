"""The reference's step and the guarded one, by the worked tables and by properties (disaggregatedset 6, 12.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.planning.disaggregatedset.guard import fill, guarded_step
from lws.planning.disaggregatedset.step import RoleState, next_step
from tests.planning.disaggregatedset.walking import PACES, Roles, broken, fresh, midway, shown, walk

DATA = Path(__file__).parents[2] / "data" / "disaggregatedset"


def rows(name: str) -> Iterator[list[str]]:
    """The rows of a table, cell by cell."""
    for line in (DATA / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield [cell.strip() for cell in line.split("|")]


def numbers(cell: str) -> list[int]:
    """A list of numbers, one for each role."""
    return [int(each) for each in cell.split(",")]


def paces(cell: str, count: int) -> list[tuple[int, int]]:
    """Surge and unavailable of every role."""
    pairs = [tuple(int(each) for each in pair.split("/")) for pair in cell.split()]
    return [(pair[0], pair[1]) for pair in (pairs * count if len(pairs) == 1 else pairs)]


def start(initial: str, target: str, pace: str) -> Roles:
    """A rollout at its beginning."""
    before = numbers(initial)
    together = zip(before, numbers(target), paces(pace, len(before)), strict=True)
    return tuple(RoleState(old, old, 0, wanted, *budget) for old, wanted, budget in together)


ROLLOUTS = list(rows("rollouts"))
GUARDED = dict(rows("guarded"))


@pytest.mark.parametrize("row", ROLLOUTS, ids=[row[0] for row in ROLLOUTS])
def test_spec_6_4_the_reference(row: list[str]) -> None:
    """Every worked rollout of the reference, step by step."""
    assert shown(list(walk(next_step, start(*row[1:4])))) == row[4]


@pytest.mark.parametrize("row", ROLLOUTS, ids=[row[0] for row in ROLLOUTS])
def test_spec_12_1_the_guard(row: list[str]) -> None:
    """The same rollouts under the guard: other steps only where the reference breaks floor or ceiling."""
    states = list(walk(guarded_step, start(*row[1:4])))
    assert shown(states) == GUARDED.get(row[0], row[4])
    assert broken(states) == ""


STEPS = list(rows("steps"))


@pytest.mark.parametrize("row", STEPS, ids=[row[0] for row in STEPS])
def test_spec_6_5_single_steps(row: list[str]) -> None:
    """Every worked step of the reference."""
    columns = [numbers(cell) for cell in row[1:5]]
    states = zip(*columns, paces(row[5], len(columns[0])), strict=True)
    roles = tuple(RoleState(*state[:4], *state[4]) for state in states)
    step = next_step(roles)
    expected = row[6].replace("*", "")
    assert ("none" if step is None else shown([_stepped(roles, step)])) == expected


def _stepped(roles: Roles, step: Any) -> Roles:
    together = zip(roles, step.old, step.new, strict=True)
    return tuple(replace(role, old=old, new=new) for role, old, new in together)


def test_the_guard_frees_what_is_stuck() -> None:
    """Row 46: an added role above its lowered target does not hold the others up."""
    roles = (RoleState(0, 0, 2, 1, 0, 1), RoleState(1, 1, 0, 1))
    assert next_step(roles) is None
    assert broken(list(walk(guarded_step, roles))) == ""


SEEDS = st.randoms(use_true_random=False)


@given(SEEDS)
@settings(deadline=None, max_examples=400)
def test_a_rollout_keeps_floor_and_ceiling_and_ends(random: Any) -> None:
    """From any beginning: capacity at every step, surge at every step, and everything at its target in the end."""
    assert broken(list(walk(guarded_step, fresh(random)))) == ""


@given(SEEDS)
@settings(deadline=None, max_examples=400)
def test_a_rollout_with_changed_targets_keeps_the_same(random: Any) -> None:
    """From any state in the middle, whatever became of the targets."""
    assert broken(list(walk(guarded_step, midway(random)))) == ""


@given(SEEDS)
@settings(deadline=None, max_examples=200)
def test_roles_are_alike(random: Any) -> None:
    """The order of roles decides nothing."""
    roles = fresh(random)
    order = list(range(len(roles)))
    random.shuffle(order)
    plain = list(walk(guarded_step, roles))
    mixed = list(walk(guarded_step, tuple(roles[place] for place in order)))
    assert [tuple(state[place] for place in order) for state in plain] == mixed


@pytest.mark.parametrize("pace", PACES)
def test_two_equal_roles_go_alike(pace: tuple[int, int]) -> None:
    """Roles with the same numbers have the same numbers at every step."""
    for count in range(1, 9):
        role = RoleState(count, count, 0, count, *pace)
        assert all(len(set(state)) == 1 for state in walk(guarded_step, (role, role, role)))


def test_fill_stops_at_each_ceiling() -> None:
    """New replicas as far as each role has room beside its old ones, and never fewer than there are."""
    assert fill((RoleState(4, 4, 0, 4, 1), RoleState(4, 1, 2, 4, 1), RoleState(2, 2, 3, 2, 0, 1))) == (1, 4, 3)
