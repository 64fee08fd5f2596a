"""What makes a cluster of an API server: controllers, a scheduler, nodes with kubelets; each a client of the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from lws.client.api import ApiClient
from lws.client.transport import Transport
from lws.clock import Clock
from lws.informers.registry import InformerRegistry
from lws_sandbox.auth.aggregation import AggregationLoop
from lws_sandbox.bootstrap import seed_objects
from lws_sandbox.controllers.autoscaling import AutoscalerLoop, Metrics
from lws_sandbox.controllers.base import Loop, Toolbox
from lws_sandbox.controllers.disruption import DisruptionLoop
from lws_sandbox.controllers.garbage.loop import GarbageCollectorLoop
from lws_sandbox.controllers.kubelet.fleet import Fleet
from lws_sandbox.controllers.kubelet.heartbeat import HeartbeatLoop
from lws_sandbox.controllers.kubelet.loop import KubeletLoop
from lws_sandbox.controllers.namespaces import NamespaceLoop, RootCaLoop, ServiceAccountLoop
from lws_sandbox.controllers.nodes import NodeLifecycleLoop, PodGcLoop, TaintEvictionLoop
from lws_sandbox.controllers.quotas import ResourceQuotaLoop
from lws_sandbox.controllers.recorder import Recorder
from lws_sandbox.controllers.scheduler.loop import SchedulerLoop
from lws_sandbox.controllers.statefulset.loop import StatefulSetLoop
from lws_sandbox.controllers.volumebinding.binder import ClaimBinderLoop
from lws_sandbox.controllers.volumebinding.protection import ClaimProtectionLoop
from lws_sandbox.controllers.workloads import DeploymentLoop, ReplicaSetLoop
from lws_sandbox.nodes import Shape

BINDER: Final = "persistentvolume-binder-controller"


class ControlLoops:
    """The loops of one cluster; an async context manager, ready when it is entered.

    Args:
        transport: to the API server, as somebody who may do everything; not closed here.
        ca: the certificate of the API server's authority, as PEM.
        shape: nodes, delays, heartbeats.
        clock: tells the time.
        random: source of everything random.
        wanted: tells by its name whether a loop runs.
        gang: let the scheduler place the pods of Volcano PodGroups together or not at all.
        workloads: serve Workloads of ``scheduling.k8s.io``, and let the scheduler heed their PodGroups.
        unused_claims: tell on bound claims whether a pod refers to them.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        ca: bytes,
        shape: Shape,
        clock: Clock,
        random: Random,
        wanted: Callable[[str], bool] = lambda _name: True,
        gang: bool = False,
        workloads: bool = False,
        unused_claims: bool = False,
    ) -> None:
        self.metrics = Metrics()
        self.fleet = Fleet(shape.nodes)
        self._wanted = wanted
        self._gang = gang
        self._workloads = workloads
        self._tasks: list[asyncio.Task[None]] = []
        self._client = ApiClient(transport, user_agent="kube-controller-manager", field_manager=None)
        self._recorder = Recorder(self._client, clock, enabled=shape.events)
        self.informers = InformerRegistry(self._client, clock=clock, random=fork(random))
        tools = Toolbox(transport, self.informers, self._recorder, clock, fork(random))
        self.kubelets = KubeletLoop(tools, self.fleet, shape.delays)
        self.heartbeats = HeartbeatLoop(tools, self.fleet, shape.heartbeat)
        every: list[Loop] = [
            NamespaceLoop(tools),
            ServiceAccountLoop(tools),
            AggregationLoop(tools),
            RootCaLoop(tools, ca.decode()),
            GarbageCollectorLoop(tools),
            ClaimProtectionLoop(tools, tell_unused=unused_claims),
            ClaimBinderLoop(tools),
            StatefulSetLoop(tools),
            ReplicaSetLoop(tools),
            DeploymentLoop(tools),
            AutoscalerLoop(tools, self.metrics),
            DisruptionLoop(tools),
            ResourceQuotaLoop(tools),
            NodeLifecycleLoop(tools, shape.heartbeat),
            TaintEvictionLoop(tools),
            PodGcLoop(tools),
            SchedulerLoop(tools, gang=gang, workloads=workloads),
            self.heartbeats,
            self.kubelets,
        ]
        self.running: Sequence[Loop] = [loop for loop in every if wanted(loop.name)]

    async def __aenter__(self) -> Self:
        """Start everything; returns when the nodes are there and every loop has its caches."""
        await seed_objects(self._client, volumes=self._wanted(BINDER), gang=self._gang, workloads=self._workloads)
        if self._wanted(self.heartbeats.name):
            await self.heartbeats.register()
        self._start("informers", self.informers.run())
        self._start("events", self._recorder.run())
        for loop in self.running:
            self._start(loop.name, loop.run())
        await self.informers.wait_synced()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, what was started last first.

        Raises:
            ExceptionGroup: loops had failed, and nothing else had.
        """
        tasks, self._tasks = self._tasks, []
        for task in reversed(tasks):
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [found for found in results if isinstance(found, Exception)]
        if failures and error is None:
            raise ExceptionGroup("control loops of the sandbox failed", failures)

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=f"sandbox {name}"))


def fork(random: Random) -> Random:
    """A generator of its own for a part, so that what one draws does not move the others."""
    return Random(random.getrandbits(64))  # noqa: S311 -- simulation, no secret
