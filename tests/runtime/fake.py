"""A tiny API server behind a transport: objects by path, resourceVersions, conflicts, and faults on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import orjson

from lws.apimachinery.manifests import JSON
from lws.client.api import ApiClient
from lws.client.transport import Request, Response, Stream
from lws.errors import TransportError


class FakeServer:
    """Keeps JSON objects under their paths.

    ``before`` and ``after`` are called with each request, before it takes effect and after; what they raise is what
    the client meets. ``latency`` seconds pass on each leg of a request.
    """

    def __init__(self) -> None:
        self.objects: dict[str, JSON] = {}
        self.requests: list[Request] = []
        self.latency = 0.0
        self.before: Callable[[Request], None] = lambda _: None
        self.after: Callable[[Request], None] = lambda _: None
        self._version = 0

    def client(self) -> ApiClient:
        """A client of this server."""
        return ApiClient(self, user_agent="lws/test", field_manager="lws")

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Method and path of every request that was no GET."""
        return [(request.method, request.path) for request in self.requests if request.method != "GET"]

    async def send(self, request: Request) -> Response:
        """Answer one request."""
        await asyncio.sleep(self.latency)
        self.requests.append(request)
        self.before(request)
        status, body = self._answer(request)
        self.after(request)
        await asyncio.sleep(self.latency)
        return Response(status, {}, orjson.dumps(body))

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Nothing is streamed."""
        if request.path:
            raise TransportError("no streams here")
        yield NotImplemented

    async def close(self) -> None:
        """Nothing is open."""

    def _answer(self, request: Request) -> tuple[int, JSON]:
        body = orjson.loads(request.body) if request.body else {}
        match request.method:
            case "GET":
                found = self.objects.get(request.path)
                return (200, found) if found is not None else _failure(404, "NotFound")
            case "POST":
                path = f"{request.path}/{body['metadata']['name']}"
                if path in self.objects:
                    return _failure(409, "AlreadyExists")
                return 201, self._store(path, body)
            case "PUT":
                live = self.objects.get(request.path)
                if live is None:
                    return _failure(404, "NotFound")
                if body["metadata"].get("resourceVersion") not in (None, live["metadata"]["resourceVersion"]):
                    return _failure(409, "Conflict")
                return 200, self._store(request.path, body)
            case "PATCH":
                live = self.objects.get(request.path)
                return (200, self._store(request.path, {**live, **body})) if live else _failure(404, "NotFound")
            case "DELETE":
                found = self.objects.pop(request.path, None)
                return (200, found) if found is not None else _failure(404, "NotFound")
            case method:
                raise AssertionError(method)

    def _store(self, path: str, body: JSON) -> JSON:
        self._version += 1
        self.objects[path] = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self._version)}}
        return self.objects[path]


def _failure(code: int, reason: str) -> tuple[int, JSON]:
    return code, {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": reason}
