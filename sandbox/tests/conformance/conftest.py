"""The control plane as a parameter: the sandbox always, the real one where its binaries are named."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sandbox.tests.conformance.planes import Plane, SandboxPlane, real_plane

from lws_sandbox.real.binaries import REMEDY, VARIABLE, find

REAL = pytest.param("real", marks=[pytest.mark.real, pytest.mark.timeout(300)])


@pytest.fixture(scope="session", params=["sandbox", REAL])
def plane(request: pytest.FixtureRequest) -> Iterator[Plane]:
    """A control plane to replay against."""
    if request.param == "sandbox":
        yield SandboxPlane()
        return
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} is not set: {REMEDY}")
    with real_plane(find()) as running:
        yield running
