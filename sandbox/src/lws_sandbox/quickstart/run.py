"""``make run``: a cluster, the controller and an example in one process, with a view of what happens.

Environment: ``ONCE=1`` ends as soon as everything is Ready, with exit code 0, or 1 with the reason after a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final
from urllib.parse import urlsplit

from rich.console import Console

from lws.cli.kubectl.ui.command import page
from lws.errors import LwsError
from lws.manager.settings import Configuration, GangScheduling, Settings
from lws.telemetry.logs import LogSettings, configure_logging
from lws_sandbox.cli.main import KUBECONFIG, add_plane_option, add_shape_options
from lws_sandbox.cli.start import until_interrupted
from lws_sandbox.cluster import Sandbox
from lws_sandbox.endpoint import Address, on_sockets
from lws_sandbox.kubeconfig import check_unused
from lws_sandbox.nodes import Shape, preset, read_shape
from lws_sandbox.quickstart.environment import ControllerEnv, controller, real_env, sandbox_env
from lws_sandbox.quickstart.follow import follow_in_lines, follow_in_place
from lws_sandbox.quickstart.hints import hints
from lws_sandbox.quickstart.installation import NAMESPACE
from lws_sandbox.quickstart.manifests import apply, first_example, read_manifests
from lws_sandbox.real import endpoint as real
from lws_sandbox.real.binaries import find
from lws_sandbox.real.cluster import real_cluster
from lws_sandbox.real.control_plane import ControlPlane
from lws_sandbox.releases import RELEASES, Features
from lws_sandbox.time_travel import LoopClock, TravellingLoop
from lws_sandbox.usage import serve_usage

LOG: Final = "run.log"


@dataclass(frozen=True, slots=True)
class Options:
    """What to run.

    Attributes:
        once: end when all is Ready.
        manifests: files to apply.
        kubeconfig: where to write it.
        shape: of the cluster.
        real: whether its control plane is a real one.
        gang: whether pods of a Volcano PodGroup are placed together.
        features: what the sandbox's API server offers.
    """

    once: bool
    manifests: tuple[Path, ...]
    kubeconfig: Path
    shape: Shape
    real: bool
    gang: bool
    features: Features


@dataclass(frozen=True, slots=True)
class Environment:
    """The cluster that everything runs on.

    Attributes:
        address: where it is.
        controller: what the controller beside it needs.
        plane: the processes of a real control plane, if it is one.
    """

    address: Address
    controller: ControllerEnv
    plane: ControlPlane | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit code."""
    try:
        options = _options(arguments)
        check_unused(options.kubeconfig)  # the log may be that of a sandbox that still runs
        options.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        with (options.kubeconfig.parent / LOG).open("w") as log:
            configure_logging(LogSettings(level="info", format="console"), log)
            with asyncio.Runner(loop_factory=TravellingLoop) as runner:
                return runner.run(run(options, Console()))
    except (LwsError, OSError) as error:
        sys.stderr.write(f"run: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0


async def run(options: Options, console: Console) -> int:
    """Start everything, apply the manifests, show what happens; returns the exit code.

    Raises:
        ConfigurationError: something cannot be started, or a process of a real control plane ends.
    """
    documents = read_manifests(options.manifests)
    starting = _real if options.real else _sandbox
    async with (
        starting(options) as environment,
        controller(environment.controller, settings(options)),
        AsyncExitStack() as stack,
    ):
        client = environment.controller.client("lws-run")
        await apply(client, documents)
        address = environment.address
        where = await stack.enter_async_context(_page(environment.controller, address.url))
        lines = hints(address.url, address.kubeconfig, documents, options.shape.nodes[0].name, where)
        stop = asyncio.create_task(until_interrupted(environment.plane))
        try:
            if console.is_terminal and not console.is_dumb_terminal and not options.once:
                await follow_in_place(client, console, lines, stop)
                return 0
            return await follow_in_lines(client, console, lines, stop, once=options.once)
        finally:
            stop.cancel()


def _page(env: ControllerEnv, url: str) -> AbstractAsyncContextManager[str]:
    """The page of ``kubectl lws ui`` over the whole cluster, which is a toy: it may act."""
    return page(env.client("kubectl-lws"), namespace="", server=urlsplit(url).netloc, acting=True, clock=env.clock)


def settings(options: Options) -> Settings:
    """How the controller is configured: as shipped, and for the gang scheduler where there is one."""
    gang = GangScheduling(schedulerProvider="volcano") if options.gang else None
    configuration = Configuration().model_copy(update={"gang_scheduling_management": gang})
    return Settings(configuration=configuration, namespace=NAMESPACE, watchdog=None)


@asynccontextmanager
async def _sandbox(options: Options) -> AsyncIterator[Environment]:
    rng = Random(0)  # noqa: S311 -- simulation, no secret
    sandbox = Sandbox(shape=options.shape, clock=LoopClock(), random=rng, gang=options.gang, features=options.features)
    serve_usage(sandbox.server)
    async with sandbox, on_sockets(sandbox, options.kubeconfig) as address:
        yield Environment(address, sandbox_env(sandbox))


@asynccontextmanager
async def _real(options: Options) -> AsyncIterator[Environment]:
    rng = Random(0)  # noqa: S311 -- simulation, no secret
    async with (
        real_cluster(find(), shape=options.shape, random=rng, gang=options.gang) as cluster,
        real.on_sockets(cluster, options.kubeconfig) as address,
        real_env(cluster, rng) as env,
    ):
        yield Environment(address, env, cluster.plane)


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m lws_sandbox.quickstart", description="Run a cluster, the controller and an example."
    )
    parser.add_argument("manifests", nargs="*", type=Path, help="files to apply; the first example if none")
    parser.add_argument("--kubeconfig", type=Path, default=Path(KUBECONFIG), help="file to write")
    parser.add_argument("--gang", action="store_true", help="gang scheduling: PodGroups, and a scheduler like Volcano")
    add_plane_option(parser)
    add_shape_options(parser)
    given = parser.parse_args(arguments)
    return Options(
        once=os.environ.get("ONCE", "") not in ("", "0"),
        manifests=tuple(given.manifests) or (first_example(),),
        kubeconfig=given.kubeconfig,
        shape=read_shape(given.shape) if given.shape else preset(given.preset),
        real=given.control_plane == "real",
        gang=given.gang,
        features=RELEASES[given.kubernetes],
    )
