"""Rolling updates on the sandbox, in virtual time (spec 7, CD-28)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS, STATEFULSETS
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


@virtual_time
async def test_rollout_goes_past_broken_groups() -> None:
    """The repair of a rollout that broke a group reaches it, where the StatefulSet controller counts it itself (CD-37).

    Once it is over the StatefulSet's own maxUnavailable is what the numbers of the set say.
    """
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=4, size=1))
        await cluster.available("sample")
        huge = {"name": "main", "image": "app:2", "resources": {"requests": {"cpu": "1000"}}}
        section = {"workerTemplate": {"spec": {"containers": [huge]}}}
        broken = {"spec": {"leaderWorkerTemplate": section}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", broken)
        await cluster.quiet(5)
        assert [each["status"]["phase"] for each in await cluster.all(PODS)] == [*["Running"] * 3, "Pending"]
        await edit_image(cluster, "sample", "app:3")
        await cluster.available("sample", seconds=300)
        images = {each["spec"]["containers"][0]["image"] for each in await cluster.all(PODS)}
        assert images == {"app:3"}
        leader_set = await cluster.client.get(STATEFULSETS, NAMESPACE, "sample")
        assert leader_set["spec"]["updateStrategy"]["rollingUpdate"] == {"partition": 0, "maxUnavailable": 1}
