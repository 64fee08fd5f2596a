"""Whole lives from seeds: edits, scalers, slices, deletions and crashes as they come, and how they must end."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from lws.api.disaggregatedset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, SERVICES
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.acceptance.disaggregatedset.site import Site, site
from tests.api.disaggregatedset.making import external, paced, pause, role
from tests.virtual import virtual_time

pytestmark = pytest.mark.long

IMAGES = ("3.9", "3.10", "3.11", "3.12")
PACES: tuple[JSON, ...] = (
    {},
    {"maxSurge": 1, "maxUnavailable": 0},
    {"maxSurge": 0, "maxUnavailable": 1},
    {"maxSurge": 2, "maxUnavailable": 1},
    {"maxSurge": "50%", "maxUnavailable": "25%"},
)
EVENTS = 8


class Life:
    """One set whose wanted state is remembered here, and changed by chance."""

    def __init__(self, found: Site, seed: int) -> None:
        self.found = found
        self.random = Random(seed)
        self.image = IMAGES[0]
        self.slices = 1
        self.replicas = {name: self.random.randint(1, 4) for name in self.random.sample("abcde", 3)}
        self.scaled: dict[str, int] = {}
        self.paces = {name: self.random.choice(PACES) for name in "abcde"}

    def roles(self) -> list[JSON]:
        """The roles as they are wanted."""
        made = []
        for name, count in self.replicas.items():
            strategy: dict[str, Any] = {"rolloutStrategy": paced(**self.paces[name])} if self.paces[name] else {}
            kind = external if name in self.scaled else role
            made.append(kind(name, count, template=pause(self.image), **strategy))
        return made

    async def act(self) -> str:
        """Something happens; what it was."""
        name = self.random.choice(sorted(self.replicas))
        kind = self.random.choice(
            ["image", "image", "replicas", "slices", "role", "scaler", "scale", "child", "service", "crash", "wait"]
        )
        match kind:
            case "image":
                self.image = self.random.choice(IMAGES)
            case "replicas":
                self.replicas[name] = self.random.randint(1, 5)
            case "slices" if not self.scaled:
                self.slices = self.random.randint(1, 3)
            case "role":
                self._change_roles()
            case "scaler" if self.slices == 1:
                self._toggle_scaler(name)
            case "scale" if self.scaled:
                await self._scale()
            case "child" | "service":
                await self._delete(LEADERWORKERSETS if kind == "child" else SERVICES)
            case "crash":
                (running,) = self.found.cluster.operators
                await running.crash()
                await self.found.start()
        if kind in ("image", "replicas", "slices", "role", "scaler"):
            await self.found.edit(*self.roles(), slices=self.slices)
        return kind

    def _change_roles(self) -> None:
        others = sorted(set("abcde") - set(self.replicas))
        if others and self.random.random() < 0.5:
            self.replicas[self.random.choice(others)] = self.random.randint(1, 4)
        elif len(self.replicas) > 2:
            gone = self.random.choice(sorted(self.replicas))
            del self.replicas[gone]
            self.scaled.pop(gone, None)

    def _toggle_scaler(self, name: str) -> None:
        if name in self.scaled:
            del self.scaled[name]
        elif len(self.scaled) + 1 < len(self.replicas):
            self.scaled[name] = 0  # whatever the seed will be

    async def _scale(self) -> None:
        name = self.random.choice(sorted(self.scaled))
        if await self.found.scaler(name) is not None:
            await self.found.scale(name, self.random.randint(1, 4))

    async def _delete(self, resource: Any) -> None:
        there = [each for each in await self.found.all(resource) if not each["metadata"].get("deletionTimestamp")]
        if there:
            await self.found.client.delete(resource, "default", self.random.choice(there)["metadata"]["name"])

    async def wanted(self) -> dict[str, int]:
        """Groups of every role in a slice."""
        out = dict(self.replicas)
        for name in self.scaled:
            scaler = await self.found.scaler(name)
            assert scaler is not None
            out[name] = scaler["spec"]["replicas"]
        return out


async def ended_well(life: Life) -> None:
    """One child for each slice and role, of one revision, with its Service and its pods, and nothing else."""
    found, wanted = life.found, await life.wanted()
    children = await found.all(LEADERWORKERSETS)
    told = [each["metadata"]["labels"] for each in children]
    assert len({each[labels.REVISION] for each in told}) == 1
    places = {(each[labels.SLICE], each[labels.ROLE]) for each in told}
    assert places == {(str(k), name) for k in range(life.slices) for name in wanted}
    assert len(children) == len(places)
    for child in children:
        assert child["spec"]["replicas"] == wanted[child["metadata"]["labels"][labels.ROLE]]
        (container,) = child["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"]
        assert container["image"].endswith(life.image)
    assert len(await found.all(PODS)) == life.slices * sum(wanted.values())
    assert await found.services() == sorted(f"{each['metadata']['name']}-prv" for each in children)
    assert not {"FailedCreate", "FailedScale"} & {*await found.reasons()}


async def live(seed: int) -> None:
    """One life."""
    async with site(seed=seed, nodes=1, delays=Delays(jitter=3.0)) as found:
        life = Life(found, seed)
        await found.create(*life.roles())
        await found.available()
        for _ in range(EVENTS):
            await life.act()
            await asyncio.sleep(life.random.choice([0, 0.5, 3, 10]))
        await found.available()
        await found.cluster.quiet(20.0)
        await ended_well(life)
        passes = found.gate.passes()
        await asyncio.sleep(120)
        assert found.gate.passes() == passes


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 6))])
@virtual_time
async def test_a_life(seed: int) -> None:
    """Whatever happens, the set ends as it is wanted, with nothing left over, and then nothing happens any more."""
    await live(seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(6, 206))
@virtual_time
async def test_many_lives(seed: int) -> None:
    """The same for many more seeds."""
    await live(seed)


async def keep_capacity(seed: int) -> None:
    """A life of new images, looked at every quarter of a second."""
    async with site(seed=seed, nodes=1, delays=Delays(jitter=3.0)) as found:
        life = Life(found, seed)
        await found.create(*life.roles())
        await found.available()
        async with found.measuring():
            for _ in range(4):
                life.image = life.random.choice(IMAGES)
                await found.edit(*life.roles())
                await asyncio.sleep(life.random.choice([0.5, 3, 10]))
            await found.available()
        for name, count in life.replicas.items():
            pace = life.paces[name]
            unavailable = pace.get("maxUnavailable", 0)
            down = count * 25 // 100 if unavailable == "25%" else unavailable
            assert found.lowest[name] >= count - down, (seed, name)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 4))])
@virtual_time
async def test_capacity_of_a_life(seed: int) -> None:
    """However often the image changes, ready groups of a role never fall below what its pace allows."""
    await keep_capacity(seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(4, 204))
@virtual_time
async def test_capacity_of_many_lives(seed: int) -> None:
    """The same for many more seeds."""
    await keep_capacity(seed)
