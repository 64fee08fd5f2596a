"""What an operator holds follows the sets that there are, and nothing else: not time, not what has been."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS
from lws.errors import LwsError
from tests.acceptance.census import census
from tests.acceptance.support import edit_image, figure
from tests.simulation.cluster import NAMESPACE, Cluster, manifest
from tests.virtual import virtual_time

SETS = 2
ROUND = 180.0
ROUNDS = 10
NOWHERE = {"spec": {"nodeSelector": {"rack": "none"}, "containers": [{"name": "main", "image": "app:1"}]}}
FORGOTTEN = 400.0  # seconds after which no event is remembered for a series

# Kept within a bound of their own, whatever happens: UIDs of what was deleted, and which errors were logged last.
BOUNDED = {"Bounded._entries", "Executor._ended", "Executor._told", "Controller._told", "DelayingQueue._heap"}


async def churn(cluster: Cluster, number: int, random: Random) -> None:
    """Three minutes in the life of some sets: they come, roll, scale, lose pods amid faults of the server, and go."""
    names = [f"set-{number}-{each}" for each in range(SETS)]
    end = asyncio.get_running_loop().time() + ROUND
    for name in names:
        await cluster.client.create(LEADERWORKERSETS, manifest(name, replicas=2, size=2))
    names.append(f"set-{number}-never-ready")
    await cluster.client.create(LEADERWORKERSETS, manifest(names[-1], size=1, section={"workerTemplate": NOWHERE}))
    await asyncio.sleep(8)
    await edit_image(cluster, names[0], f"app:{number}")
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, names[1], {"spec": {"replicas": 3}})
    with suppress(LwsError):
        await cluster.drills.pod_crash(f"{names[1]}-0-1")
    await cluster.drills.api_error(500, share=0.3, count=20)
    if number % 3 == 0:
        await cluster.drills.api_compact()
        await cluster.drills.api_break()
    await asyncio.sleep(12)
    await cluster.drills.api_heal()
    for name in names:
        propagation = random.choice(("Foreground", "Background"))
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, name, propagation=propagation)
        await asyncio.sleep(random.random())
    await asyncio.sleep(max(0.0, end - asyncio.get_running_loop().time()))


@pytest.mark.long
@virtual_time
async def test_half_an_hour_of_churn_leaves_nothing_behind() -> None:
    """After 30 virtual minutes in which 30 sets came and went amid faults, no container of the operator has grown."""
    async with Cluster(nodes=2) as cluster:
        running = await cluster.start()
        random = Random(5)
        await cluster.client.create(LEADERWORKERSETS, manifest("stays", replicas=2, size=2))
        await cluster.available("stays")
        await churn(cluster, 0, random)  # every way is gone once, every series of a metric is there
        await asyncio.sleep(FORGOTTEN)
        before = census(running.operator)
        for number in range(1, ROUNDS + 1):
            await churn(cluster, number, random)
        await asyncio.sleep(FORGOTTEN)
        after = census(running.operator)
        reconciles = sum(each.reconciles for each in running.operator.controllers)
        assert {each["metadata"]["name"].split("-")[0] for each in await cluster.all(PODS)} == {"stays"}
        grown = {name: (before[name], count) for name, count in after.items() if count > before[name]}
        told = figure(f"{reconciles} reconciles, {len(after)} containers with {after.total()} entries; grown: {grown}")
        assert grown.keys() <= BOUNDED, told
        assert await cluster.get(LEADERWORKERSETS, "stays") is not None
