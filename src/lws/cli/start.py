"""``lws-sandbox start``: a cluster on sockets until a signal comes."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from random import Random

from lws.errors import ConfigurationError
from lws.sandbox.admission import HttpsCaller, ServiceError
from lws.sandbox.cluster import Sandbox
from lws.sandbox.endpoint import on_sockets
from lws.sandbox.nodes import preset, read_shape
from lws.sandbox.time_travel import LoopClock

Resolve = Callable[[str, str, int], tuple[str, int]]


async def start(options: argparse.Namespace) -> None:
    """Run a sandbox on sockets until a signal comes.

    Raises:
        ConfigurationError: the shape is wrong, or the address cannot be had.
    """
    begin = asyncio.get_running_loop().time()
    caller = HttpsCaller(_resolver(options.webhook))
    shape = read_shape(options.shape) if options.shape else preset(options.preset)
    sandbox = Sandbox(
        shape=shape,
        clock=LoopClock(),
        random=Random(options.seed),  # noqa: S311 -- simulation, no secret
        gang=options.gang,
        webhooks=caller,
    )
    try:
        async with sandbox, on_sockets(sandbox, options.kubeconfig, host=options.host, port=options.port) as address:
            took = asyncio.get_running_loop().time() - begin
            say(f"{len(shape.nodes)} nodes at {address.url}, up in {took:.1f} s")
            say(f"export KUBECONFIG={address.kubeconfig}")
            await interrupted()
    finally:
        await caller.close()


async def interrupted() -> None:
    """Wait for SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _resolver(given: Sequence[str]) -> Resolve:
    """Where the Services of webhooks listen."""
    table: dict[tuple[str, str], tuple[str, int]] = {}
    for text in given:
        service, _, address = text.partition("=")
        namespace, _, name = service.partition("/")
        host, _, port = address.rpartition(":")
        if not (namespace and name and host and port.isdigit()):
            raise ConfigurationError(f"--webhook is NAMESPACE/SERVICE=HOST:PORT, not {text!r}")
        table[namespace, name] = (host, int(port))

    def resolve(namespace: str, name: str, _port: int) -> tuple[str, int]:
        if (namespace, name) not in table:
            raise ServiceError(f'service "{name}" not found')
        return table[namespace, name]

    return resolve


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
