"""An answer of the server, whole or as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from lws_sandbox.negotiation import JSON_TYPE, encode, error_media
from lws_sandbox.status import StatusError

CACHE: Final = {"cache-control": "no-cache, private"}


@dataclass(slots=True)
class Reply:
    """One answer.

    Attributes:
        status: HTTP status code.
        headers: by lower-case name.
        body: whole, unless ``stream`` is there.
        stream: pieces as they come.
        abort: breaks the stream, as a lost connection does.
        warnings: texts of Warning headers.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    abort: Callable[[], None] | None = None
    warnings: tuple[str, ...] = ()


def of_json(body: Any, status: int = 200, *, media: str = JSON_TYPE, pretty: bool = False) -> Reply:
    """An object."""
    return Reply(status, {**CACHE, "content-type": media}, encode(body, media, pretty=pretty))


def of_text(text: str, status: int = 200) -> Reply:
    """Plain text."""
    headers = {**CACHE, "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
    return Reply(status, headers, text.encode())


def of_error(error: StatusError, accept: str = "") -> Reply:
    """A failure, in a form that the client understands."""
    reply = of_json(error.to_json(), error.code, media=error_media(accept))
    reply.headers.update(error.headers)
    return reply


def page_not_found() -> Reply:
    """404 outside of the API."""
    return of_text("404 page not found\n", 404)
