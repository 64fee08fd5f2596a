"""Sets whose groups are known by a key, on the sandbox, in virtual time: scenarios of next 12."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONTROLLERREVISIONS,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    NODES,
    PODS,
    SERVICES,
    STATEFULSETS,
)
from lws.client.api import STRATEGIC_MERGE_PATCH
from lws.client.transport import Request, Response, Stream, Transport
from lws.errors import ForbiddenError, NotFoundError
from lws.reconcilers.leaderworkerset.caches import OWN_REVISIONS
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.forwarding import Forwarding
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.simulation.hashed import NAME, Hashed, gates, group_ready, hash_cluster, key, noted_leader, ready
from tests.virtual import virtual_time

WITHOUT_NODES = (
    "namespace-controller",
    "serviceaccount-controller",
    "garbage-collector-controller",
    "statefulset-controller",
    "deployment-controller",
    "replicaset-controller",
)


async def report(found: Hashed, pod: JSON, status: str = "True") -> None:
    """Play the kubelet: the pod's containers run; it is ready if its gates are open."""
    meta = pod["metadata"]
    live = await found.cluster.client.get(PODS, NAMESPACE, meta["name"])
    held = bool(live["spec"].get("readinessGates")) and (group_ready(live) or ("", ""))[0] != "True"
    conditions = [
        {"type": "ContainersReady", "status": status},
        {"type": "Ready", "status": "False" if held else status},
    ]
    change = {"status": {"phase": "Running", "conditions": conditions}}
    await found.cluster.client.patch(
        PODS, NAMESPACE, meta["name"], change, content_type=STRATEGIC_MERGE_PATCH, subresource="status"
    )


async def report_group(found: Hashed, leader: JSON) -> None:
    """All containers of a group run; then its leader's gates are looked at again."""
    for pod in await found.group(leader):
        await report(found, pod)
    await found.cluster.quiet(2)
    await report(found, leader)
    await found.cluster.quiet(3)


@virtual_time
async def test_n1_n2_n3_a_set_comes_up_and_is_counted_by_groups() -> None:
    """Leaders are gated and admitted, groups are made, and a leader is ready exactly while its group is."""
    async with hash_cluster(loops=WITHOUT_NODES) as found:
        cluster = found.cluster
        await found.create(replicas=2, size=4)
        await cluster.quiet(3)
        deployment, leaders = await found.deployment(), await found.leaders()
        assert (deployment["spec"]["replicas"], await cluster.get(STATEFULSETS, NAME)) == (2, None)
        assert [gates(leader) for leader in leaders] == [[], []]
        assert [labels.DELETION_COST in leader["metadata"]["annotations"] for leader in leaders] == [False, False]
        names = [leader["metadata"]["name"] for leader in leaders]
        assert sorted(await cluster.events("GroupReplacementAdmitted")) == sorted(
            f"Leader pod {name} admitted for scheduling" for name in names
        )
        sets = {each["metadata"]["name"]: each for each in await found.worker_sets()}
        assert set(sets) == {leader["spec"]["hostname"] for leader in leaders}
        assert {each["spec"]["replicas"] for each in sets.values()} == {3}
        workers = {pod["metadata"]["name"] for pod in await cluster.all(PODS)} - set(names)
        assert workers == {f"{name}-{ordinal}" for name in sets for ordinal in (1, 2, 3)}
        assert [group_ready(leader) for leader in leaders] == [("False", "WorkerStatefulSetNotReady")] * 2
        assert await found.counters() == (2, 0, 2)
        assert await found.conditions() == {"Progressing": "True", "Degraded": "False"}

        one, other = leaders
        await report_group(found, one)
        states = {each["metadata"]["name"]: group_ready(each) for each in await found.leaders()}
        assert states[one["metadata"]["name"]] == ("True", "WorkerStatefulSetReady")
        assert states[other["metadata"]["name"]] == ("False", "WorkerStatefulSetNotReady")
        assert await found.counters() == (2, 1, 2)
        await report_group(found, other)
        assert await found.counters() == (2, 2, 2)
        assert await found.conditions() == {"Progressing": "False", "Available": "True", "Degraded": "False"}

        worker = next(pod for pod in await found.group(one) if pod["metadata"]["name"] != one["metadata"]["name"])
        await report(found, worker, "False")
        await cluster.quiet(2)
        await report(found, one)
        await cluster.quiet(3)
        states = {each["metadata"]["name"]: group_ready(each) for each in await found.leaders()}
        assert states[one["metadata"]["name"]] == ("False", "WorkerStatefulSetNotReady")
        assert (await found.counters())[1] == 1
        assert (await found.conditions())["Progressing"] == "True"


@virtual_time
async def test_n4_groups_of_one_need_no_condition() -> None:
    """A leader that is its whole group has no readiness gate, and loses its scheduling gate like any other."""
    async with hash_cluster() as found:
        leaders = await found.up(replicas=3, size=1)
        assert await found.worker_sets() == []
        assert [(leader["spec"].get("readinessGates"), gates(leader)) for leader in leaders] == [(None, [])] * 3
        assert await found.counters() == (3, 3, 3)


@virtual_time
async def test_n15_a_failed_worker_takes_its_group_down() -> None:
    """The leader that the worker names is deleted in the foreground; the group that follows has another key."""
    async with hash_cluster() as found:
        cluster = found.cluster
        leaders = await found.up(replicas=2, size=3)
        worker = next(
            pod for pod in await found.group(leaders[0]) if labels.LEADER_NAME in pod["metadata"]["annotations"]
        )
        failed = noted_leader(worker)
        await cluster.drills.pod_crash(worker["metadata"]["name"])
        await cluster.quiet(5)
        await cluster.available(NAME)
        deletions = [write for write in cluster.counted() if write.method == "DELETE" and write.resource == "pods"]
        assert [(write.name, b'"Foreground"' in write.body) for write in deletions] == [(failed, True)]
        index = key(leaders[0])
        assert await cluster.events("RecreateGroup") == [
            f"Worker pod {worker['metadata']['name']} failed, deleted leader pod {failed} to recreate group {index}"
        ]
        after = await found.leaders()
        assert {key(each) for each in leaders} & {key(each) for each in after} == {key(leaders[1])}
        hosts = {each["spec"]["hostname"] for each in (*leaders, *after)}
        assert len(hosts) == 3


@virtual_time
async def test_cd_01_a_worker_that_vanishes_while_nobody_looks_takes_its_group_down() -> None:
    """What a controller did not see is told by the conditions that were written before."""
    async with hash_cluster() as found:
        cluster = found.cluster
        leaders = await found.up(replicas=2, size=2)
        await asyncio.sleep(60)
        await cluster.operators[0].crash()
        worker = next(pod for pod in await found.group(leaders[0]) if pod["metadata"]["name"].endswith("-1"))
        await cluster.client.delete(PODS, NAMESPACE, worker["metadata"]["name"], grace_period_seconds=0)
        await cluster.quiet(3)
        await asyncio.sleep(60)
        await cluster.start()
        await cluster.quiet(5)
        await cluster.available(NAME)
        assert len(await cluster.events("RecreateGroup")) == 1
        assert key(leaders[0]) not in {key(each) for each in await found.leaders()}


@pytest.mark.parametrize("lost", ["worker", "leader"])
@virtual_time
async def test_n16_under_none_only_what_is_lost_comes_back(lost: str) -> None:
    """A worker is replaced alone; with its leader goes the whole group, and one of another key comes."""
    async with hash_cluster() as found:
        cluster = found.cluster
        leaders = await found.up(replicas=1, size=3, section={"restartPolicy": "None"})
        before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in await found.group(leaders[0])}
        leader = leaders[0]["metadata"]["name"]
        name = leader if lost == "leader" else min(set(before) - {leader})
        await cluster.client.delete(PODS, NAMESPACE, name)
        await cluster.quiet(5)
        await cluster.available(NAME)
        (now,) = await found.leaders()
        after = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in await found.group(now)}
        if lost == "worker":
            assert {each for each in after if after[each] != before[each]} == {name}
        else:
            assert set(after) & set(before) == set()
            assert key(now) != key(leaders[0])


@virtual_time
async def test_n17_workers_wait_for_the_containers_of_their_leader() -> None:
    """Under LeaderReady workers start once the leader's containers are ready: it is ready itself with its group."""
    async with hash_cluster(loops=WITHOUT_NODES) as found:
        await found.create(replicas=1, size=2, startupPolicy="LeaderReady")
        await found.cluster.quiet(3)
        (leader,) = await found.leaders()
        assert (gates(leader), await found.worker_sets(), group_ready(leader)) == ([], [], None)
        await report(found, leader)
        await found.cluster.quiet(3)
        (leader,) = await found.leaders()
        assert not ready(leader)
        assert [each["metadata"]["name"] for each in await found.worker_sets()] == [leader["spec"]["hostname"]]


@virtual_time
async def test_n18_a_service_for_each_group() -> None:
    """Under UniquePerReplica each group has a Service of its host name, which goes with its leader."""
    async with hash_cluster() as found:
        (leader,) = await found.up(replicas=1, size=2, networkConfig={"subdomainPolicy": "UniquePerReplica"})
        host = leader["spec"]["hostname"]
        service = await found.cluster.client.get(SERVICES, NAMESPACE, host)
        assert service["spec"]["selector"] == {labels.NAME: NAME, labels.GROUP_INDEX: key(leader)}
        assert service["metadata"]["ownerReferences"][0]["uid"] == leader["metadata"]["uid"]
        (workers,) = await found.worker_sets()
        assert workers["spec"]["serviceName"] == host
        noted = workers["spec"]["template"]["metadata"]["annotations"]
        assert noted[labels.LEADER_ADDRESS] == f"{host}.{host}.default"
        await found.cluster.client.delete(PODS, NAMESPACE, leader["metadata"]["name"])
        await found.cluster.quiet(5)
        with pytest.raises(NotFoundError):
            await found.cluster.client.get(SERVICES, NAMESPACE, host)


@virtual_time
async def test_n20_somebody_elses_set_has_the_name() -> None:
    """A StatefulSet of the group's name that is not the leader's is left alone, and told of."""
    async with hash_cluster(loops=WITHOUT_NODES) as found:
        cluster = found.cluster
        await found.create(replicas=1, size=2, startupPolicy="LeaderReady")
        await cluster.quiet(3)
        (leader,) = await found.leaders()
        host = leader["spec"]["hostname"]
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template, "serviceName": "x"}
        meta = {"name": host, "namespace": NAMESPACE, "labels": {labels.NAME: NAME}}
        made = await cluster.client.create(STATEFULSETS, {"metadata": meta, "spec": spec})
        await report(found, leader)
        await asyncio.sleep(30)
        now = await cluster.client.get(STATEFULSETS, NAMESPACE, host)
        assert now["spec"] == made["spec"]
        name = leader["metadata"]["name"]
        told = f"worker statefulset default/{host} is not controlled by leader pod {name}"
        assert await cluster.events("FailedCreate") == [told]
        assert group_ready((await found.leaders())[0]) is None


@virtual_time
async def test_n21_nd_04_a_set_that_an_older_release_named_is_kept() -> None:
    """A worker StatefulSet named after the leader pod is the group's: no second one is made, and no pod restarted."""
    async with hash_cluster(loops=WITHOUT_NODES) as found:
        cluster = found.cluster
        await found.create(replicas=1, size=2, startupPolicy="LeaderReady")
        await cluster.quiet(3)
        await cluster.operators[0].stop()
        (leader,) = await found.leaders()
        name = leader["metadata"]["name"]
        await report(found, leader)
        await cluster.start()
        await cluster.quiet(3)
        (workers,) = await found.worker_sets()
        await cluster.operators[0].stop()
        await cluster.client.delete(STATEFULSETS, NAMESPACE, workers["metadata"]["name"])
        await cluster.quiet(3)
        body = {
            **workers,
            "metadata": {k: v for k, v in workers["metadata"].items() if k not in ("uid", "resourceVersion")},
        }
        body["metadata"]["name"] = name
        await cluster.client.create(STATEFULSETS, body)
        await cluster.quiet(3)
        before = {pod["metadata"]["uid"] for pod in await cluster.all(PODS)}
        begin = len(cluster.writes)
        await cluster.start()
        await report_group(found, leader)
        assert [each["metadata"]["name"] for each in await found.worker_sets()] == [name]
        assert {pod["metadata"]["uid"] for pod in await cluster.all(PODS)} == before
        assert group_ready((await found.leaders())[0]) == ("True", "WorkerStatefulSetReady")
        assert not [each for each in cluster.counted(begin) if each.method in ("POST", "DELETE")]
        await cluster.client.delete(PODS, NAMESPACE, f"{name}-1", grace_period_seconds=0)
        await cluster.quiet(3)
        assert len(await cluster.events("RecreateGroup")) == 1


@virtual_time
async def test_n22_scaling_is_the_deployments() -> None:
    """A scale makes no revision and is no update; the new leader is admitted."""
    async with hash_cluster() as found:
        cluster = found.cluster
        before = await found.up(replicas=2, size=2)
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, NAME, {"spec": {"replicas": 3}}, subresource="scale")
        await cluster.quiet(3)
        await cluster.available(NAME)
        after = await found.leaders()
        assert (await found.deployment())["spec"]["replicas"] == 3
        assert len(await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)) == 1
        assert {key(each) for each in before} < {key(each) for each in after}
        assert len(after) == 3
        assert "UpdateInProgress" not in await found.conditions()  # ND-19


@virtual_time
async def test_n25_workers_follow_their_leader_into_its_domain() -> None:
    """Under exclusive topology the worker set waits for the leader's node, and gets its domain."""
    async with hash_cluster(loops=WITHOUT_NODES) as found:
        cluster = found.cluster
        noted = {"annotations": {labels.EXCLUSIVE_TOPOLOGY: "zone"}}
        await found.create(replicas=1, size=2, metadata=noted)
        await cluster.quiet(3)
        (leader,) = await found.leaders()
        assert (gates(leader), await found.worker_sets()) == ([], [])
        await cluster.client.create(NODES, {"metadata": {"name": "node-1", "labels": {"zone": "a"}}})
        name = leader["metadata"]["name"]
        binding = {"target": {"kind": "Node", "name": "node-1"}, "metadata": {"name": name, "namespace": NAMESPACE}}
        await cluster.client.create(PODS, binding, name=name, subresource="binding")
        await cluster.quiet(3)
        (workers,) = await found.worker_sets()
        assert workers["spec"]["template"]["spec"]["nodeSelector"] == {"zone": "a"}


@virtual_time
async def test_nd_21_a_leader_that_has_ended_is_removed() -> None:
    """A ReplicaSet replaces an evicted leader and lets it lie; its group goes all the same."""
    async with hash_cluster() as found:
        cluster = found.cluster
        leaders = await found.up(replicas=2, size=2)
        await cluster.drills.pod_evict(leaders[0]["metadata"]["name"])
        await cluster.quiet(5)
        await cluster.available(NAME)
        after = await found.leaders()
        assert len(after) == len(await found.worker_sets()) == 2
        assert key(leaders[0]) not in {key(each) for each in after}


@virtual_time
async def test_nd_11_a_deployment_of_somebody_else_blocks() -> None:
    """A Deployment of the set's name that is not ours is not written over; the set says why it stands still."""
    async with running(loops=WITHOUT_NODES) as cluster:
        found = Hashed(cluster)
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        await cluster.client.create(DEPLOYMENTS, {"metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": spec})
        await found.create(replicas=1, size=2)
        await cluster.quiet(3)
        (condition,) = (await found.status())["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "Blocked",
            "True",
            "DeploymentNotOwned",
        )
        assert await found.leaders() == []
        await cluster.client.delete(DEPLOYMENTS, NAMESPACE, NAME)
        await asyncio.sleep(70)
        assert len(await found.leaders()) == 1
        (blocked,) = [each for each in (await found.status())["conditions"] if each["type"] == "Blocked"]
        assert (blocked["status"], blocked["reason"]) == ("False", "DeploymentOwned")


@virtual_time
async def test_resilience_4_groups_that_are_not_as_wanted_are_told_by_key() -> None:
    """A group that stays unready is named in the status by the first digits of its key, with the pod at fault."""
    async with hash_cluster() as found:
        cluster = found.cluster
        leaders = await found.up(replicas=2, size=2, section={"restartPolicy": "None"})
        worker = f"{leaders[0]['spec']['hostname']}-1"
        await asyncio.sleep(60)
        await cluster.drills.pod_hang(worker)
        await asyncio.sleep(150)
        (group,) = (await found.status())["groups"]
        assert (group["index"], group["pod"], group["state"]) == (key(leaders[0])[:8], worker, "NotReady")
        assert (await found.conditions())["GroupsHealthy"] == "False"
        await cluster.drills.pod_resume(worker)
        await asyncio.sleep(150)
        assert "groups" not in await found.status()
        assert (await found.conditions())["GroupsHealthy"] == "True"


@virtual_time
async def test_a_set_and_its_groups_go_together() -> None:
    """Deleting the set leaves nothing behind."""
    async with hash_cluster() as found:
        await found.up(replicas=2, size=2)
        await found.cluster.client.delete(LEADERWORKERSETS, NAMESPACE, NAME)
        await found.cluster.quiet(5)
        assert await found.cluster.all(PODS) == []
        assert await found.cluster.all(DEPLOYMENTS) == []
        assert await found.worker_sets() == []


@virtual_time
async def test_n6_no_set_rolls_when_the_definition_is_swapped() -> None:
    """With a definition that lacks the new fields, and with them again, nothing is revised, restarted or rolled."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1, size=2))
        await cluster.available(NAME)
        before = {pod["metadata"]["uid"] for pod in await cluster.all(PODS)}
        name = "leaderworkersets.leaderworkerset.x-k8s.io"
        newer = await cluster.client.get(CUSTOMRESOURCEDEFINITIONS, "", name)
        for lacking in (True, False):
            live = await cluster.client.get(CUSTOMRESOURCEDEFINITIONS, "", name)
            live["spec"] = copy.deepcopy(newer["spec"])
            for field in ("groupIdentity", "groupReplacementPolicy") if lacking else ():
                for version in live["spec"]["versions"]:
                    del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][field]
            await cluster.client.update(CUSTOMRESOURCEDEFINITIONS, live)
            await asyncio.sleep(5)
            touched = {"metadata": {"annotations": {"touched": str(lacking)}}}
            await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, NAME, touched)
            await cluster.operators[0].stop()
            await cluster.start()
            await cluster.quiet(5)
            found = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, NAME)
            assert ("groupIdentity" in found["spec"]) is not lacking
            await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, NAME, {"spec": {"groupIdentity": "Ordinal"}})
            await cluster.quiet(5)
        assert {pod["metadata"]["uid"] for pod in await cluster.all(PODS)} == before
        assert len(await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)) == 1
        assert len(await cluster.events("CreatingRevision")) == 1


@virtual_time
async def test_n54_a_gate_of_another_release_is_lifted() -> None:
    """A leader with an index that is gated waits until the pods of its predecessor are gone, and no longer."""
    async with running(delays=Delays(stop=20.0)) as cluster:
        container = {"containers": [{"name": "main", "image": "app:1"}]}
        gate = {"spec": {**container, "schedulingGates": [{"name": labels.REPLACEMENT_GATE}]}}
        section = {"leaderTemplate": gate, "restartPolicy": "None"}
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1, size=2, section=section))
        await cluster.available(NAME)
        await cluster.client.delete(PODS, NAMESPACE, f"{NAME}-0", grace_period_seconds=0)
        await asyncio.sleep(3)
        leader = await cluster.client.get(PODS, NAMESPACE, f"{NAME}-0")
        assert gates(leader) == [labels.REPLACEMENT_GATE]
        assert await cluster.events("GroupReplacementDeferred") == [
            f"Leader pod {NAME}-0 waits for previous group 0 pods to be removed before scheduling"
        ]
        await cluster.until(lambda: _admitted(cluster), seconds=40)
        await cluster.available(NAME)


async def _admitted(cluster: Cluster) -> bool:
    return gates(await cluster.client.get(PODS, NAMESPACE, f"{NAME}-0")) == []


@virtual_time
async def test_a_set_at_rest_costs_nothing() -> None:
    """Of a set that is whole nothing is written, nor after a restart of the controller."""
    async with hash_cluster() as found:
        await found.up(replicas=2, size=2)
        begin = len(found.cluster.counted())
        await asyncio.sleep(120)
        await found.cluster.operators[0].stop()
        await found.cluster.start()
        await asyncio.sleep(60)
        assert found.cluster.counted()[begin:] == []


@virtual_time
async def test_without_the_right_to_deployments_only_keyed_sets_wait() -> None:
    """What the operator may not list keeps no other set from working; what waits for it says so by its failing."""
    async with hash_cluster() as found:
        cluster = found.cluster

        def forbid(inner: Transport) -> Transport:
            return Refusing(inner)

        await cluster.operators[0].stop()
        await cluster.start(forbid)
        await cluster.client.create(LEADERWORKERSETS, manifest("plain", replicas=1, size=2))
        await cluster.available("plain")
        await found.create(replicas=1, size=2)
        await asyncio.sleep(5)
        assert await found.leaders() == [
            each for each in await found.leaders() if each["metadata"]["labels"][labels.NAME] == "plain"
        ]


class Refusing(Forwarding):
    """A transport on which nobody may read Deployments."""

    async def send(self, request: Request) -> Response:
        """Refuse, or pass on."""
        if "/deployments" in request.path and request.method == "GET":
            return Response(403, {}, b'{"kind":"Status","code":403,"reason":"Forbidden","message":"no"}')
        return await self._inner.send(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Refuse, or pass on."""
        if "/deployments" in request.path:
            raise ForbiddenError(403, "Forbidden", "no")
        async with self._inner.stream(request) as stream:
            yield stream
