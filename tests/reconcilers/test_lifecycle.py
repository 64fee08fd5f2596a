"""The life of a LeaderWorkerSet on the sandbox, in virtual time."""

from __future__ import annotations

import asyncio

from lws.api.resources import LEADERWORKERSETS, PODS
from tests.simulation.cluster import manifest, running
from tests.virtual import virtual_time


@virtual_time
async def test_a_set_comes_up() -> None:
    """Two groups of three become Available, at no more than R + 6 writes."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        pods = await cluster.all(PODS)
        assert [each["metadata"]["name"] for each in pods] == [
            "sample-0",
            "sample-0-1",
            "sample-0-2",
            "sample-1",
            "sample-1-1",
            "sample-1-2",
        ]
        writes = cluster.counted()
        assert len(writes) <= 2 + 6
        await asyncio.sleep(600)
        assert cluster.counted() == writes
