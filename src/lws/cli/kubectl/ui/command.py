"""``kubectl lws ui``: finds the cluster, starts the caches and the page, says where it is."""

from __future__ import annotations

import asyncio
import signal
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from lws import __version__
from lws.cli.kubectl.arguments import Arguments
from lws.cli.kubectl.ui.actions import Actions
from lws.cli.kubectl.ui.board import Board
from lws.cli.kubectl.ui.caches import Caches
from lws.cli.kubectl.ui.server import BEAT, Page
from lws.client.api import ApiClient
from lws.client.connection import connect
from lws.clock import Clock, SystemClock
from lws.telemetry.logs import LogSettings, configure_logging


async def run(arguments: Arguments) -> Callable[[], int]:
    """Serve the page until a signal comes; the exit code is 0 then.

    Raises:
        LwsError: there is no cluster, or the port cannot be had.
    """
    configure_logging(LogSettings(level="error", format="console"), sys.stderr)
    overrides = arguments.overrides
    connection = await connect(overrides.kubeconfig or None, overrides.context or None, overrides=overrides)
    try:
        client = connection.client(user_agent=f"kubectl-lws/{__version__}", warn=lambda _: None)
        namespace = "" if arguments.all_namespaces else overrides.namespace or connection.namespace or "default"
        serving = page(
            client,
            namespace=namespace,
            server=connection.host,
            port=arguments.port,
            acting=arguments.acting,
        )
        async with serving as address:
            _say(address, namespace, acting=arguments.acting)
            if arguments.browser:
                await asyncio.to_thread(webbrowser.open, address)
            await _interrupted()
        return lambda: 0
    finally:
        await connection.close()


@asynccontextmanager
async def page(
    client: ApiClient,
    *,
    namespace: str,
    server: str,
    port: int = 0,
    acting: bool = False,
    clock: Clock | None = None,
    stay: float = BEAT,
) -> AsyncIterator[str]:
    """Run caches and page until left; the address of the page, with its token.

    Args:
        client: reaches the API server with the user's rights.
        namespace: which is shown; empty for all.
        server: what the page calls the API server.
        port: on 127.0.0.1; 0 takes a free one.
        acting: whether there are actions.
        clock: of the cluster.
        stay: seconds between two signs of life.

    Raises:
        ConfigurationError: the port cannot be had.
    """
    clock = clock or SystemClock()
    caches = Caches(client, clock=clock, random=Random(), namespace=namespace)  # noqa: S311 -- jitter
    about = {"server": server, "namespace": namespace, "actions": acting, "version": __version__}
    board = Board(caches, client, clock, about)
    async with Page(board, Actions(client) if acting else None, stay).serving(port) as address:
        tasks = [asyncio.create_task(each, name="page") for each in (caches.registry.run(), board.run())]
        try:
            yield address
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _say(address: str, namespace: str, *, acting: bool) -> None:
    where = f"namespace {namespace}" if namespace else "all namespaces"
    may = "" if acting else "  It only looks; --allow-actions lets it act."
    sys.stdout.write(f"Serving {where} at {address}\n{may}\n" if may else f"Serving {where} at {address}\n")
    sys.stdout.write("Ctrl-C ends it.\n")
    sys.stdout.flush()


async def _interrupted() -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
