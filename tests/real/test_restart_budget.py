"""Bounded recovery where API server, garbage collector and StatefulSet controller are real (next 5)."""

from __future__ import annotations

import json

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS, STATEFULSETS
from tests.real.planes import Plane
from tests.real.world import World

GROUP = {"sample-0", "sample-0-1", "sample-0-2"}


def retained(world: World) -> set[str]:
    """The pods that are held back and are being deleted."""
    metas = [each["metadata"] for each in world.all(PODS)]
    return {
        meta["name"]
        for meta in metas
        if labels.RESTART_BUDGET_CLEANUP in meta.get("finalizers", ()) and meta.get("deletionTimestamp")
    }


def status(world: World, kind: str) -> str:
    """What a condition of the set says."""
    found = world.get(LEADERWORKERSETS, "sample") or {}
    conditions = (found.get("status") or {}).get("conditions", ())
    return next((str(each["status"]) for each in conditions if each["type"] == kind), "")


async def exhausted(world: World) -> None:
    """Bring a set up, one of whose groups then spends a budget of one."""
    await world.start()
    await world.create(replicas=2, size=3, section={"maxGroupRestarts": 1})
    await world.settled("sample")
    before = world.uids()
    world.crash("sample-0-1")
    await world.replaced("sample-0", before)
    await world.settled("sample")
    found = world.get(LEADERWORKERSETS, "sample") or {}
    counts = json.loads(found["metadata"]["annotations"][labels.GROUP_RESTART_COUNTS])
    assert list(counts.values()) == [1]
    world.crash("sample-0-1")
    await world.until(lambda: retained(world) == GROUP, "the retained group")
    await world.until(lambda: status(world, "Degraded") == "True", "Degraded")


@pytest.mark.parametrize("end", ["recover", "edit", "delete"])
def test_n26_an_exhausted_group_stays_until_it_is_released(plane: Plane, end: str) -> None:
    """Its pods stay, ended; recovery, a rollout and the deletion of the set each release them (N26, N28, N31, N33)."""

    async def scenario(world: World) -> None:
        await exhausted(world)
        assert status(world, "Available") == "False"
        await world.rest()
        assert retained(world) == GROUP
        if end == "recover":
            patch = {"metadata": {"annotations": {labels.RECOVER: "true"}}}
            await world.client.patch(PODS, world.namespace, "sample-0", patch)
        elif end == "edit":
            await world.roll("app:2")
        else:
            await world.client.delete(LEADERWORKERSETS, world.namespace, "sample")
            await world.until(lambda: not world.all(PODS) and not world.all(STATEFULSETS), "the end of all")
            return
        await world.available("sample")
        assert retained(world) == set()
        assert status(world, "Degraded") == "False"
        found = world.get(LEADERWORKERSETS, "sample") or {}
        assert labels.GROUP_RESTART_COUNTS not in found["metadata"].get("annotations", {})

    plane.run(scenario)
