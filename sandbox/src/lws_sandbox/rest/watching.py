"""Watch: a stream of changes, from a version on, through selectors, with bookmarks and timeouts.

A change is seen through the selectors of the watch: into the selection it is ADDED, out of it DELETED with the object's
last selected state at the new version (k8s.io/apiserver `storage/cacher`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.rest.call import Call, internal, list_options, parse_version
from lws_sandbox.rest.core import Core
from lws_sandbox.rest.reading import check_reached, selection
from lws_sandbox.schema.gostruct import zero
from lws_sandbox.status import StatusError, expired, show
from lws_sandbox.storage import Compacted, Event, WatchEnded, Watcher
from lws_sandbox.strategy import Strategy

Encode = Callable[[str, JSON], bytes]
INITIAL_END: Final = "k8s.io/initial-events-end"
BOOKMARK_EVERY: Final = 60.0
BOOKMARK_BEFORE_END: Final = 2.0
TOO_LARGE_WAIT: Final = 3.0
BATCH: Final = 200


class Watch:
    """One watch; `frames` is its answer."""

    def __init__(
        self,
        core: Core,
        call: Call,
        encode: Encode,
        *,
        form: str,
        default_timeout: float,
        open_watches: dict[Watch, None],
    ) -> None:
        """Check the options.

        Args:
            core: the shared parts.
            call: the request.
            encode: makes a line of an event's type and object.
            form: names what ``encode`` makes, when equal objects always give equal lines; else empty.
            default_timeout: seconds after which the server ends a watch without a timeout of its own.
            open_watches: where the watch is listed while it lasts.

        Raises:
            StatusError: the options do not fit.
        """
        self._core = core
        self._call = call
        self._encode = encode
        self._form = form
        self._options = list_options(call.query, watch=True)
        self._chosen = selection(call, self._options)
        text = self._options.resource_version
        try:
            self._since = parse_version(text)
        except ValueError as error:
            raise internal(f"resourceVersion: Invalid value: {show(text)}: {error}") from None
        self._seconds = float(self._options.timeout_seconds or default_timeout)
        self._open = open_watches
        self._initial_version = 0
        self._watcher: Watcher | None = None
        self.aborted = False

    def abort(self) -> None:
        """End the watch now, as a broken connection does."""
        self.aborted = True
        if self._watcher is not None:
            self._watcher.interrupt()

    async def frames(self) -> AsyncIterator[bytes]:
        """Lines of events, many in one piece when many are there; ends when the watch does."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._seconds
        timer: asyncio.TimerHandle | None = None
        self._open[self] = None
        try:
            watcher, initial = await self._begin(ends)
            self._watcher = watcher
            async for piece in self._initial(initial):
                yield piece
            mark = self._next_mark(loop.time(), ends)
            timer = loop.call_at(min(ends, mark), watcher.interrupt)
            while not self.aborted:
                try:
                    events = watcher.take(BATCH)
                except (WatchEnded, Compacted):
                    return
                piece = b"".join(filter(None, map(self._line, events)))
                if piece:
                    yield piece
                if watcher.ready:
                    await asyncio.sleep(0)
                    continue
                now = loop.time()
                if now >= ends:
                    return
                if now >= mark:
                    yield self._bookmark(self._core.storage.revision)
                    mark = self._next_mark(now, ends)
                if now >= timer.when():
                    timer = loop.call_at(min(ends, mark), watcher.interrupt)
                await watcher.wait()
        except StatusError as error:
            yield self._encode("ERROR", error.to_json())
        finally:
            if timer is not None:
                timer.cancel()
            self._open.pop(self, None)

    async def _begin(self, ends: float) -> tuple[Watcher, list[JSON] | None]:
        storage, options = self._core.storage, self._options
        key, namespace = self._call.strategy.storage_key, self._namespace
        wants_initial = options.initial_events is True or (options.initial_events is None and self._since == 0)
        if wants_initial:
            await self._reach(ends, refuse=True)
            self._initial_version = storage.revision
            return storage.watch(key, namespace, wants=self._wants), [
                stored for _, _, stored in storage.entries(key, namespace)
            ]
        if options.initial_events is False and self._since == 0:
            return storage.watch(key, namespace, wants=self._wants), None
        await self._reach(ends, refuse=False)
        try:
            return storage.watch(key, namespace, self._since, wants=self._wants), None
        except Compacted as error:
            raise expired(f"too old resource version: {self._since} ({error.oldest})") from None

    async def _reach(self, ends: float, *, refuse: bool) -> None:
        """Wait for the version to begin from; initial events do not wait longer than a list would."""
        loop = asyncio.get_running_loop()
        if self._since <= self._core.storage.revision:
            return
        until = min(ends, loop.time() + TOO_LARGE_WAIT) if refuse else ends
        watcher = self._core.storage.watch(self._call.strategy.storage_key, self._namespace)
        while self._since > self._core.storage.revision and loop.time() < until:
            await _wait(watcher, until)
            watcher.take()
        if refuse:
            check_reached(self._core, self._since)

    async def _initial(self, objects: list[JSON] | None) -> AsyncIterator[bytes]:
        if objects is None:
            return
        strategy = self._call.strategy
        for start in range(0, len(objects), BATCH):
            chosen = (strategy.read(stored) for stored in objects[start : start + BATCH])
            piece = b"".join(self._encode("ADDED", obj) for obj in chosen if self._chosen.takes(strategy, obj))
            if piece:
                yield piece
            await asyncio.sleep(0)
        if self._options.initial_events and self._options.bookmarks:
            yield self._bookmark(self._initial_version, {INITIAL_END: "true"})

    def _bookmark(self, revision: int, annotations: JSON | None = None) -> bytes:
        resource = self._call.strategy.resource
        meta: JSON = {"resourceVersion": str(revision)}
        if annotations:
            meta["annotations"] = annotations
        told = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
        return self._encode("BOOKMARK", {**told, **_empty(self._call.strategy)})

    def _next_mark(self, now: float, ends: float) -> float:
        """When the next bookmark is due: each minute, and shortly before the end."""
        if not self._options.bookmarks:
            return float("inf")
        last = ends - BOOKMARK_BEFORE_END
        due = now + BOOKMARK_EVERY
        if now < last:
            return min(due, last)
        return float("inf")

    def _wants(self, event: Event) -> bool:
        return self._chosen.empty or self._seen(event) is not None

    def _line(self, event: Event) -> bytes:
        seen = self._seen(event)
        if seen is None:
            return b""
        kind, obj = seen
        if not self._form:
            return self._encode(kind, obj)
        form = (self._form, kind)
        line = event.encoded.get(form)
        if line is None:
            line = event.encoded[form] = self._encode(kind, obj)
        return line

    def _seen(self, event: Event) -> tuple[str, JSON] | None:
        """The change as the selectors show it, or None."""
        strategy, chosen = self._call.strategy, self._chosen
        obj = strategy.read(event.obj)
        if chosen.empty:
            return event.type, obj
        before = event.old is not None and chosen.takes(strategy, strategy.read(event.old))
        after = event.type != "DELETED" and chosen.takes(strategy, obj)
        if after:
            return ("MODIFIED" if before else "ADDED"), obj
        if not before:
            return None
        if event.type == "DELETED":
            return "DELETED", obj
        return "DELETED", _at_version(strategy.read(event.old or {}), obj)

    @property
    def _namespace(self) -> str:
        info = self._call.info
        if not self._call.strategy.resource.namespaced:
            return ""
        return info.namespace or self._chosen.fields.exact("metadata.namespace") or ""


def _at_version(old: JSON, new: JSON) -> JSON:
    return {**old, "metadata": {**old["metadata"], "resourceVersion": new["metadata"]["resourceVersion"]}}


def _empty(strategy: Strategy) -> JSON:
    """What a server writes of an object that holds nothing: the members that its Go type never leaves out."""
    if strategy.custom or strategy.schema is None:
        return {}
    found = {name: value for name, value in zero(strategy.schema.root).items() if name != "metadata"}
    if strategy.scale is not None and strategy.resource.group == "apps":
        found["spec"] = {"replicas": 0, **found["spec"]}  # a number within the server, though a pointer in its API
    return found


async def _wait(watcher: Watcher, until: float) -> None:
    """Until there may be something to take, or the time has come."""
    try:
        async with asyncio.timeout_at(None if until == float("inf") else until):
            await watcher.wait()
    except TimeoutError:
        return
