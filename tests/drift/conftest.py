"""What all tellings share."""

from __future__ import annotations

import logging
import os

import pytest
import structlog

from lws.apimachinery.manifests import JSON
from lws_sandbox.real.binaries import REMEDY, VARIABLE, find
from tests.drift.telling import tell_real, tell_sandbox

REAL = pytest.param("real", marks=[pytest.mark.real, pytest.mark.timeout(300)])


@pytest.fixture(autouse=True)
def quiet_logs(logs_as_they_were: None) -> None:
    """Nobody reads a line per reconcile here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.fixture(params=["sandbox", REAL])
def told(request: pytest.FixtureRequest) -> JSON:
    """What a control plane says to the story: the sandbox always, the real one where its binaries are named."""
    if request.param == "sandbox":
        return tell_sandbox()
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} is not set: {REMEDY}")
    return tell_real(find())
