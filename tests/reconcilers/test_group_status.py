"""Status that says why, on the sandbox, in virtual time (resilience 4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws.cli.kubectl.observe import observe
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose
from lws.planning.leaderworkerset.diagnosis.words import sentences
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.virtual import virtual_time


async def status(cluster: Cluster, name: str = "sample") -> JSON:
    """The status of a set."""
    found: JSON = (await cluster.client.get(LEADERWORKERSETS, NAMESPACE, name)).get("status") or {}
    return found


def healthy(found: JSON) -> tuple[str, str, str] | None:
    """Status, reason and message of GroupsHealthy."""
    return next(
        (
            (each["status"], each["reason"], each["message"])
            for each in found.get("conditions", ())
            if each["type"] == "GroupsHealthy"
        ),
        None,
    )


async def up(cluster: Cluster, **arguments: Any) -> None:
    """Bring a set up."""
    await cluster.client.create(LEADERWORKERSETS, manifest(**arguments))
    await cluster.available("sample")
    await cluster.quiet(3)


def written(cluster: Cluster, since: int) -> int:
    """How often the status was written since then."""
    return sum(1 for each in cluster.counted(since) if each.resource == "leaderworkersets/status")


@virtual_time
async def test_r09_a_lost_node_is_named_and_the_plugin_says_the_same() -> None:
    """R09: 75 s after a node was lost the status names node and pod, in the words of `kubectl lws explain-stuck`."""
    async with running(heartbeat=10.0) as cluster:
        await up(cluster, section={"restartPolicy": "None"})
        pod = await cluster.client.get(PODS, NAMESPACE, "sample-0-2")
        node = pod["spec"]["nodeName"]
        await cluster.drills.node_fail(node)

        async def unknown() -> bool:
            found = await cluster.client.get(PODS, NAMESPACE, "sample-0-2")
            return any(each["type"] == "Ready" and each["status"] == "False" for each in found["status"]["conditions"])

        await cluster.until(unknown)
        assert "groups" not in await status(cluster)
        await asyncio.sleep(75)
        found = await status(cluster)
        group = next(each for each in found["groups"] if each["index"] == "0")
        assert (group["state"], group["reason"], group["node"]) == ("NotReady", "NodeLost", node)
        assert group["pod"].startswith("sample-0")
        condition = healthy(found)
        assert condition is not None
        assert condition[:2] == ("False", "NodeLost")
        assert f"NodeLost (node {node})" in condition[2]
        said = sentences(diagnose((await observe(cluster.client, NAMESPACE, "sample")).facts))
        assert any(f"is on node {node}, which is not ready" in each for each in said)
        assert f"is on node {node}, which is not ready" in group["message"]
        assert group["message"].endswith("NoExecute`.")


@virtual_time
async def test_r08_a_pod_without_its_label_counts_as_missing_and_is_named() -> None:
    """R08: a worker that lost its label restarts nothing and is named; deleted, it is one recreation."""
    async with running() as cluster:
        await up(cluster)
        label = {"metadata": {"labels": {labels.NAME: None}}}
        await cluster.client.patch(PODS, NAMESPACE, "sample-1-2", label)
        await asyncio.sleep(80)
        found = await status(cluster)
        assert await cluster.events("RecreateGroup") == []
        (group,) = found["groups"]
        assert (group["index"], group["reason"], group["pod"]) == ("1", "LostLabel", "sample-1-2")
        assert group["message"].endswith("Put the label back, or delete the pod.")
        await cluster.client.delete(PODS, NAMESPACE, "sample-1-2")
        await cluster.available("sample")
        await cluster.quiet(12)
        assert len(await cluster.events("RecreateGroup")) == 1
        found = await status(cluster)
        assert "groups" not in found
        assert healthy(found) == ("True", "AsExpected", "All groups are as wanted")


@pytest.mark.long
@virtual_time
async def test_r26_what_loads_is_not_told_of() -> None:
    """R26: groups that load for 25 minutes cost no write of the status, and no condition."""
    async with running(delays=Delays(ready=1500.0)) as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=12, size=2))
        await asyncio.sleep(120)
        before = len(cluster.writes)
        await asyncio.sleep(1200)
        assert written(cluster, before) == 0
        assert healthy(await status(cluster)) is None


@pytest.mark.long
@virtual_time
async def test_r26_what_a_queue_holds_is_not_told_of() -> None:
    """R26: 40 groups that somebody's gate holds for 20 minutes cost no write of the status, and no condition."""
    async with running() as cluster:
        container = {"name": "main", "image": "app:1"}
        gated = {"spec": {"containers": [container], "schedulingGates": [{"name": "example.com/queue"}]}}
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=40, size=2, section={"workerTemplate": gated}))
        await asyncio.sleep(120)
        before = len(cluster.writes)
        await asyncio.sleep(1080)
        assert written(cluster, before) == 0
        assert healthy(await status(cluster)) is None


@pytest.mark.long
@virtual_time
async def test_r26_what_finds_no_node_is_told_after_a_minute_and_seldom() -> None:
    """R26: groups without room are reported after 60 s, then once in 5 minutes at most whatever the scheduler says."""
    async with running(nodes=1) as cluster:
        hungry = {
            "spec": {"containers": [{"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "900"}}}]}
        }
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=5, size=2, section={"workerTemplate": hungry}))
        await asyncio.sleep(50)
        assert "groups" not in await status(cluster)
        await asyncio.sleep(25)
        found = await status(cluster)
        assert [each["reason"] for each in found["groups"]] == ["Unschedulable"] * 5
        condition = healthy(found)
        assert condition is not None
        assert condition[2].startswith("5 of 5 groups: 5 Unschedulable; group 0: leader pod sample-0 finds no node")
        before = len(cluster.writes)
        for attempt in range(20):
            for index in range(5):
                said: JSON = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
                said |= {"message": f"0/1 nodes are available, attempt {attempt}", "lastTransitionTime": None}
                await cluster.client.patch(
                    PODS, NAMESPACE, f"sample-{index}", {"status": {"conditions": [said]}}, subresource="status"
                )
            await asyncio.sleep(60)
        assert 1 <= written(cluster, before) <= 4


async def replicas(cluster: Cluster, name: str = "sample-1") -> int:
    """The replicas of a worker StatefulSet."""
    found = await cluster.client.get(STATEFULSETS, NAMESPACE, name)
    return int(found["spec"]["replicas"])


async def scale(cluster: Cluster, count: int) -> None:
    """Have somebody scale the workers of a group."""
    await cluster.client.patch(STATEFULSETS, NAMESPACE, "sample-1", {"spec": {"replicas": count}})


@pytest.mark.parametrize("count", [1, 7])
@virtual_time
async def test_r11_scaled_workers_are_reported_and_left_alone(count: int) -> None:
    """R11: a number of workers that somebody changed is reported after a minute, with the command that undoes it."""
    async with running() as cluster:
        await up(cluster, size=4, section={"restartPolicy": "None"})
        before = len(cluster.writes)
        await scale(cluster, count)
        await asyncio.sleep(75)
        assert await replicas(cluster) == count
        (group,) = (await status(cluster))["groups"]
        assert (group["index"], group["reason"]) == ("1", "WorkersScaled")
        assert f"has {count} replicas (sandbox scaled it), but its group has 3 workers" in group["message"]
        assert "`kubectl scale statefulset sample-1 --replicas=3`" in group["message"]
        said = sentences(diagnose((await observe(cluster.client, NAMESPACE, "sample")).facts))
        assert any(f"has {count} replicas (sandbox scaled it)" in each for each in said)
        assert {each.resource for each in cluster.counted(before)} == {"leaderworkersets/status"}


@virtual_time
async def test_r11_repair_puts_the_number_back_three_times_an_hour() -> None:
    """R11: asked for, the number is restored at once; against a writer that does not let go, three times in an hour."""
    async with running() as cluster:
        asked = {"annotations": {f"{PREFIX}repair-workers": "true"}}
        await up(cluster, size=4, section={"restartPolicy": "None"}, metadata=asked)
        for _ in range(3):
            await scale(cluster, 1)
            await cluster.quiet(3)
            assert await replicas(cluster) == 3
        await scale(cluster, 1)
        await cluster.quiet(3)
        assert await replicas(cluster) == 1
        assert len(await cluster.events("WorkersScaled")) == 3
        await asyncio.sleep(3600)
        await scale(cluster, 7)
        await cluster.quiet(3)
        assert await replicas(cluster) == 3
