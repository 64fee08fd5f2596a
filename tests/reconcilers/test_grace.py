"""Failed members that are replaced before their group is, on the sandbox, in virtual time (resilience 7)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lws.api.leaderworkerset.policykeys import RECOVERY_GRACE
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.reconcilers.test_backoff import status
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.virtual import virtual_time

WORKER, LEADER = "sample-1-2", "sample-1"
GRACE = 300.0


async def up(cluster: Cluster, *, grace: str = "5m", **arguments: Any) -> None:
    """Bring a set of two groups of four up whose failed members are replaced first."""
    metadata = {"annotations": {RECOVERY_GRACE: grace}}
    await cluster.client.create(LEADERWORKERSETS, manifest(size=4, metadata=metadata, **arguments))
    await cluster.available("sample")
    await cluster.quiet(3)


async def uid(cluster: Cluster, name: str = LEADER) -> str:
    """The UID of a pod; empty without it."""
    found = await cluster.get(PODS, name)
    return "" if found is None else str(found["metadata"]["uid"])


async def failures(cluster: Cluster) -> list[JSON]:
    """What is recorded, newest first."""
    found: list[JSON] = (await status(cluster)).get("failures", [])
    return found


async def led_anew(cluster: Cluster, leader: str, **how: float) -> None:
    """Wait until the group has another leader than this one."""

    async def holds() -> bool:
        return await uid(cluster) not in ("", leader)

    await cluster.until(holds, **how)


async def healed(cluster: Cluster, count: int = 1) -> None:
    """Wait until so many failures are recorded as healed."""

    async def holds() -> bool:
        return sum(1 for each in await failures(cluster) if each.get("healed")) == count

    await cluster.until(holds, every=1.0)
    await cluster.quiet(12)


async def restarts(cluster: Cluster, name: str) -> int:
    """How often the containers of a pod were restarted."""
    pod = await cluster.client.get(PODS, NAMESPACE, name)
    return sum(each["restartCount"] for each in pod["status"]["containerStatuses"])


@virtual_time
async def test_r21_a_worker_that_comes_back_in_time_costs_its_group_nothing() -> None:
    """R21: a crash healed in two minutes is recorded as healed, not counted, and recreates nothing."""
    async with running(delays=Delays(ready=120.0)) as cluster:
        await up(cluster)
        leader, worker = await uid(cluster), await uid(cluster, WORKER)
        await cluster.drills.pod_oom(WORKER)

        async def noticed() -> bool:
            return bool(await failures(cluster))

        await cluster.until(noticed, seconds=15)
        (failure,) = await failures(cluster)
        assert (failure["pod"], failure["reason"], failure["exitCode"]) == (WORKER, "OOMKilled", 137)
        assert "healed" not in failure
        await healed(cluster)
        (failure,) = await failures(cluster)
        assert (failure["pod"], failure["healed"], failure.get("restarts")) == (WORKER, True, None)
        assert "restarts" not in await status(cluster)
        assert (await uid(cluster), await uid(cluster, WORKER)) == (leader, worker)
        assert await restarts(cluster, WORKER) == 1
        assert await cluster.events("RecreateGroup") == []
        (begun,) = await cluster.events("GroupHealing")
        assert begun.startswith(f"Group 1 failed: container main of pod {WORKER} on node node-")
        assert begun.endswith("; recreated unless it is ready again in 5m0s")
        (over,) = await cluster.events("GroupHealed")
        assert over.startswith("Group 1 is ready again after 2m0s, and not recreated: container main of pod")


@virtual_time
async def test_r21_a_deleted_worker_is_replaced_and_its_group_stays() -> None:
    """R21: a worker that is deleted is replaced alone and recorded as healed; what fails next is recorded too."""
    async with running() as cluster:
        await up(cluster)
        leader, worker = await uid(cluster), await uid(cluster, WORKER)
        await cluster.client.delete(PODS, NAMESPACE, WORKER, grace_period_seconds=0)
        await healed(cluster)
        assert await uid(cluster) == leader
        assert await uid(cluster, WORKER) != worker
        (failure,) = await failures(cluster)
        assert failure["pod"] == WORKER
        assert await cluster.events("RecreateGroup") == []
        await cluster.drills.pod_crash(LEADER)

        async def counted() -> bool:
            return len(await failures(cluster)) > 1

        await cluster.until(counted, seconds=30)
        newest, older = await failures(cluster)
        assert (newest["pod"], newest["restarts"], newest.get("healed")) == (LEADER, 1, None)
        assert older["healed"] is True


@virtual_time
async def test_r21_a_worker_that_does_not_come_back_costs_its_group_at_the_end() -> None:
    """R21: what is not healed within five minutes recreates the group then, once, counted, under the first failure."""
    async with running() as cluster:
        await up(cluster)
        leader, began = await uid(cluster), cluster.clock.monotonic()
        await cluster.drills.pod_crash_loop(WORKER, code=3)

        await asyncio.sleep(GRACE - 5)
        await led_anew(cluster, leader)
        assert GRACE <= cluster.clock.monotonic() - began <= GRACE + 15
        await cluster.drills.pod_heal(WORKER)
        await cluster.available("sample")
        await cluster.quiet(12)
        (failure,) = await failures(cluster)
        assert (failure["pod"], failure["restarts"]) == (WORKER, 1)
        assert "healed" not in failure
        assert len(await cluster.events("RecreateGroup")) == 1
        (note,) = await cluster.events("GroupFailed")
        assert note.endswith("; recreation 1")


@virtual_time
async def test_r21_a_leader_that_crashes_costs_its_group_at_once() -> None:
    """R21: a fault of the leader recreates the group at once, whether it is ready again or not."""
    async with running() as cluster:
        await up(cluster)
        leader, began = await uid(cluster), cluster.clock.monotonic()
        await cluster.drills.pod_crash(LEADER)

        await led_anew(cluster, leader)
        assert cluster.clock.monotonic() - began < 30
        await cluster.available("sample")
        await cluster.quiet(12)
        (failure,) = await failures(cluster)
        assert (failure["pod"], failure["restarts"]) == (LEADER, 1)


@pytest.mark.long
@pytest.mark.parametrize("policy", ["RecreateGroupOnPodRestart", "RecreateGroupAfterStart"])
@virtual_time
async def test_r39_no_failover_recreates_what_healed_and_spec_9_1_does_once_the_grace_is_gone(policy: str) -> None:
    """R39: healed twice, three failovers recreate nothing; without the annotation the restarts count again."""
    async with running() as cluster:
        await up(cluster, section={"restartPolicy": policy})
        leaders = [await uid(cluster, name) for name in ("sample-0", LEADER)]
        for count, worker in enumerate((WORKER, "sample-1-1"), start=1):
            await cluster.drills.pod_oom(worker)
            await healed(cluster, count)
        for _ in range(3):
            await cluster.operators[0].crash()
            await cluster.start()
            await cluster.quiet(30)
        assert [await uid(cluster, name) for name in ("sample-0", LEADER)] == leaders
        assert await cluster.events("RecreateGroup") == []
        assert len(await failures(cluster)) == 2
        await cluster.client.patch(
            LEADERWORKERSETS, NAMESPACE, "sample", {"metadata": {"annotations": {RECOVERY_GRACE: None}}}
        )

        await led_anew(cluster, leaders[1], seconds=30)
        await cluster.available("sample")
        await cluster.quiet(12)
        assert await uid(cluster, "sample-0") == leaders[0]
        assert len(await cluster.events("RecreateGroup")) == 1


@pytest.mark.long
@virtual_time
async def test_r39_a_failover_in_the_middle_goes_on_with_the_same_time() -> None:
    """R39: a failure that is not over when the controller ends recreates its group at the time that was given."""
    async with running() as cluster:
        await up(cluster)
        leader, began = await uid(cluster), cluster.clock.monotonic()
        await cluster.drills.pod_crash_loop(WORKER)
        await asyncio.sleep(150)
        await cluster.operators[0].crash()
        await cluster.start()

        await led_anew(cluster, leader, every=2.0)
        assert GRACE <= cluster.clock.monotonic() - began <= GRACE + 15
        assert len(await failures(cluster)) == 1


@pytest.mark.long
@virtual_time
async def test_a_second_failure_does_not_lengthen_the_time() -> None:
    """The time runs from the first failure that a group has not got over, however many follow."""
    async with running() as cluster:
        await up(cluster, grace="1m")
        leader, began = await uid(cluster), cluster.clock.monotonic()
        await cluster.drills.pod_crash_loop(WORKER)
        await asyncio.sleep(40)
        await cluster.client.delete(PODS, NAMESPACE, "sample-1-1", grace_period_seconds=0)

        await led_anew(cluster, leader)
        assert 60 <= cluster.clock.monotonic() - began <= 75


@virtual_time
async def test_a_pod_without_its_label_is_no_failure_under_grace_either() -> None:
    """A worker that only lost its label is named, as ever, and no failure is recorded (resilience 2.3)."""
    async with running() as cluster:
        await up(cluster, grace="30s")
        leader = await uid(cluster)
        label = {"metadata": {"labels": {"leaderworkerset.sigs.k8s.io/name": None}}}
        await cluster.client.patch(PODS, NAMESPACE, WORKER, label)
        await asyncio.sleep(90)
        assert await uid(cluster) == leader
        assert await failures(cluster) == []
        assert len(await cluster.events("LostLabel")) == 1
