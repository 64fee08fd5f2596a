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
from lws.planning.leaderworkerset import podgroup
from tests.simulation.cluster import NAMESPACE, Cluster, Running, manifest
from tests.virtual import virtual_time

NAMES: Final = ("a", "b", "c")
SETTLED: Final = 240.0  # seconds: several cycles of the scheduler, and its longest retry
CYCLE: Final = 20.0  # seconds: the scheduler's longest retry, and as much for pods to be bound and seen


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
    noted = {"annotations": {labels.EXCLUSIVE_TOPOLOGY: "zone"}} if chance.random() < 0.5 else {}
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


def too_large() -> JSON:
    """A set that is larger than the cluster, and whose pods are larger than a node, should they not be ganged."""
    container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "700"}}}
    template = {"spec": {"schedulerName": "volcano", "containers": [container]}}
    return manifest("huge", replicas=1, size=6, section={"workerTemplate": template})


async def halves(cluster: Cluster) -> set[str]:
    """Gangs of which some members have a node that could not have had it without the others."""
    pods, found = await cluster.all(PODS), set()
    for group in await cluster.all(PODGROUPS):
        meta = group["metadata"]
        nodes = [bool(p["spec"].get("nodeName")) for p in pods if _mark(p) == meta["name"]]
        if "deletionTimestamp" not in meta and 1 < sum(nodes) < group["spec"]["minMember"]:
            found.add(f"{meta['name']} ({meta['uid']})")
    return found


async def watch_halves(cluster: Cluster, longest: dict[str, float]) -> None:
    """Keep for how many seconds on end gangs were half placed, until cancelled."""
    since: dict[str, float] = {}
    while True:
        now, half = asyncio.get_running_loop().time(), await halves(cluster)
        since = {name: since.get(name, now) for name in half}
        longest |= {name: max(longest.get(name, 0.0), now - begun) for name, begun in since.items()}
        await asyncio.sleep(2.0)


def _mark(pod: JSON) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(labels.POD_GROUP_NAME, ""))


async def only(cluster: Cluster, name: str) -> None:
    """Delete every set but this one and the one that is too large: alone with that it has room, and comes up."""
    sets = {each["metadata"]["name"] for each in await cluster.all(LEADERWORKERSETS)}
    for other in sets - {name, "huge"}:
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, other)
    if name in sets:
        await cluster.available(name, seconds=900)


async def live(seed: int) -> None:
    """A life: no gang stays half placed, none that can never run holds others up, and no PodGroup is left over."""
    chance, longest = Random(seed), dict[str, float]()
    async with Cluster(seed, gang=True) as cluster:
        running = await cluster.start()
        if seed % 2:
            await cluster.client.create(LEADERWORKERSETS, too_large())
        watching = asyncio.create_task(watch_halves(cluster, longest))
        for _ in range(12):
            running = await step(cluster, chance, running)
        await running.stop()
        cluster.configure(gang=True)
        await cluster.start()
        await asyncio.sleep(SETTLED)
        watching.cancel()
        assert {name: held for name, held in longest.items() if held > CYCLE} == {}
        await only(cluster, chance.choice(NAMES))
        await cluster.client.create(LEADERWORKERSETS, random_set(chance, "last"))
        await only(cluster, "last")
        for each in await cluster.all(LEADERWORKERSETS):
            await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, each["metadata"]["name"])

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


@pytest.mark.long
@virtual_time
async def test_a_mistake_in_the_gangs_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were minMember as the reference has it, this life would fail: a leader waits for workers that wait for it."""
    monkeypatch.setattr(podgroup, "_workers_wait", lambda live: live.spec.startup_policy == "LeaderReady")
    with pytest.raises(TimeoutError):
        await live(9)
