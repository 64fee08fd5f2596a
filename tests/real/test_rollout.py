"""Updates of running sets: what is replaced, in which order, at which cost."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS, STATEFULSETS
from tests.acceptance.support import figure
from tests.real.ledger import by_kind
from tests.real.planes import Plane
from tests.real.world import World


@pytest.mark.parametrize(("groups", "unavailable", "surge"), [(4, 1, 0), (4, 2, 0), (3, 1, 1), (2, 0, 1)])
def test_a_rolling_update_costs_one_write_a_step(plane: Plane, groups: int, unavailable: int, surge: int) -> None:
    """Every apply moves partition or replicas, every group gets one worker StatefulSet, surge groups go at the end."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=groups, size=2, rolling={"maxUnavailable": unavailable, "maxSurge": surge})
        await world.settled("sample")
        since = len(world.writes)
        world.requests.clear()
        await world.roll("app:2")
        await world.until(lambda: not world.is_available("sample"), "the update's begin")
        await world.settled("sample")
        states = [(0, groups), *world.applied(since)]
        made = world.requests.done("POST", "statefulsets")
        told = figure(f"R={groups} U={unavailable} S={surge}: {states}, {by_kind(world.requests.writes())}")
        assert states[-1] == (0, groups), told
        steps = sum(one[0] != other[0] for one, other in pairwise(states))
        surges = sum(one[1] != other[1] for one, other in pairwise(states))
        assert all(one != other for one, other in pairwise(states)), told
        assert steps <= groups + 1, told
        assert surges <= (surge + 1 if surge else 0), told
        assert max(replicas for _, replicas in states) == groups + surge, told
        assert made == {f"sample-{index}": 1 for index in range(groups + surge)}, told
        assert [each for each in world.requests.writes() if each.status >= 400] == [], told
        assert set(world.images("sample").values()) == {"app:2"}
        assert len(world.images("sample")) == 2 * groups
        assert len(world.revisions()) == 1

    plane.run(scenario)


def test_a_partition_holds_groups_back(plane: Plane) -> None:
    """Groups below the user's partition keep their revision, until it is lowered."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=3, size=2, rolling={"partition": 2})
        await world.settled("sample")
        before = world.uids()
        await world.roll("app:2")
        await world.until(lambda: "app:2" in world.images("sample").values(), "an updated pod")
        await world.settled("sample")
        updated = {name for name, image in world.images("sample").items() if image == "app:2"}
        assert updated == {"sample-2", "sample-2-1"}
        assert {name for name, uid in world.uids().items() if before[name] != uid} == updated
        assert len(world.revisions()) == 2
        await world.edit(rolloutStrategy={"rollingUpdateConfiguration": {"partition": 0}})
        await world.until(lambda: set(world.images("sample").values()) == {"app:2"}, "the whole update")
        await world.settled("sample")
        assert len(world.revisions()) == 1

    plane.run(scenario)


def test_a_group_rebuilt_in_mid_rollout_keeps_its_revision(plane: Plane) -> None:
    """A group below the partition that fails comes back with the old image and the old size."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=3, rolling={"partition": 1})
        await world.settled("sample")
        template = {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}
        await world.edit(leaderWorkerTemplate={"size": 2, "workerTemplate": template})
        await world.until(lambda: world.images("sample").get("sample-1") == "app:2", "the update of group 1")
        await world.settled("sample")
        before = world.uids()
        world.crash("sample-0-1")
        await world.until(
            lambda: world.uids().get("sample-0", before["sample-0"]) != before["sample-0"], "a new leader"
        )
        await world.until(lambda: len(world.all(PODS, group_index="0")) == 3, "its group")
        await world.settled("sample")
        assert {world.images("sample")[name] for name in ("sample-0", "sample-0-1", "sample-0-2")} == {"app:1"}
        assert world.names(PODS, group_index="1") == ["sample-1", "sample-1-1"]

    plane.run(scenario)


def test_content_that_means_the_same_is_no_update(plane: Plane) -> None:
    """Defaults written out, quantities written otherwise and a plain touch replace no pod and make no revision."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=1, size=2)
        await world.settled("sample")
        before, revisions = world.uids(), [each["metadata"]["uid"] for each in world.revisions()]
        world.requests.clear()
        template = {"metadata": {}, "spec": {"containers": [{"name": "main", "image": "app:1", "resources": {}}]}}
        await world.edit(
            leaderWorkerTemplate={"restartPolicy": "RecreateGroupOnPodRestart", "workerTemplate": template}
        )
        touched = {"metadata": {"annotations": {"touched": "yes"}}}
        await world.client.patch(LEADERWORKERSETS, world.namespace, "sample", touched)
        await world.rest()
        await world.settled("sample")
        assert world.uids() == before
        assert [each["metadata"]["uid"] for each in world.revisions()] == revisions

    plane.run(scenario)


def test_going_back_takes_the_old_revision_up_again(plane: Plane) -> None:
    """An update taken back in the middle ends in the old content under its old key, with all groups of it."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=3, size=2)
        await world.settled("sample")
        (first,) = world.revisions()
        await world.roll("app:2")
        await world.until(lambda: world.images("sample").get("sample-2") == "app:2", "the update of group 2")
        await world.roll("app:1")
        await world.until(lambda: set(world.images("sample").values()) == {"app:1"}, "all groups as before")
        await world.settled("sample")
        (last,) = world.revisions()
        assert last["metadata"]["labels"] == first["metadata"]["labels"]
        leader = world.get(STATEFULSETS, "sample")
        assert leader is not None
        assert leader["spec"]["updateStrategy"]["rollingUpdate"]["partition"] == 0

    plane.run(scenario)


def test_scaling_in_an_update_ends_both(plane: Plane) -> None:
    """Groups added and taken away while an update goes on end with the new image and the last number."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=3, size=2, rolling={"maxUnavailable": 1, "maxSurge": 1})
        await world.settled("sample")
        await world.roll("app:2")
        await world.until(lambda: "app:2" in world.images("sample").values(), "an updated pod")
        await world.edit(replicas=4)
        await world.until(lambda: "sample-3" in world.images("sample"), "the fourth group")
        await world.edit(replicas=2)
        await world.until(lambda: world.names(PODS, worker_index="0") == ["sample-0", "sample-1"], "two groups")
        await world.until(lambda: set(world.images("sample").values()) == {"app:2"}, "the whole update")
        found = await world.settled("sample")
        assert (
            found["status"]["replicas"] == found["status"]["readyReplicas"] == found["status"]["updatedReplicas"] == 2
        )

    plane.run(scenario)
