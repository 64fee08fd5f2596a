"""The gang scheduler plays by the rules that were observed of Volcano (two nodes, gangs that take one each)."""

from __future__ import annotations

import asyncio
from typing import Any

from sandbox.tests.controllers.test_loops import _sandbox

from lws.apimachinery.resources import EVENTS, NODES, PODS
from lws.client.api import ApiClient
from lws_sandbox.partners import PODGROUPS, PRIORITYCLASSES, QUEUES
from tests.virtual import virtual_time

ANNOTATION = "scheduling.k8s.io/group-name"


async def capacity(client: ApiClient) -> int:
    """CPUs of a node."""
    return int((await client.get(NODES, "", "node-0"))["status"]["allocatable"]["cpu"])


async def make_group(client: ApiClient, name: str, members: int, cpus: int, **spec: Any) -> None:
    """A PodGroup of so many members that wants so many CPUs in all."""
    wanted = {"minMember": members, "minResources": {"cpu": str(cpus)}, **spec}
    body = {"apiVersion": PODGROUPS.api_version, "kind": PODGROUPS.kind, "metadata": {"name": name}, "spec": wanted}
    await client.create(PODGROUPS, body | {"metadata": {"name": name, "namespace": "default"}})


async def make_pod(client: ApiClient, name: str, group: str, cpus: int, scheduler: str = "volcano") -> None:
    """A pod that names a group."""
    container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": str(cpus)}}}
    meta = {"name": name, "namespace": "default", "annotations": {ANNOTATION: group}}
    spec = {"schedulerName": scheduler, "containers": [container]}
    await client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})


async def placed(client: ApiClient) -> set[str]:
    """Pods that have a node."""
    return {p["metadata"]["name"] for p in (await client.list(PODS, "default"))["items"] if p["spec"].get("nodeName")}


async def phase(client: ApiClient, name: str) -> str:
    """The phase of a PodGroup; empty if it has none."""
    group = await client.get(PODGROUPS, "default", name)
    return str((group.get("status") or {}).get("phase", ""))


@virtual_time
async def test_an_admitted_group_holds_what_it_wants_though_its_pods_do_not_exist() -> None:
    """Half a gang, admitted first, keeps another off an empty cluster (G1): the event of the PodGroup says why."""
    async with _sandbox(2, gang=True) as sandbox:
        client = sandbox.client()
        full = await capacity(client)
        await make_group(client, "half", 2, 2 * full)
        await make_pod(client, "half-0", "half", full)
        await asyncio.sleep(5)
        assert await phase(client, "half") == "Inqueue"
        await make_group(client, "later", 1, full)
        await make_pod(client, "later-0", "later", full)
        await asyncio.sleep(60)
        assert (await placed(client), await phase(client, "later")) == (set(), "Pending")
        notes = {(e["reason"], e["note"]) for e in (await client.list(EVENTS, "default"))["items"]}
        assert ("Unschedulable", "queue resource quota insufficient: insufficient cpu") in notes
        await client.delete(PODGROUPS, "default", "half")
        await asyncio.sleep(60)
        assert await placed(client) == {"later-0"}


@virtual_time
async def test_groups_take_turns_by_the_priority_of_their_pod_group() -> None:
    """When room appears the group of the higher class goes first, though it is younger (G5)."""
    async with _sandbox(1, gang=True) as sandbox:
        client = sandbox.client()
        full = await capacity(client)
        high = {"apiVersion": PRIORITYCLASSES.api_version, "kind": "PriorityClass", "metadata": {"name": "high"}}
        await client.create(PRIORITYCLASSES, high | {"value": 1000})
        for name, spec in (("first", {}), ("low", {}), ("high", {"priorityClassName": "high"})):
            await make_group(client, name, 1, full, **spec)
            await make_pod(client, f"{name}-0", name, full)
            await asyncio.sleep(30)
        assert await placed(client) == {"first-0"}
        await client.delete(PODS, "default", "first-0")
        await client.delete(PODGROUPS, "default", "first")
        await asyncio.sleep(120)
        assert await placed(client) == {"high-0"}


@virtual_time
async def test_a_queue_that_does_not_exist_says_nothing() -> None:
    """The PodGroup has no phase and no event (G6) until there is the queue that it names."""
    async with _sandbox(1, gang=True) as sandbox:
        client = sandbox.client()
        await make_group(client, "lost", 1, 1, queue="gold")
        await make_pod(client, "lost-0", "lost", 1)
        await asyncio.sleep(60)
        assert (await placed(client), await phase(client, "lost")) == (set(), "")
        await client.create(QUEUES, {"apiVersion": QUEUES.api_version, "kind": "Queue", "metadata": {"name": "gold"}})
        await asyncio.sleep(30)
        assert (await placed(client), await phase(client, "lost")) == ({"lost-0"}, "Running")


@virtual_time
async def test_pods_of_a_missing_group_are_not_looked_at() -> None:
    """Volcano has no word for a pod whose PodGroup does not exist (G2); other schedulers do not read the mark."""
    async with _sandbox(1, gang=True) as sandbox:
        client = sandbox.client()
        await make_pod(client, "lost", "nobody", 1)
        await make_pod(client, "plain", "nobody", 1, scheduler="default-scheduler")
        await asyncio.sleep(60)
        lost = await client.get(PODS, "default", "lost")
        assert await placed(client) == {"plain"}
        assert "PodScheduled" not in {c["type"] for c in (lost.get("status") or {}).get("conditions", ())}


@virtual_time
async def test_members_say_which_of_them_does_not_fit() -> None:
    """One member fits and is told to wait for the others; the one that fits nowhere has the resource in its words."""
    async with _sandbox(1, gang=True) as sandbox:
        client = sandbox.client()
        await make_group(client, "gang", 2, 1)
        await make_pod(client, "fits", "gang", 1)
        await make_pod(client, "large", "gang", 2 * await capacity(client))
        await asyncio.sleep(60)
        found = {}
        for pod in (await client.list(PODS, "default"))["items"]:
            found[pod["metadata"]["name"]] = next(
                c["message"] for c in pod["status"]["conditions"] if c["type"] == "PodScheduled"
            )
        assert found["fits"] == "Pod default/fits can possibly be assigned to node-0, once minAvailable is satisfied"
        assert "Insufficient cpu" in found["large"]
