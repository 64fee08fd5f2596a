"""``spec.scheduling`` with Volcano, and with the Workload of a parent, in virtual time (next 7.3, 7.5, 7.8)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, PODGROUPS, SCHEDULING_PODGROUPS, WORKLOADS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import DEPLOYMENTS, PODS, REPLICASETS
from lws.errors import ForbiddenError
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.simulation.hashed import HASH_LOOPS
from tests.virtual import virtual_time

VOLCANO: JSON = {"spec": {"schedulerName": "volcano", "containers": [{"name": "main", "image": "app:1"}]}}


def ganged(**arguments: Any) -> JSON:
    """A set whose groups are gangs of Volcano, by the typed field."""
    template = {"workerTemplate": arguments.pop("template", VOLCANO)}
    return manifest(**{"size": 3, "scheduling": {}, "section": template, **arguments})


async def condition(cluster: Cluster) -> tuple[str, str, str]:
    """Status, reason and words of the condition about what pods need; empty if there is none."""
    lws = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
    found = {each["type"]: each for each in (lws.get("status") or {}).get("conditions", ())}
    told = found.get("WorkloadSchedulingCreated", {"status": "", "reason": "", "message": ""})
    return told["status"], told["reason"], told["message"]


async def groups(cluster: Cluster) -> dict[str, tuple[str, int]]:
    """Kind of the controller and minMember of every PodGroup of Volcano."""
    return {
        each["metadata"]["name"]: (each["metadata"]["ownerReferences"][0]["kind"], each["spec"]["minMember"])
        for each in await cluster.all(PODGROUPS)
    }


async def marks(cluster: Cluster) -> set[str]:
    """The PodGroups that pods name."""
    return {each["metadata"]["annotations"][labels.POD_GROUP_NAME] for each in await cluster.all(PODS)}


@pytest.mark.long
@virtual_time
async def test_typed_gangs_of_volcano_belong_to_the_set_and_go_with_their_groups() -> None:
    """They are there before the pods, follow a rollout and a scale-down, and nothing is left over (ND-08)."""
    async with running(typed=True, gang=True) as cluster:
        await cluster.client.create(LEADERWORKERSETS, ganged())
        await cluster.available("sample")
        order = [each.resource for each in cluster.counted() if each.resource in ("podgroups", "statefulsets")]
        assert order[:3] == ["podgroups", "podgroups", "statefulsets"]
        before = await groups(cluster)
        assert set(before.values()) == {("LeaderWorkerSet", 3)}
        assert await marks(cluster) == before.keys()
        assert (await condition(cluster))[:2] == ("True", "SchedulingPrerequisitesCreated")
        newer = {"spec": {**VOLCANO["spec"], "containers": [{"name": "main", "image": "app:2"}]}}
        change = {"leaderWorkerTemplate": {"workerTemplate": newer}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": change})
        await cluster.quiet(30)
        after = await groups(cluster)
        assert len(after) == 2
        assert after.keys().isdisjoint(before)
        assert await marks(cluster) == after.keys()
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": 1}})
        await cluster.quiet(30)
        assert len(await groups(cluster)) == 1
        sent = len(cluster.counted())
        await asyncio.sleep(300)
        assert cluster.counted()[sent:] == []


@virtual_time
async def test_typed_gangs_of_volcano_by_key() -> None:
    """A leader whose key is drawn keeps its gate until its PodGroup is there."""
    async with running(typed=True, gang=True, loops=HASH_LOOPS) as cluster:
        await cluster.client.create(LEADERWORKERSETS, ganged(groupIdentity="Hash", replicas=1))
        await cluster.available("sample")
        (name,) = await groups(cluster)
        assert await marks(cluster) == {name}
        writes = [f"{each.method} {each.resource}" for each in cluster.counted()]
        assert writes.index("POST podgroups") < writes.index("PATCH pods")


@pytest.mark.long
@virtual_time
async def test_pod_group_in_the_way_is_told_and_left_alone() -> None:
    """One that nobody controls keeps the set from making pods, in words, until it is gone."""
    async with running(typed=True, gang=True) as cluster:
        await cluster.client.create(LEADERWORKERSETS, ganged())
        await cluster.available("sample")
        (first, _) = await cluster.all(PODGROUPS)
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "sample", propagation="Foreground")
        await cluster.quiet(30)
        assert await cluster.all(PODGROUPS) == []
        meta = {key: first["metadata"][key] for key in ("name", "namespace", "labels")}
        stray = {**first, "metadata": meta}
        await cluster.client.create(PODGROUPS, stray)
        made = await cluster.client.create(LEADERWORKERSETS, ganged())
        await cluster.quiet(5)
        where = f"{NAMESPACE}/{meta['name']}"
        assert await condition(cluster) == (
            "False",
            "PodGroupCreateFailed",
            (
                f"unexpected podgroup controller owner: podgroup {where} has controller owner none; expected "
                f"LeaderWorkerSet sample with UID {made['metadata']['uid']}"
            ),
        )
        assert await cluster.all(PODS) == []
        await cluster.client.delete(PODGROUPS, NAMESPACE, meta["name"])
        await cluster.available("sample")


@virtual_time
async def test_pods_of_other_schedulers_are_no_gang_of_volcano() -> None:
    """A set whose pods ask for another scheduler gets no PodGroup, and is told why (ND-28)."""
    async with running(typed=True, gang=True) as cluster:
        plain = {"spec": {"containers": [{"name": "main", "image": "app:1"}]}}
        await cluster.client.create(LEADERWORKERSETS, ganged(template=plain))
        await cluster.quiet(5)
        status, reason, why = await condition(cluster)
        assert (status, reason) == ("False", "UnsupportedProviderCapability")
        assert "for pods of volcano" in why
        assert (await cluster.all(PODS), await groups(cluster)) == ([], {})


def _owned_by(obj: JSON, kind: str) -> list[JSON]:
    meta = obj["metadata"]
    return [{"apiVersion": "apps/v1", "kind": kind, "name": meta["name"], "uid": meta["uid"], "controller": True}]


async def _family(cluster: Cluster) -> tuple[JSON, list[JSON]]:
    """A parent, and what its child says of its owner: it is two steps away."""
    plain = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "app:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": plain}
    where = {"name": "train", "namespace": NAMESPACE}
    parent = await cluster.client.create(
        DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": where, "spec": spec}
    )
    middle = {**where, "name": "train-1", "ownerReferences": _owned_by(parent, "Deployment")}
    child = await cluster.client.create(
        REPLICASETS, {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": middle, "spec": spec}
    )
    return parent, _owned_by(child, "ReplicaSet")


async def _plan_of(cluster: Cluster, parent: JSON, name: str = "train") -> None:
    template = {"name": "nodes", "schedulingPolicy": {"gang": {"minCount": 2}}}
    body = {
        "apiVersion": WORKLOADS.api_version,
        "kind": WORKLOADS.kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "ownerReferences": _owned_by(parent, "Deployment")},
        "spec": {
            "controllerRef": {"apiGroup": "apps", "kind": "Deployment", "name": "train"},
            "podGroupTemplates": [template],
        },
    }
    await cluster.client.create(WORKLOADS, body)


@virtual_time
async def test_workload_of_a_parent() -> None:
    """A set waits for it, then makes PodGroups of its template and no Workload; at rest nobody is asked (next 7.8)."""
    async with running(typed=True) as cluster:
        parent, owners = await _family(cluster)
        metadata = {"ownerReferences": owners, "annotations": {labels.GROUP_TEMPLATE_NAME: "nodes"}}
        await cluster.client.create(LEADERWORKERSETS, manifest(scheduling={}, size=2, metadata=metadata))
        await cluster.quiet(5)
        assert await condition(cluster) == (
            "False",
            "ParentWorkloadNotReady",
            "no parent Workload matches the LWS controller-owner chain",
        )
        assert await cluster.all(PODS) == []
        await _plan_of(cluster, parent)
        await cluster.available("sample")
        assert [each["metadata"]["name"] for each in await cluster.all(WORKLOADS)] == ["train"]
        made = await cluster.all(SCHEDULING_PODGROUPS)
        assert [each["spec"]["workloadRef"] for each in made] == [
            {"workloadName": "train", "templateName": "nodes"}
        ] * 2
        named = {each["spec"]["schedulingGroup"]["podGroupName"] for each in await cluster.all(PODS)}
        assert named == {each["metadata"]["name"] for each in made}
        sent = len(cluster.counted())
        await asyncio.sleep(300)
        assert cluster.counted()[sent:] == []


@virtual_time
async def test_two_workloads_of_a_parent_are_one_too_many() -> None:
    """Nobody guesses which is meant; without an owner such a set is not admitted at all."""
    async with running(typed=True) as cluster:
        parent, owners = await _family(cluster)
        await _plan_of(cluster, parent)
        await _plan_of(cluster, parent, "train-2")
        notes = {"annotations": {labels.GROUP_TEMPLATE_NAME: "nodes"}}
        body = manifest(scheduling={}, size=2, metadata={"ownerReferences": owners, **notes})
        await cluster.client.create(LEADERWORKERSETS, body)
        await cluster.quiet(5)
        _, reason, why = await condition(cluster)
        assert reason == "ParentWorkloadNotReady"
        assert why.endswith("controller-owner chain: default/train and default/train-2")
        with pytest.raises(ForbiddenError, match="requires a controller owner"):
            await cluster.client.create(LEADERWORKERSETS, manifest("other", scheduling={}, size=2, metadata=notes))


@virtual_time
async def test_a_parent_is_looked_for_only_where_workloads_are_made() -> None:
    """With Volcano the annotation says nothing, and nobody asks for a Workload."""
    async with running(typed=True, gang=True) as cluster:
        _, owners = await _family(cluster)
        metadata = {"ownerReferences": owners, "annotations": {labels.GROUP_TEMPLATE_NAME: "nodes"}}
        await cluster.client.create(LEADERWORKERSETS, ganged(replicas=1, size=2, metadata=metadata))
        await cluster.available("sample")
        assert len(await groups(cluster)) == 1
        assert await cluster.events("ParentWorkloadNotReady") == []
