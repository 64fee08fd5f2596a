"""Groups that fail again and again, on the sandbox, in virtual time (resilience 2, 3)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.client.transport import Request, Response, Transport
from tests.forwarding import Forwarding, through
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.virtual import virtual_time

WORKER = "sample-1-2"
LEADER = "sample-1"


async def status(cluster: Cluster) -> JSON:
    """The status of the set."""
    found: JSON = (await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample"))["status"]
    return found


def moment(text: str) -> float:
    """A time of the API in seconds."""
    return datetime.fromisoformat(text).timestamp()


async def up(cluster: Cluster, **arguments: Any) -> None:
    """Bring a set of two groups of four up."""
    await cluster.client.create(LEADERWORKERSETS, manifest(size=4, **arguments))
    await cluster.available("sample")
    await cluster.quiet(3)


async def leader(cluster: Cluster) -> JSON:
    """The leader of the group that fails."""
    found = await cluster.get(PODS, LEADER)
    assert found is not None
    return found


async def fail(cluster: Cluster) -> JSON:
    """Have a worker be killed for its memory; the leader that the group had."""
    before = await leader(cluster)
    await cluster.drills.pod_oom(WORKER)
    return before


async def replaced(cluster: Cluster, before: JSON) -> JSON:
    """Wait until the group has another leader; that one."""

    async def holds() -> bool:
        found = await cluster.get(PODS, LEADER)
        return found is not None and found["metadata"]["uid"] != before["metadata"]["uid"]

    await cluster.until(holds)
    return await leader(cluster)


async def recreated(cluster: Cluster) -> None:
    """Have the group fail, and wait until it is complete again."""
    await replaced(cluster, await fail(cluster))
    await cluster.available("sample")
    await cluster.quiet(3)


async def ready_groups(cluster: Cluster) -> int:
    """Groups that the status counts as ready."""
    return int((await status(cluster)).get("readyReplicas", 0))


@virtual_time
async def test_r02_cd_112_third_and_fourth_failure_wait() -> None:
    """R02: two failures are acted upon at once, the third after 10 s, the fourth after 20 s; all are recorded."""
    async with running() as cluster:
        await up(cluster)
        for _ in range(2):
            await recreated(cluster)
        for seconds in (10, 20):
            before = await leader(cluster)
            after = await replaced(cluster, await fail(cluster))
            gap = moment(after["metadata"]["creationTimestamp"]) - moment(before["metadata"]["creationTimestamp"])
            assert seconds <= gap <= seconds + 10
            await cluster.available("sample")
            await cluster.quiet(3)
        await cluster.quiet(12)
        found = await status(cluster)
        assert [(each["container"], each["exitCode"], each["reason"]) for each in found["failures"]] == [
            ("main", 137, "OOMKilled")
        ] * 4
        assert [each["restarts"] for each in found["failures"]] == [4, 3, 2, 1]
        assert all(each["node"].startswith("node-") and each["pod"] == WORKER for each in found["failures"])
        assert len({each["leaderUID"] for each in found["failures"]}) == 4
        notes = await cluster.events("GroupFailed")
        assert [note.rpartition("; ")[2] for note in notes] == [f"recreation {n}" for n in range(1, 5)]
        assert notes[0].startswith(f"Group 1 failed: container main of pod {WORKER} on node node-")
        assert "exited with 137 (OOMKilled)" in notes[0]
        waits = await cluster.events("GroupBackOff")
        assert [note.partition("; ")[0] for note in waits] == ["Group 1 failed 3 times", "Group 1 failed 4 times"]
        assert len(await cluster.events("RecreateGroup")) == 4


@virtual_time
async def test_r03_r27_a_wait_outlives_the_controller_and_the_fault() -> None:
    """R03, R27: a group whose worker was deleted waits, not ready; the next controller recreates it, once, in time."""
    async with running() as cluster:
        await up(cluster)
        for _ in range(2):
            await recreated(cluster)
        before = await leader(cluster)
        await cluster.client.delete(PODS, NAMESPACE, WORKER, grace_period_seconds=0)

        async def told() -> bool:
            return any(each.get("nextRetryTime") for each in (await status(cluster)).get("restarts", ()))

        await cluster.until(told)
        (entry,) = (await status(cluster))["restarts"]
        assert (entry["index"], entry["restarts"], entry["leaderUID"]) == ("1", 3, before["metadata"]["uid"])
        assert await ready_groups(cluster) == 1
        await cluster.operators[0].crash()
        pods = await cluster.all(PODS)
        assert sum(each["metadata"]["name"].startswith("sample-1") for each in pods) >= 3
        await cluster.start()
        writes = len(cluster.writes)
        assert await ready_groups(cluster) == 1
        after = await replaced(cluster, before)
        assert moment(entry["nextRetryTime"]) <= moment(after["metadata"]["creationTimestamp"])
        assert moment(after["metadata"]["creationTimestamp"]) <= moment(entry["nextRetryTime"]) + 3
        await cluster.available("sample")
        await cluster.quiet(12)
        deletions = [
            each.name for each in cluster.counted(writes) if (each.method, each.resource) == ("DELETE", "pods")
        ]
        assert deletions == [LEADER]
        assert (await status(cluster))["restarts"][0].get("nextRetryTime") is None


class LastDeletion(Forwarding):
    """A transport on which the deletion of a pod is the last that is done; nothing is answered any more."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.done = asyncio.Event()

    async def send(self, request: Request) -> Response:
        """Pass on, until that."""
        response = None if self.done.is_set() else await self._inner.send(request)
        if response is None or (request.method == "DELETE" and "/pods/" in request.path):
            self.done.set()
            await asyncio.Event().wait()
        assert response is not None
        return response


@pytest.mark.long
@virtual_time
async def test_r27_a_crash_before_the_status_loses_one_incident_at_most() -> None:
    """R27: a controller that ends between a deletion and the status: the group is recreated once, and one is lost."""
    async with running() as cluster:
        await up(cluster)
        await recreated(cluster)
        await cluster.quiet(12)
        await cluster.operators[0].stop()
        dying = await through(cluster.start, LastDeletion)
        before = await fail(cluster)
        await dying.done.wait()
        await cluster.operators[0].crash()
        await cluster.start()
        await replaced(cluster, before)
        await cluster.available("sample")
        await cluster.quiet(12)
        (entry,) = (await status(cluster))["restarts"]
        assert entry["restarts"] in (1, 2)
        await recreated(cluster)
        await cluster.quiet(12)
        (later,) = (await status(cluster))["restarts"]
        assert later["restarts"] == entry["restarts"] + 1
        assert len(await cluster.events("RecreateGroup")) in (2, 3)
        deletions = [each for each in cluster.counted() if (each.method, each.resource) == ("DELETE", "pods")]
        assert len(deletions) == 3


@pytest.mark.long
@virtual_time
async def test_r04_ready_for_ten_minutes_settles_a_group() -> None:
    """R04: after ten minutes without a failure the count is gone, and the next failure is acted upon at once."""
    async with running() as cluster:
        await up(cluster)
        for _ in range(2):
            await recreated(cluster)

        async def settled() -> bool:
            return "restarts" not in await status(cluster)

        began = cluster.clock.monotonic()
        await cluster.until(settled, seconds=700, every=5)
        assert cluster.clock.monotonic() - began > 560
        assert len((await status(cluster))["failures"]) == 2
        await recreated(cluster)
        assert await cluster.events("GroupBackOff") == []


@pytest.mark.long
@virtual_time
async def test_back_off_can_be_turned_off_for_a_set() -> None:
    """With the annotation "off" no failure waits, however many there were."""
    async with running() as cluster:
        await up(cluster, metadata={"annotations": {f"{PREFIX}restart-backoff": "off"}})
        for _ in range(4):
            await recreated(cluster)
        assert await cluster.events("GroupBackOff") == []


@virtual_time
async def test_deleting_the_leader_ends_a_wait_and_settles_the_group() -> None:
    """Who deletes the leader of a group that waits is not kept waiting, and its failures count no more."""
    async with running() as cluster:
        await up(cluster)
        for _ in range(2):
            await recreated(cluster)
        before = await fail(cluster)
        await cluster.until(lambda: _waits(cluster))
        await cluster.client.delete(PODS, NAMESPACE, LEADER, grace_period_seconds=0)
        await replaced(cluster, before)
        await cluster.available("sample")
        await cluster.quiet(12)
        assert "restarts" not in await status(cluster)


async def evict(cluster: Cluster, name: str) -> None:
    """Evict a pod through the API, as a drain does."""
    meta = {"name": name, "namespace": NAMESPACE}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
    await cluster.client.create(PODS, body, name=name, subresource="eviction")


async def _waits(cluster: Cluster) -> bool:
    return bool(await cluster.events("GroupBackOff"))


@pytest.mark.long
@virtual_time
async def test_r38_drained_four_times_is_recorded_and_never_waits() -> None:
    """R38: evictions are recorded, not counted: no back-off follows from them."""
    async with running() as cluster:
        await up(cluster)
        for _ in range(4):
            before = await leader(cluster)
            await evict(cluster, WORKER)
            await replaced(cluster, before)
            await cluster.available("sample")
            await cluster.quiet(3)
        await cluster.quiet(12)
        found = await status(cluster)
        assert [each["reason"] for each in found["failures"]] == ["Deleted"] * 4
        assert all(each["message"].startswith("EvictionByEvictionAPI") for each in found["failures"])
        assert "restarts" not in found
        assert await cluster.events("GroupBackOff") == []


@pytest.mark.parametrize("name", [LEADER, WORKER])
@virtual_time
async def test_a_pod_that_its_node_gives_up_is_named(name: str) -> None:
    """The record names a pod that its kubelet ended, though the pod is gone at once; a leader's end counts."""
    async with running() as cluster:
        await up(cluster)
        before = await leader(cluster)
        await cluster.drills.pod_fail(name)
        await replaced(cluster, before)
        await cluster.available("sample")
        await cluster.quiet(12)
        (failure,) = (await status(cluster))["failures"]
        assert (failure["pod"], failure["reason"], failure["restarts"]) == (name, "Terminated", 1)
