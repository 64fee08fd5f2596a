"""What an operator wrote, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import orjson

from lws.client.transport import Request, Response, Stream, Transport

Wrap = Callable[[Transport], Transport]


@dataclass(frozen=True, slots=True)
class Write:
    """One request of the operator that is no read."""

    time: float
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: bytes
    status: int  # 0 if there was no answer

    @property
    def resource(self) -> str:
        """The plural, with its subresource."""
        plural, _, *subresource = self._parts
        return "/".join([plural, *subresource[:1]])

    @property
    def name(self) -> str:
        """The object's name; for creations that of the manifest."""
        if self.method == "POST":
            return str(orjson.loads(self.body)["metadata"].get("name", ""))
        return self._parts[1]

    @property
    def dry_run(self) -> bool:
        """Whether nothing was to be stored."""
        return ("dryRun", "All") in self.query

    @property
    def _parts(self) -> list[str]:
        """Plural, name and subresource, as far as the path has them."""
        parts = self.path.strip("/").split("/")
        parts = parts[3 if parts[0] == "apis" else 2 :]
        parts = parts[2:] if parts[0] == "namespaces" and len(parts) > 2 else parts
        return [*parts, ""] if len(parts) == 1 else parts

    def __str__(self) -> str:
        return f"{self.method} {self.resource} {self.name}"


class Recording:
    """A transport that notes every write and passes everything on."""

    def __init__(self, inner: Transport, writes: list[Write]) -> None:
        self._inner = inner
        self._writes = writes

    async def send(self, request: Request) -> Response:
        """Pass on, and note."""
        if request.method == "GET":
            return await self._inner.send(request)
        status = 0
        try:
            response = await self._inner.send(request)
            status = response.status
            return response
        finally:
            now = asyncio.get_running_loop().time()
            self._writes.append(Write(now, request.method, request.path, request.query, request.body, status))

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Pass on."""
        return self._inner.stream(request)

    async def close(self) -> None:
        """Pass on."""
        await self._inner.close()
