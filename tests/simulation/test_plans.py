"""R24: what a plan foresees is what then happens, in order and in numbers, and planning writes nothing."""

from __future__ import annotations

import pytest

from lws.cli.kubectl.plan.rehearsal import Kind
from lws_sandbox import virtual_time as vt
from tests.simulation.foreseen import case_of, play


def agree(kind: Kind, seed: int) -> None:
    """One case is as it was foreseen."""
    case = case_of(kind, seed)
    seen = vt.run(play(case))
    assert not seen.foreseen.refused, seen.foreseen.refused
    assert not [*seen.differences()], f"{kind} {seed}: {case}"


@pytest.mark.parametrize(
    ("kind", "seed"),
    [pytest.param("edit", 3), *(pytest.param(*case, marks=pytest.mark.long) for case in (("edit", 2), ("drain", 3)))],
)
def test_a_plan_is_what_then_happens(kind: Kind, seed: int) -> None:
    """R24 in short: what was planned comes so, in order and in numbers, and planning writes nothing."""
    agree(kind, seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(200))
def test_r24_every_edit_is_foreseen(seed: int) -> None:
    """R24: 200 random edits of random sets, of both identities, and of DisaggregatedSets."""
    agree("edit", seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(50))
def test_r24_every_drain_is_foreseen(seed: int) -> None:
    """R24: 50 drains of one node or two."""
    agree("drain", seed)
