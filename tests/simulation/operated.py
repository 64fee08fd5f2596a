"""A cluster with operators in the same process, whoever serves it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONTROLLERREVISIONS,
    EVENTS,
    LEASES,
    PODS,
    SERVICES,
    STATEFULSETS,
    Resource,
)
from lws.client.api import ApiClient
from lws.client.transport import Transport
from lws.clock import Clock
from lws.errors import NotFoundError
from lws.manager.manager import ControllerManager
from lws.manager.settings import Settings
from tests.simulation.recording import Recording, Wrap, Write

NAMESPACE: Final = "default"


class OperatedCluster:
    """Nothing of the operator runs until `start`.

    Args:
        client: that may do everything.
        clock: of the cluster.
        random: of all chance.
        connect: makes the transport of an operator.
        settings: of operators that start from now on.

    Attributes:
        writes: what operators wrote.
        operators: those that run.
    """

    def __init__(
        self, client: ApiClient, *, clock: Clock, random: Random, connect: Callable[[], Transport], settings: Settings
    ) -> None:
        self.client = client
        self.clock = clock
        self.random = random
        self.settings = settings
        self.writes: list[Write] = []
        self.operators: list[Running] = []
        self._connect = connect

    def make(self, transport: Transport, lease_transport: Transport | None = None) -> ControllerManager:
        """An operator that does not run yet."""
        chance = Random(self.random.getrandbits(64))
        return ControllerManager(
            self.settings, transport, clock=self.clock, random=chance, sockets=False, lease_transport=lease_transport
        )

    async def start(
        self, wrap: Wrap = lambda transport: transport, *, lease_wrap: Wrap | None = None, ready: bool = True
    ) -> Running:
        """Start an operator, its lease on a transport of its own if that is wrapped; returns when it works if asked."""
        transport = wrap(Recording(self._connect(), self.writes))
        lease = lease_wrap(self._connect()) if lease_wrap else None
        running = Running(self, self.make(transport, lease), transport)
        self.operators.append(running)
        if ready:
            waiting = asyncio.create_task(running.operator.wait_ready())
            await asyncio.wait([waiting, running.task], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if running.task.done():
                running.task.result()
        return running

    # Looking.

    async def all(self, resource: Resource, selector: str = "") -> list[JSON]:
        """Objects of the default namespace, by name."""
        found = await self.client.list(resource, NAMESPACE, label_selector=selector)
        return sorted(found["items"], key=lambda each: str(each["metadata"]["name"]))

    async def get(self, resource: Resource, name: str) -> JSON | None:
        """One object of the default namespace."""
        try:
            return await self.client.get(resource, NAMESPACE, name)
        except NotFoundError:
            return None

    async def events(self, reason: str = "") -> list[str]:
        """Notes of the operator's events, oldest first."""
        found = await self.all(EVENTS)
        found.sort(key=lambda each: (each["eventTime"] or "", int(each["metadata"]["resourceVersion"])))
        return [each["note"] for each in found if not reason or each["reason"] == reason]

    def counted(self, since: int = 0) -> list[Write]:
        """Writes of the operator that succeeded, but for events and leases."""
        free = {EVENTS.plural, LEASES.plural}
        return [each for each in self.writes[since:] if each.resource not in free and 200 <= each.status < 300]

    # Waiting.

    async def until(self, holds: Callable[[], Awaitable[bool]], *, seconds: float = 600.0, every: float = 0.25) -> None:
        """Wait until a condition holds.

        Raises:
            TimeoutError: it did not within so many seconds.
        """
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110 -- a server has no event for it
                await asyncio.sleep(every)

    async def available(self, name: str, *, seconds: float = 600.0) -> JSON:
        """Wait until a set is Available at its own generation; the set."""
        found: JSON = {}

        async def holds() -> bool:
            nonlocal found
            found = await self.client.get(LEADERWORKERSETS, NAMESPACE, name)
            status = found.get("status") or {}
            conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            return current and conditions.get("Available") == "True"

        await self.until(holds, seconds=seconds)
        return found

    async def quiet(self, seconds: float = 30.0, *, limit: float = 1200.0) -> None:
        """Wait until nothing was stored for so many seconds, leases and events aside."""
        async with asyncio.timeout(limit):
            last = await self._fingerprint()
            still = 0.0
            while still < seconds:
                await asyncio.sleep(1.0)
                now = await self._fingerprint()
                still = still + 1.0 if now == last else 0.0
                last = now

    async def _fingerprint(self) -> tuple[str, ...]:
        found = []
        for resource in (LEADERWORKERSETS, STATEFULSETS, PODS, SERVICES, CONTROLLERREVISIONS):
            items = (await self.client.list(resource))["items"]
            found += [f"{each['metadata']['uid']}/{each['metadata']['resourceVersion']}" for each in items]
        return tuple(found)


class Running:
    """One operator process, with its way to the API server."""

    def __init__(self, cluster: OperatedCluster, operator: ControllerManager, transport: Transport) -> None:
        self.cluster = cluster
        self.operator = operator
        self.transport = transport
        self.task = asyncio.create_task(operator.run(), name="operator")

    async def stop(self) -> None:
        """Stop in order."""
        if self in self.cluster.operators:
            self.cluster.operators.remove(self)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def crash(self) -> None:
        """Die: no request of it reaches the server any more, and nothing is tidied up."""
        await self.transport.close()
        await self.stop()
