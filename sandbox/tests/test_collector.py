"""The garbage collector of a process that holds a cluster."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from lws_sandbox.collector import calm_collector


@pytest.fixture
def _collector() -> Iterator[None]:
    """Leave the collector as it was."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    yield
    gc.callbacks[:] = callbacks
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.usefixtures("_collector")
def test_what_lives_long_leaves_the_collectors_sight() -> None:
    """A growing store does not grow what the collector walks through."""
    calm_collector()
    before = len(gc.get_objects())
    store = [{"metadata": {"name": str(index), "labels": {}}} for index in range(400_000)]
    assert len(gc.get_objects()) - before < len(store)
    assert gc.get_freeze_count() > len(store)
