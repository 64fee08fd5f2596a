"""All loops together, on a small cluster in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from lws.api.leaderworkerset.resources import PODGROUPS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SERVICEACCOUNTS,
    Resource,
)
from lws.client.api import ApiClient
from lws.errors import NotFoundError
from lws_sandbox import virtual_time as vt
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.controllers.pods import is_ready
from lws_sandbox.drills import DrillError, Drills
from lws_sandbox.nodes import Shape, uniform
from tests.virtual import virtual_time

BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
LIMIT = 900.0


def _sandbox(nodes: int = 3, **options: Any) -> Sandbox:
    shape = Shape(uniform(nodes), Delays(start=0.1, ready=0.2, stop=0.3), heartbeat=10.0)
    return Sandbox(shape=shape, clock=vt.VirtualClock(), random=Random(1), **options)


async def _until(condition: Callable[[], Awaitable[bool]], limit: float = LIMIT) -> None:
    async with asyncio.timeout(limit):
        while not await condition():  # noqa: ASYNC110 -- what is looked at is the API, which has no event of ours
            await asyncio.sleep(0.5)


async def _pods(client: ApiClient, namespace: str = "default") -> list[JSON]:
    return list((await client.list(PODS, namespace))["items"])


async def _ready(client: ApiClient, count: int) -> list[JSON]:
    """The pods of the default namespace as soon as exactly so many exist and all of them are Ready."""
    found: list[JSON] = []

    async def all_ready() -> bool:
        found[:] = await _pods(client)
        return len(found) == count and all(is_ready(pod) for pod in found)

    await _until(all_ready)
    return found


def _deployment(replicas: int, image: str = "app:1", *, cpu: str = "100m") -> JSON:
    container = {"name": "main", "image": image, "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [container]}},
        },
    }


def _member(name: str, cpu: str) -> JSON:
    container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {"scheduling.k8s.io/group-name": "gang"},
        },
        "spec": {"schedulerName": "volcano", "containers": [container]},
    }


@virtual_time
async def test_a_deployment_rolls_to_another_image() -> None:
    """The pods of a Deployment are replaced, through a second ReplicaSet."""
    async with _sandbox() as sandbox:
        client = sandbox.client()
        await client.create(DEPLOYMENTS, _deployment(3))
        before = {pod["metadata"]["uid"] for pod in await _ready(client, 3)}
        live = await client.get(DEPLOYMENTS, "default", "d")
        live["spec"]["template"]["spec"]["containers"][0]["image"] = "app:2"
        await client.update(DEPLOYMENTS, live)

        async def complete() -> bool:
            deployment = await client.get(DEPLOYMENTS, "default", "d")
            status = deployment["status"]
            seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
            return bool(seen and status.get("updatedReplicas") == 3 and status.get("replicas") == 3)

        await _until(complete)
        after = await _ready(client, 3)
        assert before.isdisjoint(pod["metadata"]["uid"] for pod in after)
        assert {pod["spec"]["containers"][0]["image"] for pod in after} == {"app:2"}
        sets = (await client.list(REPLICASETS, "default"))["items"]
        assert sorted(item["spec"]["replicas"] for item in sets) == [0, 3]
        deployment = await client.get(DEPLOYMENTS, "default", "d")
        assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
        assert deployment["metadata"]["generation"] == 2  # one for each template; the annotation makes none


@virtual_time
async def test_pods_leave_a_node_that_fell_silent() -> None:
    """A failed node turns NotReady, its pods are evicted after the tolerated time, and it can come back."""
    async with _sandbox() as sandbox:
        client, drills = sandbox.client(), Drills(sandbox)
        await client.create(DEPLOYMENTS, _deployment(3))
        victim = (await _ready(client, 3))[0]["spec"]["nodeName"]
        await drills.node_fail(victim)

        async def gone() -> bool:
            here = [pod for pod in await _pods(client) if not pod["metadata"].get("deletionTimestamp")]
            return len(here) == 3 and all(is_ready(pod) and pod["spec"]["nodeName"] != victim for pod in here)

        await _until(gone)
        node = await client.get(NODES, "", victim)
        assert {item["type"]: item["status"] for item in node["status"]["conditions"]}["Ready"] == "Unknown"
        assert "node.kubernetes.io/unreachable" in {taint["key"] for taint in node["spec"]["taints"]}
        await drills.node_recover(victim)

        async def back() -> bool:
            live = await client.get(NODES, "", victim)
            return not live["spec"].get("taints")

        await _until(back)
        await _ready(client, 3)


@virtual_time
async def test_a_drain_waits_for_the_budget() -> None:
    """A budget lets one pod go at a time; a budget that lets none go stops the drain."""
    async with _sandbox() as sandbox:
        client, drills = sandbox.client(), Drills(sandbox)
        budget = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "b", "namespace": "default"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "d"}}},
        }
        await client.create(BUDGETS, budget)
        await client.create(DEPLOYMENTS, _deployment(6))
        victim = (await _ready(client, 6))[0]["spec"]["nodeName"]

        async def counted() -> bool:
            status = (await client.get(BUDGETS, "default", "b"))["status"]
            return bool(status.get("disruptionsAllowed") == 1 and status["currentHealthy"] == 6)

        await _until(counted)
        answer = await drills.run("node.drain", {"name": victim})
        assert answer["state"] == "drained"
        assert answer["evicted"]
        assert victim not in {pod["spec"]["nodeName"] for pod in await _ready(client, 6)}

        await client.patch(BUDGETS, "default", "b", {"spec": {"maxUnavailable": 0}})
        other = (await _ready(client, 6))[0]["spec"]["nodeName"]
        await asyncio.sleep(1)
        with pytest.raises(DrillError, match="pods are still on"):
            await drills.node_drain(other, seconds=20)


@virtual_time
async def test_a_gang_starts_together_or_not_at_all() -> None:
    """Members wait until all of them fit; then every one gets a node."""
    async with _sandbox(2, gang=True) as sandbox:
        client = sandbox.client()
        capacity = (await client.get(NODES, "", "node-0"))["status"]["allocatable"]["cpu"]
        await client.create(PODS, _member("m-0", capacity))
        await asyncio.sleep(5)
        assert [pod["spec"].get("nodeName") for pod in await _pods(client)] == [None]
        group = {
            "apiVersion": "scheduling.volcano.sh/v1beta1",
            "kind": "PodGroup",
            "metadata": {"name": "gang", "namespace": "default"},
            "spec": {"minMember": 2},
        }
        await client.create(PODGROUPS, group)
        await asyncio.sleep(60)
        assert [pod["spec"].get("nodeName") for pod in await _pods(client)] == [None]
        await client.create(PODS, _member("m-1", capacity))
        assert {pod["spec"]["nodeName"] for pod in await _ready(client, 2)} == {"node-0", "node-1"}


@virtual_time
async def test_a_namespace_takes_everything_in_it_along() -> None:
    """A new namespace gets its account and the authority's certificate; a deleted one ends only when it is empty."""
    async with _sandbox() as sandbox:
        client = sandbox.client()
        await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})

        async def furnished() -> bool:
            accounts = (await client.list(SERVICEACCOUNTS, "team"))["items"]
            maps = (await client.list(CONFIGMAPS, "team"))["items"]
            return [a["metadata"]["name"] for a in accounts] == ["default"] and len(maps) == 1

        await _until(furnished)
        made = _deployment(2)
        made["metadata"]["namespace"] = "team"
        await client.create(DEPLOYMENTS, made)

        async def running() -> bool:
            pods = await _pods(client, "team")
            return len(pods) == 2 and all(is_ready(pod) for pod in pods)

        await _until(running)
        await client.delete(NAMESPACES, "", "team")

        async def ended() -> bool:
            try:
                await client.get(NAMESPACES, "", "team")
            except NotFoundError:
                return True
            return False

        await _until(ended)
        assert await _pods(client, "team") == []


@virtual_time
async def test_an_autoscaler_follows_its_metric() -> None:
    """Twice the wanted value per pod doubles the replicas, up to the maximum."""
    async with _sandbox() as sandbox:
        client, drills = sandbox.client(), Drills(sandbox)
        await client.create(DEPLOYMENTS, _deployment(2))
        await _ready(client, 2)
        scaler = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "h", "namespace": "default"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
                "minReplicas": 1,
                "maxReplicas": 5,
                "metrics": [
                    {
                        "type": "Pods",
                        "pods": {
                            "metric": {"name": "queue"},
                            "target": {"type": "AverageValue", "averageValue": "10"},
                        },
                    }
                ],
            },
        }
        await client.create(AUTOSCALERS, scaler)
        await drills.metric_set("queue", 20.0)
        await _ready(client, 4)
        await drills.metric_set("queue", 40.0)
        await _ready(client, 5)


@virtual_time
async def test_drills_say_what_is_wrong_with_them() -> None:
    """Unknown drills, arguments, nodes and pods are refused with a sentence."""
    async with _sandbox(1) as sandbox:
        drills = Drills(sandbox)
        for name, arguments in (
            ("node.explode", {"name": "node-0"}),
            ("node.fail", {"name": "node-7"}),
            ("node.fail", {}),
            ("pod.crash", {"name": "nobody"}),
            ("clock.forward", {"seconds": -1}),
        ):
            with pytest.raises(DrillError):
                await drills.run(name, arguments)


@virtual_time
async def test_spread_pods_wait_until_one_of_their_own_ends() -> None:
    """A pod that would make the spread uneven says so, and gets its node while another of its kind is still ending."""
    async with _sandbox(nodes=2) as sandbox:
        client = sandbox.client()
        hostname = "kubernetes.io/hostname"
        rule = {"maxSkew": 1, "topologyKey": hostname, "whenUnsatisfiable": "DoNotSchedule"}
        rule["labelSelector"] = {"matchLabels": {"app": "a"}}

        async def add(name: str) -> None:
            meta = {"name": name, "namespace": "default", "labels": {"app": "a"}}
            spec = {"containers": [{"name": "main", "image": "app"}], "topologySpreadConstraints": [rule]}
            await client.create(PODS, {"metadata": meta, "spec": spec})

        for name in ("a", "b"):
            await add(name)
        first, second = await _ready(client, 2)
        assert first["spec"]["nodeName"] != second["spec"]["nodeName"]
        await Drills(sandbox).node_cordon(second["spec"]["nodeName"])
        await add("c")
        await _ready(client, 3)
        await add("d")
        await asyncio.sleep(30)
        late = await client.get(PODS, "default", "d")
        (told,) = late["status"]["conditions"]
        assert "1 node(s) didn't match pod topology spread constraints, 1 node(s) were unschedulable" in told["message"]
        await Drills(sandbox).pod_hang("a")
        await client.delete(PODS, "default", "a", grace_period_seconds=3600)
        await asyncio.sleep(30)
        assert "deletionTimestamp" in (await client.get(PODS, "default", "a"))["metadata"]
        assert (await client.get(PODS, "default", "d"))["spec"]["nodeName"] == first["spec"]["nodeName"]


@virtual_time
async def test_a_pod_whose_last_deletion_fails_is_taken_away_later() -> None:
    """A kubelet that is refused when it takes an ended pod away asks again."""
    async with _sandbox(1) as sandbox:
        client, drills = sandbox.client(), Drills(sandbox)
        meta = {"name": "p", "namespace": "default"}
        await client.create(PODS, {"metadata": meta, "spec": {"containers": [{"name": "main", "image": "app:1"}]}})
        await _ready(client, 1)
        await client.delete(PODS, "default", "p")
        await drills.api_error(500, verbs=("delete",), resources=("pods",), count=3)

        async def gone() -> bool:
            return not await _pods(client)

        await _until(gone, 120.0)
