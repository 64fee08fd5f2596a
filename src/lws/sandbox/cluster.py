"""A whole cluster in one process: API server, control loops, nodes.

In-process it opens no socket and starts no thread, so it runs in virtual time; `Sandbox.serve` puts it on loopback
sockets for real clients as well. Everything that happens by chance or by the clock comes from the arguments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from lws.client.api import ApiClient
from lws.clock import Clock
from lws.informers.registry import InformerRegistry
from lws.sandbox.admission import Caller, LocalCaller
from lws.sandbox.assembly import build_server
from lws.sandbox.auth.aggregation import AggregationLoop
from lws.sandbox.bootstrap import bootstrap
from lws.sandbox.certificates import Authority
from lws.sandbox.controllers.autoscaling import AutoscalerLoop, Metrics
from lws.sandbox.controllers.base import Loop, Toolbox
from lws.sandbox.controllers.disruption import DisruptionLoop
from lws.sandbox.controllers.garbage.loop import GarbageCollectorLoop
from lws.sandbox.controllers.kubelet.fleet import Fleet
from lws.sandbox.controllers.kubelet.heartbeat import HeartbeatLoop
from lws.sandbox.controllers.kubelet.loop import KubeletLoop
from lws.sandbox.controllers.namespaces import NamespaceLoop, RootCaLoop, ServiceAccountLoop
from lws.sandbox.controllers.nodes import NodeLifecycleLoop, PodGcLoop, TaintEvictionLoop
from lws.sandbox.controllers.recorder import Recorder
from lws.sandbox.controllers.scheduler.loop import SchedulerLoop
from lws.sandbox.controllers.statefulset.loop import StatefulSetLoop
from lws.sandbox.controllers.volumes import ClaimBinderLoop, ClaimProtectionLoop
from lws.sandbox.controllers.workloads import DeploymentLoop, ReplicaSetLoop
from lws.sandbox.kinds import Features
from lws.sandbox.nodes import Shape, preset
from lws.sandbox.time_travel import LoopClock
from lws.sandbox.transport import InProcessTransport
from lws.sandbox.user import ADMIN, UserInfo

CONTROLLER_MANAGER: Final = UserInfo(
    "system:kube-controller-manager", groups=("system:masters", "system:authenticated")
)


class Sandbox:
    """One cluster; an async context manager, ready when it is entered.

    Args:
        shape: nodes, delays, heartbeats; the preset ``small`` if absent.
        clock: for all times; the event loop's own if absent.
        random: for all chance.
        loops: names of the loops to run, as ``--controllers`` has them; all if absent.
        gang: let the scheduler place the pods of Volcano PodGroups together or not at all.
        features: what the API server offers.
        webhooks: reaches admission webhooks; by default only those registered with ``local_webhooks``.
    """

    def __init__(
        self,
        *,
        shape: Shape | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        loops: Collection[str] | None = None,
        gang: bool = False,
        features: Features | None = None,
        webhooks: Caller | None = None,
    ) -> None:
        self.shape = shape or preset("small")
        self.random = random or Random(0)  # noqa: S311 -- simulation, no secret
        self.clock: Clock = clock or LoopClock()
        self.authority = Authority(self.clock.now())
        self.local_webhooks = LocalCaller(webhooks)
        self.metrics = Metrics()
        self.fleet = Fleet(self.shape.nodes)
        self._gang = gang
        self._chosen = loops
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: list[Callable[[], Any]] = []
        self.server = build_server(
            clock=self.clock, random=self._fork(), caller=self.local_webhooks, features=features or Features()
        )
        self._transport = InProcessTransport(self.server, CONTROLLER_MANAGER)
        controllers = ApiClient(self._transport, user_agent="kube-controller-manager")
        self.recorder = Recorder(controllers, self.clock, enabled=self.shape.events)
        self.informers = InformerRegistry(controllers, clock=self.clock, random=self._fork())
        self._tools = Toolbox(self._transport, self.informers, self.recorder, self.clock, self._fork())
        self.kubelets = KubeletLoop(self._tools, self.fleet, self.shape.delays)
        self.heartbeats = HeartbeatLoop(self._tools, self.fleet, self.shape.heartbeat)
        self.loops: Sequence[Loop] = [loop for loop in self._all_loops() if self._runs(loop.name)]

    # Use.

    def transport(self, user: UserInfo = ADMIN) -> InProcessTransport:
        """A way to the API server without sockets, as a user."""
        return InProcessTransport(self.server, user)

    def client(self, user: UserInfo = ADMIN, *, user_agent: str = "sandbox") -> ApiClient:
        """A client of the API server, as a user."""
        return ApiClient(self.transport(user), user_agent=user_agent)

    # Lifetime.

    async def __aenter__(self) -> Self:
        """Start everything; returns when the nodes are there and every loop has its caches."""
        binds = self._runs("persistentvolume-binder-controller")
        await bootstrap(ApiClient(self._transport, user_agent="kube-apiserver"), volumes=binds, gang=self._gang)
        if self._runs(self.heartbeats.name):
            await self.heartbeats.register()
        self._start("informers", self.informers.run())
        self._start("events", self.recorder.run())
        for loop in self.loops:
            self._start(loop.name, loop.run())
        await self.informers.wait_synced()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, the loops first."""
        tasks, self._tasks = self._tasks, []
        for task in reversed(tasks):
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await self._transport.close()
        failures = [found for found in results if isinstance(found, Exception)]
        if failures and error is None:
            raise ExceptionGroup("control loops of the sandbox failed", failures)

    # Parts.

    def _start(self, name: str, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work, name=f"sandbox {name}"))

    def _fork(self) -> Random:
        """A generator of its own for each part, so that what one draws does not move the others."""
        return Random(self.random.getrandbits(64))  # noqa: S311 -- simulation, no secret

    def _runs(self, name: str) -> bool:
        return self._chosen is None or name in self._chosen

    def _all_loops(self) -> list[Loop]:
        tools, heartbeat = self._tools, self.shape.heartbeat
        return [
            NamespaceLoop(tools),
            ServiceAccountLoop(tools),
            AggregationLoop(tools),
            RootCaLoop(tools, self.authority.certificate.decode()),
            GarbageCollectorLoop(tools),
            ClaimProtectionLoop(tools),
            ClaimBinderLoop(tools),
            StatefulSetLoop(tools),
            ReplicaSetLoop(tools),
            DeploymentLoop(tools),
            AutoscalerLoop(tools, self.metrics),
            DisruptionLoop(tools),
            NodeLifecycleLoop(tools, heartbeat),
            TaintEvictionLoop(tools),
            PodGcLoop(tools),
            SchedulerLoop(tools, gang=self._gang),
            self.heartbeats,
            self.kubelets,
        ]
