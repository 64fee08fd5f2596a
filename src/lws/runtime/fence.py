"""Keeps writes from leaving a process that may not write.

Guarantees: a write is sent only while the permit lasts, judged at the moment of sending; one in flight goes on for as
long as the permit is renewed, is cut off when the permit runs out, and then counts as perhaps done; reads pass freely.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from lws.client.transport import Request, Response, Stream, Transport
from lws.errors import LwsError, TransportError


class LeadershipLostError(LwsError):
    """Another may lead now: nothing more may be written, and the process should end."""


RESOLUTION: Final = 0.001  # seconds; less than this is no time to wait, for clocks that run at different speeds


class Permit(Protocol):
    """Says for how long writing is allowed."""

    @property
    def remaining(self) -> float:
        """Seconds; not positive if writing is not allowed."""
        ...


class Fence:
    """A transport that carries writes only while a permit lasts; reads pass freely."""

    def __init__(self, transport: Transport, permit: Permit) -> None:
        self._transport = transport
        self._permit = permit

    async def send(self, request: Request) -> Response:
        """Bring the whole answer.

        Raises:
            LeadershipLostError: a write without permit; it was not sent.
            TransportError: there was no answer, or not before the permit ran out.
        """
        if request.method == "GET":
            return await self._transport.send(request)
        remaining = self._permit.remaining
        if remaining <= 0:
            raise LeadershipLostError(f"{request.method} {request.path} was not sent: this process no longer leads")
        try:
            async with _while_permitted(self._permit):
                return await self._transport.send(request)
        except TimeoutError as error:
            raise TransportError(f"{request.method} {request.path} was cut off at the renew deadline") from error

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Open an answer; leaving the context closes it."""
        async with self._transport.stream(request) as stream:
            yield stream

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        await self._transport.close()


@asynccontextmanager
async def _while_permitted(permit: Permit) -> AsyncIterator[None]:
    """Raise `TimeoutError` once the permit has run out: whenever that seems due, it is asked whether it was renewed."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal timer
        remaining = permit.remaining
        if remaining > RESOLUTION:
            timer = loop.call_later(remaining, look)
        else:
            limit.reschedule(loop.time())

    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(permit.remaining, look)
        try:
            yield
        finally:
            timer.cancel()
