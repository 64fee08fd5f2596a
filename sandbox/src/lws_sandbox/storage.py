"""What the sandbox remembers: objects, one clock of resource versions, and the log of changes.

Guarantees:
    - every write takes the next resource version; none is ever given twice, and none falls;
    - a write names the version it builds on, and fails when another write came first: no update is lost;
    - stored objects are never changed in place: a write stores a new object;
    - a write costs the same however many objects are stored;
    - a watcher sees every change of its collection once and in order, or is told that it fell out of the window.

Caveats: objects are shared, not copied. Whoever reads one must not change it. Everything here is synchronous; only
`Watcher.wait` waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lws.apimachinery.manifests import JSON

Change = Literal["ADDED", "MODIFIED", "DELETED"]
WINDOW: Final = 4_000
RECENT: Final = 500  # changes whose forms on the wire are remembered
METADATA: Final = (  # the order in which a real server writes them
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


class StorageError(Exception):
    """Root of what storage refuses."""


class KeyTaken(StorageError):  # noqa: N818 -- a fact, not a fault
    """There is an object of that name."""


class KeyMissing(StorageError):  # noqa: N818 -- a fact, not a fault
    """There is no object of that name."""


class VersionMismatch(StorageError):  # noqa: N818 -- a fact, not a fault
    """Another write came first."""


class Compacted(StorageError):  # noqa: N818 -- a fact, not a fault
    """The version asked for is out of the window; ``oldest`` is still in it."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"compacted up to {oldest}")
        self.oldest = oldest


class WatchEnded(StorageError):  # noqa: N818 -- a fact, not a fault
    """The collection was reopened: its watchers have to begin again."""


@dataclass(slots=True)
class Event:
    """One change. ``encoded`` remembers its forms on the wire, so that many watchers cost one encoding."""

    revision: int
    type: Change
    namespace: str
    name: str
    obj: JSON
    old: JSON | None
    encoded: dict[Any, bytes] = field(default_factory=dict)


Subscriber = Callable[[Event], None]
Wants = Callable[[Event], bool]


def _everything(_: Event) -> bool:
    return True


@dataclass(slots=True)
class _Log:
    """The changes of one collection, a bounded window of them.

    ``base`` is the sequence number of ``events[0]``; ``oldest`` the version from which on nothing is missing.
    """

    window: int
    oldest: int
    base: int = 0
    epoch: int = 0
    events: list[Event] = field(default_factory=list)
    sleepers: dict[str, dict[Watcher, None]] = field(default_factory=dict)  # in the order in which they fell asleep

    @property
    def end(self) -> int:
        return self.base + len(self.events)

    def append(self, event: Event) -> None:
        self.events.append(event)
        if len(self.events) > RECENT:
            self.events[-RECENT - 1].encoded.clear()
        if len(self.events) >= 2 * self.window:
            self.drop(self.window)
        sequence = self.end - 1
        for namespace in ("", event.namespace) if event.namespace else ("",):
            sleepers = self.sleepers.get(namespace)
            for watcher in [watcher for watcher in sleepers or () if watcher.wants(event)]:
                watcher.wake(sequence)

    def end_watches(self) -> None:
        self.epoch += 1
        sleepers, self.sleepers = self.sleepers, {}
        for watcher in [watcher for group in sleepers.values() for watcher in group]:
            watcher.wake(self.end)

    def drop(self, count: int) -> None:
        if count:
            self.oldest = max(self.oldest, self.events[count - 1].revision)
            del self.events[:count]
            self.base += count

    def compact(self, revision: int) -> None:
        keep = next((i for i, event in enumerate(self.events) if event.revision > revision), len(self.events))
        self.drop(keep)
        self.oldest = max(self.oldest, revision)

    def sequence_after(self, revision: int) -> int:
        """Sequence number of the first event after ``revision``."""
        low, high = 0, len(self.events)
        while low < high:
            middle = (low + high) // 2
            if self.events[middle].revision <= revision:
                low = middle + 1
            else:
                high = middle
        return self.base + low


class Watcher:
    """A cursor over the log of one collection, for one namespace or for all.

    It holds no events of its own, so any number of watchers costs no memory. A watcher that reads too slowly and falls
    out of the window raises `Compacted`; one that sleeps because nothing of its namespace happens never does.
    """

    def __init__(self, log: _Log, namespace: str, sequence: int, wants: Wants) -> None:
        self.wants = wants
        self._log = log
        self._namespace = namespace
        self._next = sequence
        self._epoch = log.epoch
        self._sleep: asyncio.Future[None] | None = None

    def take(self, limit: int = 500) -> list[Event]:
        """Changes that were not taken yet, oldest first, at most about ``limit``.

        Raises:
            Compacted: some were dropped before they could be taken.
            WatchEnded: all were taken, and there will be none any more.
        """
        log = self._log
        if self._next < log.base:
            raise Compacted(log.oldest)
        start = self._next - log.base
        found = log.events[start : start + limit]
        if not found and self._epoch != log.epoch:
            raise WatchEnded
        self._next += len(found)
        if not self._namespace:
            return found
        return [event for event in found if event.namespace == self._namespace]

    @property
    def ready(self) -> bool:
        """Whether `take` may have something to tell."""
        return self._next != self._log.end or self._epoch != self._log.epoch

    async def wait(self) -> None:
        """Return when `take` may have something to tell."""
        if self.ready:
            return
        sleep = self._sleep = asyncio.get_running_loop().create_future()
        sleepers = self._log.sleepers.setdefault(self._namespace, {})
        sleepers[self] = None
        try:
            await sleep
        finally:
            if self._sleep is not None:  # not woken: up to now nothing of ours happened
                self._sleep = None
                self._next = self._log.end
                sleepers.pop(self, None)

    def interrupt(self) -> None:
        """End a `wait` although nothing happened."""
        self.wake(self._log.end)

    def wake(self, sequence: int) -> None:
        """Something happened at ``sequence``; what happened before it, while we slept, was not ours."""
        sleep, self._sleep = self._sleep, None
        if sleep is None:
            return
        self._log.sleepers.get(self._namespace, {}).pop(self, None)
        self._next = sequence
        if not sleep.done():
            sleep.set_result(None)


class Storage:
    """Objects by collection, namespace and name. ``collection`` is a `Strategy.storage_key`."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._revision = 1
        self._compacted = 0
        self._objects: dict[str, dict[str, dict[str, JSON]]] = {}
        self._counts: dict[str, int] = {}
        self._logs: dict[str, _Log] = {}
        self._subscribers: dict[str, list[Subscriber]] = {}

    @property
    def revision(self) -> int:
        """The version of the last write."""
        return self._revision

    def get(self, collection: str, namespace: str, name: str) -> JSON | None:
        """The object, or None."""
        return self._objects.get(collection, {}).get(namespace, {}).get(name)

    def create(self, collection: str, namespace: str, name: str, obj: JSON) -> JSON:
        """Store a new object; returns it with its resourceVersion.

        Raises:
            KeyTaken: there is one of that name.
        """
        objects = self._objects.setdefault(collection, {}).setdefault(namespace, {})
        if name in objects:
            raise KeyTaken(name)
        stored = self._stamp(obj)
        objects[name] = stored
        self._counts[collection] = self._counts.get(collection, 0) + 1
        self._tell(collection, Event(self._revision, "ADDED", namespace, name, stored, None))
        return stored

    def update(self, collection: str, namespace: str, name: str, obj: JSON, base: JSON) -> JSON:
        """Store ``obj`` in place of ``base``, which must still be the stored object; returns it with its new version.

        Raises:
            KeyMissing: the object is gone.
            VersionMismatch: another write came first.
        """
        old = self._expect(collection, namespace, name, base)
        stored = self._stamp(obj)
        self._objects[collection][namespace][name] = stored
        self._tell(collection, Event(self._revision, "MODIFIED", namespace, name, stored, old))
        return stored

    def delete(self, collection: str, namespace: str, name: str, base: JSON) -> JSON:
        """Remove ``base``; returns it with the version of its removal.

        Raises:
            KeyMissing: the object is gone.
            VersionMismatch: another write came first.
        """
        old = self._expect(collection, namespace, name, base)
        objects = self._objects[collection]
        del objects[namespace][name]
        if not objects[namespace]:
            del objects[namespace]
        self._counts[collection] -= 1
        last = self._stamp(old)
        self._tell(collection, Event(self._revision, "DELETED", namespace, name, last, old))
        return last

    def entries(self, collection: str, namespace: str = "") -> list[tuple[str, str, JSON]]:
        """(namespace, name, object) of a namespace, or of all of them, in order of both."""
        spaces = self._objects.get(collection, {})
        chosen = [namespace] if namespace else sorted(spaces)
        return [(space, name, obj) for space in chosen for name, obj in sorted(spaces.get(space, {}).items())]

    def objects(self, collection: str, namespace: str = "") -> Iterator[JSON]:
        """The objects, in no promised order."""
        spaces = self._objects.get(collection, {})
        chosen: Iterable[dict[str, JSON]] = [spaces.get(namespace, {})] if namespace else list(spaces.values())
        for space in chosen:
            yield from list(space.values())

    def count(self, collection: str) -> int:
        """How many objects of the collection are stored."""
        return self._counts.get(collection, 0)

    def namespaces(self, collection: str) -> list[str]:
        """Namespaces in which the collection has objects."""
        return list(self._objects.get(collection, {}))

    def list_at(self, collection: str, namespace: str, revision: int) -> list[tuple[str, str, JSON]]:
        """As `entries`, but as it was at ``revision``.

        Raises:
            Compacted: that is out of the window.
        """
        log = self._log(collection)
        if revision < max(log.oldest if log.events or log.base else 0, self._compacted):
            raise Compacted(max(log.oldest, self._compacted))
        past = {(space, name): obj for space, name, obj in self.entries(collection, namespace)}
        for event in reversed(log.events[log.sequence_after(revision) - log.base :]):
            if namespace in ("", event.namespace):
                key = (event.namespace, event.name)
                if event.old is None:
                    past.pop(key, None)
                else:
                    past[key] = event.old
        return [(space, name, past[space, name]) for space, name in sorted(past)]

    def watch(
        self, collection: str, namespace: str = "", since: int | None = None, *, wants: Wants = _everything
    ) -> Watcher:
        """A watcher of what comes after ``since``, by default after now.

        A sleeping watcher is woken for changes that it ``wants`` and for no others; `Watcher.take` gives it all.

        Raises:
            Compacted: ``since`` is out of the window.
        """
        log = self._log(collection)
        if since is None or since >= self._revision:
            return Watcher(log, namespace, log.end, wants)
        if since < log.oldest:
            raise Compacted(log.oldest)
        return Watcher(log, namespace, log.sequence_after(since), wants)

    def compact(self, revision: int | None = None) -> int:
        """Forget what happened up to ``revision``, by default up to now; returns it."""
        upto = self._revision if revision is None else min(revision, self._revision)
        self._compacted = max(self._compacted, upto)
        for log in self._logs.values():
            log.compact(upto)
        return upto

    def subscribe(self, collection: str, subscriber: Subscriber) -> None:
        """Call ``subscriber`` after every write to a collection, before the writer goes on; it must not write."""
        self._subscribers.setdefault(collection, []).append(subscriber)

    def open(self, collection: str) -> None:
        """Begin the log of a collection that is served from now on."""
        self._logs.setdefault(collection, _Log(self._window, oldest=self._revision))

    def end_watches(self, collection: str) -> None:
        """Let the watchers of a collection take what there is, and end."""
        self._log(collection).end_watches()

    def close(self, collection: str) -> None:
        """End the log of a collection that is no longer served, and its watchers."""
        self.end_watches(collection)
        self._logs.pop(collection, None)

    def _tell(self, collection: str, event: Event) -> None:
        self._log(collection).append(event)
        for subscriber in self._subscribers.get(collection, ()):
            subscriber(event)

    def _stamp(self, obj: JSON) -> JSON:
        self._revision += 1
        metadata = {**obj["metadata"], "resourceVersion": str(self._revision)}
        ordered = {name: metadata.pop(name) for name in METADATA if name in metadata}
        return {**obj, "metadata": {**ordered, **metadata}}

    def _expect(self, collection: str, namespace: str, name: str, base: JSON) -> JSON:
        old = self.get(collection, namespace, name)
        if old is None:
            raise KeyMissing(name)
        if old["metadata"]["resourceVersion"] != base["metadata"]["resourceVersion"]:
            raise VersionMismatch(name)
        return old

    def _log(self, collection: str) -> _Log:
        log = self._logs.get(collection)
        if log is None:
            log = self._logs[collection] = _Log(self._window, oldest=max(self._compacted, 1))
        return log
