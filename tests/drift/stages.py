"""Where a story is played: on the sandbox in virtual time, or on real processes with nodes of ours."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, TypeAlias

from aiohttp import web

from lws.client.transport import Transport
from lws.clock import Clock, SystemClock
from lws_sandbox.certificates import Authority
from lws_sandbox.cluster import Sandbox
from lws_sandbox.control_loops import ControlLoops
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.nodes import REGION, ZONE, NodeShape, Shape
from lws_sandbox.real.binaries import Binaries
from lws_sandbox.real.cluster import THEIRS, is_ours
from lws_sandbox.real.control_plane import control_plane
from lws_sandbox.releases import Features
from lws_sandbox.virtual_time import VirtualClock

Handler: TypeAlias = Callable[[str, bytes, str], tuple[int, bytes]]
NOWHERE: Final = "https://127.0.0.1:1"
# What the sandbox has not, and what shows in deletions: a Service owns its slices.
ENDPOINTS: Final = tuple(f"-{name}-controller" for name in ("endpoints", "endpointslice", "endpointslice-mirroring"))
DELAYS: Final = Delays(start=0.05, init=0.05, ready=0.05, stop=0.05)


def shape() -> Shape:
    """Two nodes of one zone that are big enough; no events but the operator's."""
    labels = {ZONE: "zone", REGION: "region"}
    nodes = tuple(
        NodeShape(f"node-{number}", labels, {"cpu": "64", "memory": "64Gi", "pods": "110"}) for number in range(2)
    )
    return Shape(nodes, DELAYS, heartbeat=10.0, events=False)


@dataclass(slots=True)
class Stage:
    """A cluster.

    Attributes:
        open: a new way to its API server, as an administrator; closed by the stage.
        clock: of the cluster.
        url: under which the API server asks the webhook.
        authority: whose certificates it trusts there, as PEM.
        reviewed: the paths that the webhook was asked at.
    """

    open: Callable[[], Transport]
    clock: Clock
    url: str
    authority: bytes
    reviewed: set[str] = field(default_factory=set)
    _handler: Handler | None = None

    def serve(self, handler: Handler) -> None:
        """Let a handler answer the webhook's reviews."""
        self._handler = handler

    def review(self, path: str, body: bytes, content_type: str) -> tuple[int, bytes]:
        """Ask the handler."""
        self.reviewed.add(path)
        return self._handler(path, body, content_type) if self._handler else (503, b"")


@asynccontextmanager
async def sandbox_stage(features: Features | None = None) -> AsyncIterator[Stage]:
    """A sandbox without sockets; the running loop has virtual time."""
    clock = VirtualClock()
    async with Sandbox(shape=shape(), clock=clock, random=Random(1), features=features) as sandbox:
        stage = Stage(sandbox.transport, clock, NOWHERE, sandbox.authority.certificate)
        sandbox.local_webhooks.serve_url(NOWHERE, stage.review)
        yield stage


@asynccontextmanager
async def real_stage(binaries: Binaries) -> AsyncIterator[Stage]:
    """Real processes; ServiceAccount admission is off, as the sandbox has none."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        running = control_plane(
            binaries, clock=clock, controllers=(*THEIRS, *ENDPOINTS), disabled_plugins=("ServiceAccount",)
        )
        plane = await stack.enter_async_context(running)

        def opened() -> Transport:
            transport = plane.transport()
            stack.push_async_callback(transport.close)
            return transport

        stage = Stage(opened, clock, "", plane.keys.authority.certificate)
        stage.url = await stack.enter_async_context(_serving(stage, plane.keys.authority))
        loops = ControlLoops(
            opened(),
            ca=plane.keys.authority.certificate,
            shape=shape(),
            clock=clock,
            random=Random(1),
            wanted=lambda name: is_ours(name, binaries),
        )
        await stack.enter_async_context(loops)
        yield stage


@asynccontextmanager
async def _serving(stage: Stage, authority: Authority) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        status, body = stage.review(request.path, await request.read(), request.content_type)
        return web.Response(status=status, body=body, content_type="application/json")

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_context(authority)).start()
        yield "https://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


def _context(authority: Authority) -> ssl.SSLContext:
    pair = authority.server(("127.0.0.1",), SystemClock().now())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tls.pem"
        path.write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(path)
    return context


async def until(holds: Callable[[], object], *, seconds: float = 60.0, every: float = 0.1) -> None:
    """Wait until a condition, a plain or an awaited one, holds.

    Raises:
        TimeoutError: it did not within so many seconds of the running loop.
    """
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(every)
