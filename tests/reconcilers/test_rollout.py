"""Rolling updates on the sandbox, in virtual time (spec 7, CD-28)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

from lws.api.resources import CONTROLLERREVISIONS, LEADERWORKERSETS, PODS
from lws.client.transport import Request
from lws.reconcilers.observe import OWN_REVISIONS
from tests.simulation.cluster import NAMESPACE, Cluster, keys_of, manifest, running
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
async def test_writes_of_a_rolling_update() -> None:
    """One write of the leader StatefulSet a step, one worker StatefulSet a group, one revision made and one deleted."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=4, size=2))
        await cluster.available("sample")
        await cluster.quiet(5)
        since = len(cluster.counted())
        await edit_image(cluster, "sample", "app:2")
        await cluster.quiet(10)
        await cluster.available("sample")
        counts = Counter(f"{each.method} {each.resource}" for each in cluster.counted()[since:])
        assert counts["PATCH statefulsets"] == 5  # armed at 4, then 3, 2, 1, 0
        assert counts["POST statefulsets"] == 4
        assert (counts["POST controllerrevisions"], counts["DELETE controllerrevisions"]) == (1, 1)
        assert counts["PUT leaderworkersets/status"] <= 2 * 4 + 2
        assert sum(counts.values()) == sum(
            counts[kind]
            for kind in (
                "PATCH statefulsets",
                "POST statefulsets",
                "POST controllerrevisions",
                "DELETE controllerrevisions",
                "PUT leaderworkersets/status",
            )
        )
        assert len(keys_of(await cluster.all(PODS))) == 1
        assert len(await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)) == 1
        assert await cluster.events("GroupsUpdating") != []


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
async def test_cd_28_no_pod_is_refused_for_its_name() -> None:
    """In rolling updates of eight sets no pod creation is refused because its name is taken."""
    async with running(nodes=6) as cluster:
        sets = [f"set-{number}" for number in range(8)]
        for name in sets:
            await cluster.client.create(LEADERWORKERSETS, manifest(name, replicas=2, size=3))
        for name in sets:
            await cluster.available(name)
        refused = refused_pods(cluster)
        for name in sets:
            await edit_image(cluster, name, "app:2")
        await cluster.quiet(10)
        for name in sets:
            await cluster.available(name)
        assert refused == []
