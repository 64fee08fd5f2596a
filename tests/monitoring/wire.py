"""The way of one replica to the API server: it can be frozen, and writes on it can be refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

from lws.client.transport import Request, Response, Stream, Transport


class Wire:
    """A transport that a test can freeze, as an API server that is stopped looks, or have writes refused on."""

    def __init__(self) -> None:
        self.refused: set[str] = set()  # plurals whose writes, or for leases reads too, get 403
        self.hanging: set[str] = set()  # plurals whose writes are not answered
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._inner: Transport | None = None

    def wrap(self, inner: Transport) -> Transport:
        """Put this wire before a transport."""
        self._inner = inner
        return self

    def freeze(self) -> None:
        """Nothing is answered any more, and nothing comes on open watches."""
        self._flowing.clear()

    def thaw(self) -> None:
        """All goes on."""
        self._flowing.set()

    async def send(self, request: Request) -> Response:
        """Pass on once it flows, unless refused."""
        assert self._inner is not None
        await self._flowing.wait()
        if request.method != "GET" and self.hanging & set(request.path.split("/")):
            await asyncio.get_running_loop().create_future()
        if request.method != "GET" and self.refused & set(request.path.split("/")):
            status = {"kind": "Status", "reason": "Forbidden", "message": "exceeded quota: q", "code": 403}
            return Response(403, {}, orjson.dumps(status))
        return await self._inner.send(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Pass on once it flows."""
        assert self._inner is not None
        await self._flowing.wait()
        async with self._inner.stream(request) as stream:
            yield _Stoppable(stream, self._flowing)

    async def close(self) -> None:
        """Pass on."""
        assert self._inner is not None
        await self._inner.close()


class _Stoppable:
    def __init__(self, stream: Stream, flowing: asyncio.Event) -> None:
        self._stream = stream
        self._flowing = flowing

    @property
    def status(self) -> int:
        return self._stream.status

    @property
    def headers(self) -> dict[str, str]:
        return dict(self._stream.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream.chunks():
            await self._flowing.wait()
            yield chunk
