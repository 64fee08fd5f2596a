"""Where scenarios are played: on a sandbox in virtual time, or on a real control plane."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import ContextVar
from random import Random
from typing import Any, Final, Protocol

import pytest

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import EVENTS, PODS, SERVICES
from lws.client.transport import Transport
from lws.errors import NotFoundError
from lws.manager.settings import Configuration, Settings
from lws_sandbox import virtual_time as vt
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.real.planes import BRISK, RealPlane
from tests.simulation.cluster import LOOPS, Cluster
from tests.simulation.operated import NAMESPACE, OperatedCluster

Scenario = Coroutine[Any, Any, None]


class Stage(Protocol):
    """What scenarios are played on."""

    def play(self, scenario: Scenario) -> None:
        """Play a scenario to its end."""
        ...

    def cluster(self, **arguments: Any) -> AbstractAsyncContextManager[OperatedCluster]:
        """A cluster that serves DisaggregatedSets and holds none, with no operator yet."""
        ...


class SandboxStage:
    """A sandbox of its own for each scenario, in virtual time."""

    def play(self, scenario: Scenario) -> None:
        """Play a scenario to its end."""
        vt.run(scenario)

    def cluster(self, **arguments: Any) -> AbstractAsyncContextManager[OperatedCluster]:
        """A cluster that serves DisaggregatedSets; the arguments are those of `Cluster`."""
        return Cluster(**{"disaggregated": True, "nodes": 2, "delays": Delays(), "loops": LOOPS, **arguments})


class RealStage:
    """A real control plane, kept from scenario to scenario; what one leaves is deleted at its end."""

    def __init__(self, plane: RealPlane) -> None:
        self._plane = plane

    def play(self, scenario: Scenario) -> None:
        """Play a scenario to its end."""
        self._plane.call(scenario)

    @asynccontextmanager
    async def cluster(self, **arguments: Any) -> AsyncIterator[OperatedCluster]:
        """A cluster that serves DisaggregatedSets; ``delays`` of its nodes can be chosen, and nothing is left out."""
        for whole in ("slim", "loops"):
            arguments.pop(whole, None)
        self._plane.cluster.loops.kubelets.delays = arguments.pop("delays", BRISK)
        assert not arguments, f"a real control plane is as it is: {arguments}"
        transports: list[Transport] = []

        def connect() -> Transport:
            transports.append(self._plane.cluster.plane.transport())
            return transports[-1]

        configuration = {"clientConnection": {"qps": -1, "burst": 1}, "leaderElection": {"leaderElect": False}}
        settings = Settings(
            configuration=Configuration.model_validate(configuration),
            disaggregated=True,
            watchdog=None,
            hostname="test",
        )
        env = self._plane.env
        cluster = OperatedCluster(
            env.client("test"),
            clock=env.clock,
            random=Random(1),
            connect=connect,
            settings=settings,
        )
        try:
            yield cluster
        finally:
            for running in [*cluster.operators]:
                await running.stop()
            for each in transports:
                await each.close()
            self._plane.cluster.loops.kubelets.delays = BRISK
            await _clear(cluster)


async def _clear(cluster: OperatedCluster) -> None:
    """Delete everything that a scenario may leave in the default namespace."""
    kinds = (DISAGGREGATEDSETS, ROLESCALERS, LEADERWORKERSETS, SERVICES, EVENTS)

    async def empty() -> bool:
        left = [(kind, each) for kind in kinds for each in await cluster.all(kind)]
        mine = [(kind, each["metadata"]["name"]) for kind, each in left if each["metadata"]["name"] != "kubernetes"]
        for kind, name in mine:
            with suppress(NotFoundError):
                await cluster.client.delete(kind, NAMESPACE, name)
        return not mine and not await cluster.all(PODS)

    await cluster.until(empty, seconds=90.0)


STAGE: Final[ContextVar[Stage]] = ContextVar("STAGE", default=SandboxStage())  # noqa: B039 -- it has no state


def on_every_stage(test: Callable[..., Scenario]) -> Callable[..., None]:
    """Play a coroutine test on a sandbox in virtual time, and on a real control plane too where there is one."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        STAGE.get().play(test(*args, **kwargs))

    pytest.mark.usefixtures("stage")(run)
    return run
