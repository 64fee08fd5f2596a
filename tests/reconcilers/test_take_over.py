"""Taking over a running cluster from the reference (spec 1.5), on the sandbox, in virtual time."""

from __future__ import annotations

import asyncio

import msgspec
import orjson
import pytest

from lws.api.leaderworkerset import labels, revisions
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, PODS, SERVICES, STATEFULSETS
from lws.planning.leaderworkerset import leader_statefulset, worker_statefulset
from lws.planning.leaderworkerset.metadata import owned_by_set
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.rollout import Budget, Decision
from lws.reconcilers.leaderworkerset.caches import OWN_REVISIONS
from tests.simulation.cluster import Cluster, manifest
from tests.virtual import virtual_time

KEY = "legacykey9"  # a hash of the reference's own bytes: not what we would compute


class Reference:
    """Makes the objects of one set as the reference makes them, with another key than ours would be.

    Args:
        cluster: where.
        older: as a release made them that knew no revisions and no subdomain policy.
        limit: of restarts, one of which is spent for group 0 already; None for none.
    """

    def __init__(self, cluster: Cluster, *, older: bool, limit: int | None = None) -> None:
        self.cluster = cluster
        self.older = older
        self.limit = limit

    async def set_up(self) -> None:
        """Everything of the set, complete and ready; no status."""
        client = self.cluster.client
        notes = {labels.LAST_APPLIED: "{}"}
        section = {} if self.limit is None else {"maxGroupRestarts": self.limit}
        if self.limit is not None:
            notes[labels.GROUP_RESTART_COUNTS] = f'{{"{KEY}/0":1}}'  # which the reference copies, too (ND-12)
        metadata: JSON = {"annotations": notes}
        await client.create(LEADERWORKERSETS, manifest(replicas=2, size=2, metadata=metadata, section=section))
        lws = LeaderWorkerSet.from_json(await client.get(LEADERWORKERSETS, "default", "sample"))
        section = Contents().sections(lws)
        if not self.older:
            await client.create(CONTROLLERREVISIONS, self._revision(lws))
        body = leader_statefulset.manifest(
            lws, section, KEY, Decision("3a", 0, 2), Budget.of(lws).statefulset_max_unavailable
        )
        body["metadata"]["annotations"].update(notes)
        del body["metadata"]["labels"][labels.ROLE]
        await client.apply(STATEFULSETS, body, field_manager="lws", force=True)
        await client.create(SERVICES, self._service(lws))
        await asyncio.sleep(1)
        for pod in await self.cluster.all(PODS):
            leader = msgspec.convert(pod, Pod)
            made = worker_statefulset.manifest(lws, lws, section, leader, {})
            made["metadata"]["annotations"] = {labels.LAST_APPLIED: "{}"}
            del made["metadata"]["labels"][labels.ROLE]
            del made["spec"]["template"]["metadata"]["annotations"][labels.LEADER_ADDRESS]
            await client.create(STATEFULSETS, made)
        await self.cluster.quiet(5)

    def _revision(self, lws: LeaderWorkerSet) -> JSON:
        """Null timestamps and explicit nulls in the data, as older serialisations have them."""
        data = orjson.loads(revisions.revision_data(lws))
        section = data["spec"]["leaderWorkerTemplate"]
        section["workerTemplate"]["metadata"] = {"creationTimestamp": None}
        section["subGroupPolicy"] = None
        return {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": f"sample-{KEY}-1",
                "namespace": "default",
                "labels": {labels.NAME: "sample", labels.REVISION: KEY},
                "ownerReferences": owned_by_set(lws),
            },
            "data": data,
            "revision": 1,
        }

    @staticmethod
    def _service(lws: LeaderWorkerSet) -> JSON:
        return {
            "metadata": {
                "name": "sample",
                "namespace": "default",
                "labels": {labels.NAME: "sample"},
                "ownerReferences": owned_by_set(lws),
            },
            "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {labels.NAME: "sample"}},
        }


@pytest.mark.parametrize("older", [False, True])
@virtual_time
async def test_n53_take_over_restarts_no_pod(older: bool) -> None:
    """Pods, keys, templates and worker StatefulSets stay; the first apply changes only metadata; then all is still."""
    async with Cluster() as cluster:
        await Reference(cluster, older=older).set_up()
        sets = {each["metadata"]["name"]: each for each in await cluster.all(STATEFULSETS)}
        before = {each["metadata"]["uid"] for each in await cluster.all(PODS)}
        assert len(before) == 4
        await cluster.start()
        await cluster.available("sample")
        await cluster.quiet(10)
        assert {each["metadata"]["uid"] for each in await cluster.all(PODS)} == before
        leader_set = await cluster.get(STATEFULSETS, "sample")
        assert leader_set is not None
        assert leader_set["metadata"]["labels"][labels.REVISION] == KEY
        assert leader_set["metadata"]["labels"][labels.ROLE] == "leader"
        assert {each["metadata"]["name"]: each["spec"] for each in await cluster.all(STATEFULSETS)} == {
            name: each["spec"] for name, each in sets.items()
        }
        assert labels.LAST_APPLIED not in leader_set["metadata"]["annotations"]
        (revision,) = await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)
        assert revision["metadata"]["labels"][labels.REVISION] == KEY
        assert len(await cluster.events("CreatingRevision")) == (1 if older else 0)
        sent = len(cluster.counted())
        await asyncio.sleep(120)
        assert cluster.counted()[sent:] == []


@virtual_time
async def test_rollout_after_a_take_over_reaches_every_group() -> None:
    """An edit after the take-over rolls all groups to the new revision, one by one."""
    async with Cluster() as cluster:
        await Reference(cluster, older=False).set_up()
        await cluster.start()
        await cluster.available("sample")
        section = {"workerTemplate": {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}}
        patch = {"spec": {"leaderWorkerTemplate": section}}
        await cluster.client.patch(LEADERWORKERSETS, "default", "sample", patch)
        await cluster.quiet(10)
        await cluster.available("sample")
        assert {each["spec"]["containers"][0]["image"] for each in await cluster.all(PODS)} == {"app:2"}
        assert len(await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)) == 1


async def _degrade(cluster: Cluster) -> None:
    """Group 0 as the reference leaves it once its restart budget is spent (next 5.3, 5.4)."""
    client = cluster.client
    held: JSON = {"finalizers": [labels.RESTART_BUDGET_CLEANUP]}
    mark = {"annotations": {labels.RESTART_BUDGET_EXHAUSTED: "true"}}
    await client.patch(PODS, "default", "sample-0-1", {"metadata": held})
    await client.patch(PODS, "default", "sample-0", {"metadata": {**held, **mark}})
    await client.delete(PODS, "default", "sample-0", propagation="Foreground")
    await cluster.quiet(5)


@virtual_time
async def test_take_over_of_a_degraded_set_restarts_no_pod_and_recovers_none() -> None:
    """What the reference retained stays until it is asked for; its counts stay on the set, and on nothing else."""
    async with Cluster() as cluster:
        await Reference(cluster, older=False, limit=1).set_up()
        await _degrade(cluster)
        before = {each["metadata"]["name"]: each["metadata"]["uid"] for each in await cluster.all(PODS)}
        assert len(before) == 4
        await cluster.start()
        await cluster.quiet(10)
        assert {each["metadata"]["name"]: each["metadata"]["uid"] for each in await cluster.all(PODS)} == before
        lws, leader_set = await cluster.get(LEADERWORKERSETS, "sample"), await cluster.get(STATEFULSETS, "sample")
        assert lws is not None
        assert leader_set is not None
        states = {each["type"]: each["status"] for each in lws["status"]["conditions"]}
        assert (states["Degraded"], states["Available"]) == ("True", "False")
        assert lws["metadata"]["annotations"][labels.GROUP_RESTART_COUNTS] == f'{{"{KEY}/0":1}}'
        assert labels.GROUP_RESTART_COUNTS not in leader_set["metadata"]["annotations"]
        patch = {"metadata": {"annotations": {labels.RECOVER: "true"}}}
        await cluster.client.patch(PODS, "default", "sample-0", patch)
        await cluster.available("sample")
        after = {each["metadata"]["name"]: each["metadata"]["uid"] for each in await cluster.all(PODS)}
        assert {name for name in after if after[name] == before[name]} == {"sample-1", "sample-1-1"}
