"""Int-or-percent members: budgets of updates and disruptions."""

from __future__ import annotations

from typing import Any

from lws.apimachinery import nameformats
from lws.apimachinery.intstr import percentage
from lws_sandbox.kinds.base import NEGATIVE
from lws_sandbox.status import Causes


def int_or_percent(value: Any, path: str, causes: Causes) -> None:
    """An integer that is not negative, or a percentage."""
    if isinstance(value, str):
        for why in nameformats.percent(value):
            causes.invalid(path, value, why)
    elif value is not None and value < 0:
        causes.invalid(path, value, NEGATIVE)


def at_most_all(value: Any, path: str, causes: Causes) -> None:
    """A percentage is at most 100."""
    if isinstance(value, str) and (percentage(value) or 0) > 100:
        causes.invalid(path, value, "must not be greater than 100%")


def at_least_one(value: Any, path: str, causes: Causes) -> None:
    """Neither 0 nor 0 %."""
    if value == 0 or (isinstance(value, str) and percentage(value) == 0):
        causes.invalid(path, value, "cannot be 0")
