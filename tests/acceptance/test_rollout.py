"""What a rolling update costs, and that nobody's pods stand in its way."""

from __future__ import annotations

from itertools import pairwise

import orjson
import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.acceptance.support import counted, create_sets, edit_image, figure, rest
from tests.simulation.cluster import Cluster, Write
from tests.virtual import virtual_time

SLOW_END = Delays(stop=2.0, jitter=1.0)  # pods of a group end at different moments, workers long after leaders


def bodies(writes: list[Write], resource: str) -> list[JSON]:
    """What was written to a kind of object, in order."""
    return [orjson.loads(each.body) for each in writes if each.resource == resource and each.method in ("PATCH", "PUT")]


def numbers(applied: list[JSON]) -> list[tuple[int, int]]:
    """Partition and replicas of each apply."""
    return [
        (each["spec"]["updateStrategy"]["rollingUpdate"]["partition"], each["spec"]["replicas"]) for each in applied
    ]


async def roll(cluster: Cluster, name: str, image: str) -> None:
    """Update a set and wait until it is done."""
    await edit_image(cluster, name, image)
    await cluster.available(name)
    await rest(cluster)


@pytest.mark.parametrize(("groups", "unavailable", "surge"), [(6, 1, 0), (6, 2, 0), (8, 1, 2), (4, 0, 1)])
@virtual_time
async def test_writes_of_a_rolling_update(groups: int, unavailable: int, surge: int) -> None:
    """Each leader-StatefulSet write moves partition or replicas, each status write shows something new.

    And there is one worker StatefulSet for each group, those of the surge included.
    """
    rolling = {"maxUnavailable": unavailable, "maxSurge": surge}
    async with Cluster(nodes=1, delays=Delays(jitter=1.0)) as cluster:
        await cluster.start()
        await create_sets(cluster, 1, replicas=groups, size=2, rolling=rolling)
        await rest(cluster)
        before = await cluster.client.get(LEADERWORKERSETS, "default", "set-0")
        since = len(cluster.writes)
        await roll(cluster, "set-0", "app:2")
        writes = cluster.counted(since)
        applied = numbers(bodies(writes, "statefulsets"))
        states = [(0, groups), *applied]
        steps = sum(one[0] != other[0] for one, other in pairwise(states))
        surges = sum(one[1] != other[1] for one, other in pairwise(states))
        created = len([each for each in writes if (each.method, each.resource) == ("POST", "statefulsets")])
        statuses = [before["status"], *(each["status"] for each in bodies(writes, "leaderworkersets/status"))]
        visible = sum(one != other for one, other in pairwise(statuses))
        told = figure(
            f"rolling update, R={groups} U={unavailable} S={surge}: {len(applied)} leader-StatefulSet writes for "
            f"{steps} partition steps and {surges} surge changes, {created} worker StatefulSets, "
            f"{len(statuses) - 1} status writes for {visible} visible changes, {len(writes)} in all"
        )
        assert applied[-1] == (0, groups), told
        assert len(applied) <= steps + surges, told
        assert steps <= groups + 1, told
        assert surges <= (surge + 1 if surge else 0), told
        assert created == groups + surge, told
        assert len(statuses) - 1 == visible <= 3 * (groups + surge) + 2, told
        assert len(writes) == len(applied) + created + visible + len(_revisions(writes)), told


def _revisions(writes: list[Write]) -> list[Write]:
    """The new revision, and the old one's end."""
    found = [each for each in writes if each.resource == "controllerrevisions"]
    assert len(found) <= 3
    return found


@pytest.mark.long
@virtual_time
async def test_cd_28_no_pod_is_refused_in_a_rolling_update_of_50_sets() -> None:
    """No pod creation is refused because its name is taken, though workers end long after their leaders."""
    with pytest.MonkeyPatch.context() as patch:
        async with counted(patch, nodes=1, delays=SLOW_END) as (cluster, tally):
            names = await create_sets(cluster, 50, replicas=1, size=2)
            await rest(cluster)
            tally.clear()
            for name in names:
                await edit_image(cluster, name, "app:2")
            for name in names:
                await cluster.available(name)
            posts = [each for each in tally.seen if (each.verb, each.resource) == ("POST", "pods")]
            refused = [each for each in posts if each.status >= 400]
            taken = [each for each in refused if each.reason == "AlreadyExists"]
            told = figure(
                f"rolling update of 50 sets: {len(posts)} pod creations, "
                f"{len(taken)} refused because the name is taken, {len(refused) - len(taken)} for another reason"
            )
            assert len(posts) - len(refused) == 100, told
            assert refused == [], told
