"""Copies of JSON values: several times as fast as the copier for everything, and the sandbox copies a lot."""

from __future__ import annotations

from typing import Any, TypeVar, cast

T = TypeVar("T")


def copied(value: T) -> T:
    """A copy of a JSON value that shares no object or list with it."""
    return cast("T", _copied(value))


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {key: _copied(item) if type(item) in _CONTAINERS else item for key, item in value.items()}
    if kind is list:
        return [_copied(item) if type(item) in _CONTAINERS else item for item in value]
    return value


_CONTAINERS = frozenset({dict, list})
