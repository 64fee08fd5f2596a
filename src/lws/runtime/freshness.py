"""Read your own writes: which keys must wait until a cache has seen what they last wrote.

Guarantees:
    * From `Ledger.record` until the informer has seen that resourceVersion, or a later one, the key is stale.
    * A key is woken when the last of its writes has been seen, and only then.
    * An informer whose position falls has listed a server with another history (restored, or started anew); versions of
      the old one say nothing there, so writes that waited for them count as seen.
    * Memory is bounded by the writes not yet seen.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from lws.apimachinery.resources import Resource
from lws.informers.informer import Informer

K = TypeVar("K", bound=Hashable)


class SeeingInformer(Protocol):
    """What the ledger needs of an informer."""

    @property
    def position(self) -> int:
        """The resourceVersion up to which everything is in the cache."""
        ...

    def has_seen(self, namespace: str, name: str, resource_version: int | str, /) -> bool:
        """Whether the cache reflects this version of the object, or a later one."""
        ...

    def on_progress(self, callback: Callable[[], None], /) -> None:
        """Have it told, synchronously, that the position may have moved."""
        ...


class InformerSource(Protocol):
    """The caches that a controller reads, by resource."""

    def informer(self, resource: Resource, /) -> Informer[Any] | None:
        """The cache of this kind of object, if there is one."""
        ...


_Write: TypeAlias = tuple[int, str, str]  # identity of the informer, namespace, name


@dataclass(slots=True)
class _Watched(Generic[K]):
    """An informer, and who waits for it: a heap by resourceVersion, with a sequence number against ties."""

    informer: SeeingInformer
    heap: list[tuple[int, int, K, _Write]] = field(default_factory=list)
    position: int = 0


class Ledger(Generic[K]):
    """Remembers the writes of keys; see the module for its guarantees.

    Args:
        wake: makes a key be looked at, such as a queue's ``add``.
    """

    def __init__(self, wake: Callable[[K], None]) -> None:
        self._wake = wake
        self._watched: dict[int, _Watched[K]] = {}
        self._unseen: dict[K, dict[_Write, int]] = {}  # key -> write -> resourceVersion
        self._sequence = itertools.count()

    def record(self, key: K, informer: SeeingInformer, namespace: str, name: str, resource_version: int | str) -> None:
        """A key wrote an object, and this is the resourceVersion of the answer; an empty one is ignored."""
        if not resource_version or informer.has_seen(namespace, name, resource_version):
            return
        write = (id(informer), namespace, name)
        watched = self._watched.get(id(informer))
        if watched is None:
            watched = self._watched[id(informer)] = _Watched(informer)
            informer.on_progress(lambda: self._progress(watched))
        version = int(resource_version)
        self._unseen.setdefault(key, {})[write] = version
        heapq.heappush(watched.heap, (version, next(self._sequence), key, write))

    def stale(self, key: K) -> bool:
        """Whether some cache has not yet seen what the key last wrote."""
        unseen = self._unseen.get(key)
        if unseen is None:
            return False
        for write, version in list(unseen.items()):
            if self._watched[write[0]].informer.has_seen(write[1], write[2], version):
                self._seen(key, write)
        return key in self._unseen

    def __len__(self) -> int:
        """How many keys are stale, as far as was noticed."""
        return len(self._unseen)

    def _progress(self, watched: _Watched[K]) -> None:
        position = watched.informer.position
        restored = position < watched.position
        watched.position = position
        while watched.heap and (restored or watched.heap[0][0] <= position):
            version, _, key, write = heapq.heappop(watched.heap)
            # A later write of the same object by the same key has its own entry further down the heap.
            if self._unseen.get(key, {}).get(write) == version and self._seen(key, write):
                self._wake(key)

    def _seen(self, key: K, write: _Write) -> bool:
        """Strike one write out; returns whether it was the key's last."""
        unseen = self._unseen[key]
        del unseen[write]
        if unseen:
            return False
        del self._unseen[key]
        return True
