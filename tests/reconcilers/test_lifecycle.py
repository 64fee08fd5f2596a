"""The life of a LeaderWorkerSet on the sandbox, in virtual time (spec 5)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import CONTROLLERREVISIONS, NODES, PODS, SERVICES, STATEFULSETS
from lws.reconcilers.leaderworkerset.caches import OWN_REVISIONS
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.virtual import virtual_time


def names(objects: list[dict[str, Any]]) -> list[str]:
    """Names, in order."""
    return [each["metadata"]["name"] for each in objects]


async def scale(cluster: Cluster, replicas: int, name: str = "sample") -> None:
    """Scale a set through its scale subresource, past the webhooks."""
    patch = {"spec": {"replicas": replicas}}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, name, patch, subresource="scale")


async def edit(cluster: Cluster, patch: dict[str, Any], name: str = "sample") -> None:
    """Merge a change into a set."""
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, name, patch)


@virtual_time
async def test_a_set_comes_up() -> None:
    """Two groups of three become Available with at most R + 6 writes, and then nothing is written any more."""
    async with running(resync=60.0, slim=False) as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        assert names(await cluster.all(PODS)) == [
            "sample-0",
            "sample-0-1",
            "sample-0-2",
            "sample-1",
            "sample-1-1",
            "sample-1-2",
        ]
        assert names(await cluster.all(SERVICES, labels.NAME)) == ["sample"]
        writes = cluster.counted()
        assert len(writes) <= 2 + 6
        await cluster.quiet()
        sent = len(cluster.writes)
        await asyncio.sleep(600)
        assert cluster.writes[sent:] == []


@virtual_time
async def test_writes_of_a_creation_do_not_grow_with_the_time_it_takes() -> None:
    """Twelve groups whose leaders become ready at different moments cost R + 6 writes at most."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=12, size=2))
        await cluster.available("sample")
        assert len(cluster.counted()) <= 12 + 6


@virtual_time
async def test_events_of_a_creation() -> None:
    """Events 1, 4, 10 and 11 are recorded, byte for byte."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1, size=2))
        await cluster.available("sample")
        await cluster.quiet()
        (revision,) = await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)
        key = revision["metadata"]["labels"][labels.REVISION]
        assert set(await cluster.events()) >= {
            f"Creating revision with key {key} for a newly created LeaderWorkerSet",
            "Created leader statefulset sample",
            "Replicas are progressing, with 0 groups ready of total 1 groups",
            "Created worker statefulset for leader pod sample-0",
            "All replicas are ready, with 1 groups ready of total 1 groups",
        }


@virtual_time
async def test_scaling_up_and_down() -> None:
    """Groups come and go with the scale subresource; those that stay are not touched."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1, size=2))
        await cluster.available("sample")
        before = {each["metadata"]["uid"] for each in await cluster.all(PODS)}
        await scale(cluster, 3)
        await cluster.available("sample")
        assert before <= {each["metadata"]["uid"] for each in await cluster.all(PODS)}
        assert len(await cluster.all(PODS)) == 6
        await scale(cluster, 0)
        await cluster.quiet()
        assert await cluster.all(PODS) == []
        assert names(await cluster.all(STATEFULSETS)) == ["sample"]


@virtual_time
async def test_leader_ready_delays_the_workers() -> None:
    """Under LeaderReady no worker is created before its leader is ready."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(startupPolicy="LeaderReady"))
        await cluster.available("sample")
        pods = {each["metadata"]["name"]: each for each in await cluster.all(PODS)}
        for index in range(2):
            conditions = pods[f"sample-{index}"]["status"]["conditions"]
            ready = next(each["lastTransitionTime"] for each in conditions if each["type"] == "Ready")
            assert pods[f"sample-{index}-1"]["metadata"]["creationTimestamp"] >= ready


@virtual_time
async def test_startup_policy_is_read_live_13_1() -> None:
    """Workers that wait for a leader that is never ready start when the policy no longer asks them to."""
    async with running() as cluster:
        wanted = manifest(replicas=1, startupPolicy="LeaderReady")
        stuck = {"nodeSelector": {"no": "such"}, "containers": [{"name": "main", "image": "app:1"}]}
        wanted["spec"]["leaderWorkerTemplate"]["leaderTemplate"] = {"spec": stuck}
        await cluster.client.create(LEADERWORKERSETS, wanted)
        await cluster.quiet()
        assert names(await cluster.all(STATEFULSETS)) == ["sample"]
        change = {"spec": {"startupPolicy": "LeaderCreated"}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", change)
        await cluster.quiet()
        assert names(await cluster.all(STATEFULSETS)) == ["sample", "sample-0"]


@virtual_time
async def test_unique_subdomains() -> None:
    """Each group has its own Service, which goes with its leader; there is no shared one."""
    async with running() as cluster:
        wanted = manifest(networkConfig={"subdomainPolicy": "UniquePerReplica"})
        await cluster.client.create(LEADERWORKERSETS, wanted)
        await cluster.available("sample")
        assert names(await cluster.all(SERVICES, labels.NAME)) == ["sample-0", "sample-1"]
        await scale(cluster, 1)
        await cluster.quiet()
        assert names(await cluster.all(SERVICES, labels.NAME)) == ["sample-0"]


@virtual_time
async def test_exclusive_topology() -> None:
    """Each group has a rack of its own, workers included."""
    async with running() as cluster:
        wanted = manifest(metadata={"annotations": {labels.EXCLUSIVE_TOPOLOGY: "rack"}})
        await cluster.client.create(LEADERWORKERSETS, wanted)
        await cluster.available("sample")
        racks: dict[str, set[str]] = {}
        nodes = {each["metadata"]["name"]: each for each in (await cluster.client.list(NODES))["items"]}
        for pod in await cluster.all(PODS):
            rack = nodes[pod["spec"]["nodeName"]]["metadata"]["labels"]["rack"]
            racks.setdefault(pod["metadata"]["labels"][labels.GROUP_INDEX], set()).add(rack)
        assert all(len(found) == 1 for found in racks.values())
        assert racks["0"] != racks["1"]


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
@virtual_time
async def test_deletion_takes_everything(propagation: str) -> None:
    """When a set is deleted, all that was made for it goes, and nothing is made anew."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        sent = len(cluster.counted())
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "sample", propagation=propagation)
        await cluster.quiet()
        for resource in (LEADERWORKERSETS, STATEFULSETS, PODS, CONTROLLERREVISIONS):
            assert await cluster.all(resource) == []
        assert await cluster.all(SERVICES, labels.NAME) == []
        assert [str(each) for each in cluster.counted()[sent:]] == []


@virtual_time
async def test_deleted_and_created_again_at_once() -> None:
    """A namesake created while the old set is being collected comes up by itself (CD-03)."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        before = {each["metadata"]["uid"] for each in await cluster.all(PODS)}
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "sample", propagation="Background")
        await cluster.client.create(LEADERWORKERSETS, manifest(image="app:2"))
        await cluster.available("sample")
        await cluster.quiet()
        pods = await cluster.all(PODS)
        assert len(pods) == 6
        assert not before & {each["metadata"]["uid"] for each in pods}


@virtual_time
async def test_orphans_are_taken_up_again() -> None:
    """A set deleted without its children and created again gives workers to a group that lost them meanwhile."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1))
        await cluster.available("sample")
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "sample", propagation="Orphan")
        await cluster.quiet()
        kept = await cluster.get(PODS, "sample-0")
        assert kept is not None
        await cluster.client.delete(PODS, NAMESPACE, "sample-0", propagation="Background")
        await cluster.quiet()
        assert names(await cluster.all(PODS)) == ["sample-0"]
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1))
        await cluster.available("sample", seconds=60)
        assert names(await cluster.all(PODS)) == ["sample-0", "sample-0-1", "sample-0-2"]


@virtual_time
async def test_equal_namesake_waits_for_the_revision_of_the_old_set() -> None:
    """A namesake of equal content makes its own revision once that of the old set, of the same name, is collected."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        (old,) = await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)
        hold = {"metadata": {"finalizers": ["example.com/hold"]}}
        await cluster.client.patch(CONTROLLERREVISIONS, NAMESPACE, old["metadata"]["name"], hold)
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "sample", propagation="Background")
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await asyncio.sleep(60)
        assert await cluster.get(STATEFULSETS, "sample") is None
        release = {"metadata": {"finalizers": None}}
        await cluster.client.patch(CONTROLLERREVISIONS, NAMESPACE, old["metadata"]["name"], release)
        await cluster.available("sample")
        (new,) = await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)
        assert new["metadata"]["name"] == old["metadata"]["name"]
        assert "Creating missing revision" not in "".join(await cluster.events())


@pytest.mark.parametrize("grace", [None, 0])
@virtual_time
async def test_deleted_leader_set_comes_back_5_7(grace: int | None) -> None:
    """A leader StatefulSet that someone deletes is created anew with the same revision."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        await cluster.client.delete(
            STATEFULSETS, NAMESPACE, "sample", propagation="Foreground", grace_period_seconds=grace
        )
        await asyncio.sleep(10)
        await cluster.available("sample")
        await cluster.quiet()
        assert len(await cluster.all(PODS)) == 6
        assert len(await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)) == 1


@virtual_time
async def test_deleted_service_of_a_group_comes_back() -> None:
    """The Service of one group is made again though nothing happens to its leader any more."""
    async with running() as cluster:
        wanted = manifest(networkConfig={"subdomainPolicy": "UniquePerReplica"})
        await cluster.client.create(LEADERWORKERSETS, wanted)
        await cluster.available("sample")
        await cluster.quiet()
        await cluster.client.delete(SERVICES, NAMESPACE, "sample-0")
        await cluster.quiet()
        assert names(await cluster.all(SERVICES, labels.NAME)) == ["sample-0", "sample-1"]


@virtual_time
async def test_deleted_service_comes_back_5_7() -> None:
    """The shared Service is made again."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        await cluster.client.delete(SERVICES, NAMESPACE, "sample")
        await cluster.quiet()
        assert names(await cluster.all(SERVICES, labels.NAME)) == ["sample"]


@virtual_time
async def test_cd_03_foreign_statefulset_blocks_and_is_never_written() -> None:
    """A StatefulSet of the set's name that nobody labelled as ours stays as it is until it goes; then all comes up."""
    async with running() as cluster:
        template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        foreign = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "sample", "namespace": NAMESPACE},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "x"}},
                "serviceName": "x",
                "template": template,
            },
        }
        await cluster.client.create(STATEFULSETS, foreign)
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.quiet()
        found = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
        conditions = {each["type"]: each for each in found["status"]["conditions"]}
        assert (conditions["Blocked"]["status"], conditions["Blocked"]["reason"]) == ("True", "StatefulSetNotOwned")
        assert "PATCH statefulsets sample" not in {str(each) for each in cluster.writes}
        assert len(await cluster.events("FailedCreate")) == 1
        await cluster.client.delete(STATEFULSETS, NAMESPACE, "sample", propagation="Background")
        found = await cluster.available("sample")
        conditions = {each["type"]: each for each in found["status"]["conditions"]}
        assert conditions["Blocked"]["status"] == "False"


@pytest.mark.parametrize("labelled", [{labels.NAME: "sample"}, {}], ids=["seen", "unseen"])
@virtual_time
async def test_cd_26_group_heals_when_a_foreign_worker_set_goes(labelled: dict[str, str]) -> None:
    """A group whose worker StatefulSet could not be made gets it when the foreign one goes, in our cache or not."""
    async with running() as cluster:
        foreign = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "sample-0", "namespace": NAMESPACE, "labels": labelled},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "other"}},
                "serviceName": "other",
                "template": {
                    "metadata": {"labels": {"app": "other"}},
                    "spec": {"containers": [{"name": "c", "image": "i"}]},
                },
            },
        }
        await cluster.client.create(STATEFULSETS, foreign)
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1))
        await cluster.quiet()
        assert any("is not owned by the leader pod" in each for each in await cluster.events())
        await cluster.client.delete(STATEFULSETS, NAMESPACE, "sample-0")
        await cluster.available("sample", seconds=90)


@virtual_time
async def test_cd_26_foreign_service_is_not_written() -> None:
    """A Service of the set's name that nobody labelled as ours is complained about once and left alone."""
    async with running() as cluster:
        foreign = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "sample", "namespace": NAMESPACE},
            "spec": {"selector": {"app": "x"}, "ports": [{"port": 80}]},
        }
        made = await cluster.client.create(SERVICES, foreign)
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        await cluster.quiet()
        now = await cluster.client.get(SERVICES, NAMESPACE, "sample")
        assert now["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        assert len([note for note in await cluster.events("FailedCreate") if "headless service" in note]) == 1


@virtual_time
async def test_drift_is_mended_after_a_restart() -> None:
    """What someone changed on a leader StatefulSet while no controller ran is put right by the first pass."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=2, size=1))
        await cluster.available("sample")
        await cluster.operators[0].stop()
        await cluster.client.patch(STATEFULSETS, NAMESPACE, "sample", {"spec": {"replicas": 5}})
        await cluster.start()
        await cluster.quiet()
        found = await cluster.client.get(STATEFULSETS, NAMESPACE, "sample")
        assert found["spec"]["replicas"] == 2


@virtual_time
async def test_drift_is_mended_at_once_while_running() -> None:
    """A label taken off the leader StatefulSet is put back."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1, size=1))
        await cluster.available("sample")
        await cluster.client.patch(
            STATEFULSETS, NAMESPACE, "sample", {"metadata": {"annotations": {labels.REPLICAS: "9"}}}
        )
        await cluster.quiet()
        found = await cluster.client.get(STATEFULSETS, NAMESPACE, "sample")
        assert found["metadata"]["annotations"][labels.REPLICAS] == "1"


@virtual_time
async def test_refused_apply_does_not_freeze_the_status() -> None:
    """While the leader StatefulSet is refused the status follows the groups, and a condition has the server's words."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=2, size=1))
        await cluster.available("sample")
        claims = [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}]
        await edit(cluster, {"spec": {"replicas": 3, "leaderWorkerTemplate": {"volumeClaimTemplates": claims}}})
        await cluster.client.delete(PODS, NAMESPACE, "sample-0", grace_period_seconds=0)
        await cluster.quiet(5)
        status = (await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample"))["status"]
        conditions = {each["type"]: each for each in status["conditions"]}
        assert (conditions["Available"]["status"], conditions["Available"]["reason"]) == ("False", "FailedUpdate")
        assert conditions["Blocked"]["status"] == "True"
        assert "updates to statefulset spec" in conditions["Blocked"]["message"]
        assert status["observedGeneration"] == 2
        await edit(cluster, {"spec": {"leaderWorkerTemplate": {"volumeClaimTemplates": None}}})
        found = await cluster.available("sample", seconds=1200)
        blocked = {each["type"]: each["status"] for each in found["status"]["conditions"]}["Blocked"]
        assert (blocked, found["status"]["readyReplicas"]) == ("False", 3)
