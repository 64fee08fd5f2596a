"""Transports that tests put before another one: they pass everything on, but for what they say is otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from lws.client.transport import Request, Response, Stream, Transport

T = TypeVar("T", bound=Transport)
Start = Callable[[Callable[[Transport], Transport]], Awaitable[Any]]


class Forwarding:
    """Passes everything on.

    Args:
        inner: carries it.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(self, request: Request) -> Response:
        """Pass on."""
        return await self._inner.send(request)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Pass on."""
        return self._inner.stream(request)

    async def close(self) -> None:
        """Pass on."""
        await self._inner.close()


class Lagging(Forwarding):
    """Nothing is heard of one kind while it does not flow.

    Args:
        inner: carries the rest.
        plural: the kind.
    """

    def __init__(self, inner: Transport, plural: str) -> None:
        super().__init__(inner)
        self._plural = plural
        self.flowing = asyncio.Event()
        self.flowing.set()

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Pass on, late."""
        async with self._inner.stream(request) as inner:
            yield _Late(inner, self.flowing) if request.path.endswith(f"/{self._plural}") else inner


class _Late:
    """An answer whose pieces wait."""

    def __init__(self, inner: Stream, flowing: asyncio.Event) -> None:
        self._inner, self._flowing = inner, flowing
        self.status, self.headers = inner.status, inner.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """Pieces, as long as they flow."""
        async for chunk in self._inner.chunks():
            await self._flowing.wait()
            yield chunk


async def through(start: Start, make: Callable[[Transport], T]) -> T:
    """Start an operator through a transport that is made; that one."""
    made: list[T] = []

    def wrap(inner: Transport) -> Transport:
        made.append(make(inner))
        return made[0]

    await start(wrap)
    return made[0]
