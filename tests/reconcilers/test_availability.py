"""Available is True of a set's own groups, and turns once for each thing that happens (CD-30)."""

from __future__ import annotations

from itertools import groupby

import orjson

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.simulation.cluster import NAMESPACE, Cluster, manifest
from tests.virtual import virtual_time

SLOW_END = Delays(stop=20.0)


def statuses(cluster: Cluster, since: int = 0) -> list[JSON]:
    """The statuses that were written, in order."""
    found = [each for each in cluster.counted(since) if each.resource == "leaderworkersets/status"]
    return [orjson.loads(each.body)["status"] for each in found]


def available(status: JSON) -> str:
    """The status of Available; empty if it is not there."""
    conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
    return str(conditions.get("Available", ""))


@virtual_time
async def test_set_made_again_waits_for_its_own_groups() -> None:
    """After delete and apply with fewer groups, nothing of the old pods is told of the new set, slowly as they end."""
    async with Cluster(delays=SLOW_END) as cluster:
        await cluster.start()
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=6, size=2))
        await cluster.available("sample")
        await cluster.quiet(5)
        since = len(cluster.writes)
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "sample", propagation="Background")
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=3, size=2))
        await cluster.available("sample")
        leader_set = await cluster.client.get(STATEFULSETS, NAMESPACE, "sample")
        owners = {
            each["metadata"]["ownerReferences"][0]["uid"]
            for each in await cluster.all(PODS)
            if each["metadata"]["labels"].get("leaderworkerset.sigs.k8s.io/worker-index") == "0"
        }
        assert owners == {leader_set["metadata"]["uid"]}
        written = statuses(cluster, since)
        assert [state for state, _ in groupby(map(available, written))] == ["", "True"]
        assert max(each.get("readyReplicas", 0) for each in written) == 3


@virtual_time
async def test_a_crash_turns_available_once_each_way() -> None:
    """While the group of a crashed worker ends, Available is False, though the worker comes back meanwhile (S5)."""
    async with Cluster(delays=SLOW_END) as cluster:
        await cluster.start()
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=2, size=3))
        await cluster.available("sample")
        await cluster.quiet(5)
        for pod in ("sample-0-1", "sample-1"):
            since = len(cluster.writes)
            await cluster.drills.pod_crash(pod)
            await cluster.quiet(30)
            await cluster.available("sample")
            assert [state for state, _ in groupby(map(available, statuses(cluster, since)))] == ["False", "True"]
