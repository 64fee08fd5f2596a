"""MaxUnavailable means the same wherever StatefulSets heed it, drop it, or keep and ignore it (CD-81)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.controllers.statefulset import plan
from tests.acceptance.support import edit_image, figure, rest
from tests.simulation.cluster import NAMESPACE, Cluster, manifest
from tests.virtual import virtual_time

GROUPS = 12
HEEDED, DROPPED, IGNORED = "heeded", "dropped", "ignored"
ALLOWED = {1: 1, 2: 2, 4: 4, "50%": 6}


class Sampled:
    """How many groups of one pod are ready, looked at after every write of a pod."""

    def __init__(self, cluster: Cluster) -> None:
        self._storage = cluster.sandbox.server.storage
        self.least = GROUPS
        self.samples = 0
        self._storage.subscribe(str(PODS), self._look)

    def _look(self, _: object) -> None:
        self.samples += 1
        self.least = min(self.least, sum(map(_ready, self._storage.objects(str(PODS), NAMESPACE))))


def _ready(pod: JSON) -> bool:
    turned = {each["type"]: each["status"] for each in pod["status"].get("conditions", ())}
    return turned.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


async def rollout(plane: str, unavailable: int | str, delays: Delays) -> tuple[float, int, int]:
    """Seconds of a rollout of twelve groups, the fewest that were ready, and leaders that we deleted."""
    async with Cluster(nodes=1, delays=delays, parallel=plane != DROPPED) as cluster:
        await cluster.start()
        rolling = {"maxUnavailable": unavailable}
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=GROUPS, size=1, rolling=rolling))
        await cluster.available("sample")
        await rest(cluster)
        sampled, since, begun = Sampled(cluster), len(cluster.writes), asyncio.get_running_loop().time()
        await edit_image(cluster, "sample", "app:2")
        await cluster.available("sample")
        seconds = asyncio.get_running_loop().time() - begun
        await rest(cluster)
        deleted = [each for each in cluster.counted(since) if (each.method, each.resource) == ("DELETE", "pods")]
        images = {each["spec"]["containers"][0]["image"] for each in await cluster.all(PODS)}
        assert images == {"app:2"}
        assert sampled.samples > 4 * GROUPS
        return seconds, sampled.least, len(deleted)


def ignore(patch: pytest.MonkeyPatch) -> None:
    """Have the StatefulSet controller go one by one, whatever it is granted."""

    def next_one(seen: Any) -> list[JSON]:
        rolling = seen.statefulset["spec"]["updateStrategy"]["rollingUpdate"]
        return plan._next_to_update(seen, seen.replicas[int(rolling.get("partition") or 0) :][::-1])

    patch.setattr(plan, "_to_update", next_one)


@pytest.mark.parametrize("unavailable", [1, 2, 4, "50%"])
@pytest.mark.parametrize("plane", [HEEDED, DROPPED, IGNORED])
@pytest.mark.long
@virtual_time
async def test_cd_81_budgets_hold_at_every_event(
    plane: str, unavailable: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However uneven the groups, R - U are ready at every event; where the field is heeded, we delete nothing."""
    if plane == IGNORED:
        ignore(monkeypatch)
    seconds, least, deleted = await rollout(plane, unavailable, Delays(ready=2.0, stop=2.0, jitter=1.0))
    told = figure(f"{plane}, U={unavailable}: {seconds:.0f} s, at least {least} of {GROUPS} ready, {deleted} by us")
    assert least == GROUPS - ALLOWED[unavailable], told
    assert bool(deleted) is (plane != HEEDED and unavailable != 1), told


@virtual_time
async def test_cd_81_a_budget_of_four_is_worth_four_where_the_field_is_dropped() -> None:
    """A rollout of twelve groups takes a third to a quarter of the time that it takes one by one."""
    one, _, none = await rollout(DROPPED, 1, Delays())
    four, least, deleted = await rollout(DROPPED, 4, Delays())
    told = figure(f"the field is dropped: U=1 {one:.0f} s, U=4 {four:.0f} s, {deleted} leaders deleted by us")
    assert four <= one / 3, told
    assert least == GROUPS - 4, told
    assert none == 0, told


@pytest.mark.long
@virtual_time
async def test_cd_81_wall_times_of_the_three_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The field heeded or dropped, a rollout takes as long; ignored, five seconds more until that is noticed."""
    heeded, _, _ = await rollout(HEEDED, 4, Delays())
    dropped, _, _ = await rollout(DROPPED, 4, Delays())
    ignore(monkeypatch)
    ignored, _, _ = await rollout(IGNORED, 4, Delays())
    told = figure(f"U=4: {heeded:.1f} s heeded, {dropped:.1f} s dropped, {ignored:.1f} s ignored")
    assert abs(dropped - heeded) <= 0.1 * heeded, told
    assert ignored <= heeded + 6.0, told
