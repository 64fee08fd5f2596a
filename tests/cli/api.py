"""A small API server on a loopback port, for commands that need one to talk to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web


class SmallApi:
    """Serves empty lists, watches that stay silent, and keeps what is written; ``refuse`` maps plurals to statuses."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.refuse: dict[str, int] = {}
        self.seen: list[str] = []
        self.written = asyncio.Event()
        self._version = 1

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        self.seen.append(f"{request.method} {request.path}")
        parts = request.path.strip("/").split("/")
        for plural, status in self.refuse.items():
            if plural in parts:
                return self._status(status, f"{plural} is refused")
        if "watch" in request.query:
            return await self._watch(request)
        if request.method == "GET":
            return self._get(request.path)
        body = await request.json()
        path = request.path if request.method == "PUT" else f"{request.path}/{body['metadata']['name']}"
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self.objects[path] = body
        self.written.set()
        return web.json_response(body)

    def _get(self, path: str) -> web.Response:
        if path in self.objects:
            return web.json_response(self.objects[path])
        if path.endswith(("/b8b2488c.x-k8s.io", "/lws-system")):
            return self._status(404, "not found")
        return web.json_response({"items": [], "metadata": {"resourceVersion": "1"}})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("sendInitialEvents"):
            return self._status(422, "sendInitialEvents is forbidden", reason="Invalid")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    @staticmethod
    def _status(code: int, message: str, reason: str = "") -> web.Response:
        reason = reason or {403: "Forbidden", 404: "NotFound", 401: "Unauthorized"}.get(code, "InternalError")
        body = {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message}
        return web.json_response(body, status=code)


@asynccontextmanager
async def serving(api: SmallApi, folder: Path) -> AsyncIterator[Path]:
    """Serve it, and yield the kubeconfig that leads to it."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    path = folder / "kubeconfig"
    path.write_text(kubeconfig(f"http://127.0.0.1:{port}"))
    try:
        yield path
    finally:
        await runner.cleanup()


def kubeconfig(server: str) -> str:
    """A kubeconfig with one context, ``test``."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
        }
    )
