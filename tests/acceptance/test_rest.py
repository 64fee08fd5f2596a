"""Where all is as desired nothing is asked, and what is none of ours is not even heard of."""

from __future__ import annotations

import asyncio

import pytest

from lws.apimachinery.resources import PODS
from tests.acceptance.support import by_kind, counted, create_sets, figure, rest
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.virtual import virtual_time

UNRELATED = 2000
QUIET = ("namespace-controller", "serviceaccount-controller")  # no scheduler: unrelated pods just stay where they are


@virtual_time
async def test_at_rest_nothing_is_written() -> None:
    """Over ten virtual minutes with a resync each minute the controller writes its lease alone, and reads nothing.

    Its watches last from five to ten minutes and are then opened anew where they ended.
    """
    with pytest.MonkeyPatch.context() as patch:
        async with counted(patch, nodes=1, resync=60.0, elect=True) as (cluster, tally):
            await create_sets(cluster, 2, replicas=2, size=2)
            await cluster.quiet(5)
            watches = len(cluster.operators[0].operator.registry.statistics())
            tally.clear()
            await asyncio.sleep(600)
            asked = tally.of_controller()
            leases = len([each for each in tally.seen if each.ours]) - len(asked)
            told = figure(f"at rest, 10 minutes, 2 sets: {by_kind(asked)}; {leases} for the lease")
            assert [each for each in asked if each.verb != "WATCH"] == [], told
            assert len(asked) <= 2 * watches, told
            assert leases > 0, told


@pytest.mark.long
@virtual_time
async def test_restart_on_a_quiet_cluster_of_100_sets_writes_nothing() -> None:
    """A controller that starts where 100 sets are as desired lists them, asks for none by name, and writes nothing."""
    with pytest.MonkeyPatch.context() as patch:
        async with counted(patch, nodes=1) as (cluster, tally):
            await create_sets(cluster, 100, replicas=1, size=1)
            await rest(cluster)
            await cluster.operators[0].stop()
            tally.clear()
            running = await cluster.start()
            await asyncio.sleep(60)
            known = sum(each.objects for each in running.operator.registry.statistics())
            asked = tally.of_controller()
            told = figure(f"restart, 100 sets: {by_kind(asked)}; {known} objects read")
            assert [each for each in asked if each.verb == "GET" and each.name] == [], told
            assert [each for each in asked if each.verb not in ("GET", "WATCH")] == [], told
            assert known >= 400, told


@virtual_time
async def test_2000_unrelated_pods_add_nothing_to_the_caches() -> None:
    """Pods that belong to no LeaderWorkerSet add no object to the controller's caches and no event to its watches."""
    async with Cluster(nodes=1, loops=QUIET) as cluster:
        running = await cluster.start()
        before = {each.resource: (each.objects, each.events) for each in running.operator.registry.statistics()}
        for number in range(UNRELATED):
            meta = {"name": f"unrelated-{number}", "namespace": NAMESPACE, "labels": {"app": "other"}}
            spec = {"containers": [{"name": "main", "image": "other:1"}]}
            await cluster.client.create(PODS, {"metadata": meta, "spec": spec})
        await asyncio.sleep(5)
        after = {each.resource: (each.objects, each.events) for each in running.operator.registry.statistics()}
        stored = len((await cluster.client.list(PODS))["items"])
        added = sum(after[kind][0] - before[kind][0] for kind in after)
        heard = sum(after[kind][1] - before[kind][1] for kind in after)
        told = figure(f"{stored} unrelated pods: {added} more objects in the caches, {heard} more events")
        assert stored == UNRELATED, told
        assert (added, heard) == (0, 0), told
