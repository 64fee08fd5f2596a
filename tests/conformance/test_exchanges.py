"""The sandbox answers as a real Kubernetes 1.36.2 did."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from lws.sandbox import virtual_time
from tests.conformance.exceptions import EXCEPTIONS
from tests.conformance.replay import Replay
from tests.conformance.sandbox_target import sandbox_target

EXCHANGES = Path(__file__).parents[1] / "data/exchanges"
SCENARIOS = sorted(EXCHANGES.glob("*/*.json"))


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


async def replay(scenario: dict[str, Any], *, real_time: bool) -> list[str]:
    """Differences between the recorded scenario and the sandbox."""
    async with sandbox_target(scenario, real_time=real_time) as target:
        return await Replay(scenario, target, hurry=real_time).run()


def differences(path: Path) -> list[str]:
    """Replay one scenario: webhooks need sockets and so real time, all else runs in virtual time."""
    scenario = json.loads(path.read_text())
    if scenario.get("webhooks") is not None or scenario["area"] == "webhook":
        return asyncio.run(replay(scenario, real_time=True))
    return virtual_time.run(replay(scenario, real_time=False))


@pytest.mark.parametrize("path", SCENARIOS, ids=_name)
def test_sandbox_answers_as_recorded(path: Path) -> None:
    """Statuses, reasons, messages, defaulted and managed fields and watch events equal the recorded ones."""
    found = differences(path)
    if _name(path) in EXCEPTIONS:
        assert found, f"{_name(path)} is no exception any more: take it off the list"
        pytest.skip(EXCEPTIONS[_name(path)])
    assert not found, "\n".join(found)


def test_exceptions_are_few_and_exist() -> None:
    """Every exception names a recorded scenario and gives a reason, and there are few of them."""
    names = {_name(path) for path in SCENARIOS}
    assert EXCEPTIONS.keys() <= names
    assert all(EXCEPTIONS.values())
    assert len(EXCEPTIONS) <= len(names) // 20
