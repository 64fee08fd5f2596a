"""Rollouts that one can steer, on the sandbox, in virtual time (resilience 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, PODS, STATEFULSETS
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.simulation.moving import watching
from tests.virtual import virtual_time

BROKEN = {"spec": {"containers": [{"name": "bad", "image": "broken:1"}]}}  # no node can pull the image of "bad"


def policies(**values: str) -> JSON:
    """Metadata with these annotations of ours."""
    return {"annotations": {f"{PREFIX}{key.replace('_', '-')}": value for key, value in values.items()}}


async def annotate(cluster: Cluster, **values: str | None) -> None:
    """Set or remove annotations of ours."""
    given = {f"{PREFIX}{key.replace('_', '-')}": value for key, value in values.items()}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"metadata": {"annotations": given}})


async def up(cluster: Cluster, **arguments: Any) -> None:
    """Bring a set up."""
    await cluster.client.create(LEADERWORKERSETS, manifest(**arguments))
    await cluster.available("sample")
    await cluster.quiet(3)


async def edit(cluster: Cluster, image: str) -> None:
    """Give the set another image."""
    template = {"spec": {"containers": [{"name": "main", "image": image}]}}
    change = {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", change)


async def images(cluster: Cluster) -> dict[int, str]:
    """The image of each leader, by index."""
    pods = await cluster.all(PODS, f"{labels.WORKER_INDEX}=0")
    return {
        int(each["metadata"]["labels"][labels.GROUP_INDEX]): each["spec"]["containers"][0]["image"] for each in pods
    }


async def condition(cluster: Cluster, kind: str) -> tuple[str, str] | None:
    """Status and reason of a condition of the set."""
    found = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
    every = (found.get("status") or {}).get("conditions") or ()
    return next(((each["status"], each["reason"]) for each in every if each["type"] == kind), None)


def holding(cluster: Cluster, kind: str, status: str) -> Callable[[], Awaitable[bool]]:
    """Whether a condition has this status."""

    async def holds() -> bool:
        found = await condition(cluster, kind)
        return found is not None and found[0] == status

    return holds


async def partition(cluster: Cluster) -> int:
    """The partition of the leader StatefulSet."""
    found = await cluster.client.get(STATEFULSETS, NAMESPACE, "sample")
    return int(found["spec"]["updateStrategy"]["rollingUpdate"].get("partition", 0))


@virtual_time
async def test_r14_a_pause_holds_old_groups_and_lets_new_ones_come() -> None:
    """R14: paused, a rollout replaces nothing; groups that a scaling adds are of the new revision; resumed, it ends."""
    async with running() as cluster:
        await up(cluster, replicas=4, size=2, metadata=policies(rollout="paused"))
        await edit(cluster, "app:2")
        await cluster.until(holding(cluster, "Paused", "True"))
        await cluster.quiet(5)
        assert set((await images(cluster)).values()) == {"app:1"}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": 6}})
        await cluster.quiet(5)
        assert await images(cluster) == {0: "app:1", 1: "app:1", 2: "app:1", 3: "app:1", 4: "app:2", 5: "app:2"}
        await annotate(cluster, rollout=None)
        await cluster.available("sample")
        assert set((await images(cluster)).values()) == {"app:2"}
        assert await condition(cluster, "Paused") == ("False", "RolloutResumed")


@pytest.mark.long
@virtual_time
async def test_r30_a_pause_in_the_middle_stops_at_what_was_released() -> None:
    """R30: paused when groups are being replaced, at most those that were released go, and none after them."""
    async with running() as cluster:
        await up(cluster, replicas=6, size=2, rolling={"maxUnavailable": 2})
        await edit(cluster, "app:2")

        async def begun() -> bool:
            return "app:2" in (await images(cluster)).values()

        await cluster.until(begun, every=0.1)
        await annotate(cluster, rollout="paused")
        await cluster.quiet(10)
        held = await images(cluster)
        assert 1 <= sum(image == "app:2" for image in held.values()) <= 4
        assert held[0] == held[1] == "app:1"
        await asyncio.sleep(120)
        assert await images(cluster) == held
        await annotate(cluster, rollout=None)
        await cluster.available("sample")
        assert set((await images(cluster)).values()) == {"app:2"}


async def revisions(cluster: Cluster) -> list[tuple[int, str]]:
    """Number and key of the set's own revisions."""
    found = await cluster.all(CONTROLLERREVISIONS, f"{labels.NAME}=sample,!controller.kubernetes.io/hash")
    return sorted((each["revision"], each["metadata"]["labels"][labels.REVISION]) for each in found)


@pytest.mark.long
@virtual_time
async def test_r15_history_keeps_earlier_revisions_and_undo_reuses_them() -> None:
    """R15: of seven updates the last five revisions stay beside the current one; an old template has its key again."""
    async with running() as cluster:
        await up(cluster, replicas=1, size=1, metadata=policies(revision_history_limit="5"))
        for number in range(2, 9):
            await edit(cluster, f"app:{number}")
            await cluster.available("sample")
            await cluster.quiet(3)
        kept = await revisions(cluster)
        assert [number for number, _ in kept] == [3, 4, 5, 6, 7, 8]
        await edit(cluster, "app:5")
        await cluster.available("sample")
        await cluster.quiet(3)
        after = await revisions(cluster)
        assert len(after) == 6
        assert after[-1] == (9, dict(kept)[5])


@pytest.mark.long
@virtual_time
async def test_r29_history_is_no_reason_for_surge() -> None:
    """R29: with earlier revisions kept, a set at rest that loses a group makes no surge group."""
    async with running() as cluster:
        surge = {"maxSurge": 1, "maxUnavailable": 0}
        await up(cluster, replicas=2, size=2, rolling=surge, metadata=policies(revision_history_limit="5"))
        await edit(cluster, "app:2")
        await cluster.available("sample")
        await cluster.quiet(3)
        assert len(await revisions(cluster)) == 2
        before = len(cluster.writes)
        await cluster.drills.pod_crash("sample-1-1")
        await cluster.quiet(5)
        await cluster.available("sample")
        written = [each for each in cluster.counted(before) if (each.resource, each.name) == ("statefulsets", "sample")]
        assert written == []


async def break_rollout(cluster: Cluster, rolling: JSON | None = None, **chosen: str) -> None:
    """Begin a rollout with an image that cannot be pulled, and a deadline of ten minutes."""
    for index in range(9):
        cluster.sandbox.loops.kubelets.faults.image((NAMESPACE, f"sample-{index}"), "bad")
    await up(cluster, replicas=8, size=2, rolling=rolling, metadata=policies(progress_deadline="10m", **chosen))
    change = {"spec": {"leaderWorkerTemplate": {"workerTemplate": BROKEN}}}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", change)


@pytest.mark.long
@virtual_time
async def test_r13_a_broken_image_breaks_two_groups_and_is_held() -> None:
    """R13: with U 1, S 1 two groups at most are broken; past the deadline the set is Stalled; an edit repairs it."""
    async with running() as cluster:
        await break_rollout(cluster, {"maxUnavailable": 1, "maxSurge": 1})
        await cluster.until(holding(cluster, "Stalled", "True"), seconds=900, every=2)
        told_of = (await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample"))["status"]["rollout"]
        assert set(told_of) == {"revision", "progressTime"}
        found = await images(cluster)
        assert sum(image == "broken:1" for image in found.values()) <= 2
        before = await partition(cluster)
        await asyncio.sleep(300)
        assert await partition(cluster) == before
        (note,) = await cluster.events("RolloutStalled")
        assert note.endswith("it is held until there is progress, or an edit")
        await edit(cluster, "app:3")
        await cluster.available("sample")
        assert set((await images(cluster)).values()) == {"app:3"}
        assert await condition(cluster, "Stalled") == ("False", "RolloutProgressing")


async def told(cluster: Cluster, reason: str) -> bool:
    """Whether an event of this reason was recorded."""
    return bool(await cluster.events(reason))


FULL = {"resources": {"requests": {"cpu": "300"}}}


async def without_room(cluster: Cluster, **chosen: str) -> None:
    """Begin a rollout by surge on nodes that are full: two of 640 CPUs, four pods of 300."""
    template = {"spec": {"containers": [{"name": "main", "image": "app:1", **FULL}]}}
    surge = {"maxSurge": 1, "maxUnavailable": 0}
    await up(
        cluster, replicas=2, size=2, rolling=surge, section={"workerTemplate": template}, metadata=policies(**chosen)
    )
    template = {"spec": {"containers": [{"name": "main", "image": "app:2", **FULL}]}}
    change = {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", change)


@virtual_time
async def test_r16_surge_without_room_falls_back_to_one_group_at_a_time() -> None:
    """R16: after the time that was chosen groups are taken down one by one, to the last; one event says so."""
    async with running(nodes=2) as cluster:
        await without_room(cluster, surge_fallback="2m")
        async with watching(cluster) as seen:
            await asyncio.sleep(100)
            assert set((await images(cluster)).values()) == {"app:1", "app:2"}
            assert await cluster.events("SurgeUnschedulable") == []
            await cluster.available("sample", seconds=1200)
        assert await images(cluster) == {0: "app:2", 1: "app:2"}
        assert seen["sample"].least == 1
        assert len(await cluster.events("SurgeUnschedulable")) == 1


@virtual_time
async def test_r16_room_in_time_needs_no_fallback() -> None:
    """R16: with room after 90 s the surge group comes up, and no group is ever missing."""
    async with running(nodes=2) as cluster:
        await without_room(cluster, surge_fallback="2m")
        async with watching(cluster) as seen:
            await asyncio.sleep(90)
            for name in ("node-8", "node-9"):
                await cluster.drills.node_add(name, "node-1")
            await cluster.available("sample", seconds=1200)
        assert await images(cluster) == {0: "app:2", 1: "app:2"}
        assert seen["sample"].least == 2
        assert await cluster.events("SurgeUnschedulable") == []


@virtual_time
async def test_r16_without_the_annotation_it_is_only_reported() -> None:
    """R16: without a fallback the rollout waits, and the status says for what."""
    async with running(nodes=2) as cluster:
        await without_room(cluster)
        await asyncio.sleep(900)
        assert (await images(cluster))[0] == "app:1"
        found = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
        assert [each["reason"] for each in found["status"]["groups"]] == ["Unschedulable"]
