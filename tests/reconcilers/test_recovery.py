"""Groups that fail, on the sandbox, in virtual time (spec 9)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws.client.transport import Request, Response, Transport
from lws.errors import TransportError
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.forwarding import Forwarding, Lagging, through
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.virtual import virtual_time

AFTER_START = "RecreateGroupAfterStart"


async def up(cluster: Cluster, **arguments: Any) -> dict[str, str]:
    """Bring a set up; pod UIDs by name."""
    await cluster.client.create(LEADERWORKERSETS, manifest(**arguments))
    await cluster.available("sample")
    await cluster.quiet(5)
    return await uids(cluster)


async def uids(cluster: Cluster) -> dict[str, str]:
    """Pod UIDs by name."""
    return {each["metadata"]["name"]: each["metadata"]["uid"] for each in await cluster.all(PODS)}


def recreations(cluster: Cluster) -> Counter[str]:
    """How often each leader's deletion was accepted."""
    return Counter(each.name for each in cluster.counted() if each.method == "DELETE" and each.resource == "pods")


async def settle(cluster: Cluster) -> dict[str, str]:
    """Wait until all is well again; pod UIDs by name."""
    await cluster.quiet(5)
    await cluster.available("sample")
    return await uids(cluster)


async def ending(cluster: Cluster) -> set[str]:
    """Names of the pods that are ending."""
    return {each["metadata"]["name"] for each in await cluster.all(PODS) if "deletionTimestamp" in each["metadata"]}


@virtual_time
async def test_a_group_that_failed_ends_together_and_one_that_is_updated_after_its_leader() -> None:
    """Recreated, leader and workers end side by side; updated, workers serve what their leader drains (spec 9.5)."""
    async with Cluster(delays=Delays(stop=20.0)) as cluster:
        await cluster.start()
        await up(cluster, replicas=1, size=3)
        await cluster.drills.pod_crash("sample-0-1")
        await asyncio.sleep(15)
        assert await ending(cluster) == {"sample-0", "sample-0-1", "sample-0-2"}
        await settle(cluster)
        image = {"leaderWorkerTemplate": manifest(replicas=1, size=3, image="app:2")["spec"]["leaderWorkerTemplate"]}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": image})
        await asyncio.sleep(15)
        assert await ending(cluster) == {"sample-0"}
        await asyncio.sleep(15)
        assert await ending(cluster) == {"sample-0-1", "sample-0-2"}


@pytest.mark.parametrize("pod", ["sample-0-1", "sample-0"])
@virtual_time
async def test_restarted_container_takes_its_group_down(pod: str) -> None:
    """The group of a crashed container is recreated once, the other group is not touched."""
    async with running() as cluster:
        before = await up(cluster)
        await cluster.drills.pod_crash(pod)
        after = await settle(cluster)
        assert recreations(cluster) == {"sample-0": 1}
        assert all(after[name] != before[name] for name in after if name.startswith("sample-0"))
        assert all(after[name] == before[name] for name in after if name.startswith("sample-1"))
        assert await cluster.events("RecreateGroup") == [
            f"Worker pod {pod} failed, deleted leader pod sample-0 to recreate group 0"
        ]


@virtual_time
async def test_none_replaces_just_the_pod() -> None:
    """Under None a deleted worker is replaced and its group stays."""
    async with running() as cluster:
        before = await up(cluster, section={"restartPolicy": "None"})
        await cluster.client.delete(PODS, NAMESPACE, "sample-0-1")
        await cluster.drills.pod_crash("sample-1-2")
        after = await settle(cluster)
        assert {name for name in after if after[name] != before[name]} == {"sample-0-1"}
        assert recreations(cluster) == {}


@virtual_time
async def test_deleted_leader_takes_its_group_along() -> None:
    """A leader that someone deletes takes its workers along under every policy, by ownership alone."""
    async with running() as cluster:
        before = await up(cluster, section={"restartPolicy": "None"})
        await cluster.client.delete(PODS, NAMESPACE, "sample-0")
        after = await settle(cluster)
        assert all(after[name] != before[name] for name in after if name.startswith("sample-0"))
        assert recreations(cluster) == {}


@virtual_time
async def test_evicted_worker_restarts_its_group() -> None:
    """A failed pod is deleted by the StatefulSet controller, and that deletion restarts the group."""
    async with running() as cluster:
        await up(cluster)
        await cluster.drills.pod_fail("sample-1-1")
        await settle(cluster)
        assert recreations(cluster) == {"sample-1": 1}


@virtual_time
async def test_group_that_is_starting_is_left_alone_after_start() -> None:
    """Under RecreateGroupAfterStart a crash while another pod is Pending restarts nothing; one after the start does."""
    async with running(nodes=1) as cluster:
        hungry = {"resources": {"requests": {"cpu": "400"}}}
        template = {"spec": {"containers": [{"name": "main", "image": "app:1", **hungry}]}}
        leader = {"spec": {"containers": [{"name": "main", "image": "app:1"}]}}
        section = {"restartPolicy": AFTER_START, "workerTemplate": template, "leaderTemplate": leader}
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1, size=3, section=section))
        await cluster.quiet(5)  # one worker fits, the other one waits for room
        phases = {each["metadata"]["name"]: each["status"]["phase"] for each in await cluster.all(PODS)}
        assert sorted(phases.values()) == ["Pending", "Running", "Running"]
        await cluster.drills.pod_crash("sample-0")
        await cluster.quiet(5)
        assert recreations(cluster) == {}


@virtual_time
async def test_after_start_recreates_a_started_group() -> None:
    """Under RecreateGroupAfterStart a crash in a complete and started group restarts it."""
    async with running() as cluster:
        await up(cluster, section={"restartPolicy": AFTER_START})
        await cluster.drills.pod_crash("sample-0-2")
        await settle(cluster)
        assert recreations(cluster) == {"sample-0": 1}


@virtual_time
async def test_background_deletion_of_a_worker_set_restarts_nothing() -> None:
    """A worker StatefulSet deleted in the background comes back; its leader stays (spec 5.7)."""
    async with running() as cluster:
        before = await up(cluster)
        await cluster.client.delete(STATEFULSETS, NAMESPACE, "sample-0", propagation="Background")
        after = await settle(cluster)
        assert recreations(cluster) == {}
        assert after["sample-0"] == before["sample-0"]
        assert after["sample-0-1"] != before["sample-0-1"]


@virtual_time
async def test_foreground_deletion_of_a_worker_set_restarts_the_group() -> None:
    """Deleted in the foreground its pods end while it is there, and that is a failure of the group (spec 5.7)."""
    async with running() as cluster:
        await up(cluster)
        await cluster.client.delete(STATEFULSETS, NAMESPACE, "sample-0", propagation="Foreground")
        await settle(cluster)
        assert recreations(cluster) == {"sample-0": 1}


@virtual_time
async def test_orphaned_workers_are_adopted() -> None:
    """A worker StatefulSet deleted with its pods orphaned is made again and adopts them; nobody restarts."""
    async with running() as cluster:
        before = await up(cluster)
        await cluster.client.delete(STATEFULSETS, NAMESPACE, "sample-0", propagation="Orphan")
        assert await settle(cluster) == before
        assert recreations(cluster) == {}


@virtual_time
async def test_records_survive_a_restart_of_the_controller() -> None:
    """A worker replaced while no controller ran restarts its group once the controller is back; and nothing else."""
    async with running() as cluster:
        before = await up(cluster)
        await cluster.operators[0].crash()
        await asyncio.sleep(60)
        await cluster.client.delete(PODS, NAMESPACE, "sample-1-2", grace_period_seconds=0)
        await cluster.quiet(5)
        await cluster.start()
        after = await settle(cluster)
        assert recreations(cluster) == {"sample-1": 1}
        assert all(after[name] == before[name] for name in after if name.startswith("sample-0"))


class Refusing(Forwarding):
    """Answers so many deletions of pods in the server's place, and passes everything else on."""

    def __init__(self, inner: Transport, status: int, times: int) -> None:
        super().__init__(inner)
        self._status, self.left = status, times

    async def send(self, request: Request) -> Response:
        """Pass on, or refuse; status 0 is no answer."""
        if request.method != "DELETE" or "/pods/" not in request.path or not self.left:
            return await super().send(request)
        self.left -= 1
        if not self._status:
            raise TransportError("connection reset")
        return Response(self._status, {"content-type": "application/json"}, b'{"kind":"Status","apiVersion":"v1"}')


@pytest.mark.parametrize("status", [403, 500, 0])
@virtual_time
async def test_refused_deletion_forgets_no_loss(status: int) -> None:
    """A worker that was replaced at once stays known as lost until the server has accepted its leader's deletion."""
    async with Cluster() as cluster:
        refusing = await through(cluster.start, lambda inner: Refusing(inner, status, times=4))
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        before = await uids(cluster)
        await cluster.client.delete(PODS, NAMESPACE, "sample-1-2", grace_period_seconds=0)
        after = await settle(cluster)
        assert (refusing.left, recreations(cluster)) == (0, {"sample-1": 1})
        assert {name for name in after if after[name] == before[name]} == {"sample-0", "sample-0-1", "sample-0-2"}


class LaggingFromWorkers(Lagging):
    """From the creation of the first worker StatefulSet on, nothing is heard of StatefulSets until released."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner, STATEFULSETS.plural)
        self._held = False

    async def send(self, request: Request) -> Response:
        """Pass on, and begin to lag."""
        if request.method == "POST" and request.path.endswith("/statefulsets") and not self._held:
            self._held = True
            self.flowing.clear()
        return await super().send(request)


@pytest.mark.parametrize("how", ["crash", "deletion"])
@virtual_time
async def test_failure_before_the_worker_set_is_seen_counts(how: str) -> None:
    """A worker that fails while the watch of StatefulSets lags behind takes its group down once that has caught up."""
    async with Cluster() as cluster:
        lagging = await through(cluster.start, LaggingFromWorkers)
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1))
        await asyncio.sleep(5)
        before = await uids(cluster)
        if how == "crash":
            await cluster.drills.pod_crash("sample-0-1")
        else:
            await cluster.client.delete(PODS, NAMESPACE, "sample-0-1", grace_period_seconds=0)
        await asyncio.sleep(5)
        assert (len(before), recreations(cluster)) == (3, {})
        lagging.flowing.set()
        after = await settle(cluster)
        assert recreations(cluster) == {"sample-0": 1}
        assert all(after[name] != before[name] for name in after)


@virtual_time
async def test_n37_worker_that_is_replaced_before_its_end_is_told_restarts_its_group_once() -> None:
    """Its successor has its name already when the watch of pods tells of both: one recreation, not none, not two."""
    async with Cluster() as cluster:
        lagging = await through(cluster.start, lambda inner: Lagging(inner, PODS.plural))
        before = await up(cluster)
        lagging.flowing.clear()
        await cluster.client.delete(PODS, NAMESPACE, "sample-0-1", grace_period_seconds=0)
        await asyncio.sleep(10)
        successor = (await uids(cluster))["sample-0-1"]
        assert successor != before["sample-0-1"]
        assert recreations(cluster) == {}
        lagging.flowing.set()
        after = await settle(cluster)
        assert recreations(cluster) == {"sample-0": 1}
        assert successor not in after.values()
        assert all(after[name] == before[name] for name in after if name.startswith("sample-1"))


@virtual_time
async def test_n38_late_end_of_an_old_worker_does_nothing() -> None:
    """The leader is another one by the time the end of its predecessor's worker is told: it stays."""
    async with Cluster() as cluster:
        lagging = await through(cluster.start, lambda inner: Lagging(inner, PODS.plural))
        before = await up(cluster)
        lagging.flowing.clear()
        await cluster.client.delete(PODS, NAMESPACE, "sample-0", propagation="Foreground")
        await asyncio.sleep(60)
        successor = (await uids(cluster))["sample-0"]
        assert successor != before["sample-0"]
        lagging.flowing.set()
        after = await settle(cluster)
        assert recreations(cluster) == {}
        assert after["sample-0"] == successor
        assert all(after[name] == before[name] for name in after if name.startswith("sample-1"))


@virtual_time
async def test_background_deletion_that_was_not_seen_restarts_nothing() -> None:
    """Workers that go with their StatefulSet are no failure, though the watch of StatefulSets still shows it."""
    async with Cluster() as cluster:
        lagging = await through(cluster.start, LaggingFromWorkers)
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1))
        await asyncio.sleep(5)
        lagging.flowing.set()
        before = await settle(cluster)
        lagging.flowing.clear()
        await cluster.client.delete(STATEFULSETS, NAMESPACE, "sample-0", propagation="Background")
        await asyncio.sleep(10)
        assert recreations(cluster) == {}
        lagging.flowing.set()
        after = await settle(cluster)
        assert recreations(cluster) == {}
        assert {name for name in after if after[name] == before[name]} == {"sample-0"}


@virtual_time
async def test_restart_of_the_controller_restarts_no_group() -> None:
    """A controller that comes back while groups are still coming up takes their youngest pods for what they are."""
    for moment in (0.2, 0.6, 1.0, 1.4):
        async with running() as cluster:
            await cluster.client.create(LEADERWORKERSETS, manifest(replicas=3))
            await asyncio.sleep(moment)
            await cluster.operators[0].crash()
            await asyncio.sleep(30)
            await cluster.start()
            await settle(cluster)
            assert recreations(cluster) == {}


@virtual_time
async def test_failed_node_moves_its_groups() -> None:
    """Pods of a node that fell silent are given up in the end, and their groups come back on the other nodes."""
    async with running(nodes=3, heartbeat=10.0) as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=2, size=2))
        await cluster.available("sample")
        pods = await cluster.all(PODS)
        node = pods[0]["spec"]["nodeName"]
        await cluster.drills.node_fail(node)
        await asyncio.sleep(600)
        for pod in await cluster.all(PODS):
            if pod["metadata"].get("deletionTimestamp"):
                await cluster.client.delete(PODS, NAMESPACE, pod["metadata"]["name"], grace_period_seconds=0)
        await cluster.available("sample")
        assert all(each["spec"]["nodeName"] != node for each in await cluster.all(PODS))
        counts = recreations(cluster)
        assert all(count == 1 for count in counts.values())
