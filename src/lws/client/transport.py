"""The narrow waist between those who speak to an API server and whatever carries their words.

A `Transport` carries one request and brings one answer. `lws.client.connection` carries it over HTTP; the sandbox
carries it in-process, without sockets. Both raise `TransportError` when there is no answer; neither reads a status.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: HTTP method, upper case.
        path: percent-encoded path, without query.
        query: decoded name and value pairs, in order.
        headers: by lower-case name.
        body: bytes as sent.
        timeout: seconds until the whole answer must be here (`Transport.send`) or begun (`Transport.stream`).
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    warnings: tuple[str, ...] = ()  # text of each `Warning: 299` header


class Stream(Protocol):
    """An answer that is still being sent."""

    @property
    def status(self) -> int:
        """HTTP status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Bytes as they arrive, in pieces of any size; ends when the server ends the answer.

        Raises:
            TransportError: the connection broke.
        """
        ...


class Transport(Protocol):
    """Carries requests to one API server."""

    async def send(self, request: Request) -> Response:
        """Bring the whole answer.

        Raises:
            TransportError: there was none, or not in time.
        """
        ...

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Open an answer; leaving the context closes it."""
        ...

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        ...
