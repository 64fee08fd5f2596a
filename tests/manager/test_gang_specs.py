"""The reference's five specs of gang scheduling with Volcano, each as it is told there (spec 11)."""

from __future__ import annotations

from typing import Final

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, PODGROUPS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, STATEFULSETS
from tests.manager.test_gangs import ganged
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.virtual import virtual_time

CPU: Final = 1  # that each pod requests


async def revision_of(cluster: Cluster) -> str:
    """The revision that the leader StatefulSet has."""
    found = await cluster.client.get(STATEFULSETS, NAMESPACE, "web")
    return str(found["metadata"]["labels"][labels.REVISION])


async def expect_valid_pod_groups(cluster: Cluster, *, groups: int, size: int) -> None:
    """Of the present revision there is one for each group, owned by its leader, with the numbers of the whole group."""
    revision = await revision_of(cluster)
    found = await cluster.all(PODGROUPS, f"{labels.NAME}=web,{labels.REVISION}={revision}")
    by_name: dict[str, JSON] = {each["metadata"]["name"]: each for each in found}
    assert by_name.keys() == {f"web-{index}-{revision}" for index in range(groups)}
    for index in range(groups):
        leader = await cluster.client.get(PODS, NAMESPACE, f"web-{index}")
        group = by_name[f"web-{index}-{revision}"]
        (owner,) = group["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("Pod", f"web-{index}", leader["metadata"]["uid"])
        assert group["spec"]["minMember"] == size
        assert group["spec"]["minResources"] == {"cpu": str(size * CPU)}


async def create(cluster: Cluster, *, groups: int, size: int, policy: str = "LeaderCreated") -> None:
    """A set that is available, with valid PodGroups."""
    await cluster.start()
    made = ganged("web", cpu=str(CPU), replicas=groups, size=size, startupPolicy=policy)
    await cluster.client.create(LEADERWORKERSETS, made)
    await cluster.available("web")
    await expect_valid_pod_groups(cluster, groups=groups, size=size)


async def change(cluster: Cluster, section: JSON) -> None:
    """Change the group's template, and wait until that is rolled out."""
    before = await revision_of(cluster)
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "web", {"spec": {"leaderWorkerTemplate": section}})

    async def rolled() -> bool:
        pods = await cluster.all(PODS, f"{labels.NAME}=web")
        return await revision_of(cluster) != before and all(
            each["metadata"]["labels"][labels.REVISION] != before for each in pods
        )

    await cluster.until(rolled, seconds=600)
    await cluster.available("web")


@virtual_time
async def test_pod_groups_under_leader_created() -> None:
    """Should create PodGroups when LWS is created with LeaderCreated startup policy."""
    async with Cluster(gang=True) as cluster:
        await create(cluster, groups=2, size=4)


@virtual_time
async def test_pod_groups_under_leader_ready() -> None:
    """Should create PodGroups …with LeaderReady: the reference leaves minMember at 1, ours has been raised [CD-32]."""
    async with Cluster(gang=True) as cluster:
        await create(cluster, groups=2, size=4, policy="LeaderReady")


@virtual_time
async def test_pod_groups_go_with_the_set() -> None:
    """Should clean up PodGroups when LWS is deleted."""
    async with Cluster(gang=True) as cluster:
        await create(cluster, groups=1, size=2)
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "web", propagation="Foreground")

        async def gone() -> bool:
            return await cluster.all(PODGROUPS) == []

        await cluster.until(gone, seconds=120)


@pytest.mark.long
@virtual_time
async def test_pod_groups_of_another_size() -> None:
    """Should recreate PodGroups with correct size when LWS is resized."""
    async with Cluster(gang=True) as cluster:
        await create(cluster, groups=2, size=2)
        await change(cluster, {"size": 4})
        pods = await cluster.all(PODS, f"{labels.NAME}=web")
        assert {each["metadata"]["annotations"][labels.SIZE] for each in pods} == {"4"}
        await expect_valid_pod_groups(cluster, groups=2, size=4)


@pytest.mark.long
@virtual_time
async def test_pod_groups_of_a_rolling_update() -> None:
    """Should recreate PodGroups when LWS performs rolling update."""
    async with Cluster(gang=True) as cluster:
        await create(cluster, groups=2, size=3)
        await change(cluster, {"workerTemplate": {"metadata": {"labels": {"generation": "next"}}}})
        await expect_valid_pod_groups(cluster, groups=2, size=3)
