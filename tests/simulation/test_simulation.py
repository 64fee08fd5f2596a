"""Simulated lives, and crashes at every write (``python -m tests.simulation`` runs many more)."""

from __future__ import annotations

import pytest

from tests.simulation import crashes
from tests.simulation.crashes import EDGES, SCENARIOS
from tests.simulation.driver import live


@pytest.mark.parametrize("seed", [0, 2, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, *range(3, 9)))])
def test_lives_are_safe_and_come_to_rest(seed: int) -> None:
    """No invariant is violated on the way, and in the end all is as the spec of the set says."""
    life = live(seed)
    assert life.problems == [], life.timeline


@pytest.mark.long
def test_same_seed_same_trace() -> None:
    """A seed gives the same writes at the same moments each time, and another seed gives others."""
    first, again, other = live(3), live(3), live(4)
    assert (first.digest, first.timeline) == (again.digest, again.timeline)
    assert first.digest != other.digest


@pytest.mark.long
@pytest.mark.parametrize(
    "name", [each if each == "recreation" else pytest.param(each, marks=pytest.mark.long) for each in SCENARIOS]
)
def test_crash_at_every_third_write_edge(name: str) -> None:
    """After a crash, or a lost answer, the end is that of the run without faults."""
    baseline = crashes.run(name)
    edges = [(at, edge) for at in range(1, baseline.writes + 1) for edge in EDGES][::3]
    problems = [each for at, edge in edges for each in crashes.check(name, at, edge, baseline.end)]
    assert problems == []
