"""The control planes that promises are kept on."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol

from lws.manager.manager import ControllerManager
from lws.manager.settings import Settings
from lws_sandbox import virtual_time as vt
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.nodes import NodeShape, Shape, preset
from lws_sandbox.quickstart.environment import ControllerEnv, real_env, sandbox_env, wait_effective
from lws_sandbox.quickstart.installation import install
from lws_sandbox.real.binaries import API_SERVER, CONTROLLER_MANAGER, Binaries
from lws_sandbox.real.cluster import RealCluster, real_cluster
from lws_sandbox.real.process import Process
from lws_sandbox.releases import Features
from tests.real.ledger import AtServer, AuditLog
from tests.real.world import World
from tests.virtual import run

Scenario = Callable[[World], Awaitable[None]]
BRISK: Final = Delays(start=0.05, init=0.05, ready=0.1, stop=0.05)
START: Final = 120.0
SILENCE: Final = 2.5  # real seconds after which nothing more is to come: counters of a status may wait for two
VIRTUAL_SILENCE: Final = 15.0


class Plane(Protocol):
    """A control plane."""

    def run(self, scenario: Scenario, namespace: str = "") -> None:
        """Let a scenario happen in a namespace of its own, of a new name if none is given."""
        ...


def shape(delays: Delays = BRISK, nodes: Sequence[NodeShape] = ()) -> Shape:
    """The nodes of every plane: enough for every example, and brisk unless asked otherwise."""
    found = preset("small")
    return replace(found, delays=delays, nodes=tuple(nodes) or found.nodes)


async def prepare(env: ControllerEnv) -> None:
    """Install what sets need. Reviews are answered for good, so that they do not depend on operators that come and go.

    Raises:
        ConfigurationError: the API server does not act on it.
    """
    settings = Settings(watchdog=None)
    spare = ControllerManager(settings, env.transport, clock=env.clock, random=Random(0), sockets=False)
    env.serve_reviews(spare.handle_review)
    client = env.client("test-install")
    await install(client, env.reach)
    await wait_effective(client)


class SandboxPlane:
    """A sandbox of its own for each scenario, in virtual time; of another release if its features are given."""

    def __init__(self, features: Features | None = None) -> None:
        self._features = features

    def run(self, scenario: Scenario, namespace: str = "") -> None:
        """Let a scenario happen in a namespace of its own, of a new name if none is given."""
        run(self._run(scenario, namespace or "scenario"))

    async def _run(self, scenario: Scenario, name: str) -> None:
        sandbox = Sandbox(shape=shape(), clock=vt.VirtualClock(), random=Random(7), features=self._features)
        requests = AtServer(sandbox.server)
        async with sandbox:
            env = sandbox_env(sandbox)
            await prepare(env)
            world = World(env, sandbox.loops, name, requests, patience=VIRTUAL_SILENCE, virtual=True)
            async with world:
                await scenario(world)


class RealPlane:
    """Real processes, kept from scenario to scenario; they and our nodes live on an event loop in another thread.

    Attributes:
        home: of controllers.
        cluster: the processes and the loops beside them.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, env: ControllerEnv, cluster: RealCluster, requests: AuditLog
    ) -> None:
        self._loop = loop
        self.env = env
        self.cluster = cluster
        self._requests = requests
        self._numbers = itertools.count()

    def process(self, name: str) -> Process:
        """One of the processes, such as ``etcd``."""
        return next(each for each in self.cluster.plane.processes if each.name == name)

    def run(self, scenario: Scenario, namespace: str = "") -> None:
        """Let a scenario happen in a namespace of its own, of a new name if none is given."""
        name = namespace or f"scenario-{next(self._numbers)}"
        self.call(self._run(scenario, name))

    def call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine on the plane's event loop to its end."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _run(self, scenario: Scenario, name: str) -> None:
        loops, requests = self.cluster.loops, self._requests
        async with World(self.env, loops, name, requests, patience=SILENCE, virtual=False) as world:
            await scenario(world)


@contextmanager
def real_plane(
    binaries: Binaries,
    folder: Path,
    *flags: str,
    delays: Delays = BRISK,
    managers: Sequence[str] = (),
    nodes: Sequence[NodeShape] = (),
) -> Iterator[RealPlane]:
    """Run a real control plane.

    Args:
        binaries: what of it is real.
        folder: for what it writes.
        flags: further ones of kube-apiserver.
        delays: of what nodes do.
        managers: further flags of kube-controller-manager.
        nodes: other ones than those of every plane.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="real control plane", daemon=True)
    thread.start()
    made: Future[RealPlane] = Future()
    stop = asyncio.Event()
    more = {API_SERVER: flags, CONTROLLER_MANAGER: managers}
    life = asyncio.run_coroutine_threadsafe(_live(binaries, folder, more, shape(delays, nodes), made, stop), loop)
    life.add_done_callback(lambda done: None if made.done() else made.set_exception(done.exception() or OSError()))
    try:
        yield made.result(START)
    finally:
        loop.call_soon_threadsafe(stop.set)
        try:
            life.result(START)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _live(
    binaries: Binaries,
    folder: Path,
    flags: Mapping[str, Sequence[str]],
    nodes: Shape,
    made: Future[RealPlane],
    stop: asyncio.Event,
) -> None:
    random = Random(7)
    more = {**flags, API_SERVER: [*AuditLog.flags(folder), *flags[API_SERVER]]}
    async with (
        real_cluster(binaries, shape=nodes, random=random, more=more) as cluster,
        real_env(cluster, random) as env,
    ):
        await prepare(env)
        made.set_result(RealPlane(asyncio.get_running_loop(), env, cluster, AuditLog(AuditLog.path(folder))))
        await stop.wait()
