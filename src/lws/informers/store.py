"""A cache of one collection: one writer, many readers, as two types.

Guarantees: objects are frozen; a reader sees a relist either not at all or whole; every index agrees with the objects
at all times. Reading never waits. A list is indexed while it arrives, so that to swap it in takes no time.
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
        self.name = name
        self.function = function
        self._shelves: dict[Hashable, dict[Key, T]] = {}

    def empty(self) -> _Index[T]:
        """The same index of other objects."""
        return _Index(self.name, self.function)

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
            given = self.function(obj)
        except Exception:
            log.exception("index function failed", index=self.name, object=obj.metadata.key)
            return ()
        if isinstance(given, str):
            return (given,) if given else ()
        return tuple(dict.fromkeys(given)) if isinstance(given, Iterable) else (given,)


class _Contents(Generic[T]):
    """Objects with their indexes, which agree."""

    def __init__(self, indexes: Iterable[_Index[T]] = ()) -> None:
        self.objects: dict[Key, T] = {}
        self.indexes = {each.name: each for each in indexes}

    def add_index(self, name: str, function: IndexFunction[T]) -> None:
        index = self.indexes[name] = _Index(name, function)
        for key, obj in self.objects.items():
            index.put(key, None, obj)

    def set(self, key: Key, old: T | None, new: T | None) -> None:
        if new is None:
            del self.objects[key]
        else:
            self.objects[key] = new
        for index in self.indexes.values():
            index.put(key, old, new)


class StoreReader(Generic[T]):
    """What readers see. Lists are copies; their order is that of the last list, then of first arrival."""

    def __init__(self) -> None:
        self._contents: _Contents[T] = _Contents()

    def get(self, namespace: str, name: str) -> T | None:
        """The object, or None. The namespace of a cluster's own objects is empty."""
        return self._contents.objects.get((namespace, name))

    def list(self, namespace: str = "") -> list[T]:
        """All objects, or those of one namespace."""
        if not namespace:
            return [*self._contents.objects.values()]
        return [obj for (where, _), obj in self._contents.objects.items() if where == namespace]

    def by_index(self, index: str, value: Hashable) -> builtins.list[T]:
        """Objects to which the index gives this value.

        Raises:
            KeyError: there is no such index.
        """
        return self._contents.indexes[index].get(value)

    def index_values(self, index: str) -> Iterable[Hashable]:
        """Every value that the index gives to some object."""
        return self._contents.indexes[index].values()

    def __len__(self) -> int:
        return len(self._contents.objects)

    def __iter__(self) -> Iterator[T]:
        return iter([*self._contents.objects.values()])

    def __contains__(self, key: Key) -> bool:
        return key in self._contents.objects


class StoreWriter(Generic[T]):
    """The only one who changes a store, through its `reader`."""

    def __init__(self) -> None:
        self.reader: StoreReader[T] = StoreReader()
        self._live = self.reader._contents
        self._listed: _Contents[T] | None = None
        self._kept: set[Key] = set()

    def add_index(self, name: str, function: IndexFunction[T]) -> None:
        """Index all objects by what ``function`` gives: one value, or several, or an empty string for none.

        Adding the same index twice is fine.

        Raises:
            ValueError: the name stands for another function.
        """
        known = self._live.indexes.get(name)
        if known is None:
            for contents in (self._live, self._listed):
                if contents is not None:
                    contents.add_index(name, function)
        elif known.function is not function:
            raise ValueError(f"index {name!r} exists with another function")

    # Live changes.

    def put(self, obj: T) -> list[Change[T]]:
        """Take in an object. A new object in the place of another is a removal and an addition."""
        key = obj.metadata.key
        old = self._live.objects.get(key)
        if old is not None and _same(old, obj):
            return []
        self._live.set(key, old, obj)
        return _changes(old, obj)

    def remove(self, namespace: str, name: str) -> list[Change[T]]:
        """Let an object go; nothing happens if it is not there."""
        key = (namespace, name)
        old = self._live.objects.get(key)
        if old is None:
            return []
        self._live.set(key, old, None)
        return [Change(old, None)]

    # A relist.

    def begin(self) -> None:
        """Start to buffer a list; what was buffered before is forgotten."""
        self._listed = _Contents(each.empty() for each in self._live.indexes.values())
        self._kept = set()

    def buffer(self, obj: T) -> None:
        """Add an object to the list."""
        listed, key = self._begun(), obj.metadata.key
        known = self._live.objects.get(key)
        if known is not None and _same(known, obj):
            obj = known
        listed.set(key, listed.objects.get(key), obj)

    def unbuffer(self, namespace: str, name: str) -> None:
        """Take an object off the list."""
        listed, key = self._begun(), (namespace, name)
        old = listed.objects.get(key)
        if old is not None:
            listed.set(key, old, None)

    def keep(self, namespace: str, name: str) -> None:
        """Note that the list has an object that cannot be read: what the store has of it stays."""
        self._kept.add((namespace, name))

    def drop(self) -> None:
        """Forget the list."""
        self._listed = None
        self._kept = set()

    def swap(self) -> Iterator[Change[T]]:
        """Put the list in the place of everything, and tell what changed: first what vanished, then the rest.

        An object whose version is unchanged stays the same object. What changed is found out while it is read, which
        must be before the next live change.
        """
        listed, before = self._begun(), self._live.objects
        for key in sorted(self._kept & before.keys()):
            if key not in listed.objects:
                listed.set(key, None, before[key])
        self.drop()
        self._live = self.reader._contents = listed
        return _differences(before, listed.objects)

    def _begun(self) -> _Contents[T]:
        if self._listed is None:
            raise RuntimeError("no list has begun")
        return self._listed


def _same(old: Object, new: Object) -> bool:
    return old.metadata.resource_version == new.metadata.resource_version and old.metadata.uid == new.metadata.uid


def _changes(old: T | None, new: T) -> list[Change[T]]:
    if old is not None and old.metadata.uid != new.metadata.uid:
        return [Change(old, None), Change(None, new)]
    return [Change(old, new)]


def _differences(before: dict[Key, T], after: dict[Key, T]) -> Iterator[Change[T]]:
    for key, old in before.items():
        if key not in after:
            yield Change(old, None)
    for key, new in after.items():
        known = before.get(key)
        if known is not new:
            yield from _changes(known, new)
