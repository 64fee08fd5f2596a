"""Crash at every write: each scenario is run once without faults, then once for every write and every edge of it.

A crash before or after a write ends the operator; another one starts a moment later. A lost answer leaves it running.
Whatever happens, the end is that of the run without faults, but for uids, versions and times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.client.transport import Transport
from lws_sandbox.virtual_time import run as run_virtually
from tests.simulation.chaos import CrashPoint
from tests.simulation.cluster import NAMESPACE, Cluster, Running, manifest
from tests.simulation.states import difference, end_state

EDGES: Final = ("before", "after", "lost")
DOWN_SECONDS: Final = 3.0
ROLLING: Final = {"maxUnavailable": 1, "maxSurge": 1}


async def creation(cluster: Cluster) -> None:
    """A set comes up."""
    await cluster.client.create(LEADERWORKERSETS, manifest(replicas=2, size=2))


async def scaling(cluster: Cluster) -> None:
    """From one group to three and back to two."""
    for replicas in (3, 2):
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": replicas}})
        await asyncio.sleep(5)


async def rollout(cluster: Cluster) -> None:
    """A rolling update with a surge group."""
    containers = [{"name": "main", "image": "app:2"}]
    section = {"workerTemplate": {"spec": {"containers": containers}}}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"leaderWorkerTemplate": section}})


async def recreation(cluster: Cluster) -> None:
    """A worker is deleted at once."""
    await cluster.client.delete(PODS, NAMESPACE, "sample-0-1", grace_period_seconds=0)


async def deletion(cluster: Cluster) -> None:
    """The set is deleted while a group of it has just failed."""
    await cluster.drills.pod_crash("sample-0-1")
    await asyncio.sleep(0.5)
    await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "sample", propagation="Foreground")


async def spending(cluster: Cluster) -> None:
    """A container crashes in a group that may be recreated twice."""
    await cluster.drills.pod_crash("sample-0-1")


async def exhausting(cluster: Cluster) -> None:
    """A container crashes in a group that may not be recreated; then its recovery is asked for."""
    await cluster.drills.pod_crash("sample-0-1")
    await cluster.quiet(12)
    recover = {"metadata": {"annotations": {labels.RECOVER: "true"}}}
    await cluster.client.patch(PODS, NAMESPACE, "sample-0", recover)


Course = Callable[[Cluster], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens, and to what.

    Attributes:
        course: what users and nodes do.
        before: the set that is there already; None if there is none.
    """

    course: Course
    before: JSON | None = None


SCENARIOS: Final = {
    "creation": Scenario(creation),
    "scaling": Scenario(scaling, manifest(replicas=1, size=2)),
    "rollout": Scenario(rollout, manifest(replicas=2, size=2, rolling=ROLLING)),
    "recreation": Scenario(recreation, manifest(replicas=2, size=2)),
    "spending": Scenario(spending, manifest(replicas=2, size=2, section={"maxGroupRestarts": 2})),
    "exhausting": Scenario(exhausting, manifest(replicas=2, size=2, section={"maxGroupRestarts": 0})),
    "deletion": Scenario(deletion, manifest(replicas=2, size=2)),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its end, how many writes the operator began, and whether a crash struck."""

    end: JSON
    writes: int
    struck: bool


def run(name: str, at: int = 0, edge: str = "") -> Run:
    """Run a scenario, with a fault at the write of this number; 0 for none."""
    return run_virtually(_run(SCENARIOS[name], at, edge))


def check(name: str, at: int, edge: str, wanted: JSON) -> list[str]:
    """Run with a fault; how the end differs from the wanted one, or that the fault never struck."""
    found = run(name, at, edge)
    problems = difference(wanted, found.end) if found.struck else ["the write never came"]
    return [f"{name}, write {at}, {edge}: {each}" for each in problems]


async def _run(scenario: Scenario, at: int, edge: str) -> Run:
    async with Cluster(7, nodes=2) as cluster:
        if scenario.before is not None:
            first = await cluster.start()
            await cluster.client.create(LEADERWORKERSETS, scenario.before)
            await cluster.available("sample")
            await cluster.quiet(5)
            await first.stop()
        points: list[CrashPoint] = []
        dead = asyncio.Event()

        def wrap(transport: Transport) -> Transport:
            points.append(CrashPoint(transport, at, edge, dead.set))
            return points[0]

        struck = asyncio.create_task(_revive(cluster, await cluster.start(wrap), dead))
        since = len(cluster.counted())
        await scenario.course(cluster)
        await cluster.quiet(12)
        struck.cancel()
        return Run(await end_state(cluster), len(cluster.counted()) - since, bool(points[0].reached and at))


async def _revive(cluster: Cluster, running: Running, dead: asyncio.Event) -> None:
    """Once the operator is dead, start another one."""
    await dead.wait()
    await running.crash()
    await asyncio.sleep(DOWN_SECONDS)
    await cluster.start()
