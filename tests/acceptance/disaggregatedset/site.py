"""A cluster that serves DisaggregatedSets, and what the scenarios of the specification ask of it."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from lws.api.disaggregatedset import labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import EVENTS, PODS, SERVICES, Resource
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.api.disaggregatedset.making import manifest, pause, role
from tests.simulation.cluster import LOOPS, NAMESPACE, Cluster

JSON = dict[str, Any]
Counts = dict[str, tuple[int, int]]  # role -> old and new replicas

A: Final = "28d81a04"  # pause:3.9 for both of prefill and decode
B: Final = "c49d2f9c"  # pause:3.10
C: Final = "3.11"


def roles(
    prefill: int, decode: int, image: str = "3.9", *, prefill_pace: JSON | None = None, **pace: Any
) -> list[JSON]:
    """Roles prefill and decode; ``pace`` is the configuration of both unless prefill has its own."""
    paces = (prefill_pace if prefill_pace is not None else pace, pace)
    together = zip(("prefill", "decode"), (prefill, decode), paces, strict=True)
    return [role(name, count, template=pause(image), **_strategy(each)) for name, count, each in together]


def _strategy(pace: JSON) -> JSON:
    return {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": pace}} if pace else {}


class Site:
    """The cluster, and the set ``x`` in it.

    `states` is every state of the children that was ever stored, one after the other, as ``role -> (old, new)``; new is
    what bears the revision that `watch` was told.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.client = cluster.client
        self.states: list[Counts] = []
        self.ready: list[dict[str, int]] = []
        self._target = ""

    # Acting.

    async def create(self, *made: JSON, **arguments: Any) -> JSON:
        """Create the set of these roles."""
        body = manifest(*made, **arguments)
        for member in ("uid", "generation"):
            del body["metadata"][member]
        return await self.client.create(DISAGGREGATEDSETS, body)

    async def edit(self, *made: JSON, **spec: Any) -> JSON:
        """Give the set these roles, if any, and these members of its spec."""
        live = await self.client.get(DISAGGREGATEDSETS, NAMESPACE, "x")
        changed = copy.deepcopy(live)
        changed["spec"] |= {**({"roles": list(made)} if made else {}), **spec}
        return await self.client.update(DISAGGREGATEDSETS, changed)

    async def watch(self, target: str) -> None:
        """Record every state from now on, against this target revision."""
        self._target = target
        self.states.clear()
        self.ready.clear()
        self.cluster.sandbox.server.storage.on_commit(self._committed)

    def _committed(self) -> None:
        raise NotImplementedError

    # Looking.

    async def get(self, name: str = "x") -> JSON:
        """The set."""
        return await self.client.get(DISAGGREGATEDSETS, NAMESPACE, name)

    async def all(self, resource: Resource, **selected: str) -> list[JSON]:
        """What belongs to the set, by name."""
        selector = ",".join(f"{labels.PREFIX}{key}={value}" for key, value in {"name": "x", **selected}.items())
        return await self.cluster.all(resource, selector)

    async def children(self, **selected: str) -> dict[str, int]:
        """Replicas of every child, by name."""
        return {
            each["metadata"]["name"]: each["spec"]["replicas"] for each in await self.all(LEADERWORKERSETS, **selected)
        }

    async def pods(self, **selected: str) -> int:
        """How many pods there are."""
        return len(await self.all(PODS, **selected))

    async def services(self) -> list[str]:
        """Names of Services."""
        return [each["metadata"]["name"] for each in await self.all(SERVICES)]

    async def condition(self, kind: str, name: str = "x") -> tuple[str, str]:
        """Status and reason of a condition; empty when it is not there."""
        found = (await self.get(name)).get("status", {}).get("conditions", [])
        return next(((each["status"], each["reason"]) for each in found if each["type"] == kind), ("", ""))

    async def events(self) -> list[tuple[str, str]]:
        """Reason and note of the events about the set, in the order in which they were recorded."""
        found = [each for each in await self.cluster.all(EVENTS) if each["regarding"]["kind"] == DISAGGREGATEDSETS.kind]
        found.sort(key=lambda each: (each["eventTime"] or "", int(each["metadata"]["resourceVersion"])))
        return [(each["reason"], each["note"]) for each in found]

    async def reasons(self) -> list[str]:
        """Reasons of the events about the set."""
        return [reason for reason, _ in await self.events()]

    # Waiting.

    async def until(self, holds: Callable[[], Awaitable[bool]], **limits: float) -> None:
        """Wait until a condition holds, in virtual time."""
        await self.cluster.until(holds, **limits)

    async def available(self, name: str = "x") -> JSON:
        """Wait until the set is Available at its own generation; the set."""
        found: JSON = {}

        async def holds() -> bool:
            nonlocal found
            found = await self.get(name)
            status = found.get("status", {})
            conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            return current and conditions.get("Available") == "True"

        await self.until(holds)
        await self.cluster.quiet(5.0)
        return found

    async def scaler(self, role_name: str) -> JSON | None:
        """A role's scaler."""
        return await self.cluster.get(ROLESCALERS, f"x-{role_name}")


@asynccontextmanager
async def site(**arguments: Any) -> AsyncIterator[Site]:
    """A cluster with an operator that works."""
    arguments = {"disaggregated": True, "nodes": 2, "delays": Delays(), "loops": LOOPS, **arguments}
    async with Cluster(**arguments) as cluster:
        await cluster.start()
        yield Site(cluster)
