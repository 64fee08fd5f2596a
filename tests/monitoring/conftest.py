"""Incidents write many lines that nobody reads."""

from __future__ import annotations

import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def quiet(logs_as_they_were: None) -> None:
    """Log nothing; what a test changes of the logging is taken back after it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
