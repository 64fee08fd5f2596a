"""Lives of sets whose groups are known by a key: mistakes that were put in on purpose are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lws.api.leaderworkerset import restartcounts
from lws.planning.leaderworkerset import group_ready, hash_budget, replacement, restartbudget
from lws.planning.leaderworkerset.groups import gated, revision_key
from lws.reconcilers.leaderworkerset.replacement import GroupCounts
from tests.simulation import driver
from tests.simulation.driver import live

WAITS, PLANS, CLAIMS = replacement.plan, group_ready.plan, hash_budget.claim


def never_lifted(snapshot: Any, leader: Any) -> Any:
    """No gate is ever lifted."""
    return (False, ()) if gated(leader) else WAITS(snapshot, leader)


def stuck(leader: Any, workers: Any, now: Any) -> Any:
    """A condition that is there is never turned."""
    return () if group_ready.found(leader) is not None else PLANS(leader, workers, now)


def forgets(self: GroupCounts, _key: Any) -> int:
    """No group is ever terminating."""
    return 0 * len(self)


def moved_twice(lws: Any, leader: Any, leaders: Any) -> Any:
    """A count that a leader takes over stays where it was, for the next."""
    (*claimed,) = CLAIMS(lws, leader, leaders)
    if claimed:
        counts = restartbudget.counts_of(lws)
        unowned = hash_budget._unowned(counts, leaders, revision_key(leader))
        doubled = {**counts, restartbudget.entry_of(leader): counts[unowned[0]]}
        claimed = [restartbudget.stored(lws, doubled, restartcounts.charged(lws.metadata))]
    return tuple(claimed)


@pytest.mark.long
@pytest.mark.parametrize(
    ("where", "name", "mistake", "seeds", "words"),
    [
        (replacement, "plan", never_lifted, (2,), "no rest"),
        (group_ready, "plan", stuck, (5, 8, 11), "no rest"),
        (hash_budget, "claim", moved_twice, (8, 23, 44), "the counts rise"),
        (GroupCounts, "terminating", forgets, range(2, 60, 3), "groups hold places"),
    ],
)
def test_mistakes_are_found(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, mistake: Callable[..., Any], seeds: Any, words: str
) -> None:
    """A gate never lifted, a condition never turned, counts moved twice and groups not counted show in some life."""
    monkeypatch.setattr(where, name, mistake)
    monkeypatch.setattr(driver, "CALM_SECONDS", 60.0)
    assert any(words in problem for seed in seeds for problem in live(seed).problems)
