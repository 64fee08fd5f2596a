"""R25: what keeps a promise that a set was given is missed when it is gone: some life finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lws.planning.leaderworkerset import backoff, grace, revisions, steering
from tests.simulation import driver
from tests.simulation.driver import live

TRUNCATE = revisions.truncate


def forgets(lws: Any, listed: Any, key: str, pods: Any, _kept: int = 0) -> Any:
    """No earlier revision is kept."""
    return TRUNCATE(lws, listed, key, pods)


@pytest.mark.long
@pytest.mark.parametrize(
    ("where", "name", "removed", "seed", "words"),
    [
        (backoff, "length", lambda _policy, _number: 0.0, 12, "early"),
        (grace, "granted", lambda _snapshot: False, 25, "after a worker failed"),
        (steering, "PAUSED_VALUE", "never", 0, "paused, the partition falls"),
        (revisions, "truncate", forgets, 0, "is deleted, 1 stay of 3+1"),
    ],
    ids=["back-off", "grace", "pause", "history"],
)
def test_r25_a_policy_that_is_gone_is_missed(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, removed: Callable[..., Any] | str, seed: int, words: str
) -> None:
    """R25: without back-off, grace, pause or history, a life that chose it complains of just that."""
    assert live(seed).problems == []
    monkeypatch.setattr(where, name, removed)
    monkeypatch.setattr(driver, "CALM_SECONDS", 60.0)
    assert any(words in problem for problem in live(seed).problems)
