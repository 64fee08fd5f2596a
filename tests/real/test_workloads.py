"""Typed scheduling by kube-scheduler itself, of a release that serves the Workload API and is told to (next 7)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, Final

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.workloadapi import V1ALPHA2, V1BETA1, WorkloadApi
from lws.apimachinery.resources import PODS
from lws_sandbox.nodes import NodeShape, preset
from lws_sandbox.quickstart.environment import real_env
from lws_sandbox.real.binaries import API_SERVER, CONTROLLER_MANAGER, SCHEDULER
from lws_sandbox.real.cluster import real_cluster
from tests.real.conftest import need_binaries
from tests.real.ledger import AuditLog
from tests.real.planes import prepare
from tests.real.world import World

GATES: Final = MappingProxyType({V1BETA1: "GenericWorkload=true", V1ALPHA2: "GenericWorkload=true,GangScheduling=true"})
TYPED: Final = {
    "featureGates": {"WorkloadAwareScheduling": True},
    "gangSchedulingManagement": {"schedulerProvider": "kubernetes"},
}
ROOM: Final = 4  # pods of one CPU on all nodes together


@pytest.mark.real
@pytest.mark.timeout(400)
@pytest.mark.parametrize("size", [4, 5])
def test_kube_scheduler_starts_a_gang_whole_or_not_at_all(tmp_path: Path, size: int) -> None:
    """A group that fits is placed whole; of one that is a pod too many none is placed (ND-31: on 1.36 too)."""
    binaries = need_binaries()
    api = V1ALPHA2 if binaries.release() == "1.36" else V1BETA1
    if SCHEDULER not in binaries or binaries.release() < "1.36":
        pytest.skip("PodGroups come with Kubernetes 1.36")
    asyncio.run(_gang(binaries, api, tmp_path, size))


async def _gang(binaries: Any, api: WorkloadApi, folder: Path, size: int) -> None:
    random = Random(7)
    node = NodeShape("node-0", {}, {"cpu": str(ROOM), "pods": "50", "memory": "64Gi"})
    shape = replace(preset("small"), nodes=(node,))
    gates = f"--feature-gates={GATES[api]}"
    served = (gates, f"--runtime-config=scheduling.k8s.io/{api.version}=true", *AuditLog.flags(folder))
    more = {API_SERVER: served, CONTROLLER_MANAGER: (gates,), SCHEDULER: (gates,)}
    async with (
        real_cluster(binaries, shape=shape, random=random, more=more) as cluster,
        real_env(cluster, random) as env,
    ):
        await prepare(env)
        log = AuditLog(AuditLog.path(folder))
        async with World(env, cluster.loops, "gang", log, patience=3.0, virtual=False) as world:
            running = await world.start(configuration=TYPED, policies={"workloadVersion": api.version})
            with world.reviewing(running):
                await _scenario(world, api, size)


async def _scenario(world: World, api: WorkloadApi, size: int) -> None:
    container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "1"}}}
    section = {"workerTemplate": {"spec": {"containers": [container]}}}
    await world.create(replicas=1, size=size, section=section, scheduling={})
    await world.until(lambda: len(world.all(PODS)) == size, "all pods")
    fits = size <= ROOM
    if fits:
        await world.available("sample")
    else:
        await asyncio.sleep(15)
    placed = [each for each in world.all(PODS) if each["spec"].get("nodeName")]
    assert len(placed) == (size if fits else 0)
    listed = (await world.client.list(api.groups, world.namespace))["items"]
    assert [each["spec"]["schedulingPolicy"] for each in listed] == [{"gang": {"minCount": size}}]
    assert len((await world.client.list(api.workloads, world.namespace))["items"]) == 1
    lws = world.get(LEADERWORKERSETS, "sample") or {}
    states = {each["type"]: each["status"] for each in lws["status"]["conditions"]}
    assert states["WorkloadSchedulingCreated"] == "True"
    if fits:
        await _changes(world, api, size)


async def _changes(world: World, api: WorkloadApi, size: int) -> None:
    """A rollout to smaller groups: the PodGroup of the new revision has its own count, and the old one goes."""
    await world.edit(leaderWorkerTemplate={"size": size - 1})
    await world.until(lambda: len(world.all(PODS)) == size - 1, "the smaller group")
    await world.available("sample")
    await world.settled("sample")
    (left,) = (await world.client.list(api.groups, world.namespace))["items"]
    assert left["spec"]["schedulingPolicy"] == {"gang": {"minCount": size - 1}}
    (workload,) = (await world.client.list(api.workloads, world.namespace))["items"]
    count = workload["spec"]["podGroupTemplates"][0]["schedulingPolicy"]["gang"]["minCount"]
    assert count == (size - 1 if api.counts_change else size)
