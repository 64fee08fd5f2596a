"""Drills in a running cluster: what a client sees of each, and which arguments are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, EVENTS, NODES, PODS
from lws.client.api import ApiClient
from lws.errors import NotFoundError
from lws_sandbox import virtual_time as vt
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.controllers.pods import is_ready
from lws_sandbox.drills import DrillError, Drills
from lws_sandbox.nodes import Shape, uniform
from tests.virtual import virtual_time

LOOPS = ("kube-scheduler", "kubelet", "kubelet-heartbeat")


def _sandbox(nodes: int = 1) -> Sandbox:
    shape = Shape(uniform(nodes, capacity={"cpu": "4"}), Delays(start=0.1, ready=0.2, stop=0.3), heartbeat=0.0)
    return Sandbox(shape=shape, clock=vt.VirtualClock(), random=Random(1), loops=LOOPS)


def _pod(name: str = "p", **spec: Any) -> JSON:
    containers = [{"name": "main", "image": "app:1"}]
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": containers, **spec}}


async def _until(client: ApiClient, holds: Callable[[JSON], bool], name: str = "p") -> JSON:
    """The pod as soon as it is so."""
    async with asyncio.timeout(300):
        while True:
            pod = await client.get(PODS, "default", name)
            if holds(pod):
                return pod
            await asyncio.sleep(0.1)


def _waits_in(reason: str, member: str = "containerStatuses") -> Callable[[JSON], bool]:
    def holds(pod: JSON) -> bool:
        statuses = pod["status"].get(member) or ()
        return any((item["state"].get("waiting") or {}).get("reason") == reason for item in statuses)

    return holds


async def _reasons(client: ApiClient, name: str = "p") -> set[str]:
    """The reasons of the kubelet's events about the pod."""
    await asyncio.sleep(0.1)
    events = (await client.list(EVENTS, "default"))["items"]
    about = [item for item in events if item["regarding"]["name"] == name]
    return {item["reason"] for item in about if (item.get("deprecatedSource") or {}).get("component") == "kubelet"}


STARTS: list[tuple[str, JSON, str, str, str]] = [
    ("pod.bad-image", {}, "containerStatuses", "ImagePullBackOff", "BackOff"),
    ("pod.missing-config", {}, "containerStatuses", "CreateContainerConfigError", "Failed"),
    ("pod.missing-volume", {}, "containerStatuses", "PodInitializing", "FailedMount"),
    ("pod.no-network", {}, "containerStatuses", "PodInitializing", "FailedCreatePodSandBox"),
    ("pod.init-fail", {"code": 3}, "initContainerStatuses", "CrashLoopBackOff", "BackOff"),
    ("pod.crash-loop", {}, "containerStatuses", "CrashLoopBackOff", "BackOff"),
    ("pod.oom-loop", {}, "containerStatuses", "CrashLoopBackOff", "BackOff"),
]


async def _meet(sandbox: Sandbox, name: str, drill: str, arguments: JSON, member: str, reason: str, event: str) -> None:
    """A pod that runs meets the fault, its successor does, and heals when the drill is over."""
    client, drills = sandbox.client(), Drills(sandbox)
    inits = [{"name": "prep", "image": "init:1"}]
    await client.create(PODS, _pod(name, initContainers=inits))
    await _until(client, is_ready, name)
    await drills.run(drill, {"name": name, **arguments})
    await _until(client, lambda pod: not is_ready(pod), name)
    await client.delete(PODS, "default", name, grace_period_seconds=0)
    await client.create(PODS, _pod(name, initContainers=inits))
    await _until(client, _waits_in(reason, member), name)
    assert event in await _reasons(client, name)
    await drills.run("pod.heal", {"name": name})
    await _until(client, is_ready, name)


@virtual_time
async def test_a_fault_of_the_start_stays_with_the_name_until_it_is_healed() -> None:
    """Each is seen in the pod's status or in its events, by the pod that runs and by its successor."""
    async with _sandbox() as sandbox, asyncio.TaskGroup() as group:
        for number, start in enumerate(STARTS):
            group.create_task(_meet(sandbox, f"p{number}", *start))


@virtual_time
async def test_an_oom_kill_is_told_and_survived() -> None:
    """The container comes back at once, with OOMKilled and 137 as its last state."""
    async with _sandbox() as sandbox:
        client = sandbox.client()
        await client.create(PODS, _pod())
        await _until(client, is_ready)
        await Drills(sandbox).run("pod.oom", {"name": "p"})
        pod = await _until(client, lambda pod: bool(pod["status"]["containerStatuses"][0]["restartCount"]))
        last = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
        assert (last["reason"], last["exitCode"]) == ("OOMKilled", 137)


@virtual_time
async def test_an_evicted_pod_has_failed() -> None:
    """Phase, reason, message and condition are those of an eviction under pressure."""
    async with _sandbox() as sandbox:
        client = sandbox.client()
        await client.create(PODS, _pod())
        await _until(client, is_ready)
        await Drills(sandbox).run("pod.evict", {"name": "p", "resource": "ephemeral-storage"})
        status = (await _until(client, lambda pod: pod["status"]["phase"] == "Failed"))["status"]
        assert status["reason"] == "Evicted"
        assert status["message"].startswith("The node was low on resource: ephemeral-storage. ")
        assert "DisruptionTarget" in {item["type"] for item in status["conditions"]}
        assert "Evicted" in await _reasons(client)


@virtual_time
async def test_a_rejected_pod_has_failed_and_never_ran() -> None:
    """The kubelet's reason and message, and no container status."""
    async with _sandbox() as sandbox:
        client = sandbox.client()
        await Drills(sandbox).run("pod.reject", {"name": "p"})
        await client.create(PODS, _pod())
        status = (await _until(client, lambda pod: pod["status"]["phase"] == "Failed"))["status"]
        assert status["reason"] == "UnexpectedAdmissionError"
        assert status["message"].startswith("Pod was rejected: Allocate failed")
        assert "containerStatuses" not in status


@virtual_time
async def test_a_pod_that_does_not_fit_is_rejected_by_the_kubelet() -> None:
    """A pod that nobody scheduled fails as OutOfcpu where there is no room, as NodeAffinity where it must not be."""
    async with _sandbox() as sandbox:
        client = sandbox.client()
        large = _pod(nodeName="node-0")
        large["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "5"}}
        await client.create(PODS, large)
        status = (await _until(client, lambda pod: pod["status"]["phase"] == "Failed"))["status"]
        words = "Node didn't have enough resource: cpu, requested: 5000, used: 0, capacity: 4000"
        assert (status["reason"], status["message"]) == ("OutOfcpu", f"Pod was rejected: {words}")
        await client.create(PODS, _pod("q", nodeName="node-0", nodeSelector={"zone": "b"}))
        status = (await _until(client, lambda pod: pod["status"]["phase"] == "Failed", "q"))["status"]
        assert status["reason"] == "NodeAffinity"


@virtual_time
async def test_a_pod_waits_for_its_config_map() -> None:
    """What the pod refers to and is not there keeps it from running; it runs once it is there."""
    async with _sandbox() as sandbox:
        client = sandbox.client()
        pod = _pod(volumes=[{"name": "v", "configMap": {"name": "c"}}])
        pod["spec"]["containers"][0]["env"] = [
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "a"}}}
        ]
        await client.create(PODS, pod)
        await asyncio.sleep(30)
        assert "FailedMount" in await _reasons(client)
        await client.create(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "default"}, "data": {"b": "1"}})
        found = await _until(client, _waits_in("CreateContainerConfigError"))
        message = found["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
        assert message == "couldn't find key a in ConfigMap default/c"
        await client.patch(CONFIGMAPS, "default", "c", {"data": {"a": "1"}})
        await _until(client, is_ready)


@virtual_time
async def test_a_pod_stays_ready_through_its_pre_stop_hook() -> None:
    """Deleted, it is Ready until its hook and its containers have ended; what crashes meanwhile does not come back."""
    async with _sandbox() as sandbox:
        client = sandbox.client()
        pod = _pod()
        pod["spec"]["containers"][0]["lifecycle"] = {"preStop": {"exec": {"command": ["sh", "-c", "sleep 12"]}}}
        pod["spec"]["containers"].append({"name": "other", "image": "app:1"})
        await client.create(PODS, pod)
        await _until(client, is_ready)
        await client.delete(PODS, "default", "p")
        await asyncio.sleep(5)
        assert is_ready(await client.get(PODS, "default", "p"))
        sandbox.loops.kubelets.crash("default", "p", "main")
        await asyncio.sleep(5)
        async with asyncio.timeout(10):
            while True:
                try:
                    pod = await client.get(PODS, "default", "p")
                except NotFoundError:
                    break
                assert not any(item["restartCount"] for item in pod["status"]["containerStatuses"])
                await asyncio.sleep(0.1)


@virtual_time
async def test_nodes_come_and_go() -> None:
    """A node like another takes pods; a removed one is gone."""
    async with _sandbox() as sandbox:
        client, drills = sandbox.client(), Drills(sandbox)
        await drills.run("node.add", {"name": "extra"})
        node = await client.get(NODES, "", "extra")
        assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "extra"
        assert node["status"]["allocatable"]["cpu"] == "4"
        await drills.run("node.cordon", {"name": "node-0"})
        await client.create(PODS, _pod())
        assert (await _until(client, is_ready))["spec"]["nodeName"] == "extra"
        await drills.run("node.remove", {"name": "extra"})
        assert [item["metadata"]["name"] for item in (await client.list(NODES))["items"]] == ["node-0"]
        with pytest.raises(DrillError, match="there is no node"):
            await drills.run("node.remove", {"name": "extra"})


@virtual_time
async def test_the_status_tells_of_nodes_pods_and_faults() -> None:
    """One line each, with numbers."""
    async with _sandbox() as sandbox:
        drills = Drills(sandbox)
        await sandbox.client().create(PODS, _pod())
        await _until(sandbox.client(), is_ready)
        await drills.run("pod.reject", {"name": "q"})
        told = await drills.run("cluster.status", {})
        assert (told["nodes"], told["pods"], told["podFaults"]) == ("1 of 1 ready", "1 Running", 1)
        with pytest.raises(DrillError, match="part of another program"):
            await drills.run("cluster.stop", {})


REFUSED: list[tuple[str, JSON, str]] = [
    ("clock.speed", {"factor": 1e300}, "clock.speed: factor: Input should be less than or equal to 10000"),
    ("clock.speed", {"factor": None}, "clock.speed: factor: Input should be a valid number"),
    ("clock.forward", {"seconds": float("nan")}, "clock.forward: seconds: "),
    ("clock.forward", {"seconds": -1}, "clock.forward: seconds: Input should be greater than or equal to 0"),
    ("api.error", {"code": 999}, "api.error: code: Input should be less than or equal to 599"),
    ("api.slow", {"seconds": 1, "share": 1.5}, "api.slow: share: "),
    ("api.slow", {"seconds": 1, "verbs": "create"}, "api.slow: verbs: "),
    ("pod.crash", {"name": "p", "code": -1}, "pod.crash: code: "),
    ("pod.crash", {}, "pod.crash: name: Missing required argument"),
    ("pod.crash", {"name": "p", "loud": True}, "pod.crash: loud: Unexpected keyword argument"),
    ("pod.init-fail", {"name": "p"}, "name the container with --container"),
    ("pod.init-fail", {"name": "p", "code": 0}, "give --code from 1 to 255"),
    ("pod.evict", {"name": "p", "resource": "gpu"}, "pod.evict: resource: "),
    ("pod.heal", {"name": "p"}, "has no fault to heal"),
    ("metric.set", {"metric": "m", "value": float("inf")}, "metric.set: value: "),
    ("node.add", {"name": "node-0"}, "already"),
]


@virtual_time
async def test_bad_arguments_are_refused_by_name() -> None:
    """The error names the drill, the argument and what is taken; nothing has changed."""
    async with _sandbox() as sandbox:
        drills = Drills(sandbox)
        for name, arguments, words in REFUSED:
            with pytest.raises(DrillError) as caught:
                await drills.run(name, arguments)
            assert words in str(caught.value), (name, arguments)
        assert (await drills.run("clock.show", {}))["speed"] == 1.0
        assert (await drills.run("cluster.status", {}))["apiFaults"] == 0
