"""Groups moved off nodes that kubectl drains, against a real API server too (resilience 6.3, 6.4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PODS, STATEFULSETS
from lws.errors import NotFoundError, TooManyRequestsError
from lws_sandbox.control import MASTERS
from lws_sandbox.kubeconfig import kubeconfig_file
from tests.real.planes import Plane, RealPlane
from tests.real.world import World
from tests.simulation.moving import Watched, chosen
from tests.tools import need

RETRY = 5.0  # seconds, as kubectl waits after an eviction that a budget refused
EVICTION = {"apiVersion": "policy/v1", "kind": "Eviction"}


@asynccontextmanager
async def watching(world: World) -> AsyncIterator[Watched]:
    """Look at the set and its pods again and again."""
    seen = Watched()

    async def look() -> None:
        while True:
            lws = world.get(LEADERWORKERSETS, "sample")
            assert lws is not None
            seen.look(lws, world.all(PODS, name="sample"))
            await asyncio.sleep(0.02 if not world.virtual else 0.2)

    task = asyncio.create_task(look())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def by_kubectl(world: World, plane: RealPlane, folder: Path, *nodes: str) -> str:
    """Drain nodes with kubectl once they are empty of the set, as the page tells people to; what it printed.

    Started before, kubectl asks for pods by name, and so for their successors on other nodes too (CD-102).
    """
    for node in nodes:
        await world.client.patch(NODES, "", node, {"spec": {"unschedulable": True}})
    while groups_on(world, list(nodes)):  # noqa: ASYNC110 -- a server has no event for it
        await asyncio.sleep(RETRY)
    keys = plane.cluster.plane.keys
    config = folder / "kubeconfig"
    admin = keys.client("kubernetes-admin", (MASTERS,))
    config.write_bytes(kubeconfig_file(plane.cluster.plane.url, keys.authority.certificate, admin))
    flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=180s")
    command = (need("kubectl"), "--kubeconfig", str(config), "drain", *nodes, *flags)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, f"{told.decode()}\n{world.told()}\n{world.notes()}"
    return told.decode()


async def by_evictions(world: World, *nodes: str) -> None:
    """Drain nodes as kubectl does."""
    for node in nodes:
        await world.client.patch(NODES, "", node, {"spec": {"unschedulable": True}})
    while left := [pod for pod in world.all(PODS) if pod["spec"].get("nodeName") in nodes]:
        for pod in left:
            name = pod["metadata"]["name"]
            body = {**EVICTION, "metadata": {"name": name, "namespace": world.namespace}}
            try:
                await world.client.create(PODS, body, name=name, subresource="eviction")
            except (TooManyRequestsError, NotFoundError):
                continue
        await asyncio.sleep(RETRY)


async def drained(world: World, plane: Plane, folder: Path, *nodes: str) -> str:
    """Drain nodes, by kubectl where the plane is real."""
    try:
        if isinstance(plane, RealPlane):
            return await by_kubectl(world, plane, folder, *nodes)
        await by_evictions(world, *nodes)
        return ""
    finally:
        await world.rest()
        for node in nodes:
            await world.client.patch(NODES, "", node, {"spec": {"unschedulable": None}})


def busiest(world: World) -> list[str]:
    """The two nodes with most pods of the set, which is what a test of moves wants to be emptied."""
    places = [pod["spec"]["nodeName"] for pod in world.all(PODS, name="sample")]
    return sorted(set(places), key=lambda node: (-places.count(node), node))[:2]


def groups_on(world: World, nodes: list[str]) -> set[str]:
    """The groups with pods on these nodes."""
    found = [pod for pod in world.all(PODS, name="sample") if pod["spec"].get("nodeName") in nodes]
    return {pod["metadata"]["labels"][labels.GROUP_INDEX] for pod in found}


def replicas(world: World) -> int:
    """How many groups the leader StatefulSet is to have."""
    found: JSON = world.get(STATEFULSETS, "sample") or {}
    return int(found["spec"]["replicas"])


def test_r17_a_drain_moves_groups_while_another_stands_in(plane: Plane, tmp_path: Path) -> None:
    """R17: kubectl drains two nodes; at no moment are fewer groups ready, and each is moved once."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=4, size=2, metadata=chosen(evacuate="true"))
        await world.settled("sample")
        await world.rest()
        nodes = busiest(world)
        affected = groups_on(world, nodes)
        async with watching(world) as seen:
            told = await drained(world, plane, tmp_path, *nodes)
            await world.settled("sample")
        assert (seen.least, seen.most) == (4, 5)
        assert seen.moved == dict.fromkeys(affected, 1), world.notes()
        assert seen.counters == {(4, 4, 4)}
        assert replicas(world) == 4
        assert "Cannot evict" not in told

    plane.run(scenario)


def test_r19_two_drains_disturb_one_group_at_a_time(plane: Plane, tmp_path: Path) -> None:
    """R19: with a budget of one group, a drain of two nodes never has two groups down, and ends."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=4, size=2, metadata=chosen(disruption_budget="1"))
        await world.settled("sample")
        await world.rest()
        nodes = busiest(world)
        affected = groups_on(world, nodes)
        assert len(affected) > 1
        async with watching(world) as seen:
            await drained(world, plane, tmp_path, *nodes)
            await world.settled("sample")
        assert (seen.down, seen.most) == (1, 4)
        assert seen.moved == dict.fromkeys(affected, 1)

    plane.run(scenario)
