"""A cluster whose control plane is real: the sandbox's loops beside it are its nodes, and what it leaves out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Final

from lws.client.api import ApiClient
from lws.client.http import HttpTransport
from lws.clock import SystemClock
from lws_sandbox.control_loops import BINDER, ControlLoops
from lws_sandbox.nodes import Shape
from lws_sandbox.real.binaries import CONTROLLER_MANAGER, SCHEDULER, Binaries
from lws_sandbox.real.control_plane import ControlPlane, control_plane
from lws_sandbox.real.flags import LOCAL

AUTOSCALER: Final = "horizontal-pod-autoscaler-controller"
# The real ones wait for a provisioner of volumes and for a metrics server, which no sandbox has.
OURS: Final = frozenset({BINDER, AUTOSCALER, "kubelet", "kubelet-heartbeat"})
THEIRS: Final = ("*", *sorted(f"-{name}" for name in (BINDER, AUTOSCALER)))


@dataclass(frozen=True, slots=True)
class RealCluster:
    """A cluster that runs.

    Attributes:
        plane: its real processes.
        loops: of ours.
        clock: the machine's, as the processes have it.
        server: none of ours.
    """

    plane: ControlPlane
    loops: ControlLoops
    clock: SystemClock
    transport: HttpTransport
    server: None = None

    def admin(self, user_agent: str) -> ApiClient:
        """A client that may do everything."""
        return ApiClient(self.transport, user_agent=user_agent, field_manager=None)


@asynccontextmanager
async def real_cluster(
    binaries: Binaries,
    *,
    shape: Shape,
    random: Random,
    gang: bool = False,
    host: str = LOCAL,
    port: int = 0,
    more: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> AsyncIterator[RealCluster]:
    """Run a real control plane with nodes; ready when every loop has its caches.

    Args:
        binaries: kube-controller-manager and kube-scheduler are used if they are there, else ours do their work.
        shape: nodes, delays, heartbeats.
        random: source of everything random in our own loops.
        gang: place the pods of Volcano PodGroups together, which only our own scheduler does.
        host: address that kube-apiserver listens on.
        port: to listen on; 0 takes a free one.
        more: further flags, by the name of the process.

    Raises:
        ConfigurationError: a process cannot be started, ends, or is not ready in time; with the end of its log.
        ExceptionGroup: loops of ours had failed when the context was left.
    """
    if gang:
        binaries = binaries.without(SCHEDULER)
    clock = SystemClock()
    processes = control_plane(binaries, clock=clock, host=host, port=port, controllers=THEIRS, more=more)
    async with processes as plane:
        transport = plane.transport(f"system:{CONTROLLER_MANAGER}")
        try:
            loops = ControlLoops(
                transport,
                ca=plane.keys.authority.certificate,
                shape=shape,
                clock=clock,
                random=random,
                wanted=lambda name: is_ours(name, binaries),
                gang=gang,
            )
            async with loops:
                yield RealCluster(plane, loops, clock, transport)
        finally:
            await transport.close()


def is_ours(loop: str, binaries: Binaries) -> bool:
    """Whether a loop of ours runs, by its name: where no real process does its work."""
    if loop == SCHEDULER:
        return SCHEDULER not in binaries
    return loop in OURS or CONTROLLER_MANAGER not in binaries
