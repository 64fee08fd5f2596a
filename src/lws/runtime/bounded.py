"""A memory that lets its oldest entries go."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

REMEMBERED = 10_000


class Bounded(Generic[K, V]):
    """A mapping of at most `REMEMBERED` entries; what was put last stays longest."""

    def __init__(self) -> None:
        self._entries: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value, if it is remembered."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        """Remember the value, as the newest."""
        self._entries.pop(key, None)
        self._entries[key] = value
        if len(self._entries) > REMEMBERED:
            del self._entries[next(iter(self._entries))]

    def add(self, key: K, value: V) -> bool:
        """Remember the value; whether there was none."""
        new = key not in self._entries
        if new:
            self.put(key, value)
        return new

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)
