"""Requests over HTTP/1.1, by aiohttp."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from lws.client.credentials import Credentials, Identity, Tls
from lws.client.proxies import is_socks, socks
from lws.client.transport import Request, Response
from lws.errors import TransportError

CONNECT_TIMEOUT: Final = 10.0  # seconds for TCP and TLS
LOOK_INTERVAL: Final = 5.0  # seconds between looks at the TLS files
CONNECTIONS: Final = 256
PIECEWISE: Final = 2**20  # bytes; a longer body is sent in pieces
# Half-open connections are found by the kernel within half a minute.
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000))
_NOT_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_FAULTS: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError)


class HttpTransport:
    """A `Transport` to one server.

    Connections are kept open and shared. Credentials are asked before each request; TLS files are read again when they
    change, so that rotated certificates come into use with the next connection. Of an answer's status only 401 is
    noticed, to have credentials renewed.

    Args:
        server: base URL, with a path if the API is served below one.
        credentials: the identity to send requests as.
        proxy: URL of a proxy: http, https, or socks5 where the extra ``socks`` is installed.

    Raises:
        ConfigurationError: the proxy speaks SOCKS, and the extra is not installed.
    """

    def __init__(self, server: str, credentials: Credentials, *, proxy: str | None = None) -> None:
        self._server = server.rstrip("/")
        self._credentials = credentials
        self._proxy = proxy
        self._faults: tuple[type[Exception], ...] = _FAULTS
        if is_socks(proxy):
            module = socks()
            self._faults = (*_FAULTS, module.ProxyError)
        self._session: aiohttp.ClientSession | None = None
        self._tls = _TlsCache()

    def separate(self) -> HttpTransport:
        """Another transport like this one, with connections of its own."""
        return HttpTransport(self._server, self._credentials, proxy=self._proxy)

    async def send(self, request: Request) -> Response:
        """Send a request and return the whole answer.

        Raises:
            TransportError: there was none, or not in time.
        """
        try:
            async with asyncio.timeout(request.timeout):
                arguments = await self._arguments(request)
                async with self._open().request(**arguments) as answer:
                    self._notice(answer.status)
                    body = await answer.read()
                    return Response(answer.status, _headers(answer), body, _warnings(answer))
        except self._faults as error:
            raise self._fault(request, error) from error

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[HttpStream]:
        """Open an answer; leaving the context closes it."""
        answer = await self._begin(request)
        try:
            yield HttpStream(answer)
        finally:
            answer.close()

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _begin(self, request: Request) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(request.timeout):
                arguments = await self._arguments(request)
                answer = await self._open().request(**arguments)
        except self._faults as error:
            raise self._fault(request, error) from error
        self._notice(answer.status)
        return answer

    async def _arguments(self, request: Request) -> dict[str, Any]:
        identity = await self._credentials.identity()
        query = f"?{urlencode(request.query, quote_via=quote, safe='')}" if request.query else ""
        return {
            "method": request.method,
            "url": URL(f"{self._server}{request.path}{query}", encoded=True),
            "headers": [("accept-encoding", "identity"), *request.headers.items(), *identity.headers],
            "data": _data(request.body),
            "ssl": self._context(identity),
            "server_hostname": identity.tls.server_name,
            "proxy": None if is_socks(self._proxy) else self._proxy,
            "allow_redirects": False,
        }

    def _context(self, identity: Identity) -> ssl.SSLContext | bool:
        if not self._server.startswith("https:"):
            return ssl.create_default_context() if (self._proxy or "").startswith("https:") else True
        return self._tls.context(identity.tls, asyncio.get_running_loop().time())

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("content-type", "user-agent"),
                read_bufsize=2**18,
            )
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        if self._proxy is not None and is_socks(self._proxy):
            url = self._proxy.replace("socks5h://", "socks5://")
            made: aiohttp.BaseConnector = socks().ProxyConnector.from_url(
                url, rdns=True, limit=CONNECTIONS, keepalive_timeout=30.0
            )
            return made
        return aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=30.0, socket_factory=_socket)

    def _notice(self, status: int) -> None:
        if status == 401:
            self._credentials.rejected()

    def _fault(self, request: Request, error: Exception) -> TransportError:
        text = f"{request.method} {self._server}{request.path}: {_reason(error)}"
        return TransportError(text, maybe_done=not isinstance(error, _NOT_SENT))


def _data(body: bytes) -> bytes | io.BytesIO | None:
    return (io.BytesIO(body) if len(body) > PIECEWISE else body) or None


class HttpStream:
    """An answer that is still being sent."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.status: int = answer.status
        self.headers: dict[str, str] = _headers(answer)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Bytes as they arrive; ends when the server ends the answer.

        Raises:
            TransportError: the connection broke.
        """
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(f"the connection broke: {_reason(error)}") from error


class _TlsCache:
    """One TLS context, made anew when its files or its rules change."""

    def __init__(self) -> None:
        self._tls: Tls | None = None
        self._stamp: object = None
        self._looked_at = 0.0
        self._context: ssl.SSLContext | None = None

    def context(self, tls: Tls, now: float) -> ssl.SSLContext:
        if self._context is not None and tls == self._tls and now - self._looked_at < LOOK_INTERVAL:
            return self._context
        stamp = tls.fingerprint()
        if self._context is None or tls != self._tls or stamp != self._stamp:
            try:
                self._context = tls.context()
            except OSError:
                # A rotation may be in progress; the present context serves until it is complete.
                if self._context is None or tls != self._tls:
                    raise
                self._looked_at = now
                return self._context
            self._tls, self._stamp = tls, stamp
        self._looked_at = now
        return self._context


def _reason(error: Exception) -> str:
    """What went wrong, for a person to read."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        return f"the server's certificate is not trusted: {getattr(cause, 'verify_message', '') or cause}"
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        known = (
            isinstance(cause.errno, int) and cause.errno > 0 and not isinstance(cause, ssl.SSLError | socket.gaierror)
        )
        return f"cannot connect: {os.strerror(cause.errno) if known and cause.errno else cause.strerror or cause}"
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the server ended it within an answer"
    return str(error) or type(error).__name__


def _socket(address: tuple[int, int, int, str, Any]) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        option = getattr(socket, name, None)
        if option is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def _warnings(answer: aiohttp.ClientResponse) -> tuple[str, ...]:
    """Texts of the ``Warning: 299 - "text"`` header lines."""
    texts = (line.partition(" - ")[2].strip() for line in answer.headers.getall("warning", []))
    return tuple(text[1:-1].replace('\\"', '"') if text.startswith('"') else text for text in texts if text)
