"""Int-or-percent values, as `maxUnavailable` and `maxSurge` are written (spec 3.2, 7.1)."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

IntOrString: TypeAlias = int | str

_PERCENT: Final = re.compile(r"[0-9]+%", re.ASCII)
_SCALABLE: Final = re.compile(r"[+-]?[0-9]+%", re.ASCII)
_INT64: Final = range(-(2**63), 2**63)


def is_percent(text: str) -> bool:
    """Whether the text is ASCII digits followed by one percent sign and nothing else."""
    return _PERCENT.fullmatch(text) is not None


def percentage(value: IntOrString) -> int | None:
    """The number before the percent sign, however large, or None for an integer or any other text."""
    if isinstance(value, int) or not is_percent(value):
        return None
    return _bounded(value[:-1])


def scaled(value: IntOrString, total: int, round_up: bool) -> int:
    """Resolve a value against a total: integers as they are, ``p%`` as p·total/100, rounded as asked (spec 7.1).

    A signed percentage scales too, as in the reference; validation refuses it elsewhere.

    Raises:
        ValueError: a text that is not a percentage.
    """
    if isinstance(value, int):
        return value
    if _SCALABLE.fullmatch(value) is None:
        raise ValueError(f"{value!r} is neither an integer nor a percentage")
    number = _bounded(value[:-1])
    if number not in _INT64:
        raise ValueError(f"{value!r} is out of range")
    product = number * total
    return -(-product // 100) if round_up else product // 100


def _bounded(digits: str) -> int:
    """The number, or one beyond 64 bits for any that is too long to be worth reading."""
    return int(digits) if len(digits) < 100 else 2**64
