"""The control plane as a parameter: the sandbox always, the real one where its binaries are named."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
import structlog

from lws_sandbox.real.binaries import CONTROLLER_MANAGER, REMEDY, VARIABLE, Binaries, find
from tests.real.planes import Plane, SandboxPlane, real_plane

LIMIT = 240
_MARKS = [pytest.mark.real, pytest.mark.timeout(LIMIT)]
_SANDBOX = pytest.param("sandbox", marks=pytest.mark.long)  # what is asked here of a sandbox is asked elsewhere, too
PLANES = [_SANDBOX, pytest.param("real", marks=_MARKS), pytest.param("real-without-manager", marks=_MARKS)]


def need_binaries() -> Binaries:
    """Those of a real control plane; without them the test is skipped, with the way to get them."""
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} is not set: {REMEDY}")
    return find()


@pytest.fixture(scope="session", params=PLANES)
def plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A control plane; without its controller manager, our StatefulSet and garbage collector loops work on it."""
    if request.param == "sandbox":
        yield SandboxPlane()
        return
    binaries = need_binaries()
    if request.param == "real-without-manager":
        binaries = binaries.without(CONTROLLER_MANAGER)
    elif CONTROLLER_MANAGER not in binaries:
        pytest.skip(f"{CONTROLLER_MANAGER} is not among the binaries in {binaries.folder}: {REMEDY}")
    with real_plane(binaries, tmp_path_factory.mktemp(str(request.param))) as running:
        yield running


@pytest.fixture(autouse=True, scope="package")
def quiet_logs() -> Iterator[None]:
    """Nobody reads a line per reconcile here, nor those of planes that outlive a test."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
