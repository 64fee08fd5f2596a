"""Bounded recovery on the sandbox, in virtual time (next 5, N26 to N33, N55)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, PODS, STATEFULSETS
from lws.client.transport import Transport
from lws.errors import ServerError
from tests.reconcilers.test_recovery import uids, up
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.simulation.hashed import HASH_LOOPS
from tests.virtual import virtual_time

EXCEEDED = "Restart budget exhausted; terminated group {} and stopped automatic recovery"
RECOVER = {"metadata": {"annotations": {labels.RECOVER: "true"}}}


def limited(limit: int, **section: Any) -> dict[str, Any]:
    """Arguments of a set whose groups may be recreated so often."""
    return {"section": {"maxGroupRestarts": limit, **section}}


async def counts(cluster: Cluster) -> dict[str, int]:
    """The stored counts by group index."""
    found = (await the_set(cluster))["metadata"].get("annotations", {}).get(labels.GROUP_RESTART_COUNTS)
    return {} if found is None else {key.partition("/")[2]: count for key, count in json.loads(found).items()}


async def the_set(cluster: Cluster) -> JSON:
    """The set as it is."""
    return await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")


async def conditions(cluster: Cluster) -> dict[str, str]:
    """Statuses by type."""
    return {each["type"]: each["status"] for each in (await the_set(cluster))["status"]["conditions"]}


async def retained(cluster: Cluster) -> dict[str, str | None]:
    """The pods that are held back, with the time of their deletion."""
    return {
        each["metadata"]["name"]: each["metadata"].get("deletionTimestamp")
        for each in await cluster.all(PODS)
        if labels.RESTART_BUDGET_CLEANUP in each["metadata"].get("finalizers", ())
    }


async def fail(cluster: Cluster, pod: str = "sample-0-1", times: int = 1) -> None:
    """Crash a container of the pod so often, each time once its group is whole."""
    for _ in range(times):
        await cluster.drills.pod_crash(pod)
        await cluster.quiet(5)


async def exhaust(cluster: Cluster, limit: int = 1, group: int = 0, **arguments: Any) -> Mapping[str, str]:
    """A set one of whose groups has spent its budget; pod UIDs by name before that."""
    section = {**limited(limit)["section"], **arguments.pop("section", {})}
    before = await up(cluster, section=section, **arguments)
    await fail(cluster, f"sample-{group}-1", limit + 1)
    return before


@virtual_time
async def test_n26_budget_is_spent_then_the_group_is_terminated() -> None:
    """Two failures are recovered and counted; the third ends the group, which stays as evidence; the other runs."""
    async with running() as cluster:
        before = await up(cluster, **limited(2))
        for spent in (1, 2):
            await fail(cluster)
            assert await counts(cluster) == {"0": spent}
            assert len(await cluster.events("RecreateGroup")) == spent
        await fail(cluster)
        held = await retained(cluster)
        assert sorted(held) == ["sample-0", "sample-0-1", "sample-0-2"]
        assert all(held.values())
        assert await counts(cluster) == {"0": 2}
        told = await cluster.events("ReplicaRestartBudgetExceeded")
        halted = "Automatic recovery is stopped for one or more replicas, with 1 groups ready of total 2 groups"
        assert sorted(told) == sorted([EXCEEDED.format(0), halted])
        assert len(await cluster.events("RecreateGroup")) == 2
        states = {"Available": "False", "Progressing": "False", "UpdateInProgress": "False", "Degraded": "True"}
        assert states.items() <= (await conditions(cluster)).items()
        leader = await cluster.client.get(PODS, NAMESPACE, "sample-0")
        assert leader["metadata"]["annotations"][labels.RESTART_BUDGET_EXHAUSTED] == "true"
        after = {each["metadata"]["name"]: each["metadata"]["uid"] for each in await cluster.all(PODS)}
        assert all(after[name] == before[name] for name in after if name.startswith("sample-1"))
        leader_set = await cluster.client.get(STATEFULSETS, NAMESPACE, "sample")
        assert not any("restart" in key for key in leader_set["metadata"].get("annotations", {}))
        assert (await the_set(cluster))["status"]["readyReplicas"] == 1


@virtual_time
async def test_n27_no_restart_at_all() -> None:
    """With a budget of 0 the first failure ends the group, and nothing is counted."""
    async with running() as cluster:
        await up(cluster, **limited(0))
        await fail(cluster, "sample-1")
        assert sorted(await retained(cluster)) == ["sample-1", "sample-1-1", "sample-1-2"]
        assert await counts(cluster) == {}


@virtual_time
async def test_n28_n30_only_recover_brings_the_group_back() -> None:
    """A raised or removed limit recovers nothing and makes no revision; the annotation brings a full budget back."""
    async with running() as cluster:
        await exhaust(cluster)
        for limit in (5, None):
            patch = {"spec": {"leaderWorkerTemplate": {"maxGroupRestarts": limit}}}
            await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", patch)
            await cluster.quiet(5)
            assert len(await retained(cluster)) == 3
        own = [each for each in await cluster.all(CONTROLLERREVISIONS) if "data" in each]
        assert len({each["metadata"]["labels"].get(labels.REVISION) for each in own if _ours(each)}) == 1
        await cluster.client.patch(PODS, NAMESPACE, "sample-0", RECOVER)
        await cluster.available("sample")
        assert await counts(cluster) == {}
        assert await retained(cluster) == {}
        told = (await the_set(cluster))["status"]["conditions"]
        assert {each["type"]: each["reason"] for each in told}["Degraded"] == "AsExpected"
        leader = await cluster.client.get(PODS, NAMESPACE, "sample-0")
        assert labels.RECOVER not in leader["metadata"]["annotations"]


@pytest.mark.long
@virtual_time
async def test_n29_recovery_asked_for_too_early_is_forgotten() -> None:
    """An annotation that was set on a healthy leader does not undo the end of its group."""
    async with running() as cluster:
        await up(cluster, **limited(0))
        await cluster.client.patch(PODS, NAMESPACE, "sample-0", RECOVER)
        await fail(cluster)
        assert len(await retained(cluster)) == 3
        leader = await cluster.client.get(PODS, NAMESPACE, "sample-0")
        assert labels.RECOVER not in leader["metadata"]["annotations"]


@pytest.mark.long
@pytest.mark.parametrize("replicas", [2, 3])
@virtual_time
async def test_n31_rollout_replaces_an_exhausted_group(replicas: int) -> None:
    """A new revision reaches the exhausted group too, counts from zero, and the counts of the old one go."""
    async with running() as cluster:
        await exhaust(cluster, replicas=replicas)
        template = {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}
        patch = {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", patch)
        await cluster.available("sample")
        await cluster.quiet(5)
        images = {each["spec"]["containers"][0]["image"] for each in await cluster.all(PODS)}
        assert (images, await retained(cluster)) == ({"app:2"}, {})
        assert await counts(cluster) == {}
        assert (await conditions(cluster))["Degraded"] == "False"
        await fail(cluster)
        assert await counts(cluster) == {"0": 1}


@virtual_time
async def test_n32_scale_down_releases_without_recovery() -> None:
    """An exhausted group that is scaled away is released, its count goes, and the set is not degraded any more."""
    async with running() as cluster:
        await exhaust(cluster, group=2, replicas=3)
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": 2}})
        await cluster.available("sample")
        await cluster.quiet(5)
        assert (await counts(cluster), await retained(cluster)) == ({}, {})
        assert len(await cluster.all(PODS)) == 6
        assert (await conditions(cluster))["Degraded"] == "False"


@pytest.mark.long
@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
@virtual_time
async def test_n33_deletion_of_the_set_releases_everything(propagation: str) -> None:
    """Nothing is left of a degraded set that is deleted."""
    async with running() as cluster:
        await exhaust(cluster)
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "sample", propagation=propagation)
        await cluster.quiet(10)
        assert await cluster.all(PODS) == []
        assert await cluster.all(STATEFULSETS) == []


@pytest.mark.long
@pytest.mark.parametrize("value", ["[]", '{"k/x":1}'])
@virtual_time
async def test_n55_unreadable_counts_stop_recovery_alone(value: str) -> None:
    """Counts that nobody can read are told of once; scaling goes on, and no group is deleted until they are gone."""
    async with running() as cluster:
        await up(cluster, **limited(2))
        patch = {"metadata": {"annotations": {labels.GROUP_RESTART_COUNTS: value}}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", patch)
        await fail(cluster)
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": 3}})
        await cluster.quiet(5)
        assert len(await cluster.events("InvalidGroupRestartCounts")) == 1
        assert await cluster.events("RecreateGroup") == []
        assert len(await cluster.all(PODS)) == 9
        undone: JSON = {"metadata": {"annotations": {labels.GROUP_RESTART_COUNTS: None}}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", undone)
        await cluster.available("sample")
        await cluster.until(lambda: _counted(cluster, {"0": 1}))


@pytest.mark.parametrize("crash", [True, False])
@virtual_time
async def test_nd_25_no_failure_is_charged_twice(*, crash: bool) -> None:
    """A controller that dies, or is refused, between the count and the deletion has spent one restart, not two."""
    async with Cluster() as cluster:
        sent: list[str] = []

        def refusing(transport: Transport) -> Transport:
            wrote = transport.send

            async def send(request: Any) -> Any:
                if request.method == "DELETE" and "/pods/" in request.path and not sent:
                    sent.append(request.path)
                    raise ServerError(500, "InternalError", "injected")
                return await wrote(request)

            transport.send = send  # type: ignore[method-assign]
            return transport

        operator = await cluster.start(refusing)
        await up(cluster, **limited(1))
        await cluster.drills.pod_crash("sample-0-1")
        await cluster.until(lambda: _told(sent), every=0.01)
        if crash:
            await operator.crash()
            await cluster.start()
        await cluster.available("sample")
        await cluster.quiet(5)
        assert await counts(cluster) == {"0": 1}
        assert (await retained(cluster), len(await cluster.events("RecreateGroup"))) == ({}, 1)


async def _told(sent: list[str]) -> bool:
    return bool(sent)


async def _counted(cluster: Cluster, wanted: dict[str, int]) -> bool:
    return await counts(cluster) == wanted


def _ours(revision: JSON) -> bool:
    return "controller.kubernetes.io/hash" not in revision["metadata"]["labels"]


@pytest.mark.long
@virtual_time
async def test_nd_26_worker_whose_leader_was_forced_away_is_released() -> None:
    """A leader that somebody tears out of its retained group leaves no worker behind that blocks the next group."""
    async with running() as cluster:
        await exhaust(cluster)
        drop = {"metadata": {"finalizers": None}}
        await cluster.client.patch(PODS, NAMESPACE, "sample-0", drop)
        await cluster.available("sample")
        assert await retained(cluster) == {}


def test_manifest_takes_the_limit() -> None:
    """The helper writes the limit where the API has it."""
    assert manifest(**limited(3))["spec"]["leaderWorkerTemplate"]["maxGroupRestarts"] == 3


def _leaders(pods: list[JSON]) -> dict[str, JSON]:
    """Live leaders by name."""
    return {
        each["metadata"]["name"]: each
        for each in pods
        if each["metadata"]["labels"].get(labels.WORKER_INDEX) == "0" and not each["metadata"].get("deletionTimestamp")
    }


async def exhaust_by_key(cluster: Cluster, **arguments: Any) -> tuple[str, str]:
    """A set known by keys, of which one of two groups spent a budget of 1: the other leader, and the exhausted one."""
    await up(cluster, **limited(1), groupIdentity="Hash", **arguments)
    kept, first = sorted(_leaders(await cluster.all(PODS)))
    await cluster.drills.pod_crash(first)
    await cluster.quiet(12)
    await cluster.available("sample")
    assert list((await counts(cluster)).values()) == [1]
    (second,) = _leaders(await cluster.all(PODS)).keys() - {kept}
    await cluster.drills.pod_crash(second)
    await cluster.quiet(12)
    assert len(await retained(cluster)) == 3
    return kept, second


@virtual_time
async def test_n35_replacement_of_an_exhausted_group_waits_for_recovery() -> None:
    """Even under Immediate the new leader stays gated; the count that it inherits is gone with the recovery."""
    async with running(loops=HASH_LOOPS) as cluster:
        kept, ended = await exhaust_by_key(cluster, groupReplacementPolicy="Immediate")
        (waiting,) = _leaders(await cluster.all(PODS)).keys() - {kept}
        gates = (await cluster.client.get(PODS, NAMESPACE, waiting))["spec"]["schedulingGates"]
        assert [gate["name"] for gate in gates] == [labels.REPLACEMENT_GATE]
        assert (await conditions(cluster))["Degraded"] == "True"
        await cluster.client.patch(PODS, NAMESPACE, ended, RECOVER)
        await cluster.available("sample")
        assert sorted(_leaders(await cluster.all(PODS))) == sorted((kept, waiting))
        assert (await counts(cluster), await retained(cluster)) == ({}, {})
        assert (await conditions(cluster))["Degraded"] == "False"


@pytest.mark.long
@virtual_time
async def test_n56_scale_down_by_key_spares_the_healthy_group() -> None:
    """The exhausted group goes with its count, the healthy one stays."""
    async with running(loops=HASH_LOOPS) as cluster:
        kept, _ = await exhaust_by_key(cluster)
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": 1}})
        await cluster.available("sample")
        await cluster.quiet(5)
        assert list(_leaders(await cluster.all(PODS))) == [kept]
        assert (await counts(cluster), await retained(cluster)) == ({}, {})


@pytest.mark.long
@virtual_time
async def test_n31_rollout_by_key_releases_an_exhausted_group() -> None:
    """A new revision takes the place of the exhausted group, and the old counts go."""
    async with running(loops=HASH_LOOPS) as cluster:
        await exhaust_by_key(cluster)
        template = {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}
        patch = {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", patch)
        await cluster.available("sample")
        await cluster.quiet(12)
        assert {each["spec"]["containers"][0]["image"] for each in await cluster.all(PODS)} == {"app:2"}
        assert (await counts(cluster), await retained(cluster)) == ({}, {})


@pytest.mark.long
@pytest.mark.parametrize("by_key", [False, True])
@virtual_time
async def test_degraded_set_of_the_reference_is_taken_over_as_it_is(*, by_key: bool) -> None:
    """What only we write is taken away: the next controller restarts no pod, recovers none, and recovery works."""
    async with running(loops=HASH_LOOPS) as cluster:
        if by_key:
            _, ended = await exhaust_by_key(cluster)
        else:
            await exhaust(cluster)
            ended = "sample-0"
        await cluster.operators[0].stop()
        ours: JSON = {"metadata": {"annotations": {labels.RESTART_CHARGED: None}}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", ours)
        before = await uids(cluster)
        await cluster.start()
        await cluster.quiet(12)
        assert await uids(cluster) == before
        assert ((await conditions(cluster))["Degraded"], len(await retained(cluster))) == ("True", 3)
        await cluster.client.patch(PODS, NAMESPACE, ended, RECOVER)
        await cluster.available("sample")
        assert (await counts(cluster), await retained(cluster)) == ({}, {})
