"""The API server on a socket: HTTP/1.1 over TLS, client certificates, chunked watches, gzip for large answers."""

from __future__ import annotations

import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import hdrs, web

from lws.client.transport import Request
from lws_sandbox.auth.identities import certificate_user
from lws_sandbox.reply import Reply
from lws_sandbox.server import BODY_LIMIT
from lws_sandbox.user import UserInfo

GZIP_FROM: Final = 128 * 1024
GZIP_LEVEL: Final = 1
CREDENTIAL_ID: Final = "authentication.kubernetes.io/credential-id"
WARNING_LIMIT: Final = 4096
_CLOSING: Final = 2.0


class Answers(Protocol):
    """What can be served: an `ApiServer`, or something around one."""

    async def handle(self, request: Request, user: UserInfo | None = None) -> Reply:
        """Answer a request; never raises."""
        ...

    def break_watches(self) -> int:
        """End every watch; returns how many."""
        ...


@dataclass(slots=True)
class Endpoint:
    """Where a server listens."""

    host: str
    port: int
    secure: bool

    @property
    def url(self) -> str:
        """Base of all paths."""
        return f"{'https' if self.secure else 'http'}://{self.host}:{self.port}"


@contextlib.asynccontextmanager
async def serve(
    server: Answers, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Endpoint]:
    """Serve until the context is left; open watches end then.

    Args:
        server: what answers.
        host: address to listen on.
        port: to listen on; 0 takes a free one.
        tls: context with the server's certificate; verifies client certificates if it asks for them.

    Raises:
        OSError: the address cannot be had.
    """
    app = web.Application(client_max_size=BODY_LIMIT + 1)
    app.router.add_route("*", "/{path:.*}", _handler(server))
    runner = web.AppRunner(
        app, handler_cancellation=True, access_log=None, shutdown_timeout=_CLOSING, keepalive_timeout=120
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=tls, reuse_address=True)
        await site.start()
        taken = runner.addresses[0]
        yield Endpoint(host, int(taken[1]), tls is not None)
    finally:
        server.break_watches()
        await runner.cleanup()


def _handler(server: Answers) -> Any:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            body = b" " * (BODY_LIMIT + 1)
        pairs = tuple(request.query.items())
        asked = Request(request.method, request.raw_path.partition("?")[0], pairs, _headers(request.headers), body)
        reply = await server.handle(asked, peer(request))
        if reply.stream is not None:
            return await _stream(request, reply)
        return _whole(request, reply)

    return handle


def _headers(headers: Any) -> Mapping[str, str]:
    """Lower-case names; of headers that come several times the values joined, those of impersonation by newlines."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        low = name.lower()
        between = "\n" if low.startswith("impersonate-") else ","
        found[low] = f"{found[low]}{between}{value}" if low in found else value
    return found


def peer(request: web.Request) -> UserInfo | None:
    """Whom a verified client certificate names."""
    tls = request.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True) if tls is not None else None
    return certificate_user(certificate) if certificate else None


def _answer_headers(reply: Reply) -> list[tuple[str, str]]:
    headers = [(name.title(), value) for name, value in reply.headers.items()]
    return headers + [("Warning", f'299 - "{_quoted(text)}"') for text in reply.warnings]


def _quoted(text: str) -> str:
    line = " ".join(text.split())[:WARNING_LIMIT]
    return line.replace("\\", "\\\\").replace('"', '\\"')


def _whole(request: web.Request, reply: Reply) -> web.Response:
    response = web.Response(status=reply.status, body=reply.body)
    for name, value in _answer_headers(reply):
        response.headers.add(name, value)
    if len(reply.body) >= GZIP_FROM and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        response.body = gzip.compress(reply.body, GZIP_LEVEL)
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        response.headers[hdrs.VARY] = "Accept-Encoding"
    return response


async def _stream(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status)
    for name, value in _answer_headers(reply):
        response.headers.add(name, value)
    response.enable_chunked_encoding()
    await response.prepare(request)
    assert reply.stream is not None
    stream = reply.stream
    try:
        async for piece in stream:
            await response.write(piece)
        with contextlib.suppress(ConnectionError):
            await response.write_eof()
    except ConnectionError:
        pass
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
    return response


def server_context(certificate: str, key: str, client_ca: str | None = None) -> ssl.SSLContext:
    """A TLS context for `serve`, of PEM files; with ``client_ca`` clients may show a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
