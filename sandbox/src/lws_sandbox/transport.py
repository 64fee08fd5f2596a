"""The in-process transport: an API client talks to the server without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from lws.client.transport import Request, Response, Stream
from lws.errors import TransportError
from lws_sandbox.reply import Reply
from lws_sandbox.user import ADMIN, UserInfo

if TYPE_CHECKING:
    from lws_sandbox.server import ApiServer


class InProcessTransport:
    """Carries requests to an `ApiServer` in this process (`lws.client.transport.Transport`).

    Guarantees: a request that is cancelled, or that runs out of time, ends where it stands; what it had stored stays
    stored. After `close` nothing is carried any more, and open streams end with a `TransportError`.
    """

    def __init__(self, server: ApiServer, user: UserInfo = ADMIN) -> None:
        self._server = server
        self._user = user
        self._open: set[_Stream] = set()
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Bring the whole answer.

        Raises:
            TransportError: there was none in time, or the transport is closed.
        """
        reply = await self._ask(request)
        body = reply.body
        if reply.stream is not None:
            body = b"".join([piece async for piece in reply.stream])
        return Response(reply.status, reply.headers, body, reply.warnings)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Open an answer; leaving the context closes it.

        Raises:
            TransportError: there was none in time, or the transport is closed.
        """
        stream = _Stream(await self._ask(request))
        self._open.add(stream)
        try:
            yield stream
        finally:
            self._open.discard(stream)
            await stream.aclose()

    async def close(self) -> None:
        """Let go of every stream."""
        self._closed = True
        for stream in list(self._open):
            stream.abort()

    async def _ask(self, request: Request) -> Reply:
        if self._closed:
            raise TransportError("the transport is closed", maybe_done=False)
        await asyncio.sleep(0)  # as on a wire, an answer never comes before the caller lets go
        try:
            async with asyncio.timeout(request.timeout):
                return await self._server.handle(request, self._user)
        except TimeoutError as error:
            raise TransportError(f"no answer within {request.timeout} seconds") from error


class _Stream:
    """One open answer."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._broken = False

    @property
    def status(self) -> int:
        return self._reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._reply.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._reply.stream is None:
            if self._reply.body:
                yield self._reply.body
            return
        async for piece in self._reply.stream:
            yield piece
        if self._broken:
            raise TransportError("the connection was closed")

    def abort(self) -> None:
        self._broken = True
        if self._reply.abort is not None:
            self._reply.abort()

    async def aclose(self) -> None:
        stream = self._reply.stream
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
