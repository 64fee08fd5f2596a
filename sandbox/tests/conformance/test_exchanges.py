"""Sandbox and real server answer as a real Kubernetes 1.36.2 did."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox.tests.conformance.exceptions import EXCEPTIONS, OPENSHIFT
from sandbox.tests.conformance.planes import Plane
from sandbox.tests.conformance.scenarios import SCENARIOS, load, name_of

SAMPLE = 4  # of so many recordings, one is replayed with every run, and the others in make test-long
PATHS = [
    path if number % SAMPLE == 0 else pytest.param(path, marks=pytest.mark.long)
    for number, path in enumerate(SCENARIOS)
]


@pytest.mark.parametrize("path", PATHS, ids=name_of)
def test_answers_as_recorded(plane: Plane, path: Path) -> None:
    """Statuses, reasons, messages, defaulted and managed fields and watch events equal the recorded ones."""
    scenario, excepted = load(path), EXCEPTIONS[plane.name].get(name_of(path))
    if lacking := plane.lacks(scenario):
        pytest.skip(lacking)
    found = plane.differences(scenario)
    if excepted and (found or plane.name == "sandbox"):
        assert found, f"{name_of(path)} is no exception any more: take it off the list"
        pytest.skip(excepted)
    assert not found, "\n".join(found)


def test_exceptions_are_few_and_exist() -> None:
    """Every exception names a recorded scenario and gives a reason, and there are few of them."""
    names = {name_of(path) for path in SCENARIOS}
    assert OPENSHIFT.keys() <= names
    for excepted in EXCEPTIONS.values():
        assert excepted.keys() <= names
        assert all(excepted.values())
        assert len(excepted) <= len(names) // 20
