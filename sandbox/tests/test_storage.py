"""The store: one clock of versions, optimistic locking, watchers that miss nothing."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws_sandbox.storage import (
    Compacted,
    Event,
    KeyMissing,
    KeyTaken,
    Storage,
    VersionMismatch,
    WatchEnded,
    Watcher,
)
from tests.virtual import virtual_time

HISTORIES = 10_000
OPERATIONS = 24
THINGS = "things"


def _thing(name: str, namespace: str = "a", value: int = 0) -> JSON:
    return {"metadata": {"name": name, "namespace": namespace}, "value": value}


def _version(obj: JSON) -> int:
    return int(obj["metadata"]["resourceVersion"])


def test_a_write_takes_the_next_version() -> None:
    """Creation, update and removal each take one version more than the write before, whatever the collection."""
    storage = Storage()
    first = storage.create(THINGS, "a", "x", _thing("x"))
    other = storage.create("others", "a", "x", _thing("x"))
    second = storage.update(THINGS, "a", "x", _thing("x", value=1), first)
    last = storage.delete(THINGS, "a", "x", second)
    versions = [_version(obj) for obj in (first, other, second, last)]
    assert versions == list(range(versions[0], versions[0] + 4))
    assert storage.revision == versions[-1]


def test_a_name_is_taken_once() -> None:
    """A second creation under a name fails and takes no version; another namespace is another name."""
    storage = Storage()
    storage.create(THINGS, "a", "x", _thing("x"))
    before = storage.revision
    with pytest.raises(KeyTaken):
        storage.create(THINGS, "a", "x", _thing("x"))
    assert storage.revision == before
    storage.create(THINGS, "b", "x", _thing("x", "b"))


def test_a_stale_write_fails() -> None:
    """An update or removal that builds on an older version than the stored one changes nothing."""
    storage = Storage()
    old = storage.create(THINGS, "a", "x", _thing("x"))
    new = storage.update(THINGS, "a", "x", _thing("x", value=1), old)
    with pytest.raises(VersionMismatch):
        storage.update(THINGS, "a", "x", _thing("x", value=2), old)
    with pytest.raises(VersionMismatch):
        storage.delete(THINGS, "a", "x", old)
    assert storage.get(THINGS, "a", "x") == new
    storage.delete(THINGS, "a", "x", new)
    with pytest.raises(KeyMissing):
        storage.update(THINGS, "a", "x", new, new)


def test_a_stored_object_is_never_changed() -> None:
    """What a reader holds stays as it was when others write."""
    storage = Storage()
    held = storage.create(THINGS, "a", "x", _thing("x"))
    copy = {**held, "metadata": dict(held["metadata"])}
    storage.update(THINGS, "a", "x", _thing("x", value=1), held)
    assert held == copy


def test_entries_are_in_order_of_namespace_and_name() -> None:
    """A list over all namespaces is sorted by namespace, then name; a namespace's own by name."""
    storage = Storage()
    for namespace, name in (("b", "y"), ("a", "z"), ("a", "x"), ("b", "a")):
        storage.create(THINGS, namespace, name, _thing(name, namespace))
    assert [key[:2] for key in storage.entries(THINGS)] == [("a", "x"), ("a", "z"), ("b", "a"), ("b", "y")]
    assert [key[1] for key in storage.entries(THINGS, "b")] == ["a", "y"]
    assert storage.count(THINGS) == 4


def test_the_past_can_be_listed_until_it_is_compacted() -> None:
    """A list at an older version shows what was there then; after compaction it is refused."""
    storage = Storage()
    first = storage.create(THINGS, "a", "x", _thing("x"))
    then = storage.revision
    storage.create(THINGS, "a", "y", _thing("y"))
    second = storage.update(THINGS, "a", "x", _thing("x", value=1), first)
    storage.delete(THINGS, "a", "x", second)
    assert [obj for _, _, obj in storage.list_at(THINGS, "", then)] == [first]
    assert [name for _, name, _ in storage.list_at(THINGS, "", storage.revision)] == ["y"]
    storage.compact()
    with pytest.raises(Compacted):
        storage.list_at(THINGS, "", then)


def test_a_watch_from_before_a_compaction_is_refused() -> None:
    """A watcher can begin at the compacted version, not before it."""
    storage = Storage()
    storage.create(THINGS, "a", "x", _thing("x"))
    before = storage.revision - 1
    kept = storage.compact()
    with pytest.raises(Compacted):
        storage.watch(THINGS, since=before)
    assert storage.watch(THINGS, since=kept).take() == []


def test_a_slow_watcher_is_told_that_it_fell_out() -> None:
    """A watcher that did not take what the window no longer holds raises instead of skipping it."""
    storage = Storage(window=4)
    slow = storage.watch(THINGS)
    for index in range(20):
        storage.create(THINGS, "a", str(index), _thing(str(index)))
    with pytest.raises(Compacted):
        slow.take()


@virtual_time
async def test_a_watcher_of_a_quiet_namespace_never_falls_out() -> None:
    """However much happens elsewhere while it sleeps, it sees the next change of its own namespace."""
    storage = Storage(window=4)
    watcher = storage.watch(THINGS, "quiet")
    woken = asyncio.create_task(watcher.wait())
    await asyncio.sleep(0)
    for index in range(50):
        storage.create(THINGS, "loud", str(index), _thing(str(index), "loud"))
    assert not woken.done()
    storage.create(THINGS, "quiet", "x", _thing("x", "quiet"))
    await woken
    assert [event.name for event in watcher.take()] == ["x"]


@virtual_time
async def test_an_ended_wait_loses_nothing() -> None:
    """A wait that is cancelled leaves the watcher where it was: the next change is seen."""
    storage = Storage(window=4)
    watcher = storage.watch(THINGS, "quiet")
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await watcher.wait()
        for index in range(10):
            name = f"{storage.revision}-{index}"
            storage.create(THINGS, "loud", name, _thing(name, "loud"))
            watcher.take()
    storage.create(THINGS, "quiet", "x", _thing("x", "quiet"))
    await watcher.wait()
    assert [event.name for event in watcher.take()] == ["x"]


@virtual_time
async def test_a_closed_collection_ends_its_watchers() -> None:
    """Watchers take what there is and then end; a collection that is opened again begins anew."""
    storage = Storage()
    storage.open(THINGS)
    watcher = storage.watch(THINGS)
    storage.create(THINGS, "a", "x", _thing("x"))
    storage.close(THINGS)
    assert [event.type for event in watcher.take()] == ["ADDED"]
    with pytest.raises(WatchEnded):
        watcher.take()
    opened = storage.revision
    storage.open(THINGS)
    with pytest.raises(Compacted):
        storage.watch(THINGS, since=opened - 1)


def test_a_write_costs_the_same_however_much_is_stored() -> None:
    """A write touches no more of the store with 50,000 objects in it than with 50: counted, not timed."""
    touched = []
    for size in (50, 50_000):
        storage = Storage()
        for index in range(size):
            storage.create(THINGS, "a", str(index), _thing(str(index)))
        counting = _Counting(storage.__dict__["_objects"][THINGS]["a"])
        storage.__dict__["_objects"][THINGS]["a"] = counting
        base = storage.get(THINGS, "a", "7")
        assert base is not None
        storage.update(THINGS, "a", "7", _thing("7", value=1), base)
        touched.append(counting.touched)
    assert touched[0] == touched[1] <= 4


class _Counting(dict[str, JSON]):
    """Counts accesses; walking over all of it counts as many."""

    touched = 0

    def __getitem__(self, key: str) -> JSON:
        self.touched += 1
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.touched += 1
        return super().get(key, default)

    def __setitem__(self, key: str, value: JSON) -> None:
        self.touched += 1
        super().__setitem__(key, value)

    def __iter__(self) -> Any:
        self.touched += len(self)
        return super().__iter__()


@dataclass
class _Client:
    """Writes by compare and swap, from what it read last."""

    read: dict[str, JSON] = field(default_factory=dict)
    written: int = 0


@dataclass
class _History:
    """A random history of several clients and watchers."""

    seed: int
    storage: Storage = field(default_factory=lambda: Storage(window=200))
    counters: dict[str, int] = field(default_factory=dict)
    all: list[tuple[int, str, str]] = field(default_factory=list)

    def run(self) -> None:
        chance = random.Random(self.seed)
        clients = [_Client() for _ in range(3)]
        watchers: list[tuple[str, int, Watcher, list[Event]]] = []
        for _ in range(OPERATIONS):
            if chance.random() < 0.15:
                namespace = chance.choice(("", "a", "b"))
                since = chance.choice((None, chance.randint(1, self.storage.revision)))
                start = self.storage.revision if since is None else since
                watchers.append((namespace, start, self.storage.watch(THINGS, namespace, since), []))
            before = self.storage.revision
            self._act(chance, chance.choice(clients))
            assert self.storage.revision in (before, before + 1)
            for _, _, watcher, seen in watchers:
                if chance.random() < 0.5:
                    seen += watcher.take(chance.randint(1, 3))
        for namespace, start, watcher, seen in watchers:
            self._check(namespace, start, watcher, seen)

    def _act(self, chance: random.Random, client: _Client) -> None:
        name, namespace = chance.choice("xyz"), chance.choice("ab")
        key = f"{namespace}/{name}"
        match chance.randint(0, 4):
            case 0:
                self._create(namespace, name)
            case 1:
                self._remove(client, namespace, name)
            case 2:
                found = self.storage.get(THINGS, namespace, name)
                if found is not None:
                    client.read[key] = found
            case _:
                self._swap(client, namespace, name)

    def _create(self, namespace: str, name: str) -> None:
        try:
            stored = self.storage.create(THINGS, namespace, name, _thing(name, namespace))
        except KeyTaken:
            return
        self.counters[f"{namespace}/{name}"] = 0
        self.all.append((_version(stored), namespace, "ADDED"))

    def _remove(self, client: _Client, namespace: str, name: str) -> None:
        base = client.read.get(f"{namespace}/{name}")
        if base is None:
            return
        try:
            last = self.storage.delete(THINGS, namespace, name, base)
        except (KeyMissing, VersionMismatch):
            return
        self.all.append((_version(last), namespace, "DELETED"))

    def _swap(self, client: _Client, namespace: str, name: str) -> None:
        """Count up by one from what was read: a lost update would leave the counter behind."""
        key = f"{namespace}/{name}"
        base = client.read.get(key)
        if base is None:
            return
        try:
            stored = self.storage.update(THINGS, namespace, name, {**base, "value": base["value"] + 1}, base)
        except (KeyMissing, VersionMismatch):
            return
        client.read[key] = stored
        self.counters[key] += 1
        assert stored["value"] == self.counters[key]
        self.all.append((_version(stored), namespace, "MODIFIED"))

    def _check(self, namespace: str, start: int, watcher: Watcher, seen: list[Event]) -> None:
        seen += watcher.take(10_000)
        told = [(event.revision, event.namespace, event.type) for event in seen]
        wanted = [entry for entry in self.all if entry[0] > start and namespace in ("", entry[1])]
        assert told == wanted


@pytest.mark.long
def test_random_histories_keep_every_promise() -> None:
    """In 10,000 histories versions only rise, no update is lost, and each watcher sees everything once, in order."""
    for seed in range(HISTORIES):
        _History(seed).run()
