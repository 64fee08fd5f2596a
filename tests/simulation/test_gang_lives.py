"""Lives with a gang scheduler: mixed schedulers, and the provider switched on and off under running sets (CD-33)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random
from typing import Final

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, PODGROUPS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.errors import NotFoundError
from tests.simulation.cluster import NAMESPACE, Cluster, Running, manifest
from tests.virtual import virtual_time

NAMES: Final = ("a", "b", "c")
SETTLED: Final = 240.0  # seconds: several cycles of the scheduler, and its longest retry


def random_set(chance: Random, name: str) -> JSON:
    """A set that fits on the four nodes alone, and not beside every other."""
    size, replicas = chance.randint(1, 3), chance.randint(1, 2)
    cpu = "340" if size < 3 and chance.random() < 0.5 else "200"  # one pod to a node, or three
    container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": cpu}}}
    both, none, one = (
        ("volcano", "volcano"),
        ("default-scheduler", "default-scheduler"),
        ("volcano", "default-scheduler"),
    )
    schedulers = chance.choice([both, both, both, none, one])
    leader, worker = ({"spec": {"schedulerName": each, "containers": [container]}} for each in schedulers)
    noted = {"annotations": {labels.EXCLUSIVE_TOPOLOGY: "zone"}} if chance.random() < 0.3 else {}
    section = {"leaderTemplate": leader, "workerTemplate": worker}
    policy = chance.choice(["LeaderCreated", "LeaderReady"])
    return manifest(name, replicas=replicas, size=size, section=section, metadata=noted, startupPolicy=policy)


async def step(cluster: Cluster, chance: Random, running: Running) -> Running:
    """Something that a user, a node or an administrator does."""
    name = chance.choice(NAMES)
    match chance.choice(["create", "delete", "scale", "lose", "switch", "wait"]):
        case "create" if await cluster.get(LEADERWORKERSETS, name) is None:
            await cluster.client.create(LEADERWORKERSETS, random_set(chance, name))
        case "delete":
            with suppress(NotFoundError):
                await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, name)
        case "scale":
            with suppress(NotFoundError):
                change = {"spec": {"replicas": chance.randint(0, 2)}}
                await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, name, change)
        case "lose":
            pods = await cluster.all(PODS, labels.NAME)
            if pods:
                with suppress(NotFoundError):
                    await cluster.client.delete(PODS, NAMESPACE, chance.choice(pods)["metadata"]["name"])
        case "switch":
            await running.stop()
            cluster.configure(gang=chance.random() < 0.6)
            running = await cluster.start()
    await asyncio.sleep(chance.choice([0.0, 1.0, 20.0]))
    return running


async def halves(cluster: Cluster) -> list[str]:
    """Gangs of which some members have a node that could not have had it without the others."""
    pods, found = await cluster.all(PODS), []
    for group in await cluster.all(PODGROUPS):
        name = group["metadata"]["name"]
        nodes = [bool(p["spec"].get("nodeName")) for p in pods if _mark(p) == name]
        if 1 < sum(nodes) < group["spec"]["minMember"]:
            found.append(name)
    return found


def _mark(pod: JSON) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(labels.POD_GROUP_NAME, ""))


async def live(seed: int) -> None:
    """A life: at its end no gang is half placed, no PodGroup is left over, and one more set comes up."""
    chance = Random(seed)
    async with Cluster(seed, gang=True) as cluster:
        running = await cluster.start()
        for _ in range(12):
            running = await step(cluster, chance, running)
        await running.stop()
        cluster.configure(gang=True)
        await cluster.start()
        await asyncio.sleep(SETTLED)
        assert await halves(cluster) == []
        for each in await cluster.all(LEADERWORKERSETS):
            await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, each["metadata"]["name"])
        await cluster.client.create(LEADERWORKERSETS, random_set(chance, "last"))
        await cluster.available("last", seconds=900)
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "last")

        async def gone() -> bool:
            return not await cluster.all(PODGROUPS) and not await cluster.all(PODS)

        await cluster.until(gone, seconds=300)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 6))])
@virtual_time
async def test_gangs_of_some_lives(seed: int) -> None:
    """Whatever is done to gangs, none is left half placed, waiting for ever, or behind."""
    await live(seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(6, 200))
@virtual_time
async def test_gangs_of_many_lives(seed: int) -> None:
    """The same, two hundred times."""
    await live(seed)
