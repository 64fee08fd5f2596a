"""Who is told of changes in a store, and how: synchronously, in order, each change exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from lws.apimachinery.objects import Object
from lws.informers.store import Change, StoreReader

T = TypeVar("T", bound=Object)
T_contra = TypeVar("T_contra", contravariant=True)

BATCH: Final = 200  # objects between two turns of the event loop


class Handler(Protocol[T_contra]):
    """Told of changes, synchronously; an exception it raises is logged and affects no other handler."""

    def __call__(self, old: T_contra | None, new: T_contra | None, initial: bool, /) -> None:
        """``initial``: the object came with the first list, or nothing changed and this is a resync."""
        ...


class Handlers(Generic[T]):
    """The handlers of one store.

    Args:
        store: what new handlers are told of.
        log: where failures go.
    """

    def __init__(self, store: StoreReader[T], log: Any) -> None:
        self._store = store
        self._log = log
        self._handlers: list[Handler[T]] = []
        self._in_turns = asyncio.Lock()  # what one list changed is told before anything is told of it again

    def add(self, handler: Handler[T]) -> None:
        """Call the handler for every change from now on, and at once, as initial, for what is in the store."""
        self._handlers.append(handler)
        for obj in self._store:
            self._call(handler, Change(None, obj), initial=True)

    async def follow(self, handler: Handler[T]) -> None:
        """`add` for a store that may be large: what is in it already is passed on a few at a time."""
        self._handlers.append(handler)
        for number, obj in enumerate(self._store.list(), 1):
            if self._store.get(*obj.metadata.key) is obj:
                self._call(handler, Change(None, obj), initial=True)
            if number % BATCH == 0:
                await asyncio.sleep(0)

    def tell(self, changes: Sequence[Change[T]], *, initial: bool = False) -> None:
        """Pass changes on to every handler."""
        for change in changes:
            for handler in self._handlers:
                self._call(handler, change, initial=initial)

    async def tell_list(self, changes: Iterable[Change[T]], *, initial: bool) -> int:
        """Pass on what a list changed, a few changes at a time; returns how many there were.

        Who becomes a handler meanwhile is told of the whole store instead.
        """
        handlers, count = [*self._handlers], 0
        async with self._in_turns:
            for count, change in enumerate(changes, 1):
                for handler in handlers:
                    self._call(handler, change, initial=initial)
                if count % BATCH == 0:
                    await asyncio.sleep(0)
        return count

    async def resync(self) -> None:
        """Call handlers for every object again, a few at a time."""
        async with self._in_turns:
            for number, obj in enumerate(self._store.list(), 1):
                if self._store.get(*obj.metadata.key) is obj:
                    self.tell((Change(obj, obj),), initial=True)
                if number % BATCH == 0:
                    await asyncio.sleep(0)

    def _call(self, handler: Handler[T], change: Change[T], *, initial: bool) -> None:
        try:
            handler(change.old, change.new, initial)
        except Exception:
            about = change.new if change.new is not None else change.old
            key = about.metadata.key if about is not None else None
            self._log.exception("handler failed", object=key)
