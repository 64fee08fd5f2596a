"""What becomes of a group when one of its pods fails."""

from __future__ import annotations

import pytest

from lws.apimachinery.resources import PODS, STATEFULSETS
from tests.real.planes import Plane
from tests.real.world import World

POLICIES = ("RecreateGroupOnPodRestart", "RecreateGroupAfterStart")


async def up(world: World, policy: str, groups: int = 2) -> dict[str, str]:
    """Have a set with that policy; the UIDs of its pods."""
    await world.start()
    await world.create(replicas=groups, size=3, section={"restartPolicy": policy})
    await world.settled("sample")
    world.requests.clear()
    return world.uids()


async def back(world: World, pod: str, before: dict[str, str]) -> dict[str, str]:
    """Wait until a pod was replaced and all is well; the UIDs of the pods then."""
    await world.replaced(pod, before)
    await world.until(lambda: world.uids().keys() == before.keys(), "all pods")
    await world.settled("sample")
    return world.uids()


def replaced(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The pods that are others than before."""
    return {name for name, uid in after.items() if before[name] != uid}


GROUP = {"sample-0", "sample-0-1", "sample-0-2"}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("pod", ["sample-0", "sample-0-2"])
def test_a_container_that_restarts_recreates_its_group_once(plane: Plane, policy: str, pod: str) -> None:
    """The leader is deleted once, each pod of the group is created once, and the other group is left alone."""

    async def scenario(world: World) -> None:
        before = await up(world, policy)
        world.crash(pod)
        after = await back(world, "sample-0", before)
        assert replaced(before, after) == GROUP
        ours = [str(each) for each in world.requests.writes() if each.verb == "DELETE"]
        assert ours == ["DELETE pods sample-0 200"]
        assert world.requests.done("POST", "pods") == dict.fromkeys(GROUP, 1)
        assert len(world.notes("RecreateGroup")) == 1

    plane.run(scenario)


@pytest.mark.parametrize("grace", [0, None])
def test_a_worker_that_is_deleted_recreates_its_group_once(plane: Plane, grace: int | None) -> None:
    """Gone at once or after a while: one recreation, whose leader is deleted in the foreground."""

    async def scenario(world: World) -> None:
        before = await up(world, POLICIES[0])
        await world.delete_pod("sample-0-1", grace_period_seconds=grace)
        after = await back(world, "sample-0", before)
        assert replaced(before, after) == GROUP
        ours = [str(each) for each in world.requests.writes() if each.verb == "DELETE"]
        assert ours == ["DELETE pods sample-0 200"]
        assert world.requests.done("POST", "pods")["sample-0"] == 1
        assert world.requests.done("POST", "statefulsets") == {"sample-0": 1}

    plane.run(scenario)


@pytest.mark.parametrize("policy", [*POLICIES, "None"])
def test_a_leader_that_is_deleted_takes_its_group_along(plane: Plane, policy: str) -> None:
    """Under every policy the group goes and comes again by ownership, and the controller deletes nothing."""

    async def scenario(world: World) -> None:
        before = await up(world, policy)
        await world.delete_pod("sample-1")
        after = await back(world, "sample-1-2", before)
        assert replaced(before, after) == {"sample-1", "sample-1-1", "sample-1-2"}
        assert [str(each) for each in world.requests.writes() if each.verb == "DELETE"] == []

    plane.run(scenario)


def test_under_none_a_failure_stays_with_its_pod(plane: Plane) -> None:
    """A restart changes no pod, and a deleted worker is replaced alone."""

    async def scenario(world: World) -> None:
        before = await up(world, "None")
        world.crash("sample-0-1")
        await world.until(lambda: _restarts(world, "sample-0-1") == 1, "the restart")
        await world.settled("sample")
        assert world.uids() == before
        await world.delete_pod("sample-0-2")
        after = await back(world, "sample-0-2", before)
        assert replaced(before, after) == {"sample-0-2"}
        assert [str(each) for each in world.requests.writes() if each.verb == "DELETE"] == []

    plane.run(scenario)


def _restarts(world: World, pod: str) -> int:
    found = world.get(PODS, pod) or {}
    return sum(each["restartCount"] for each in (found.get("status") or {}).get("containerStatuses") or ())


def test_after_start_a_pending_group_is_left_alone(plane: Plane) -> None:
    """A worker deleted while another is Pending is replaced alone; once all run, a failure recreates the group."""

    async def scenario(world: World) -> None:
        await world.start()
        far = {"spec": {"containers": [{"name": "main", "image": "app:1"}], "nodeSelector": {"stage": "open"}}}
        near = {"spec": {"containers": [{"name": "main", "image": "app:1"}]}}
        section = {"restartPolicy": POLICIES[1], "leaderTemplate": near, "workerTemplate": far}
        await world.create(replicas=1, size=3, section=section)
        await world.until(lambda: len(world.all(PODS)) == 3, "all pods")
        await world.rest()
        before = world.uids()
        world.requests.clear()
        await world.delete_pod("sample-0-1")
        await world.replaced("sample-0-1", before)
        await world.rest()
        assert world.uids()["sample-0"] == before["sample-0"]
        assert [each for each in world.requests.writes() if each.verb == "DELETE"] == []
        await world.open_stage()
        await world.settled("sample")
        before = world.uids()
        world.crash("sample-0-2")
        after = await back(world, "sample-0", before)
        assert replaced(before, after) == GROUP

    plane.run(scenario)


def test_a_worker_set_that_is_deleted_is_made_again(plane: Plane) -> None:
    """In the background the leader stays; in the foreground its pods fail first, and the group is recreated."""

    async def scenario(world: World) -> None:
        before = await up(world, POLICIES[0])
        await world.client.delete(STATEFULSETS, world.namespace, "sample-0", propagation="Background")
        after = await back(world, "sample-0-2", before)
        assert replaced(before, after) == {"sample-0-1", "sample-0-2"}
        await world.client.delete(STATEFULSETS, world.namespace, "sample-1", propagation="Foreground")
        last = await back(world, "sample-1", after)
        assert replaced(after, last) == {"sample-1", "sample-1-1", "sample-1-2"}

    plane.run(scenario)
