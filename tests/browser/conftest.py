"""A Chromium, and a cluster with sets in every state for it to look at."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator

import pytest

from tests.browser.chromium import CHROMIUM, Browser, executable, launched
from tests.browser.world import World, world
from tests.real.conftest import need_binaries


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A Chromium; the test is skipped where there is none, or no Playwright."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("Playwright is not installed: `make test-browser` installs it")
    if executable() is None:
        pytest.skip(f"Chromium is not installed: none of {', '.join(CHROMIUM)} is on the PATH")
    async with launched() as browser:
        yield browser


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
async def every_cluster(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The same on the sandbox, and on a real control plane where its binaries are named."""
    if request.param == "real":
        need_binaries()
    async with world(real=request.param == "real") as running:
        yield running


@pytest.fixture
async def cluster() -> AsyncIterator[World]:
    """A sandbox with the controller and a page that may act."""
    async with world() as running:
        yield running
