"""One watch is behind the others: nothing is made in a circle (K3), and no member is taken for gone (K5)."""

from __future__ import annotations

import asyncio

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS, STATEFULSETS
from tests.forwarding import Lagging, through
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.virtual import virtual_time


@pytest.mark.parametrize("plural", ["pods", "leaderworkersets"])
@virtual_time
async def test_dependents_of_what_is_gone_are_not_made_in_a_circle(plural: str) -> None:
    """While the owner's end is not seen its dependents are made again a few times at most, and none stays."""
    async with Cluster() as cluster:
        lagging = await through(cluster.start, lambda inner: Lagging(inner, plural))
        unique = {"subdomainPolicy": "UniquePerReplica"}
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=3, size=2, networkConfig=unique))
        await cluster.available("sample")
        lagging.flowing.clear()
        if plural == "pods":
            await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": 1}})
        else:
            await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "sample", propagation="Background")
        since = len(cluster.writes)
        await asyncio.sleep(30)
        creations = [each for each in cluster.writes[since:] if each.method == "POST" and each.resource != "events"]
        assert len(creations) <= 6, [str(each) for each in creations]
        lagging.flowing.set()
        await cluster.quiet(5)
        assert len(await cluster.all(STATEFULSETS)) == (2 if plural == "pods" else 0)


@virtual_time
async def test_worker_that_lost_its_label_is_not_gone() -> None:
    """A worker taken out of the group restarts nothing; once it is deleted the group is recreated (R08)."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1))
        await cluster.available("sample")
        before = {each["metadata"]["name"]: each["metadata"]["uid"] for each in await cluster.all(PODS)}
        await cluster.client.patch(PODS, NAMESPACE, "sample-0-1", {"metadata": {"labels": {labels.NAME: None}}})
        await asyncio.sleep(120)
        after = {each["metadata"]["name"]: each["metadata"]["uid"] for each in await cluster.all(PODS)}
        assert after == before
        (told,) = await cluster.events("LostLabel")
        assert told.startswith("Pod sample-0-1 lost its label leaderworkerset.sigs.k8s.io/name")
        await cluster.client.delete(PODS, NAMESPACE, "sample-0-1")
        await cluster.available("sample")
        await cluster.quiet(5)
        last = {each["metadata"]["name"]: each["metadata"]["uid"] for each in await cluster.all(PODS)}
        assert last.keys() == before.keys()
        assert not set(last.values()) & set(before.values())


@virtual_time
async def test_worker_set_that_lost_its_label_gets_it_back() -> None:
    """The worker StatefulSet is labelled again, and a crash of a worker recreates the group as before."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1))
        await cluster.available("sample")
        await cluster.client.patch(STATEFULSETS, NAMESPACE, "sample-0", {"metadata": {"labels": {labels.NAME: None}}})
        await cluster.quiet(5)
        found = await cluster.client.get(STATEFULSETS, NAMESPACE, "sample-0")
        assert found["metadata"]["labels"][labels.NAME] == "sample"
        await cluster.drills.pod_crash("sample-0-1")
        await cluster.quiet(5)
        await cluster.available("sample")
        deleted = [each.name for each in cluster.counted() if (each.method, each.resource) == ("DELETE", "pods")]
        assert deleted == ["sample-0"]
