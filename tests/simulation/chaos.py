"""A transport on which things go wrong, by a seed or at a chosen write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

import orjson

from lws.client.transport import Request, Response, Stream, Transport
from lws.errors import TransportError

REASONS: Final = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}


@dataclass(slots=True)
class Trouble:
    """How much goes wrong. Shares are of requests, from 0 to 1; all can be changed while it runs.

    Attributes:
        delay: mean seconds that a request, an answer or a piece of a watch is on its way.
        refused: share of requests that are answered with 409, 429, 500 or 503 and not done.
        unsent: share of requests that never arrive.
        unanswered: share of requests that are done, and whose answer is lost.
        broken: share of the pieces of a watch after which it breaks.
        blind: nothing can be looked at: watches break and reads fail; writes get through.
    """

    delay: float = 0.0
    refused: float = 0.0
    unsent: float = 0.0
    unanswered: float = 0.0
    broken: float = 0.0
    blind: bool = False

    def heal(self) -> None:
        """Nothing goes wrong any more; delays stay."""
        self.refused = self.unsent = self.unanswered = self.broken = 0.0
        self.blind = False


class Chaos:
    """Carries requests as a bad network and a server in trouble do."""

    def __init__(self, inner: Transport, random: Random, trouble: Trouble) -> None:
        self._inner = inner
        self._random = random
        self._trouble = trouble
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Bring an answer, late or not at all, right or not."""
        await self._travel()
        dice, trouble = self._random.random(), self._trouble
        if dice < trouble.unsent or self._closed or (trouble.blind and request.method == "GET"):
            raise TransportError("the request never arrived", maybe_done=False)
        if dice < trouble.unsent + trouble.refused:
            return self._refusal(request)
        response = await self._inner.send(request)
        await self._travel()
        if self._random.random() < trouble.unanswered or self._closed:
            raise TransportError("the answer was lost")
        return response

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Open an answer that may break."""
        await self._travel()
        if self._closed or self._trouble.blind or self._random.random() < self._trouble.unsent:
            raise TransportError("the request never arrived", maybe_done=False)
        async with self._inner.stream(request) as stream:
            yield _Stream(stream, self)

    async def close(self) -> None:
        """Nothing gets through any more."""
        self._closed = True
        await self._inner.close()

    async def _travel(self) -> None:
        if self._trouble.delay:
            await asyncio.sleep(self._random.expovariate(1 / self._trouble.delay))

    def _refusal(self, request: Request) -> Response:
        codes = [429, 500, 503] if request.method == "GET" else [409, 429, 500, 503]
        code = self._random.choice(codes)
        status = {"kind": "Status", "status": "Failure", "code": code, "reason": REASONS[code], "message": "chaos"}
        return Response(code, {"content-type": "application/json"}, orjson.dumps(status))

    async def pieces(self, stream: Stream) -> AsyncIterator[bytes]:
        """The pieces of a stream, each after a while, in order, until it breaks."""
        chunks = stream.chunks()
        try:
            async for piece in chunks:
                await self._travel()
                if self._trouble.blind:
                    raise TransportError("the watch broke")
                yield piece
                if self._random.random() < self._trouble.broken:
                    raise TransportError("the watch broke")
        finally:
            close: Callable[[], Awaitable[None]] | None = getattr(chunks, "aclose", None)
            if close is not None:
                await close()


class _Stream:
    """A stream whose pieces travel."""

    def __init__(self, inner: Stream, chaos: Chaos) -> None:
        self._inner = inner
        self._chaos = chaos

    @property
    def status(self) -> int:
        """HTTP status code."""
        return self._inner.status

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name."""
        return dict(self._inner.headers)

    def chunks(self) -> AsyncIterator[bytes]:
        """Pieces, late."""
        return self._chaos.pieces(self._inner)


class CrashPoint:
    """A transport that lets the operator's n-th write be its last, or lose its answer.

    Args:
        inner: carries the rest.
        at: the number of the write, from 1.
        edge: ``before`` it is sent, ``after`` its answer came, or ``lost``: it is done and its answer never comes.
        struck: called at that moment, so that the operator can be ended; not for ``lost``, after which it goes on.
    """

    def __init__(self, inner: Transport, at: int, edge: str, struck: Callable[[], None]) -> None:
        self._inner = inner
        self._at = at
        self._edge = edge
        self._struck = struck
        self._count = 0
        self._dead = False

    async def send(self, request: Request) -> Response:
        """Count writes; strike at the chosen one."""
        if self._dead:
            await asyncio.Event().wait()
        if request.method == "GET" or "/leases" in request.path or "/events" in request.path:
            return await self._inner.send(request)
        self._count += 1
        if self._count != self._at:
            return await self._inner.send(request)
        if self._edge == "before":
            await self._die()
        response = await self._inner.send(request)
        if self._edge == "lost":
            raise TransportError("the answer was lost")
        await self._die()
        return response

    async def _die(self) -> None:
        self._dead = True
        self._struck()
        await asyncio.Event().wait()

    @property
    def reached(self) -> bool:
        """Whether the chosen write was begun."""
        return self._count >= self._at

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Pass on."""
        return self._inner.stream(request)

    async def close(self) -> None:
        """Pass on."""
        await self._inner.close()
