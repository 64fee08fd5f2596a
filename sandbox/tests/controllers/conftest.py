"""Quiet loops: a line for every reconcile costs more than the reconcile."""

from __future__ import annotations

import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Only warnings are written."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
