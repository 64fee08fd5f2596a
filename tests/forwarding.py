"""A transport that does nothing of its own: what tests put before another one derives from it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from lws.client.transport import Request, Response, Stream, Transport


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
