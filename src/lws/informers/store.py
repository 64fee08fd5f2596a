"""A cache of one collection: one writer, many readers, as two types.

Guarantees: objects are frozen; a reader sees a relist either not at all or whole; every index agrees with the objects
at all times. Reading never waits.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import structlog

from lws.apimachinery.objects import Object

log = structlog.get_logger("lws.informers")
T = TypeVar("T", bound=Object)
Key: TypeAlias = tuple[str, str]  # (namespace, name)
IndexFunction: TypeAlias = Callable[[T], Hashable | Iterable[Hashable]]


class Change(NamedTuple, Generic[T]):
    """What one step did to one object; ``old`` is None if it is new, ``new`` is None if it is gone."""

    old: T | None
    new: T | None


class _Index(Generic[T]):
    """Objects by the values that a function gives them; an object on which it fails has none, and hurts no other."""

    def __init__(self, name: str, function: IndexFunction[T]) -> None:
        self._name = name
        self._function = function
        self._shelves: dict[Hashable, dict[Key, T]] = {}

    def put(self, key: Key, old: T | None, new: T | None) -> None:
        before = self._values(old)
        after = self._values(new)
        for value in before:
            if value not in after:
                shelf = self._shelves[value]
                del shelf[key]
                if not shelf:
                    del self._shelves[value]
        if new is not None:
            for value in after:
                self._shelves.setdefault(value, {})[key] = new

    def get(self, value: Hashable) -> list[T]:
        return list(self._shelves.get(value, {}).values())

    def values(self) -> list[Hashable]:
        return list(self._shelves)

    def _values(self, obj: T | None) -> tuple[Hashable, ...]:
        if obj is None:
            return ()
        try:
            given = self._function(obj)
        except Exception:
            log.exception("index function failed", index=self._name, object=obj.metadata.key)
            return ()
        if isinstance(given, str):
            return (given,) if given else ()
        return tuple(dict.fromkeys(given)) if isinstance(given, Iterable) else (given,)


class StoreReader(Generic[T]):
    """What readers see. Lists are copies; their order is that of first arrival."""

    def __init__(self) -> None:
        self._objects: dict[Key, T] = {}
        self._indexes: dict[str, _Index[T]] = {}

    def get(self, namespace: str, name: str) -> T | None:
        """The object, or None. The namespace of a cluster's own objects is empty."""
        return self._objects.get((namespace, name))

    def list(self, namespace: str = "") -> list[T]:
        """All objects, or those of one namespace."""
        if not namespace:
            return [*self._objects.values()]
        return [obj for (where, _), obj in self._objects.items() if where == namespace]

    def by_index(self, index: str, value: Hashable) -> builtins.list[T]:
        """Objects to which the index gives this value.

        Raises:
            KeyError: there is no such index.
        """
        return self._indexes[index].get(value)

    def index_values(self, index: str) -> Iterable[Hashable]:
        """Every value that the index gives to some object."""
        return self._indexes[index].values()

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[T]:
        return iter([*self._objects.values()])

    def __contains__(self, key: Key) -> bool:
        return key in self._objects


class StoreWriter(Generic[T]):
    """The only one who changes a store, through its `reader`."""

    def __init__(self) -> None:
        self.reader: StoreReader[T] = StoreReader()
        self._objects = self.reader._objects
        self._indexes = self.reader._indexes
        self._buffer: dict[Key, T] | None = None
        self._kept: set[Key] = set()

    def add_index(self, name: str, function: IndexFunction[T]) -> None:
        """Index all objects by what ``function`` gives: one value, or several, or an empty string for none.

        Adding the same index twice is fine.

        Raises:
            ValueError: the name stands for another function.
        """
        if name in self._indexes:
            if self._indexes[name]._function is not function:
                raise ValueError(f"index {name!r} exists with another function")
            return
        index = _Index(name, function)
        for key, obj in self._objects.items():
            index.put(key, None, obj)
        self._indexes[name] = index

    # Live changes.

    def put(self, obj: T) -> list[Change[T]]:
        """Take in an object. A new object in the place of another is a removal and an addition."""
        key = obj.metadata.key
        old = self._objects.get(key)
        if old is not None and _same(old, obj):
            return []
        self._set(key, old, obj)
        return _changes(old, obj)

    def remove(self, namespace: str, name: str) -> list[Change[T]]:
        """Let an object go; nothing happens if it is not there."""
        key = (namespace, name)
        old = self._objects.get(key)
        if old is None:
            return []
        self._set(key, old, None)
        return [Change(old, None)]

    # A relist.

    def begin(self) -> None:
        """Start to buffer a list; what was buffered before is forgotten."""
        self._buffer = {}
        self._kept = set()

    def buffer(self, obj: T) -> None:
        """Add an object to the list."""
        self._open_buffer()[obj.metadata.key] = obj

    def unbuffer(self, namespace: str, name: str) -> None:
        """Take an object off the list."""
        self._open_buffer().pop((namespace, name), None)

    def keep(self, namespace: str, name: str) -> None:
        """Note that the list has an object that cannot be read: what the store has of it stays."""
        self._kept.add((namespace, name))

    def drop(self) -> None:
        """Forget the list."""
        self._buffer = None
        self._kept = set()

    def swap(self) -> list[Change[T]]:
        """Put the list in the place of everything, and tell what changed: first what vanished, then the rest.

        An object whose version is unchanged stays the same object.
        """
        listed, kept = self._open_buffer(), self._kept
        self.drop()
        gone = [key for key in self._objects if key not in listed and key not in kept]
        changes = [change for key in gone for change in self.remove(*key)]
        for obj in listed.values():
            changes += self.put(obj)
        return changes

    def _open_buffer(self) -> dict[Key, T]:
        if self._buffer is None:
            raise RuntimeError("no list has begun")
        return self._buffer

    def _set(self, key: Key, old: T | None, new: T | None) -> None:
        if new is None:
            del self._objects[key]
        else:
            self._objects[key] = new
        for index in self._indexes.values():
            index.put(key, old, new)


def _same(old: Object, new: Object) -> bool:
    return old.metadata.resource_version == new.metadata.resource_version and old.metadata.uid == new.metadata.uid


def _changes(old: T | None, new: T) -> list[Change[T]]:
    if old is not None and old.metadata.uid != new.metadata.uid:
        return [Change(old, None), Change(None, new)]
    return [Change(old, new)]
