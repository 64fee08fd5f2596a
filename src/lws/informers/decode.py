"""From bytes on the wire to typed events and pages.

Guarantees: one bad object never hides its neighbours; a line may have any length; what is returned holds no reference
to the bytes that it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

import msgspec

T = TypeVar("T")


class _Wire(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Shape of everything that is only passed on."""


class _Event(msgspec.Struct, Generic[T], frozen=True, tag_field="type", gc=False):
    """Shape of the events that carry an object."""

    object: T


class Added(_Event[T], Generic[T], frozen=True, tag="ADDED"):
    """An object is new, or came into the selection."""


class Modified(_Event[T], Generic[T], frozen=True, tag="MODIFIED"):
    """An object changed."""


class Deleted(_Event[T], Generic[T], frozen=True, tag="DELETED"):
    """An object is gone, or left the selection."""


class MarkMeta(_Wire, frozen=True):
    """Metadata of a bookmark."""

    resource_version: str = ""
    annotations: dict[str, str] | None = None


class Mark(_Wire, frozen=True):
    """The object of a bookmark."""

    metadata: MarkMeta = MarkMeta()


class Bookmark(msgspec.Struct, frozen=True, tag_field="type", tag="BOOKMARK", gc=False):
    """Everything up to this version has been sent."""

    object: Mark


class Status(_Wire, frozen=True):
    """A failure as the server words it."""

    code: int | None = None
    reason: str | None = None
    message: str | None = None
    details: dict[str, Any] | None = None


class Error(msgspec.Struct, frozen=True, tag_field="type", tag="ERROR", gc=False):
    """The server gives this watch up."""

    object: Status


class Unreadable(msgspec.Struct, frozen=True):
    """An object that does not fit its type; the rest of the stream is sound."""

    deleted: bool
    namespace: str
    name: str
    resource_version: str
    problem: str


class Garbage(msgspec.Struct, frozen=True):
    """A line that is no event at all: nothing after it can be trusted."""

    problem: str


CHANGES: Final = (Added, Modified, Deleted)
WatchEvent: TypeAlias = Added[Any] | Modified[Any] | Deleted[Any] | Bookmark | Error | Unreadable | Garbage


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list."""

    objects: tuple[T, ...]
    unreadable: tuple[Unreadable, ...]
    token: str
    resource_version: str


class _Identity(_Wire, frozen=True):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Named(_Wire, frozen=True):
    metadata: _Identity = _Identity()


class _Envelope(_Wire, frozen=True):
    type: str
    object: msgspec.Raw


class _ListMeta(msgspec.Struct, frozen=True, rename={"resource_version": "resourceVersion", "token": "continue"}):
    resource_version: str = ""
    token: str = ""


class _List(msgspec.Struct, Generic[T], frozen=True):
    metadata: _ListMeta
    items: list[T] | None = None


class GarbledPageError(ValueError):
    """The body is no list."""


class Decoder(Generic[T]):
    """Decodes watch events and list pages of one kind.

    Args:
        struct: what is decoded from the wire: a `msgspec.Struct`, or `msgspec.Raw` for the bytes of an object.
        finish: makes the cached object from what was decoded; may raise ``ValueError``.
    """

    def __init__(self, struct: Any, finish: Callable[[Any], T]) -> None:
        self._finish = finish
        events = Added[struct] | Modified[struct] | Deleted[struct] | Bookmark | Error
        self._events: msgspec.json.Decoder[Any] = msgspec.json.Decoder(events)
        self._page: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_List[struct])
        self._object: msgspec.json.Decoder[Any] = msgspec.json.Decoder(struct)
        self._envelope = msgspec.json.Decoder(_Envelope)
        self._named = msgspec.json.Decoder(_Named)
        self._raw_page = msgspec.json.Decoder(_List[msgspec.Raw])

    def events(self, lines: bytes) -> list[WatchEvent]:
        """Decode whole lines. `Garbage`, if any, comes last."""
        try:
            events: list[WatchEvent] = self._events.decode_lines(lines)
        except msgspec.DecodeError:
            return self._one_by_one(lines)
        return [self._finished(event) for event in events]

    def page(self, body: bytes) -> Page[T]:
        """Decode a list.

        Raises:
            GarbledPageError: it is none.
        """
        try:
            page = self._page.decode(body)
            objects = [self._finish(item) for item in page.items or ()]
        except ValueError:
            return self._item_by_item(body)
        return Page(tuple(objects), (), page.metadata.token, page.metadata.resource_version)

    def _finished(self, event: WatchEvent) -> WatchEvent:
        if not isinstance(event, CHANGES):
            return event
        try:
            done = self._finish(event.object)
        except ValueError as error:
            raw = event.object
            body = bytes(raw) if isinstance(raw, msgspec.Raw) else msgspec.json.encode(raw)
            return self._unreadable(body, isinstance(event, Deleted), error)
        return event if done is event.object else type(event)(done)

    def _one_by_one(self, lines: bytes) -> list[WatchEvent]:
        events: list[WatchEvent] = []
        for line in lines.splitlines():
            if not line.strip():
                continue
            event = self._one(line)
            events.append(event)
            if isinstance(event, Garbage):
                break
        return events

    def _one(self, line: bytes) -> WatchEvent:
        try:
            return self._finished(self._events.decode(line))
        except msgspec.DecodeError as error:
            problem = error
        try:
            envelope = self._envelope.decode(line)
        except msgspec.DecodeError as error:
            return Garbage(str(error))
        if envelope.type not in ("ADDED", "MODIFIED", "DELETED"):
            return Garbage(str(problem))
        return self._unreadable(bytes(envelope.object), envelope.type == "DELETED", problem)

    def _unreadable(self, body: bytes, deleted: bool, problem: Exception) -> Unreadable | Garbage:
        try:
            meta = self._named.decode(body).metadata
        except msgspec.DecodeError:
            return Garbage(str(problem))
        text = " ".join(str(problem).split())
        return Unreadable(deleted, meta.namespace, meta.name, meta.resource_version, text)

    def _item_by_item(self, body: bytes) -> Page[T]:
        try:
            page = self._raw_page.decode(body)
        except msgspec.DecodeError as error:
            raise GarbledPageError(str(error)) from error
        objects: list[T] = []
        unreadable: list[Unreadable] = []
        for item in page.items or ():
            try:
                objects.append(self._finish(self._object.decode(item)))
            except ValueError as error:
                found = self._unreadable(bytes(item), False, error)
                if isinstance(found, Garbage):
                    raise GarbledPageError(found.problem) from error
                unreadable.append(found)
        return Page(tuple(objects), tuple(unreadable), page.metadata.token, page.metadata.resource_version)


class Lines:
    """Cuts a stream of chunks at its last newline."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> bytes:
        """The lines that are whole now; empty while none is."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._rest.append(chunk)
            return b""
        whole = b"".join((*self._rest, chunk[:end])) if self._rest else chunk[:end]
        self._rest = [chunk[end:]] if end < len(chunk) else []
        return whole

    @property
    def cut(self) -> bool:
        """Whether a line has begun and not ended."""
        return any(self._rest)


def objects_of(events: Iterable[WatchEvent]) -> list[Any]:
    """The objects that events carry, in order."""
    return [cast(Any, event).object for event in events if isinstance(event, CHANGES)]
