"""One incident, one recreation: counted at the API server, many groups at a time."""

from __future__ import annotations

from collections import Counter

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.acceptance.support import Tally, counted, create_sets, figure, rest
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.virtual import virtual_time

STORM = 100
GROUPS = 50
PER_SET = 10


async def uids(cluster: Cluster) -> dict[str, str]:
    """Pod UIDs by name."""
    return {each["metadata"]["name"]: each["metadata"]["uid"] for each in await cluster.all(PODS)}


def leaders_of(groups: int) -> list[str]:
    """The names of so many leaders, ten in a set."""
    return [f"set-{number // PER_SET}-{number % PER_SET}" for number in range(groups)]


def once(tally: Tally, groups: int, what: str, *, others: int) -> str:
    """Assert that each leader was deleted once and every pod was created once; the figure.

    Args:
        tally: since the incident.
        groups: how many there are, of two pods each.
        what: happened.
        others: deletions of workers that the incident itself consisted of.
    """
    leaders = leaders_of(groups)
    deleted = Counter(each.name for each in tally.writes() if (each.verb, each.resource) == ("DELETE", "pods"))
    created = tally.done("POST", "pods")
    told = figure(
        f"{what}, {groups} groups: {deleted.total()} leader deletions of {len(deleted)} leaders, "
        f"{created.total()} pods created, {tally.done('POST', 'statefulsets').total()} worker StatefulSets"
    )
    assert deleted == dict.fromkeys(leaders, 1), told
    assert {name: count for name, count in created.items() if name in leaders} == dict.fromkeys(leaders, 1), told
    assert tally.done("POST", "statefulsets") == dict.fromkeys(leaders, 1), told
    assert created.total() <= 2 * groups + others, told
    return told


async def settle(cluster: Cluster) -> None:
    """Wait until all is well again."""
    await rest(cluster, 15)
    for found in await cluster.all(LEADERWORKERSETS):
        assert found["status"]["readyReplicas"] == found["spec"]["replicas"] == PER_SET


@pytest.mark.long
@virtual_time
async def test_restart_storm_of_100_groups_recreates_each_once() -> None:
    """When every container of 100 groups crashes at the same moment, each group is recreated exactly once."""
    with pytest.MonkeyPatch.context() as patch:
        async with counted(patch, nodes=1) as (cluster, tally):
            await create_sets(cluster, STORM // PER_SET, replicas=PER_SET, size=2)
            await rest(cluster)
            before = await uids(cluster)
            assert len(before) == 2 * STORM
            tally.clear()
            for name in before:
                cluster.sandbox.loops.kubelets.crash(NAMESPACE, name)
            await settle(cluster)
            told = once(tally, STORM, "restart storm", others=0)
            after = await uids(cluster)
            assert after.keys() == before.keys(), told
            assert not set(after.values()) & set(before.values()), told


@pytest.mark.long
@virtual_time
async def test_deleted_workers_restart_50_groups_once() -> None:
    """Workers that are gone at once, and workers that take 10 s to end, restart each of 50 groups exactly once."""
    with pytest.MonkeyPatch.context() as patch:
        async with counted(patch, nodes=1, delays=Delays(stop=10.0)) as (cluster, tally):
            await create_sets(cluster, GROUPS // PER_SET, replicas=PER_SET, size=2)
            await rest(cluster)
            for grace, what in ((0, "workers deleted with grace period 0"), (None, "workers that take 10 s to end")):
                before = await uids(cluster)
                tally.clear()
                for leader in leaders_of(GROUPS):
                    await cluster.client.delete(PODS, NAMESPACE, f"{leader}-1", grace_period_seconds=grace)
                await settle(cluster)
                told = once(tally, GROUPS, what, others=GROUPS)
                after = await uids(cluster)
                assert after.keys() == before.keys(), told
                assert not set(after.values()) & set(before.values()), told
