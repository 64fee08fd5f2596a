"""How long the operator's scenarios may take: their time is virtual, so a busy machine only makes them late."""

from __future__ import annotations

from pathlib import Path

import pytest

HANGS = 600  # seconds of the machine's time after which a scenario is taken to hang
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What says nothing else gets this limit."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(HANGS))
