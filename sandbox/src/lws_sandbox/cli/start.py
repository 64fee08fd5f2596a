"""``lws-sandbox start``: a cluster on sockets until a signal comes, its control plane ours or a real one."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

from lws.errors import ConfigurationError
from lws_sandbox.admission import HttpsCaller, ServiceError
from lws_sandbox.cluster import Sandbox
from lws_sandbox.endpoint import Address, on_sockets
from lws_sandbox.nodes import Shape, preset, read_shape
from lws_sandbox.real import endpoint as real
from lws_sandbox.real.binaries import find
from lws_sandbox.real.cluster import real_cluster
from lws_sandbox.real.control_plane import ControlPlane
from lws_sandbox.releases import RELEASES
from lws_sandbox.time_travel import LoopClock
from lws_sandbox.usage import serve_usage

Resolve = Callable[[str, str, int], tuple[str, int]]


async def start(options: argparse.Namespace) -> None:
    """Run a cluster on sockets until a signal comes.

    Raises:
        ConfigurationError: the shape is wrong, the address cannot be had, or a process of a real control plane fails.
    """
    begin = asyncio.get_running_loop().time()
    shape = read_shape(options.shape) if options.shape else preset(options.preset)
    random = Random(options.seed)  # noqa: S311 -- simulation, no secret
    serving = _real if options.control_plane == "real" else _ours
    async with serving(options, shape, random) as (address, plane):
        took = asyncio.get_running_loop().time() - begin
        say(f"{len(shape.nodes)} nodes at {address.url}, up in {took:.1f} s{_processes(plane)}")
        say(f"export KUBECONFIG={address.kubeconfig}")
        await until_interrupted(plane)


@asynccontextmanager
async def _ours(options: argparse.Namespace, shape: Shape, random: Random) -> AsyncIterator[tuple[Address, None]]:
    caller = HttpsCaller(_resolver(options.webhook))
    features = RELEASES[options.kubernetes]
    sandbox = Sandbox(
        shape=shape, clock=LoopClock(), random=random, gang=options.gang, features=features, webhooks=caller
    )
    serve_usage(sandbox.server)
    try:
        async with sandbox, on_sockets(sandbox, options.kubeconfig, host=options.host, port=options.port) as address:
            yield address, None
    finally:
        await caller.close()


@asynccontextmanager
async def _real(
    options: argparse.Namespace, shape: Shape, random: Random
) -> AsyncIterator[tuple[Address, ControlPlane]]:
    if options.webhook:
        raise ConfigurationError(
            "--webhook is for the sandbox's own control plane: a real one finds webhooks by itself; leave it out, and "
            "let the webhook configuration name a url"
        )
    running = real_cluster(find(), shape=shape, random=random, gang=options.gang, host=options.host, port=options.port)
    async with running as cluster, real.on_sockets(cluster, options.kubeconfig) as address:
        yield address, cluster.plane


def _processes(plane: ControlPlane | None) -> str:
    return f", with real {', '.join(process.name for process in plane.processes)}" if plane else ""


async def until_interrupted(plane: ControlPlane | None) -> None:
    """Wait for a signal, or for a process that ends before one comes."""
    stop = asyncio.create_task(interrupted())
    ended = asyncio.create_task(plane.ended()) if plane else None
    try:
        await asyncio.wait({stop} | ({ended} if ended else set()), return_when=asyncio.FIRST_COMPLETED)
        if ended is not None and ended.done():
            raise ended.result()
    finally:
        stop.cancel()
        if ended is not None:
            ended.cancel()


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
        if not (namespace and name and host and port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
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
