"""Rolling updates on the sandbox, in virtual time (spec 7, CD-28)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS
from lws.client.transport import Request
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.virtual import virtual_time


async def edit_image(cluster: Cluster, name: str, image: str) -> None:
    """Edit the worker template of a set."""
    section = {"workerTemplate": {"spec": {"containers": [{"name": "main", "image": image}]}}}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, name, {"spec": {"leaderWorkerTemplate": section}})


def refused_pods(cluster: Cluster) -> list[str]:
    """Count, from now on, creations of pods that are refused because the name is taken."""
    refused: list[str] = []
    handle: Callable[..., Any] = cluster.sandbox.server.handle

    async def counting(request: Request, *arguments: Any, **named: Any) -> Any:
        reply = await handle(request, *arguments, **named)
        if request.method == "POST" and request.path.endswith("/pods") and reply.status == 409:
            refused.append(orjson.loads(request.body)["metadata"]["name"])
        return reply

    cluster.sandbox.server.handle = counting  # type: ignore[method-assign]  # the server's door, watched
    return refused


@virtual_time
async def test_surge_comes_and_goes() -> None:
    """With surge no fewer than all wanted groups are ready at any moment of an update, and the surge is given back."""
    async with running() as cluster:
        rolling = {"maxUnavailable": 0, "maxSurge": 1}
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=2, size=2, rolling=rolling))
        await cluster.available("sample")
        await edit_image(cluster, "sample", "app:2")
        least = 2
        for _ in range(200):
            found = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
            least = min(least, found["status"].get("readyReplicas", 0))
            await asyncio.sleep(0.1)
        assert least == 2
        assert len(await cluster.all(PODS)) == 4
        assert any(note.startswith("deleting surge replica sample-2") for note in await cluster.events())
