"""Keeps writes from leaving a process that may not write.

Guarantees: a write leaves only while the permit lasts, judged in the moment of sending; one that is under way is cut
off when the permit runs out, and then counts as perhaps done; reads pass freely.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from lws.client.transport import Request, Response, Stream, Transport
from lws.errors import LwsError, TransportError


class LeadershipLostError(LwsError):
    """Another may lead now: nothing more may be written, and the process should end."""


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
            async with asyncio.timeout(remaining):
                return await self._transport.send(request)
        except TimeoutError as error:
            raise TransportError(f"{request.method} {request.path} was cut off at the renew deadline") from error

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Open an answer; leaving the context closes it."""
        async with self._transport.stream(request) as stream:
            yield stream

    async def close(self) -> None:
        """Let go of every connection. Idempotent."""
        await self._transport.close()
