"""The reference takes a running cluster back: what it would do with what we left, by next.md word for word.

What it would decide of a degraded group is decided from the stored state alone (next 5.3, 5.5, 5.6).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, DEPLOYMENTS, PODS, REPLICASETS, STATEFULSETS
from lws.reconcilers.leaderworkerset.caches import OWN_REVISIONS
from tests.reconcilers.test_recovery import uids, up
from tests.reconcilers.test_restart_budget import exhaust, exhaust_by_key
from tests.reference import L, applied
from tests.simulation.cluster import NAMESPACE, Cluster, running
from tests.simulation.hashed import HASH_LOOPS, ready
from tests.virtual import virtual_time


async def left(cluster: Cluster) -> tuple[dict[str, str], JSON, str]:
    """Our controller stops; UIDs of pods by name, the set, and the key of its revision."""
    await cluster.operators[0].stop()
    (revision,) = await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)
    lws = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
    return await uids(cluster), lws, revision["metadata"]["labels"][L + "template-revision-hash"]


def worker_set_of(leader: JSON, sets: list[JSON]) -> list[JSON]:
    """The worker sets that the reference finds for a leader: by host name and controller (next 3.6 step 14)."""
    uid = leader["metadata"]["uid"]
    named = [each for each in sets if each["metadata"]["name"] == leader["spec"]["hostname"]]
    return [each for each in named if each["metadata"]["ownerReferences"][0]["uid"] == uid]


@pytest.mark.parametrize("hashed", [pytest.param(False, marks=pytest.mark.long), True])
@virtual_time
async def test_running_set_is_taken_back_without_a_restart(hashed: bool) -> None:
    """Its apply changes no template, it finds each group's worker set, and the counters are what it would write."""
    async with running(loops=HASH_LOOPS) as cluster:
        await up(cluster, **({"groupIdentity": "Hash"} if hashed else {}))
        before, lws, key = await left(cluster)
        kind = DEPLOYMENTS if hashed else STATEFULSETS
        live = await cluster.client.get(kind, NAMESPACE, "sample")
        await applied(cluster.client, lws, key, hashed=hashed)
        await cluster.quiet(30)
        assert await uids(cluster) == before
        after = await cluster.client.get(kind, NAMESPACE, "sample")
        assert after["spec"] == live["spec"]
        assert after["metadata"]["generation"] == live["metadata"]["generation"]
        if hashed:
            assert len(await cluster.all(REPLICASETS)) == 1
        sets = await cluster.all(STATEFULSETS)
        leaders = await cluster.all(PODS, f"{L}worker-index=0")
        assert [len(worker_set_of(each, sets)) for each in leaders] == [1, 1]
        assert len(sets) == (2 if hashed else 3)
        assert all(ready(each) for each in leaders)
        counted = {name: lws["status"][name] for name in ("replicas", "readyReplicas", "updatedReplicas")}
        assert counted == dict.fromkeys(counted, 2)


def exhausted(pods: list[JSON]) -> list[JSON]:
    """The leaders that the reference takes for exhausted."""
    key = L + "group-restart-budget-exhausted"
    return [each for each in pods if each["metadata"].get("annotations", {}).get(key) == "true"]


@pytest.mark.long
@pytest.mark.parametrize("hashed", [False, True])
@virtual_time
async def test_degraded_set_is_taken_back_and_recovers(hashed: bool) -> None:
    """It reads our counts and marks, restarts nothing, and by its own steps the exhausted group comes back."""
    async with running(loops=HASH_LOOPS) as cluster:
        await (exhaust_by_key(cluster) if hashed else exhaust(cluster))
        before, lws, key = await left(cluster)
        notes = lws["metadata"]["annotations"]
        counts = json.loads(notes[L + "group-restart-counts"])
        assert set(counts.values()) == {1}
        assert all(name.startswith(f"{key}/") for name in counts)
        pods = await cluster.all(PODS)
        (leader,) = exhausted(pods)
        index = leader["metadata"]["labels"][L + "group-index"]
        group = [each for each in pods if each["metadata"]["labels"][L + "group-index"] == index]
        assert len(group) == 3
        held = L + "group-restart-budget-cleanup"
        assert all(held in each["metadata"]["finalizers"] for each in group)
        assert "deletionTimestamp" in leader["metadata"]
        assert leader["metadata"]["labels"][L + "template-revision-hash"] == key  # neither rolled nor scaled down: kept
        await applied(cluster.client, lws, key, hashed=hashed)
        await cluster.quiet(30)
        assert await uids(cluster) == before
        await _recover(cluster, notes, f"{key}/{index}", group, leader)
        others = {name for name, uid in (await uids(cluster)).items() if before.get(name) == uid}
        assert len(others) >= 3
        assert leader["metadata"]["uid"] not in (await uids(cluster)).values()


async def _recover(cluster: Cluster, notes: JSON, key: str, group: list[JSON], leader: JSON) -> None:
    """What the reference does once the user has asked for it: count, workers' finalizers, then the leader's."""
    counts = {name: value for name, value in json.loads(notes[L + "group-restart-counts"]).items() if name != key}
    stored: Any = json.dumps(counts) if counts else None
    change = {"metadata": {"annotations": {L + "group-restart-counts": stored}}}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", change)
    for pod in sorted(group, key=lambda each: each is leader):
        live = await cluster.get(PODS, pod["metadata"]["name"])
        if live is not None:
            kept = [each for each in live["metadata"].get("finalizers", []) if not each.endswith("-cleanup")]
            release = {"metadata": {"finalizers": kept or None}}
            await cluster.client.patch(PODS, NAMESPACE, pod["metadata"]["name"], release)
    await cluster.quiet(30)
    assert exhausted(await cluster.all(PODS)) == []
