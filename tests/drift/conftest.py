"""What all tellings share."""

from __future__ import annotations

import logging
import os

import pytest
import structlog

from lws.apimachinery.manifests import JSON
from lws_sandbox.real.binaries import REMEDY, VARIABLE, Binaries, find
from tests.drift.telling import RELEASE, tell_real, tell_sandbox

REAL = pytest.param("real", marks=[pytest.mark.real, pytest.mark.timeout(300)])


@pytest.fixture(autouse=True)
def quiet_logs(logs_as_they_were: None) -> None:
    """Nobody reads a line per reconcile here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.fixture(params=["sandbox", REAL])
def binaries(request: pytest.FixtureRequest) -> Binaries | None:
    """Those of a real control plane where they are named; None stands for the sandbox."""
    if request.param == "sandbox":
        return None
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} is not set: {REMEDY}")
    return find()


@pytest.fixture
def told(binaries: Binaries | None) -> JSON:
    """What a control plane says to the story."""
    return tell_sandbox() if binaries is None else tell_real(binaries)


@pytest.fixture
def release(binaries: Binaries | None) -> str:
    """The release that it is, or is like."""
    return RELEASE if binaries is None else binaries.release()
