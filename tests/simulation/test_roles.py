"""Lives of DisaggregatedSets beside LeaderWorkerSets; and mistakes that were put in on purpose are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lws.planning.disaggregatedset import slices
from lws.planning.disaggregatedset.snapshots import Child
from lws.planning.disaggregatedset.step import next_step
from tests.simulation.roles import live


def well(seed: int) -> None:
    """The life of a seed has no problems."""
    life = live(seed)
    assert life.problems == [], life.timeline


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_roles_keep_their_floors_and_come_to_rest(seed: int) -> None:
    """Whatever is edited and whatever fails, no role falls below its floor, and the end is as it is wanted."""
    well(seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(6, 200))
def test_roles_of_many_lives(seed: int) -> None:
    """The same for 200 seeds in all."""
    well(seed)


@pytest.mark.long
@pytest.mark.parametrize(
    ("where", "name", "mistake", "seeds"),
    [
        (slices, "guarded_step", next_step, (6,)),
        (slices, "_to_note", lambda _child, _begun: False, (6,)),
        (Child, "settled", property(lambda _self: True), (0,)),
    ],
    ids=["unguarded", "forgotten beginning", "not waited for"],
)
def test_lost_capacity_is_found(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, mistake: Callable[..., Any], seeds: Sequence[int]
) -> None:
    """The reference's step, a beginning that nobody notes, and a step before the last is ready cost ready groups."""
    monkeypatch.setattr(where, name, mistake)
    assert any("ready groups" in problem for seed in seeds for problem in live(seed).problems)
