"""What all tellings share."""

from __future__ import annotations

import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def quiet_logs(logs_as_they_were: None) -> None:
    """Nobody reads a line per reconcile here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
