"""Typed scheduling on the sandbox, in virtual time: Workloads, PodGroups, and pods that belong to them (next 7)."""

from __future__ import annotations

from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, SCHEDULING_PODGROUPS, WORKLOADS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws.errors import ForbiddenError
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.simulation.hashed import HASH_LOOPS
from tests.virtual import virtual_time

GANG: JSON = {"gang": {}}


async def names(cluster: Cluster) -> tuple[str, list[str]]:
    """The Workload, and its PodGroups without its name."""
    (workload,) = await cluster.all(WORKLOADS)
    name = workload["metadata"]["name"]
    groups = [each["metadata"]["name"].removeprefix(f"{name}-") for each in await cluster.all(SCHEDULING_PODGROUPS)]
    return name, groups


async def scheduling(cluster: Cluster) -> tuple[str, str]:
    """Status and reason of the condition; empty if there is none."""
    lws = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
    found = {each["type"]: each for each in (lws.get("status") or {}).get("conditions", ())}
    condition = found.get("WorkloadSchedulingCreated")
    return ("", "") if condition is None else (condition["status"], condition["reason"])


async def groups_of_pods(cluster: Cluster) -> dict[str, str]:
    """The PodGroup of each pod."""
    pods = await cluster.all(PODS)
    return {each["metadata"]["name"]: each["spec"].get("schedulingGroup", {}).get("podGroupName", "") for each in pods}


async def up(cluster: Cluster, asked: JSON, **arguments: Any) -> None:
    """Create a set that asks for this, and wait until it is Available."""
    await cluster.client.create(LEADERWORKERSETS, manifest(scheduling=asked, **{"size": 4, **arguments}))
    await cluster.available("sample")
    await cluster.quiet(3)


async def edit(cluster: Cluster, **spec: Any) -> None:
    """Edit the set."""
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": spec})


@virtual_time
async def test_n40_n47_gangs_of_groups() -> None:
    """The Workload comes first, then the PodGroups, then the leaders; a rollout makes new ones and removes the old."""
    async with running(typed=True) as cluster:
        await up(cluster, {})
        made = [
            str(each) for each in cluster.counted() if each.method == "POST" or "statefulsets sample " in f"{each} "
        ]
        order = [each for each in made if "workloads" in each or "podgroups" in each or "statefulset" in each]
        workload, groups = await names(cluster)
        assert ["workloads" in order[0], "podgroups" in order[1], "podgroups" in order[2]] == [True] * 3
        key = groups[0].partition("-")[2]
        assert groups == [f"0-{key}", f"1-{key}"]
        assert await groups_of_pods(cluster) == {
            f"sample-{group}{worker}": f"{workload}-{group}-{key}"
            for group in (0, 1)
            for worker in ("", "-1", "-2", "-3")
        }
        assert await scheduling(cluster) == ("True", "SchedulingPrerequisitesCreated")
        (body, _) = await cluster.all(SCHEDULING_PODGROUPS)
        assert body["spec"] == {
            "workloadRef": {"workloadName": workload, "templateName": "replica"},
            "schedulingPolicy": {"gang": {"minCount": 4}},
        }
        assert [each["kind"] for each in body["metadata"]["ownerReferences"]] == ["LeaderWorkerSet", "Workload"]
        template = {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}
        await edit(cluster, leaderWorkerTemplate={"workerTemplate": template})
        await cluster.quiet(5)
        _, after = await names(cluster)
        assert {each.partition("-")[2] for each in after}.isdisjoint({key})
        assert len(after) == 2


@virtual_time
async def test_n41_n57_gang_of_the_whole_set() -> None:
    """Its count follows the set; without groups it goes; a changed policy is told, and pods stay."""
    async with running(typed=True) as cluster:
        await up(cluster, {"schedulingPolicy": GANG})
        await edit(cluster, replicas=3)
        await cluster.quiet(5)
        (group,), (workload,) = await cluster.all(SCHEDULING_PODGROUPS), await cluster.all(WORKLOADS)
        template = workload["spec"]["podGroupTemplates"][0]
        assert group["spec"]["schedulingPolicy"] == template["schedulingPolicy"] == {"gang": {"minCount": 12}}
        await edit(cluster, replicas=0)
        await cluster.quiet(5)
        assert await cluster.all(SCHEDULING_PODGROUPS) == []
        (workload,) = await cluster.all(WORKLOADS)
        assert workload["spec"]["podGroupTemplates"][0]["schedulingPolicy"] == {"gang": {"minCount": 1}}
        await edit(cluster, scheduling={"schedulingPolicy": {"basic": {}, "gang": None}})
        await cluster.quiet(5)
        assert await scheduling(cluster) == ("False", "InvalidSchedulingConfiguration")
        (note,) = await cluster.events("InvalidSchedulingConfiguration")
        assert 'immutable scheduling configuration drift in template "lws"' in note


@pytest.mark.long
@virtual_time
async def test_roles_have_a_group_each() -> None:
    """Leader and workers of each group belong to PodGroups of their own (next 11.2)."""
    async with running(typed=True) as cluster:
        await up(cluster, {"replica": {"worker": {"schedulingPolicy": GANG}}}, size=3, replicas=1)
        workload, groups = await names(cluster)
        key = groups[0].rpartition("-")[2]
        assert groups == [f"0-leader-{key}", f"0-worker-{key}"]
        worker = f"{workload}-0-worker-{key}"
        assert await groups_of_pods(cluster) == {
            "sample-0": f"{workload}-0-leader-{key}",
            "sample-0-1": worker,
            "sample-0-2": worker,
        }


@virtual_time
async def test_groups_by_key_have_their_pod_groups_before_they_are_admitted() -> None:
    """A leader whose key is drawn waits at its gate for its PodGroup, which goes when the group does (next 7.7)."""
    async with running(typed=True, loops=HASH_LOOPS) as cluster:
        await up(cluster, {}, groupIdentity="Hash", size=2)
        workload, groups = await names(cluster)
        assert set((await groups_of_pods(cluster)).values()) == {f"{workload}-{each}" for each in groups}
        assert len(groups) == 2
        await edit(cluster, replicas=1)
        await cluster.quiet(5)
        assert len((await names(cluster))[1]) == 1


@virtual_time
async def test_n48_without_the_api_there_are_no_pods() -> None:
    """A set that was admitted says why nothing happens, and goes on when the API comes."""
    async with Cluster(typed=True, workload_api=False) as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(scheduling={}, size=2))
        await cluster.start()
        await cluster.until(lambda: _is(cluster, ("False", "APINotAvailable")))
        assert await cluster.all(STATEFULSETS) == []
        with pytest.raises(ForbiddenError, match="Workload API is not available"):
            await cluster.client.create(LEADERWORKERSETS, manifest("other", scheduling={}, size=2))


async def _is(cluster: Cluster, wanted: tuple[str, str]) -> bool:
    return await scheduling(cluster) == wanted


@pytest.mark.long
@virtual_time
async def test_pods_of_other_schedulers_are_no_gang() -> None:
    """A set whose pods ask for another scheduler gets no PodGroup, and is told why (ND-28)."""
    async with running(typed=True) as cluster:
        template = {"spec": {"schedulerName": "mine", "containers": [{"name": "main", "image": "app:1"}]}}
        body = manifest(scheduling={}, size=2, section={"workerTemplate": template})
        await cluster.client.create(LEADERWORKERSETS, body)
        await cluster.until(lambda: _is(cluster, ("False", "UnsupportedProviderCapability")))
        assert (await cluster.all(SCHEDULING_PODGROUPS), await cluster.all(PODS)) == ([], [])


@virtual_time
async def test_sets_without_the_field_are_left_as_they_are() -> None:
    """The gate costs a set that does not use it nothing: no object, no mark, no condition."""
    async with running(typed=True) as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(size=2))
        await cluster.available("sample")
        assert (await cluster.all(WORKLOADS), await scheduling(cluster)) == ([], ("", ""))
        marks = {key for each in await cluster.all(PODS) for key in each["metadata"]["annotations"]}
        assert marks.isdisjoint({labels.SCHEDULING_LEVEL, labels.WORKLOAD_NAME})


@pytest.mark.parametrize("cpus", [3, 4])
@virtual_time
async def test_gang_of_four_starts_whole_or_not_at_all(cpus: int) -> None:
    """Where there is room for three of four, none is placed; where there is for four, all are."""
    async with running(typed=True, nodes=1) as cluster:
        hungry = {"requests": {"cpu": str(640 // cpus)}}
        template = {"spec": {"containers": [{"name": "main", "image": "app:1", "resources": hungry}]}}
        body = manifest(scheduling={}, replicas=1, size=4, section={"workerTemplate": template})
        await cluster.client.create(LEADERWORKERSETS, body)
        await cluster.quiet(5)
        placed = sum(bool(each["spec"].get("nodeName")) for each in await cluster.all(PODS))
        assert placed == (4 if cpus == 4 else 0)
