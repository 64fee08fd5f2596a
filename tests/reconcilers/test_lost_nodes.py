"""Pods on nodes that nothing is heard of, on the sandbox, in virtual time (resilience 6.2)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final

import orjson
import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PERSISTENTVOLUMECLAIMS, PODS
from lws.cli.kubectl.observe import observe
from lws.client.api import STRATEGIC_MERGE_PATCH
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose
from lws.planning.leaderworkerset.diagnosis.words import sentences
from tests.simulation.cluster import LOOPS, NAMESPACE, Cluster, manifest, running
from tests.simulation.recording import Write
from tests.virtual import virtual_time

RELEASE: Final = PREFIX + "release-lost-nodes-after"
WORKER: Final = "sample-0-2"
NO_POLICY: Final = {"restartPolicy": "None"}
CLAIM: Final = {"name": "data", "persistentVolumeClaim": {"claimName": "shared"}}


async def up(cluster: Cluster, release: str = "2m", **arguments: Any) -> None:
    """Bring two groups of three up that ask to be let go from lost nodes."""
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    body = {"metadata": {"name": "shared", "namespace": NAMESPACE}, "spec": claim}
    await cluster.client.create(PERSISTENTVOLUMECLAIMS, body)
    metadata = {"annotations": {RELEASE: release}} if release else {}
    await cluster.client.create(LEADERWORKERSETS, manifest(metadata=metadata, **arguments))
    await cluster.available("sample")
    await cluster.quiet(3)


async def pod(cluster: Cluster, name: str = WORKER) -> JSON:
    """A pod that is there."""
    found = await cluster.get(PODS, name)
    assert found is not None
    return found


async def tell(cluster: Cluster, node: str, status: str) -> None:
    """Have a node's Ready condition say this, as its kubelet or the node controller would write it."""
    now = cluster.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = {"type": "Ready", "status": status, "reason": "Told", "lastTransitionTime": now}
    change = {"status": {"conditions": [entry]}}
    await cluster.client.patch(NODES, "", node, change, content_type=STRATEGIC_MERGE_PATCH, subresource="status")


async def lose(cluster: Cluster, node: str) -> float:
    """Stop the kubelet of a node and have it be found silent; when that was."""
    await cluster.drills.node_fail(node)
    await tell(cluster, node, "Unknown")
    return cluster.clock.now().timestamp()


async def lost(cluster: Cluster, release: str = "2m", **arguments: Any) -> tuple[JSON, float]:
    """Bring the groups up and lose the node of a worker; that pod, and when its node fell silent."""
    await up(cluster, release, **arguments)
    before = await pod(cluster)
    return before, await lose(cluster, before["spec"]["nodeName"])


def seconds(text: str) -> float:
    """A time of the API in seconds."""
    return datetime.fromisoformat(text).timestamp()


async def replaced(cluster: Cluster, before: JSON, *, within: float = 900.0) -> JSON:
    """Wait until another pod has the name of this one; that one."""
    name, uid = before["metadata"]["name"], before["metadata"]["uid"]

    async def holds() -> bool:
        found = await cluster.get(PODS, name)
        return found is not None and found["metadata"]["uid"] != uid

    await cluster.until(holds, seconds=within)
    return await pod(cluster, name)


def ended(cluster: Cluster) -> list[Write]:
    """Deletions of pods that did not give them time."""
    deletions = (each for each in cluster.counted() if each.method == "DELETE" and each.resource == "pods")
    return [each for each in deletions if orjson.loads(each.body).get("gracePeriodSeconds") == 0]


async def failures(cluster: Cluster) -> list[JSON]:
    """What the status tells of failures."""
    found = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
    return list((found.get("status") or {}).get("failures", ()))


@virtual_time
async def test_r10_a_group_leaves_its_lost_node_after_two_minutes() -> None:
    """R10: 2 min after its node fell silent the group is recreated, in one incident; no pod waits for the node."""
    async with running(nodes=6) as cluster:
        await up(cluster)
        before = await pod(cluster)
        node = before["spec"]["nodeName"]
        silent = await lose(cluster, node)
        after = await replaced(cluster, before)
        assert 120 <= seconds(after["metadata"]["creationTimestamp"]) - silent <= 130
        assert after["spec"]["nodeName"] != node
        await cluster.available("sample")
        await cluster.quiet(12)
        (failure,) = [each for each in await failures(cluster) if each["group"] == "0"]
        assert (failure["reason"], failure["node"], failure.get("restarts", 0)) == ("NodeLost", node, 0)
        assert WORKER in {each.name for each in ended(cluster)}
        told = [each for each in await cluster.events("ReleasedFromLostNode") if f"Pod {WORKER} " in each]
        assert len(told) == 1
        assert told[0].startswith(
            f"Pod {WORKER} was deleted without waiting for node {node}, of which nothing has been"
        )


@pytest.mark.long
@virtual_time
async def test_r10_without_the_annotation_the_group_hangs() -> None:
    """R10, the other way round: without it a group whose node is lost is not complete again after 20 minutes."""
    async with running(nodes=6) as cluster:
        before, _ = await lost(cluster, release="")
        await asyncio.sleep(1200)
        found = await pod(cluster)
        assert found["metadata"]["uid"] == before["metadata"]["uid"]
        assert found["metadata"]["deletionTimestamp"]
        assert ended(cluster) == []


def with_claim(*, read_only: bool = False) -> JSON:
    """A template of workers that mount a claim."""
    mount = {"name": "data", "mountPath": "/data", **({"readOnly": True} if read_only else {})}
    container = {"name": "main", "image": "app:1", "volumeMounts": [mount]}
    leader = {"spec": {"containers": [{"name": "main", "image": "app:1"}]}}
    return {"leaderTemplate": leader, "workerTemplate": {"spec": {"containers": [container], "volumes": [CLAIM]}}}


@pytest.mark.parametrize("release", ["2m", "2m,claims=any"])
@virtual_time
async def test_r10_a_pod_that_may_write_to_a_claim_stays(release: str) -> None:
    """R10: a pod with a claim mounted for writing is not let go, and reported; ``claims=any`` lifts that."""
    async with running(nodes=6) as cluster:
        before, _ = await lost(cluster, release, section=with_claim())
        if release.endswith("any"):
            await replaced(cluster, before, within=140)
            return
        await asyncio.sleep(1200)
        found = await pod(cluster)
        assert found["metadata"]["uid"] == before["metadata"]["uid"]
        assert WORKER not in {each.name for each in ended(cluster)}
        notes = [note for note in await cluster.events("NotReleasedFromLostNode") if f"Pod {WORKER} " in note]
        assert len(notes) == 1
        assert "it mounts claim shared for writing" in notes[0]
        lws = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
        (told,) = [each for each in lws["status"]["groups"] if each["index"] == "0"]
        said = sentences(diagnose((await observe(cluster.client, NAMESPACE, "sample")).facts))
        for words in (told["message"], " ".join(said)):
            assert "which is not ready since" in words
            assert "and is not released: it mounts claim shared for writing" in words


@pytest.mark.long
@virtual_time
async def test_r10_a_claim_that_is_only_read_holds_nothing_back() -> None:
    """A pod that mounts a claim for reading alone is let go: nobody writes twice."""
    async with running(nodes=6) as cluster:
        before, _ = await lost(cluster, section=with_claim(read_only=True))
        await replaced(cluster, before, within=140)


@pytest.mark.long
@virtual_time
async def test_r10_policy_none_waits_for_others_to_delete() -> None:
    """R10 under policy None: nothing is ended before somebody deletes it; then the pod alone is replaced."""
    async with running(nodes=6) as cluster:
        await up(cluster, section=NO_POLICY)
        before, leader = await pod(cluster), await pod(cluster, "sample-0")
        silent = await lose(cluster, before["spec"]["nodeName"])
        after = await replaced(cluster, before)
        assert seconds(after["metadata"]["creationTimestamp"]) - silent >= 299
        if leader["spec"]["nodeName"] != before["spec"]["nodeName"]:
            assert (await pod(cluster, "sample-0"))["metadata"]["uid"] == leader["metadata"]["uid"]
        assert await failures(cluster) == []


@pytest.mark.long
@virtual_time
async def test_r10_the_annotation_may_come_after_the_loss() -> None:
    """Whoever sets the annotation when the group hangs already has it helped at once."""
    async with running(nodes=6) as cluster:
        before, _ = await lost(cluster, release="")
        await asyncio.sleep(700)
        change = {"metadata": {"annotations": {RELEASE: "1m"}}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", change)
        await replaced(cluster, before, within=15)


async def untouched(cluster: Cluster, before: JSON, for_seconds: float) -> None:
    """For so long the pod is there as it was, and nothing is ended without grace."""
    await asyncio.sleep(for_seconds)
    found = await pod(cluster)
    assert found["metadata"]["uid"] == before["metadata"]["uid"]
    assert ended(cluster) == []
    assert await cluster.events("RecreateGroup") == []


@virtual_time
async def test_r37_a_node_that_comes_back_in_time_loses_nothing() -> None:
    """R37: a node that is silent for 110 of 120 s, twice, keeps its pods."""
    async with running(nodes=6) as cluster:
        await up(cluster)
        before = await pod(cluster)
        node = before["spec"]["nodeName"]
        for _ in range(2):
            await tell(cluster, node, "Unknown")
            await untouched(cluster, before, 110)
            await tell(cluster, node, "True")
            await untouched(cluster, before, 30)


@pytest.mark.long
@virtual_time
async def test_r37_a_kubelet_that_reports_is_left_to_act() -> None:
    """R37: a node whose kubelet lives and says that it is not ready keeps its pods until it ends them itself."""
    async with running(nodes=6) as cluster:
        await up(cluster)
        before = await pod(cluster)
        await tell(cluster, before["spec"]["nodeName"], "False")
        await untouched(cluster, before, 280)


@virtual_time
async def test_r37_most_nodes_lost_is_the_fault_of_the_view() -> None:
    """R37: while 3 of 5 nodes are lost nothing is ended, and that is told; once it is 2 the release goes on."""
    async with running(nodes=5) as cluster:
        await up(cluster)
        before = await pod(cluster)
        node = before["spec"]["nodeName"]
        others = [f"node-{index}" for index in range(5) if f"node-{index}" != node][:2]
        for each in (node, *others):
            await tell(cluster, each, "Unknown")
        await untouched(cluster, before, 200)
        notes = await cluster.events("NotReleasedFromLostNode")
        assert any("3 of 5 nodes are not ready" in note for note in notes)
        await tell(cluster, others[0], "True")
        await replaced(cluster, before, within=30)


@virtual_time
async def test_r37_a_restart_begins_to_count_anew() -> None:
    """R37: a controller that starts when a node has been silent for 110 s waits for two minutes of its own."""
    async with running(nodes=6) as cluster:
        await up(cluster)
        before = await pod(cluster)
        await tell(cluster, before["spec"]["nodeName"], "Unknown")
        await asyncio.sleep(110)
        await cluster.operators[0].crash()
        await cluster.start()
        started = cluster.clock.now().timestamp()
        after = await replaced(cluster, before)
        assert 120 <= seconds(after["metadata"]["creationTimestamp"]) - started <= 130


@pytest.mark.long
@virtual_time
async def test_r37_what_an_exhausted_group_left_is_kept() -> None:
    """R37: pods that a restart budget holds back stay on their lost node for people to look at."""
    async with running(nodes=6) as cluster:
        await up(cluster, section={"maxGroupRestarts": 0})
        await cluster.drills.pod_oom(WORKER)

        async def held() -> bool:
            found = await pod(cluster)
            return bool(found["metadata"].get("deletionTimestamp"))

        await cluster.until(held)
        before = await pod(cluster)
        await tell(cluster, before["spec"]["nodeName"], "Unknown")
        await asyncio.sleep(1200)
        assert (await pod(cluster))["metadata"]["uid"] == before["metadata"]["uid"]
        assert ended(cluster) == []


@pytest.mark.long
@pytest.mark.parametrize("identity", ["Ordinal", "Hash"])
@virtual_time
async def test_r10_a_leader_leaves_its_lost_node_too(identity: str) -> None:
    """R10: a group whose leader is on the lost node comes up elsewhere, whatever its groups are known by."""
    async with running(nodes=6, loops=[*LOOPS, "deployment-controller", "replicaset-controller"]) as cluster:
        await up(cluster, groupIdentity=identity)
        leaders = await cluster.all(PODS, f"{labels.NAME}=sample,{labels.WORKER_INDEX}=0")
        before = leaders[0]
        node, uid = before["spec"]["nodeName"], before["metadata"]["uid"]
        silent = await lose(cluster, node)

        async def gone() -> bool:
            found = await cluster.all(PODS, f"{labels.NAME}=sample")
            there = {each["metadata"]["uid"] for each in found}
            return uid not in there and len(found) == 6 and all(each["spec"].get("nodeName") != node for each in found)

        await cluster.until(gone, seconds=140)
        assert cluster.clock.now().timestamp() - silent >= 120
        await cluster.available("sample")
        await cluster.quiet(12)
        lost = [each for each in await failures(cluster) if each["reason"] == "NodeLost"]
        assert len(lost) == len({each["leaderUID"] for each in lost}) >= 1
