"""Runs one simulation and prints a digest of everything that its operators wrote."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys

import structlog

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS
from lws_sandbox import virtual_time as vt
from tests.simulation.cluster import Cluster, manifest


async def digest(seed: int) -> str:
    """The writes of two operators through creation, update and failure: their number, and a hash of all of them."""
    async with Cluster(seed, elect=True) as cluster:
        await cluster.start()
        await cluster.start(ready=False)
        for name in ("one", "two"):
            await cluster.client.create(LEADERWORKERSETS, manifest(name, size=2))
        await asyncio.sleep(20)
        found = await cluster.client.get(LEADERWORKERSETS, "default", "one")
        found["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]["image"] = "app:2"
        await cluster.client.update(LEADERWORKERSETS, found)
        await cluster.client.delete(PODS, "default", "two-0-1")
        await asyncio.sleep(40)
        lines = [f"{each.time:.9f} {each} {each.status} {each.body!r}" for each in cluster.writes]
    return f"{len(lines)} {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.stdout.write(vt.run(digest(int(sys.argv[1]))) + "\n")
