"""A sandbox with the operator in the same process, in virtual time and without sockets.

The operand's pods are pretended by the sandbox's kubelets. While one of them is Ready, the operand's webhook answers as
the real one does: by its own handlers, in process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from random import Random
from types import TracebackType
from typing import Self

from lws.api.operand import names
from lws.api.operand.crd import LEADERWORKERSETOPERATOR
from lws.apimachinery.resources import (
    NAMESPACES,
)
from lws.client.transport import Transport
from lws.manager.manager import ControllerManager
from lws.manager.settings import Configuration, Settings
from lws.planning.operand.assets import Asset
from lws_sandbox.admission.calling import CallError
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.drills import Drills
from lws_sandbox.nodes import NodeShape, Shape
from lws_sandbox.virtual_time import VirtualClock
from tests.acceptance.operand.ground import NAMESPACE, Ground, fixture, slim_assets


class Site(Ground):
    """The whole of it; an async context manager. Nothing of the operator runs until `start`.

    Args:
        seed: of all chance.
        nodes: how many nodes there are.
        definitions: what other projects have installed: names of fixtures.
        namespace: of the operator.
        objects: what the operator installs.
        delays: how long things take on nodes.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        nodes: int = 2,
        definitions: Iterable[str] = (),
        namespace: str = NAMESPACE,
        objects: Sequence[Asset] | None = None,
        delays: Delays | None = None,
    ) -> None:
        random, clock = Random(seed), VirtualClock()
        capacity = {"cpu": "64", "memory": "64Gi", "pods": "500"}
        made = tuple(NodeShape(f"node-{i}", {"zone": f"zone-{i}"}, capacity) for i in range(nodes))
        self.sandbox = Sandbox(
            shape=Shape(made, delays or Delays(), heartbeat=0.0, events=False),
            clock=clock,
            random=Random(random.getrandbits(64)),
        )
        found = slim_assets() if objects is None else objects
        super().__init__(self.sandbox.client(), clock, random, namespace, found)
        self.drills = Drills(self.sandbox)
        self.reachable = True
        self._definitions = tuple(definitions)
        self._controller: asyncio.Task[None] | None = None
        self._admission: ControllerManager | None = None

    async def __aenter__(self) -> Self:
        """Start the sandbox, and install the operator's definition and namespace."""
        await self.sandbox.__aenter__()
        await self.define([LEADERWORKERSETOPERATOR.manifest()])
        for name in self._definitions:
            await self.define(fixture(name))
        await self.client.create(NAMESPACES, {"metadata": {"name": self.namespace}})
        self.serve(self.namespace)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, then the sandbox."""
        for running in [*self.operators]:
            await running.stop()
        await self.stop_operand()
        await self.sandbox.__aexit__(kind, error, trace)

    def serve(self, namespace: str) -> None:
        """Let the operand's webhook answer in this namespace, while one of its pods is Ready there."""

        async def answer(path: str, body: bytes, content_type: str) -> tuple[int, bytes]:
            if not self.reachable or not await self.ready_pods(namespace):
                raise CallError('failed to call webhook: Post "https://lws-webhook-service": connection refused')
            answered: tuple[int, bytes] = self._handlers().handle_review(path, body, content_type)
            return answered

        self.sandbox.local_webhooks.serve(
            namespace, names.WEBHOOK_SERVICE, answer, distrust=lambda target: self.distrust(target)
        )

    def _handlers(self) -> ControllerManager:
        if self._admission is None:
            self._admission = self._make_controller()
        return self._admission

    def _make_controller(self) -> ControllerManager:
        configuration = Configuration.model_validate(
            {"clientConnection": {"qps": -1, "burst": 1}, "leaderElection": {"leaderElect": False}}
        )
        settings = Settings(configuration=configuration, workers=4, resync=None, watchdog=None, hostname="operand")
        chance = Random(self.random.getrandbits(64))
        return ControllerManager(settings, self.sandbox.transport(), clock=self.clock, random=chance, sockets=False)

    def transport(self) -> Transport:
        """A way to the sandbox for one operator."""
        return self.sandbox.transport()

    async def run_operand(self) -> None:
        """Run the controller that the operand's pods would run; returns when it works."""
        operator = self._make_controller()
        self._admission = operator
        self._controller = asyncio.create_task(operator.run(), name="operand")
        await operator.wait_ready()

    async def stop_operand(self) -> None:
        """End the controller that `run_operand` started."""
        if self._controller is not None:
            self._controller.cancel()
            await asyncio.gather(self._controller, return_exceptions=True)
            self._controller = None
