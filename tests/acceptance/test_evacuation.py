"""Half of the nodes of a sandbox are drained under load (issue: nodes, resilience 6.3)."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS
from lws_sandbox.drills.base import DrillError
from tests.simulation.cluster import NAMESPACE, Cluster, running
from tests.simulation.moving import MOVING, chosen, edit, made, settled, up, watching
from tests.virtual import virtual_time

NAMES = tuple(f"set-{number}" for number in range(6))
STEADY = NAMES[:4]  # the others are edited and scaled meanwhile


async def load(cluster: Cluster) -> None:
    """What goes on in a cluster beside a drain: edits and scalings of other sets, pods that come and go."""
    chance = Random(3)
    for turn in range(6):
        await asyncio.sleep(20)
        name = NAMES[4 + turn % 2]
        if turn % 3 == 0:
            await edit(cluster, f"app:{turn + 2}", name)
        else:
            change = {"spec": {"replicas": chance.choice((2, 3, 4))}}
            await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, name, change)


@pytest.mark.long
@pytest.mark.timeout(600)
@virtual_time
async def test_half_of_the_nodes_are_drained_under_load_without_a_group_missing() -> None:
    """Ten of twenty nodes are drained: in no set that nobody edits is a ready group ever missing; the drain ends."""
    async with running(nodes=20, loops=MOVING) as cluster:
        for name in NAMES:
            await up(cluster, name, replicas=3, size=4, metadata=chosen(evacuate="true"))
        nodes = [f"node-{number}" for number in range(10)]
        async with watching(cluster, *STEADY) as seen:
            loading = asyncio.create_task(load(cluster))
            try:
                await asyncio.gather(*(cluster.drills.node_drain(name, 7200.0) for name in nodes))
            except DrillError as error:
                pytest.fail(str(error))
            await loading
            for name in STEADY:
                await settled(cluster, name, replicas=3)
        assert {name: watched.least for name, watched in seen.items()} == dict.fromkeys(STEADY, 3)
        assert all(count == 1 for watched in seen.values() for count in watched.moved.values())
        for name in NAMES:
            await cluster.available(name, seconds=1200)
            lws = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, name)
            assert await made(cluster, name) == lws["spec"]["replicas"]
        assert not [pod for pod in await cluster.all(PODS) if pod["spec"].get("nodeName") in nodes]
