"""What the validations of our APIs share.

An object comes as JSON whose types nobody has checked yet: a value of a wrong type reads as absent, for the schema
refuses it with better words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lws.apimachinery import nameformats
from lws.apimachinery.gotext import encoded
from lws.apimachinery.intstr import percentage
from lws.apimachinery.manifests import JSON


def aggregate(errors: list[str]) -> str:
    """One entry as it is, several as ``[e1, e2, …]``, duplicates dropped; empty for none."""
    distinct = list(dict.fromkeys(errors))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]" if distinct else ""


def member(parent: JSON, name: str) -> JSON:
    """An object in an object; empty when there is none."""
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """A string; empty when the value is none."""
    return value if isinstance(value, str) else ""


def integer(value: Any, default: int) -> int:
    """An integer, or the default."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def int_or_string(value: Any, default: int) -> int | str:
    """An integer or a string, or the default."""
    return value if isinstance(value, int | str) and not isinstance(value, bool) else default


def int_or_percent(path: str, value: int | str) -> Iterator[str]:
    """What is wrong with a number of replicas, or a percentage of them (spec 3.2)."""
    if isinstance(value, int):
        if value < 0:
            yield f"{path}: Invalid value: {value}: must be greater than or equal to 0"
        return
    for why in nameformats.percent(value):
        yield f"{path}: Invalid value: {encoded(value)}: {why}"
    if (percentage(value) or 0) > 100:
        yield f"{path}: Invalid value: {encoded(value)}: must not be greater than 100%"
