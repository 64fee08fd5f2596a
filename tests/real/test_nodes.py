"""Nodes that are lost, against a real API server too: there a node is an object whose status somebody writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import LEASES, NODES, PODS
from lws.cli.kubectl.observe import observe
from lws.client.api import STRATEGIC_MERGE_PATCH
from lws.errors import NotFoundError
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose
from lws.planning.leaderworkerset.diagnosis.words import sentences
from tests.real.planes import Plane
from tests.real.test_restart_budget import retained
from tests.real.world import World

RELEASE = 60.0  # seconds; the shortest that is allowed


async def tell(world: World, node: str, status: str) -> None:
    """Have a node's Ready condition say this from now on."""
    change = {"status": {"conditions": [ready(world, status)]}}
    await world.client.patch(NODES, "", node, change, content_type=STRATEGIC_MERGE_PATCH, subresource="status")


async def unready(world: World, pod: str) -> None:
    """Have a pod be not ready, as the node controller has those of a node that is not."""
    change = {"status": {"conditions": [ready(world, "False")]}}
    where = (PODS, world.namespace, pod)
    await world.client.patch(*where, change, content_type=STRATEGIC_MERGE_PATCH, subresource="status")


def ready(world: World, status: str) -> JSON:
    """A Ready condition that turned now."""
    now = world.env.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "Ready", "status": status, "reason": "Told", "lastTransitionTime": now}


async def renew(world: World, node: str) -> None:
    """Keep a node heard of, as the lease of a kubelet that lives does."""
    while True:
        now = world.env.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with suppress(NotFoundError):  # without heartbeats there are no leases
            await world.client.patch(LEASES, "kube-node-lease", node, {"spec": {"renewTime": now}})
        await asyncio.sleep(10)


@asynccontextmanager
async def stopped(world: World, *silent: str, reporting: str = "") -> AsyncIterator[None]:
    """The kubelets of these nodes do nothing meanwhile; of one something is heard still."""
    fleet, every = world.loops.fleet, [each for each in (*silent, reporting) if each]
    fleet.failed.update(every)
    renewing = asyncio.create_task(renew(world, reporting)) if reporting else None
    try:
        yield
    finally:
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        for node in every:
            fleet.failed.discard(node)
            await tell(world, node, "True")
            world.loops.kubelets.wake_node(node)


def node_of(world: World, pod: str) -> str:
    """Where a pod is; empty if it is nowhere yet."""
    found = world.get(PODS, pod)
    return "" if found is None else str(found["spec"].get("nodeName", ""))


def ended(world: World) -> list[str]:
    """Pods that were ended without grace."""
    deletions = [each for each in world.counted() if each.method == "DELETE" and each.resource == "pods"]
    return [each.name for each in deletions if b'"gracePeriodSeconds":0' in each.body]


async def told_of(world: World, name: str) -> JSON:
    """What the status of a set tells of a group on a lost node."""

    def told() -> list[JSON]:
        lws = world.get(LEADERWORKERSETS, name)
        groups = ((lws or {}).get("status") or {}).get("groups", ())
        return [each for each in groups if each["reason"] == "NodeLost"]

    await world.until(lambda: bool(told()), f"a lost node in the status of {name}")
    return told()[0]


def test_r09_r10_r37_lost_nodes_are_named_and_only_silent_ones_let_go(plane: Plane) -> None:
    """R09, R10, R37: nothing ends before its time; then the silent node's pod alone; the other node is named."""

    async def scenario(world: World) -> None:
        await world.start()
        metadata = {"annotations": {f"{PREFIX}release-lost-nodes-after": "60s"}}
        await world.create(replicas=1, size=2, metadata=metadata)
        await world.settled("sample")
        silent, used = node_of(world, "sample-0-1"), {node_of(world, each) for each in world.names(PODS)}
        every = (await world.client.list(NODES))["items"]
        free = (each["metadata"]["name"] for each in every if not each["spec"].get("taints"))
        reporting = next(name for name in free if name not in used)
        here = {"nodeSelector": {"kubernetes.io/hostname": reporting}}
        template = {"spec": {"containers": [{"name": "main", "image": "app:1"}], **here}}
        await world.create("other", replicas=1, size=1, metadata=metadata, section={"workerTemplate": template})
        await world.settled("other")
        before = world.uids()
        async with stopped(world, silent, reporting=reporting):
            await tell(world, silent, "Unknown")
            await tell(world, reporting, "False")
            await unready(world, "other-0")
            begun = world.env.clock.now()
            await asyncio.sleep(RELEASE - 8)
            assert world.uids() == before
            assert ended(world) == []
            await world.replaced("sample-0-1", before)
            made = world.get(PODS, "sample-0-1")
            assert made is not None
            created = datetime.fromisoformat(made["metadata"]["creationTimestamp"])
            assert (created - begun).total_seconds() >= RELEASE - 2  # its stamp has no fractions
            await world.until(lambda: bool(node_of(world, "sample-0-1")), "a node for the new pod")
            assert node_of(world, "sample-0-1") != silent
            assert any(f"without waiting for node {silent}" in note for note in world.notes("ReleasedFromLostNode"))
            told = await told_of(world, "other")
            assert (told["node"], told["pod"]) == (reporting, "other-0")
            assert f"is on node {reporting}, which is not ready since" in told["message"]
            said = sentences(diagnose((await observe(world.client, world.namespace, "other")).facts))
            assert any(f"is on node {reporting}, which is not ready since" in each for each in said)
            assert world.uids()["other-0"] == before["other-0"]
            assert "other-0" not in ended(world)
        await world.settled("sample")

    plane.run(scenario)


CHOSEN = {"annotations": {f"{PREFIX}release-lost-nodes-after": "60s"}}


def test_r37_a_restart_of_the_controller_makes_the_time_longer(plane: Plane) -> None:
    """R37: a node is silent for 110 s, and the controller is restarted after 55: it keeps its pods."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=1, size=2, metadata=CHOSEN)
        await world.settled("sample")
        before, silent = world.uids(), node_of(world, "sample-0-1")
        async with stopped(world, silent):
            await tell(world, silent, "Unknown")
            await asyncio.sleep(RELEASE - 5)
            await world.operators[0].stop()
            await world.start()
            await asyncio.sleep(RELEASE - 5)
            assert (world.uids(), ended(world)) == (before, [])
        await world.settled("sample")
        assert (world.uids(), ended(world)) == (before, [])

    plane.run(scenario)


def test_r37_with_most_nodes_lost_and_for_retained_pods_nothing_ends(plane: Plane) -> None:
    """R37: nothing is ended while more than half of the nodes are lost, nor ever what an exhausted budget retains."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=1, size=2, metadata=CHOSEN)
        await world.create("other", replicas=1, size=2, metadata=CHOSEN, section={"maxGroupRestarts": 0})
        for name in ("sample", "other"):
            await world.settled(name)
        world.crash("other-0-1")
        await world.until(lambda: retained(world) == {"other-0", "other-0-1"}, "the retained group")
        await world.rest()
        before = world.uids()
        names = [each["metadata"]["name"] for each in (await world.client.list(NODES))["items"]]
        silent = node_of(world, "sample-0-1")
        most = [silent, *(name for name in names if name != silent)][: len(names) // 2 + 1]
        async with stopped(world, *most):
            for node in most:
                await tell(world, node, "Unknown")
            await asyncio.sleep(RELEASE + 10)
            assert (world.uids(), ended(world)) == (before, [])
        kept = node_of(world, "other-0-1")
        await world.settled("sample")
        async with stopped(world, kept):
            await tell(world, kept, "Unknown")
            await asyncio.sleep(RELEASE + 10)
            assert {name for name in ended(world) if name.startswith("other")} == set()
            assert retained(world) == {"other-0", "other-0-1"}

    plane.run(scenario)
