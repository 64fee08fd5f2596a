"""What a creation costs, and that it comes to the same end wherever its controller dies."""

from __future__ import annotations

import asyncio

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.client.transport import Transport
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.acceptance.equality import exact_state
from tests.acceptance.support import by_kind, counted, figure, rest
from tests.simulation.chaos import CrashPoint
from tests.simulation.cluster import Cluster, manifest
from tests.simulation.hashed import HASH_LOOPS, hash_manifest
from tests.simulation.states import difference
from tests.virtual import virtual_time

EDGES = ("before", "after", "lost")
UNEVEN = Delays(ready=2.0, jitter=1.0)  # no two groups become ready at the same moment


@virtual_time
async def test_creation_of_r_groups_costs_at_most_r_plus_5_writes() -> None:
    """Revision, leader StatefulSet, Service, R worker StatefulSets and two statuses; be the groups ever so uneven."""
    with pytest.MonkeyPatch.context() as patch:
        async with counted(patch, nodes=1, delays=UNEVEN) as (cluster, tally):
            for groups in (1, 5, 20):
                tally.clear()
                await cluster.client.create(LEADERWORKERSETS, manifest(f"of-{groups}", replicas=groups, size=2))
                await cluster.available(f"of-{groups}")
                await rest(cluster)
                writes = tally.writes()
                told = figure(f"creation of {groups} groups: {len(writes)} writes ({by_kind(writes)})")
                assert groups + 4 <= len(writes) <= groups + 5, told


@virtual_time
async def test_creation_of_r_keyed_groups_costs_at_most_r_plus_8_writes() -> None:
    """The same with a Deployment; beyond that one write for each gate, and two for each condition (next 3.7, 4.3)."""
    with pytest.MonkeyPatch.context() as patch:
        async with counted(patch, nodes=1, delays=UNEVEN, loops=HASH_LOOPS) as (cluster, tally):
            for groups in (1, 20):
                tally.clear()
                await cluster.client.create(
                    LEADERWORKERSETS, hash_manifest(name=f"of-{groups}", replicas=groups, size=2)
                )
                await cluster.available(f"of-{groups}")
                await rest(cluster)
                writes = tally.writes()
                gates = [each for each in writes if each.resource == "pods"]
                conditions = [each for each in writes if each.resource == "pods/status"]
                others = len(writes) - len(gates) - len(conditions)
                told = figure(
                    f"creation of {groups} keyed groups: {others} writes, {len(gates)} gates, {len(conditions)} "
                    f"conditions ({by_kind(writes)})"
                )
                assert others <= groups + 8, told
                assert (len(gates), len(conditions)) == (groups, 2 * groups), told


async def _life(at: int, edge: str) -> tuple[JSON, int]:
    """The end of a creation whose n-th write meets a fault, and how many writes its first controller began."""
    async with Cluster(nodes=1) as cluster:
        points: list[CrashPoint] = []
        struck = asyncio.Event()

        def wrap(transport: Transport) -> Transport:
            points.append(CrashPoint(transport, at, edge, struck.set))
            return points[0]

        await cluster.start(wrap)
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=2, size=2))
        if at and edge != "lost":
            async with asyncio.timeout(60):
                await struck.wait()
            await cluster.operators[0].crash()
            await cluster.start()
        await cluster.available("sample")
        await rest(cluster)
        assert points[0].reached or not at
        return await exact_state(cluster), len(cluster.counted())


@pytest.mark.long
@virtual_time
async def test_crash_between_any_two_writes_of_a_creation_ends_the_same() -> None:
    """Killed before or after any write, or deprived of its answer, the creation ends in the objects of a calm one."""
    calm, writes = await _life(0, "")
    problems = []
    for at in range(1, writes + 1):
        for edge in EDGES:
            found = difference(calm, (await _life(at, edge))[0])
            problems += [f"write {at}, {edge}: {each}" for each in found]
    told = figure(f"crash at every write: {writes * len(EDGES)} runs ({writes} writes, {len(EDGES)} edges)")
    assert writes >= 6, told
    assert problems == [], told
