"""Serves the page, its documents as server-sent events, and its actions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, Final

import orjson
from aiohttp import web

from lws.cli.kubectl.ui.actions import Actions
from lws.cli.kubectl.ui.board import Board, Topic, View
from lws.cli.kubectl.ui.differences import Document, difference
from lws.cli.kubectl.ui.gate import HEADERS, Gate
from lws.cli.kubectl.ui.pacing import Pace
from lws.errors import ConfigurationError, LwsError

BEAT: Final = 5.0  # seconds between two signs of life; the page calls three without one a loss
STREAMS: Final = 64  # tabs at a time
BODY: Final = 16 * 1024  # bytes of an action
_TYPES: Final = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}
_KINDS: Final = ("sets", "set", "places", "rollout", "ds-rollout")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def assets() -> dict[str, bytes]:
    """The files of the page, by name."""
    folder = files("lws.cli.kubectl.ui") / "static"
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name.rpartition(".")[2] in _TYPES}


class Page:
    """The page.

    Args:
        board: what is shown.
        actions: what may be done; None if nothing may.
        stay: seconds between two signs of life.
    """

    def __init__(self, board: Board, actions: Actions | None, stay: float = BEAT) -> None:
        self._board = board
        self._actions = actions
        self._beat = stay
        self._assets = assets()
        self._streams = 0
        self.gate = Gate(0)

    @asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator[str]:
        """Serve on loopback until left; the address, with its token.

        Raises:
            ConfigurationError: the port cannot be had.
        """
        runner = web.AppRunner(self._app(), access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", port)
            try:
                await site.start()
            except OSError as error:
                cause = error.strerror or str(error)
                raise ConfigurationError(f"--port: cannot listen on 127.0.0.1:{port}: {cause}; give another") from error
            self.gate = Gate(runner.addresses[0][1])
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/?token={self.gate.token}"
        finally:
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._guarded], client_max_size=BODY)
        for path in ("/", "/sets", "/places", "/set/{namespace}/{name}", "/rollout/{kind}/{namespace}/{name}"):
            app.router.add_get(path, self._index)
        app.router.add_get("/static/{name}", self._asset)
        app.router.add_get("/api/stream", self._stream)
        app.router.add_post("/api/preview", self._preview)
        app.router.add_post("/api/plan", self._plan)
        app.router.add_post("/api/act", self._act)
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = self.gate.refusal(request.method, request.headers)
        if refused:
            return _told(403, refused)
        exchanged = self.gate.exchanged(request.query.get("token", "")) and not request.path.startswith(
            ("/api", "/static")
        )
        if not exchanged and not self.gate.knows(request.cookies):
            return _told(403, "Open the address that `kubectl lws ui` prints: it carries the token.")
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = _told(error.status, error.reason)
        except LwsError as error:
            response = _told(502, str(error))
        if exchanged:
            response.set_cookie(self.gate.cookie, self.gate.secret, httponly=True, samesite="Strict", path="/")
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _index(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._assets["index.html"], content_type="text/html", charset="utf-8")

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._assets:
            raise web.HTTPNotFound
        return web.Response(body=self._assets[name], content_type=_TYPES[name.rpartition(".")[2]], charset="utf-8")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        view = View(query.get("view", "sets"), query.get("namespace", ""), query.get("name", ""))
        if view.kind not in _KINDS:
            raise web.HTTPNotFound
        if self._streams >= STREAMS:
            return _told(503, f"{STREAMS} tabs are open already.")
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        self._streams += 1
        try:
            async with self._board.looking(view) as topic:
                await self._follow(topic, response)
        except ConnectionError:
            pass
        finally:
            self._streams -= 1
        return response

    async def _follow(self, topic: Topic, response: web.StreamResponse) -> None:
        """Send the document, then what differs whenever it was made again, and signs of life."""
        sent: Document = {}
        made, pace, first = 0, Pace(), True
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(self._beat), topic.changed:
                    await topic.changed.wait_for(lambda made=made: topic.made != made)  # type: ignore[misc]
            except TimeoutError:
                await response.write(b"event: beat\ndata: {}\n\n")
                continue
            await asyncio.sleep(pace.wait(loop.time()))
            made, now = topic.made, topic.document
            found = difference(sent, now)
            sent = now
            if found or first:
                event = b"event: reset\ndata: " if first else b"event: patch\ndata: "
                data = event + orjson.dumps(found) + b"\n\n"
                await response.write(data)
                pace.spent(loop.time(), 0 if first else len(data))
                first = False

    async def _preview(self, request: web.Request) -> web.Response:
        actions = self._allowed()
        return web.json_response(await actions.preview(await _body(request)))

    async def _plan(self, request: web.Request) -> web.Response:
        actions = self._allowed()
        return web.json_response(await actions.plan(await _body(request)))

    async def _act(self, request: web.Request) -> web.Response:
        actions = self._allowed()
        return web.json_response(await actions.act(await _body(request)))

    def _allowed(self) -> Actions:
        if self._actions is None:
            raise web.HTTPForbidden(reason="This page only looks: start it with --allow-actions to act.")
        return self._actions


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise web.HTTPBadRequest(reason="The body is not JSON.") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(reason="The body is not an object.")
    return body


def _told(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers=HEADERS)
