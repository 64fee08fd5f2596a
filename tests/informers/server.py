"""A collection of an API server in memory, with every fault that a watch can meet, as a `Transport`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from lws.apimachinery.manifests import JSON
from lws.client.transport import Request, Response
from lws.errors import TransportError

FIRST_VERSION = 100_000
END_MARK = {"k8s.io/initial-events-end": "true"}


def status(code: int, reason: str, message: str = "", **details: Any) -> JSON:
    """A failure as a server words it."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message or reason,
        "details": details,
    }


EXPIRED = status(410, "Expired", "too old resource version")
TOO_LARGE = status(
    504, "Timeout", "Too large resource version", causes=[{"reason": "ResourceVersionTooLarge"}], retryAfterSeconds=1
)
UNSUPPORTED = status(422, "Invalid", "sendInitialEvents: Forbidden")


@dataclass
class Refusal:
    """An answer given instead of the right one."""

    code: int
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: JSON | None = None

    def document(self) -> JSON:
        """The Status that is sent."""
        return self.body or status(self.code, self.reason)


class FakeStream:
    """A watch that is open."""

    def __init__(self, code: int, headers: dict[str, str], query: dict[str, str]) -> None:
        self.status = code
        self.headers = headers
        self.query = query
        self.position = 0
        self.pending: deque[bytes | TransportError | None] = deque()
        self.waker = asyncio.Event()
        self.timers: list[asyncio.TimerHandle] = []

    def feed(self, item: bytes | TransportError | None) -> None:
        """Send bytes, the end (None), or a break."""
        self.pending.append(item)
        self.waker.set()

    def send(self, kind: str, obj: JSON) -> None:
        """Send an event."""
        self.feed(orjson.dumps({"type": kind, "object": obj}) + b"\n")

    async def chunks(self) -> AsyncIterator[bytes]:
        """What was fed, in order."""
        while True:
            while not self.pending:
                self.waker.clear()
                await self.waker.wait()
            item = self.pending.popleft()
            if item is None:
                return
            if isinstance(item, TransportError):
                raise item
            yield item


class FakeServer:
    """One collection.

    Attributes:
        streaming: ``served``, ``refused`` (422), or ``ignored`` as by a server that does not know the parameter.
        refusals: given to the next requests, one each; None lets a request pass.
        standing: given to all requests while set.
        bookmarks: whether bookmarks are sent each minute and before the end of a watch.
    """

    def __init__(self, *, streaming: str = "served", bookmarks: bool = True) -> None:
        self.streaming = streaming
        self.bookmarks = bookmarks
        self.objects: dict[tuple[str, str], JSON] = {}
        self.version = FIRST_VERSION
        self.restarts = 0
        self.history: list[tuple[int, str, JSON, JSON | None]] = []
        self.floor = 0
        self.refusals: deque[Refusal | TransportError | None] = deque()
        self.standing: Refusal | TransportError | None = None
        self.streams: list[FakeStream] = []
        self.requests: list[Request] = []
        self.snapshots: dict[int, list[JSON]] = {}
        self.mute = False  # new watches open and then say nothing at all
        self.before_page: Callable[[int], None] | None = None

    # The world changes.

    def put(self, name: str, namespace: str = "ns", uid: str | None = None, **labels: str) -> JSON:
        """Create or change an object."""
        self.version += 1
        old = self.objects.get((namespace, name))
        obj = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": uid or (old["metadata"]["uid"] if old else f"uid-{self.version}"),
                "resourceVersion": str(self.version),
                "labels": labels,
            }
        }
        self.objects[namespace, name] = obj
        self._happened("MODIFIED" if old else "ADDED", obj, old)
        return obj

    def delete(self, name: str, namespace: str = "ns") -> None:
        """Delete an object."""
        self.version += 1
        old = self.objects.pop((namespace, name))
        last = {"metadata": {**old["metadata"], "resourceVersion": str(self.version)}}
        self._happened("DELETED", last, old)

    def _happened(self, kind: str, obj: JSON, old: JSON | None) -> None:
        self.history.append((self.version, kind, obj, old))
        for stream in self.streams:
            self._forward(stream, self.version, kind, obj, old)

    def _forward(self, stream: FakeStream, version: int, kind: str, obj: JSON, old: JSON | None) -> None:
        if version <= stream.position or self.mute:
            return
        seen = selected(obj, stream.query) and kind != "DELETED"
        had = old is not None and selected(old, stream.query)
        if seen or had:
            stream.send("DELETED" if not seen else "MODIFIED" if had else "ADDED", obj)

    def compact(self) -> None:
        """Forget the past: older positions are 410."""
        self.floor = self.version
        self.history.clear()
        self.snapshots.clear()

    def restart(self) -> None:
        """Come back with the same objects under new, much lower versions, and no past."""
        self.break_streams()
        self.restarts += 1
        self.version = FIRST_VERSION - 1000 * self.restarts
        self.history.clear()
        self.snapshots.clear()
        for key, obj in list(self.objects.items()):
            self.version += 1
            self.objects[key] = {"metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self.floor = self.version

    # Faults of open watches.

    def break_streams(self) -> None:
        """Every connection breaks."""
        for stream in self._take():
            stream.feed(TransportError("the connection broke"))

    def end_streams(self) -> None:
        """Every watch ends cleanly."""
        for stream in self._take():
            stream.feed(None)

    def cut_streams(self, line: bytes = b'{"type":"ADDED","object":{"meta') -> None:
        """Every watch ends within a line."""
        for stream in self._take():
            stream.feed(line)
            stream.feed(None)

    def fail_streams(self, failure: JSON) -> None:
        """Every watch ends with an ERROR event."""
        for stream in self._take():
            stream.send("ERROR", failure)
            stream.feed(None)

    def stall_streams(self) -> None:
        """Every watch falls silent for good."""
        self._take()

    def _take(self) -> list[FakeStream]:
        taken, self.streams = self.streams, []
        for stream in taken:
            for timer in stream.timers:
                timer.cancel()
        return taken

    # Transport.

    async def send(self, request: Request) -> Response:
        """Answer a list, or a page of it."""
        self.requests.append(request)
        await asyncio.sleep(0.001)
        if self.before_page is not None:
            self.before_page(len(self.requests))
        refusal = self._refusal()
        if refusal is not None:
            return Response(refusal.code, refusal.headers, orjson.dumps(refusal.document()))
        query = dict(request.query)
        token = query.get("continue", "")
        version, start = (int(part) for part in token.split(":")) if token else (self.version, 0)
        if token and version not in self.snapshots:
            return Response(410, {}, orjson.dumps(EXPIRED))
        items = [obj for obj in self._at(version) if selected(obj, query)]
        limit = int(query.get("limit", "0")) or len(items)
        more = start + limit < len(items)
        meta = {"resourceVersion": str(version), "continue": f"{version}:{start + limit}" if more else ""}
        return Response(200, {}, orjson.dumps({"metadata": meta, "items": items[start : start + limit]}))

    def _at(self, version: int) -> list[JSON]:
        if version not in self.snapshots:
            self.snapshots[version] = [self.objects[key] for key in sorted(self.objects)]
        return self.snapshots[version]

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[FakeStream]:
        """Answer a watch."""
        self.requests.append(request)
        await asyncio.sleep(0.001)
        refusal = self._refusal()
        query = dict(request.query)
        initial = query.get("sendInitialEvents") == "true"
        if refusal is None and initial and self.streaming == "refused":
            refusal = Refusal(422, body=UNSUPPORTED)
        stream = FakeStream(refusal.code if refusal else 200, refusal.headers if refusal else {}, query)
        if refusal is not None:
            stream.feed(orjson.dumps(refusal.document()))
            stream.feed(None)
        else:
            self._watch(stream, initial)
        try:
            yield stream
        finally:
            if stream in self.streams:
                self.streams.remove(stream)
            for timer in stream.timers:
                timer.cancel()

    async def close(self) -> None:
        """Nothing is kept open."""

    def _refusal(self) -> Refusal | None:
        given = self.standing or (self.refusals.popleft() if self.refusals else None)
        if isinstance(given, TransportError):
            raise given
        return given

    def _watch(self, stream: FakeStream, initial: bool) -> None:
        self.streams.append(stream)
        if self.mute:
            return
        position = int(stream.query.get("resourceVersion", "0"))
        if initial:
            for obj in self._at(self.version):
                if selected(obj, stream.query):
                    stream.send("ADDED", obj)
            stream.position = self.version
            if self.streaming == "served":
                self._bookmark(stream, END_MARK)
        elif position < self.floor:
            stream.send("ERROR", EXPIRED)
            stream.feed(None)
            return
        else:
            stream.position = position
            for version, kind, obj, old in self.history:
                self._forward(stream, version, kind, obj, old)
        self._schedule(stream, int(stream.query["timeoutSeconds"]))

    def _schedule(self, stream: FakeStream, seconds: int) -> None:
        loop = asyncio.get_running_loop()
        stream.timers.append(loop.call_later(seconds, stream.feed, None))
        if self.bookmarks:
            for at in [*range(60, seconds - 2, 60), max(seconds - 2, 1)]:
                stream.timers.append(loop.call_later(at, self._bookmark, stream, None))

    def _bookmark(self, stream: FakeStream, annotations: JSON | None) -> None:
        if self.version >= stream.position:
            stream.position = self.version
            stream.send("BOOKMARK", {"metadata": {"resourceVersion": str(self.version), "annotations": annotations}})

    # What tests ask.

    def truth(self, label: str = "") -> dict[tuple[str, str], str]:
        """Versions of the objects that a perfect cache would hold."""
        query = {"labelSelector": label}
        return {key: obj["metadata"]["resourceVersion"] for key, obj in self.objects.items() if selected(obj, query)}


def selected(obj: JSON, query: dict[str, str]) -> bool:
    """Whether an object is selected, by a single ``label=value``."""
    key, _, value = query.get("labelSelector", "").partition("=")
    return not key or obj["metadata"]["labels"].get(key) == value
