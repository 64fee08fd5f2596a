"""What a browser must be told to know the present document, given the one that it has. Pure.

A document maps keys to JSON values. Values that are objects are compared member by member, one level deep.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Document: TypeAlias = Mapping[str, Any]


def difference(sent: Document, now: Document) -> dict[str, Any]:
    """``new``: values sent whole; ``changed``: members that differ, None where one is gone; ``gone``: keys.

    Empty when nothing differs. A member whose value is None reads as one that is gone.
    """
    new, changed = {}, {}
    for key, value in now.items():
        old = sent.get(key, _ABSENT)
        if old is value or old == value:
            continue
        if isinstance(old, dict) and isinstance(value, dict):
            changed[key] = _members(old, value)
        else:
            new[key] = value
    gone = [key for key in sent if key not in now]
    return {name: part for name, part in (("new", new), ("changed", changed), ("gone", gone)) if part}


def _members(old: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in now.items() if name not in old or old[name] != value}
    return found | {name: None for name in old if name not in now}


_ABSENT = object()
