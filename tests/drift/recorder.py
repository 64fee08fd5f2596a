"""A transport that writes down every exchange that passes through it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from lws.apimachinery.manifests import JSON
from lws.client.transport import Request, Response, Stream, Transport
from tests.forwarding import Forwarding


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is about.

    Attributes:
        verb: method, ``LIST`` or ``WATCH``.
        resource: with its group and version, and its subresource: ``apps/v1 statefulsets/scale``.
        namespace: empty if there is none.
        name: empty for collections.
    """

    verb: str
    resource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its whole answer; bodies are parsed where they are JSON."""

    who: str
    request: Request
    status: int
    content_type: str
    warnings: tuple[str, ...]
    sent: Any
    answer: Any


@dataclass(slots=True)
class Watched:
    """A watch, with the events that it told until it ended."""

    who: str
    request: Request
    status: int = 0
    content_type: str = ""
    events: list[JSON] = field(default_factory=list)


@dataclass(slots=True)
class Book:
    """Everything that was said, in the order in which the answers came."""

    exchanges: list[Exchange] = field(default_factory=list)
    watches: list[Watched] = field(default_factory=list)

    def by(self, who: str) -> list[Exchange]:
        """The exchanges of one speaker."""
        return [each for each in self.exchanges if each.who == who]


class Recorder(Forwarding):
    """Passes everything on, and writes it down under a name.

    Args:
        inner: carries it.
        who: speaks.
        book: is written.
    """

    def __init__(self, inner: Transport, who: str, book: Book) -> None:
        super().__init__(inner)
        self._who = who
        self._book = book

    async def send(self, request: Request) -> Response:
        """Pass on; an exchange without an answer is not written down."""
        response = await self._inner.send(request)
        content_type = response.headers.get("content-type", "")
        exchange = Exchange(
            self._who,
            request,
            response.status,
            content_type,
            response.warnings,
            _read(request.body),
            _read(response.body),
        )
        self._book.exchanges.append(exchange)
        return response

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Pass on."""
        watched = Watched(self._who, request)
        self._book.watches.append(watched)
        async with self._inner.stream(request) as stream:
            watched.status, watched.content_type = stream.status, stream.headers.get("content-type", "")
            yield _Noted(stream, watched)


class _Noted:
    def __init__(self, inner: Stream, watched: Watched) -> None:
        self._inner = inner
        self._watched = watched

    @property
    def status(self) -> int:
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._inner.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        rest = b""
        async for chunk in self._inner.chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            self._watched.events += [json.loads(line) for line in lines if line]
            yield chunk


def asked(request: Request) -> Asked:
    """What a request to a resource is about."""
    parts = request.path.strip("/").split("/")
    prefix, rest = ("/".join(parts[1:3]), parts[3:]) if parts[0] == "apis" else (parts[1], parts[2:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    query = dict(request.query)
    verb = request.method
    if verb == "GET" and not name:
        verb = "WATCH" if query.get("watch") in ("1", "true") else "LIST"
    return Asked(verb, f"{prefix} {'/'.join([rest[0], *rest[2:]])}", namespace, name)


def _read(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")
