"""What OLM is told of upgrades (operator 5.4, decision h)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lws.apimachinery.manifests import JSON
from lws.planning.operand.olm import mirrored
from tests.planning.operand.making import NOW

OTHERS: JSON = {"type": "Other", "status": "True"}


def condition(status: str, message: str = "") -> JSON:
    """Upgradeable of the LeaderWorkerSetOperator."""
    return {"type": "Upgradeable", "status": status, "reason": "AsExpected", "message": message}


def live(entries: list[JSON], generation: int) -> JSON:
    """An OperatorCondition."""
    return {"metadata": {"generation": generation}, "spec": {"conditions": entries}}


def written(found: list[JSON] | None, generation: int) -> JSON:
    """The object after a write of these entries, which raises its generation."""
    assert found is not None
    return live(found, generation + 1)


def test_one_write_makes_it_so_and_entries_of_others_stay() -> None:
    """After one write the entry is of the object's own generation, and nothing is left to write."""
    first = written(mirrored(live([OTHERS], 3), condition("True"), NOW), 3)
    assert first["spec"]["conditions"][0] == OTHERS
    assert first["spec"]["conditions"][1]["observedGeneration"] == 4
    assert mirrored(first, condition("True"), NOW) is None


def test_a_change_of_words_keeps_the_time_and_a_change_of_state_does_not() -> None:
    """The time of transition is that of the status."""
    first = written(mirrored(live([], 1), condition("True"), NOW), 1)
    later = NOW + timedelta(minutes=5)
    words: Any = mirrored(first, condition("True", "words"), later)
    state: Any = mirrored(first, condition("False"), later)
    assert words[0]["lastTransitionTime"] == first["spec"]["conditions"][0]["lastTransitionTime"]
    assert state[0]["lastTransitionTime"] == "2026-01-01T00:05:00Z"


def test_an_object_that_others_changed_is_told_again() -> None:
    """OLM passes over an entry of an older generation, such as that before an override."""
    first = written(mirrored(live([], 1), condition("True"), NOW), 1)
    again = written(mirrored({**first, "metadata": {"generation": 7}}, condition("True"), NOW), 7)
    assert again["spec"]["conditions"][0]["observedGeneration"] == 8
