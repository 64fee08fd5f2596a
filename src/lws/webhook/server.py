"""The HTTPS server around the admission handlers.

Guarantees: a client that is slow, silent or oversized is cut off within its limit and costs the others nothing but its
share of memory; no answer is 5xx; stopping finishes the requests whose headers have arrived.

Flow of a shutdown: `WebhookServer.leave` makes every answer end its connection while new connections are still
accepted, so that clients move to another replica between two requests. `WebhookServer.stop` then closes the port and
every idle connection at once: a request sent on a connection that nobody reads would be lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

import structlog
from aiohttp import web

from lws.clock import Clock
from lws.errors import ConfigurationError
from lws.webhook.certificate import ServingCertificate
from lws.webhook.handlers import AdmissionHandlers, Endpoint
from lws.webhook.review import LARGEST_BODY, write_failure

_log = structlog.get_logger("lws.webhook")


class Observer(Protocol):
    """Told of each review, for metrics."""

    def started(self, webhook: str) -> None:
        """A request to path ``webhook`` began."""
        ...

    def finished(self, webhook: str, code: int, seconds: float) -> None:
        """It was answered with this HTTP status."""
        ...


class Unobserved:
    """Ignores everything."""

    def started(self, webhook: str) -> None:
        """Ignore it."""

    def finished(self, webhook: str, code: int, seconds: float) -> None:
        """Ignore it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may use; seconds, bytes and connections.

    ``idle`` is longer than the 90 seconds for which an API server keeps its connections, so that it ends them first.
    """

    handshake: float = 10.0
    first_request: float = 10.0
    body: float = 10.0
    idle: float = 120.0
    lingering: float = 2.0
    largest_body: int = LARGEST_BODY
    connections: int = 512


class _Noise(logging.LoggerAdapter[logging.Logger]):
    """What the HTTP library reports of bad requests and broken connections, which clients cause: no tracebacks."""

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        cause = kwargs.get("exc_info")
        _log.debug("request failed", cause=type(cause).__name__, message=str(msg) % args)


class _Connections(web.Server):
    """The open connections: each must send its first request in time, and their number is limited."""

    def __init__(self, handler: Any, limits: Limits) -> None:
        super().__init__(
            handler,
            access_log=None,
            logger=_Noise(logging.getLogger("lws.webhook")),
            auto_decompress=False,
            keepalive_timeout=limits.idle,
            lingering_time=limits.lingering,
        )
        self._limits = limits
        self._deadlines: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        self._answering: set[web.RequestHandler] = set()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > self._limits.connections:
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._deadlines[handler] = loop.call_later(self._limits.first_request, transport.abort)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        self._met_deadline(handler)
        self._answering.discard(handler)
        super().connection_lost(handler, exc)

    def request_began(self, handler: web.RequestHandler) -> None:
        """The headers of a request have arrived: the first deadline is met."""
        self._answering.add(handler)
        self._met_deadline(handler)

    def request_ended(self, handler: web.RequestHandler) -> None:
        """The request is answered; the connection is idle once the answer is written."""
        self._answering.discard(handler)

    def close_idle(self) -> None:
        """Close every connection on which no request is being answered."""
        for handler in self.connections:
            if handler not in self._answering:
                handler.close()
                if handler.transport is not None:
                    handler.transport.close()

    def _met_deadline(self, handler: web.RequestHandler) -> None:
        if (deadline := self._deadlines.pop(handler, None)) is not None:
            deadline.cancel()


class WebhookServer:
    """Serves reviews over TLS, HTTP/1.1."""

    def __init__(
        self,
        handlers: AdmissionHandlers,
        certificate: ServingCertificate,
        *,
        clock: Clock,
        host: str = "",
        port: int = 9443,
        limits: Limits | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Prepare; an empty ``host`` means all addresses, ``port`` 0 any free one."""
        self._handlers, self._certificate, self._clock = handlers, certificate, clock
        self._host, self._port = host, port
        self._limits = limits or Limits()
        self._observer = observer or Unobserved()
        self._server: asyncio.Server | None = None
        self._connections: _Connections | None = None
        self._leaving = False
        self._in_flight = 0  # requests whose headers have arrived and whose answer has not been made
        self._drained = asyncio.Event()

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """What is answered, by path."""
        return self._handlers.endpoints

    @property
    def listening(self) -> bool:
        """Whether the port is open."""
        return self._server is not None and self._server.is_serving()

    @property
    def port(self) -> int:
        """The port that is listened on, or is to be."""
        return self._server.sockets[0].getsockname()[1] if self._server and self._server.sockets else self._port

    def handle_review(self, path: str, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
        """Answer one review without a socket; see `AdmissionHandlers.handle_review`. Observed like any other."""
        began = self._clock.monotonic()
        known = path in self._handlers.paths
        if known:
            self._observer.started(path)
        status, answer = self._handlers.handle_review(path, body, content_type)
        if known:
            self._observer.finished(path, status, self._clock.monotonic() - began)
        return status, answer

    async def start(self) -> None:
        """Open the port.

        Raises:
            ConfigurationError: it cannot be opened.
        """
        self._connections = _Connections(self._serve, self._limits)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connections,
                self._host or None,
                self._port,
                ssl=self._certificate.context,
                ssl_handshake_timeout=self._limits.handshake,
                ssl_shutdown_timeout=self._limits.lingering,
            )
        except OSError as error:
            place = f"{self._host or '*'}:{self._port}"
            cause = error.strerror or str(error)
            raise ConfigurationError(
                f"the webhook cannot listen on {place} ({cause}): free it, or set webhook.host and webhook.port"
            ) from error
        _log.info("webhook listening", host=self._host, port=self.port)

    def leave(self) -> None:
        """Have every answer from now on end its connection; new connections are still accepted. Idempotent."""
        self._leaving = True

    async def stop(self, grace: float = 10.0) -> None:
        """Close the port and all idle connections, finish requests for up to ``grace`` seconds. Idempotent."""
        self.leave()
        server, connections = self._server, self._connections
        self._server = self._connections = None
        if server is None or connections is None:
            return
        server.close()
        await asyncio.sleep(0)  # requests that the kernel has received already are read before the rest is closed
        connections.close_idle()
        # aiohttp discards the rest of a body once it shuts down, so requests in flight are finished first.
        self._drained.clear()
        if self._in_flight:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), grace)
        await connections.shutdown(min(grace, self._limits.lingering))
        await server.wait_closed()

    async def run(self) -> None:
        """Serve until cancelled, then drain.

        Raises:
            ConfigurationError: the port cannot be opened.
        """
        await self.start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.stop()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        connections = self._connections
        if connections is not None:
            connections.request_began(request.protocol)
        self._in_flight += 1
        try:
            response = await self._respond(request)
            if self._leaving:
                response.force_close()
            return response
        finally:
            if connections is not None:
                connections.request_ended(request.protocol)
            self._in_flight -= 1
            if not self._in_flight:
                self._drained.set()

    async def _respond(self, request: web.BaseRequest) -> web.Response:
        if request.path not in self._handlers.paths:
            return _failure(HTTPStatus.NOT_FOUND, "no such webhook")
        if request.method != "POST":
            return _failure(HTTPStatus.METHOD_NOT_ALLOWED, "reviews are sent by POST", {"Allow": "POST"})
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return _failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "bodies are read uncompressed only")
        try:
            async with asyncio.timeout(self._limits.body):
                body = await self._read(request)
        except TimeoutError:
            return _failure(HTTPStatus.REQUEST_TIMEOUT, f"the body was not here after {self._limits.body:g} s")
        except (web.RequestPayloadError, ConnectionError) as error:
            return _failure(HTTPStatus.BAD_REQUEST, f"the body cannot be read: {error}")
        if body is None:
            largest = self._limits.largest_body
            return _failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body exceeds {largest} bytes")
        status, answer = self.handle_review(request.path, body, request.headers.get("Content-Type", ""))
        return web.Response(status=status, body=answer, content_type="application/json")

    async def _read(self, request: web.BaseRequest) -> bytes | None:
        """The body; None if it is, or says that it will be, too large."""
        largest = self._limits.largest_body
        if (request.content_length or 0) > largest:
            return None
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > largest:
                return None
        return bytes(body)


def _failure(status: HTTPStatus, message: str, headers: dict[str, str] | None = None) -> web.Response:
    # The rest of an unwanted body is not waited for: the connection ends with the answer.
    response = web.Response(
        status=status, body=write_failure(status, message), content_type="application/json", headers=headers
    )
    response.force_close()
    return response
