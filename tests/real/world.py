"""A namespace of some cluster, an operator or several beside it, and what can be done there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random
from types import TracebackType
from typing import Any, Self

import orjson

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import EVENTS, LEASES, NAMESPACES, NODES, PODS, SERVICEACCOUNTS, STATEFULSETS
from lws.client.transport import Transport
from lws.errors import NotFoundError
from lws.manager.manager import ControllerManager
from lws.manager.policies import Policies
from lws.manager.settings import Configuration, Settings
from lws_sandbox.control_loops import ControlLoops
from lws_sandbox.quickstart.environment import ControllerEnv
from tests.real.ledger import Ledger, Seen, Source
from tests.real.view import View
from tests.simulation.cluster import manifest
from tests.simulation.recording import Recording, Wrap, Write


class World(View):
    """One namespace; an async context manager, ready when it is entered. At its end nothing of it runs any more.

    Args:
        env: of operators.
        loops: nodes.
        namespace: its name.
        requests: what the API server was asked.
        patience: seconds of silence after which nothing more is to come.
        virtual: whether time costs nothing.
    """

    def __init__(
        self,
        env: ControllerEnv,
        loops: ControlLoops,
        namespace: str,
        requests: Source,
        *,
        patience: float,
        virtual: bool,
    ) -> None:
        super().__init__(env.client("view"), env.clock, namespace, patience)
        self.env = env
        self.loops = loops
        self.virtual = virtual
        self.client = env.client("test")
        self.requests = Ledger(lambda: [each for each in requests() if self._is_here(each)])
        self.writes: list[Write] = []
        self.operators: list[Running] = []

    def _is_here(self, seen: Seen) -> bool:
        return seen.namespace in ("", self.namespace)

    async def __aenter__(self) -> Self:
        """Make the namespace and look at it."""
        await self.client.create(NAMESPACES, {"metadata": {"name": self.namespace}})
        self._looking = await self.look()
        await self.until(lambda: self.get(SERVICEACCOUNTS, "default") is not None, "a service account")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop operators, and leave no pod behind."""
        for running in [*self.operators]:
            await running.stop()
        try:
            if not self.virtual:
                await self._clear()
        except TimeoutError:
            if error is None:
                raise
        finally:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _clear(self) -> None:
        await self.client.patch(NODES, "", "node-0", {"metadata": {"labels": {"stage": None}}})
        for each in self.all(LEADERWORKERSETS):
            with suppress(NotFoundError):
                await self.client.delete(LEADERWORKERSETS, self.namespace, each["metadata"]["name"])
        await self.until(lambda: not self.all(PODS), "the end of all pods")
        await self.client.delete(NAMESPACES, "", self.namespace)

    # Operators.

    async def start(
        self,
        wrap: Wrap = lambda transport: transport,
        *,
        elect: bool = False,
        resync: float | None = None,
        configuration: JSON | None = None,
        policies: JSON | None = None,
    ) -> Running:
        """Start an operator, with these members in its configuration and policies; returns when it works."""
        transport = wrap(Recording(_Borrowed(self.env.transport), self.writes))
        members = {"clientConnection": {"qps": -1, "burst": 1}, "leaderElection": {"leaderElect": elect}}
        configured = Configuration.model_validate({**members, **(configuration or {})})
        chosen = Policies.model_validate(policies or {})
        settings = Settings(configuration=configured, policies=chosen, watchdog=None, hostname="test", resync=resync)
        chance = Random(self.env.rng.getrandbits(64))
        operator = ControllerManager(settings, transport, clock=self.env.clock, random=chance, sockets=False)
        running = Running(self, operator, transport)
        self.operators.append(running)
        waiting = asyncio.create_task(operator.wait_ready())
        await asyncio.wait([waiting, running.task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if running.task.done():
            running.task.result()
        return running

    @contextmanager
    def reviewing(self, running: Running) -> Iterator[None]:
        """Have this operator answer reviews, and one with the defaults again afterwards."""
        self.env.serve_reviews(running.operator.handle_review)
        try:
            yield
        finally:
            settings, chance = Settings(watchdog=None), Random(0)
            spare = ControllerManager(settings, self.env.transport, clock=self.env.clock, random=chance, sockets=False)
            self.env.serve_reviews(spare.handle_review)

    # Doing.

    async def create(self, name: str = "sample", **arguments: Any) -> None:
        """Create a set; the arguments are those of `manifest`."""
        body = manifest(name, **arguments)
        body["metadata"]["namespace"] = self.namespace
        await self.client.create(LEADERWORKERSETS, body)

    async def edit(self, name: str = "sample", **spec: Any) -> None:
        """Change a set's spec."""
        await self.client.patch(LEADERWORKERSETS, self.namespace, name, {"spec": spec})

    async def roll(self, image: str, name: str = "sample") -> None:
        """Have a set run another image."""
        template = {"spec": {"containers": [{"name": "main", "image": image}]}}
        await self.edit(name, leaderWorkerTemplate={"workerTemplate": template})

    def crash(self, pod: str) -> None:
        """Let the container of a pod end, as its own fault."""
        self.loops.kubelets.crash(self.namespace, pod)

    async def delete_pod(self, name: str, **options: Any) -> None:
        """Delete a pod."""
        await self.client.delete(PODS, self.namespace, name, **options)

    async def open_stage(self) -> None:
        """Let pods that wait for a node with ``stage: open`` find one."""
        await self.client.patch(NODES, "", "node-0", {"metadata": {"labels": {"stage": "open"}}})

    # What operators wrote.

    def applied(self, since: int = 0) -> list[tuple[int, int]]:
        """Partition and replicas of each leader StatefulSet that an operator applied."""
        bodies = [orjson.loads(each.body) for each in self.counted(since) if each.method == "PATCH"]
        specs = [body["spec"] for body in bodies if body["kind"] == STATEFULSETS.kind]
        return [(spec["updateStrategy"]["rollingUpdate"]["partition"], spec["replicas"]) for spec in specs]

    def counted(self, since: int = 0) -> list[Write]:
        """Writes of operators that succeeded, but for events and leases."""
        free = {EVENTS.plural, LEASES.plural}
        return [each for each in self.writes[since:] if each.resource not in free and 200 <= each.status < 300]


def claim(storage: str) -> JSON:
    """A template of volume claims."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}}
    return {"metadata": {"name": "data"}, "spec": spec}


class _Borrowed:
    """A transport that stays open when the borrower has done with it."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.send = inner.send
        self.stream = inner.stream

    async def close(self) -> None:
        """Leave the inner one open."""


class Running:
    """One operator."""

    def __init__(self, world: World, operator: ControllerManager, transport: Transport) -> None:
        self.world = world
        self.operator = operator
        self.transport = transport
        self.task = asyncio.create_task(operator.run(), name="operator")

    async def stop(self) -> None:
        """Stop in order."""
        if self in self.world.operators:
            self.world.operators.remove(self)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
