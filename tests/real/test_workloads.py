"""Typed scheduling by kube-scheduler itself, of a release that serves the Workload API and is told to (next 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS, SCHEDULING_PODGROUPS, WORKLOADS
from lws.apimachinery.resources import PODS
from lws_sandbox.nodes import NodeShape, preset
from lws_sandbox.quickstart.environment import real_env
from lws_sandbox.real.binaries import API_SERVER, CONTROLLER_MANAGER, SCHEDULER
from lws_sandbox.real.cluster import real_cluster
from tests.real.conftest import need_binaries
from tests.real.ledger import AuditLog
from tests.real.planes import prepare
from tests.real.world import World

GATE: Final = "--feature-gates=GenericWorkload=true"
FLAGS: Final[Mapping[str, tuple[str, ...]]] = {
    API_SERVER: (GATE, "--runtime-config=scheduling.k8s.io/v1beta1=true"),
    CONTROLLER_MANAGER: (GATE,),
    SCHEDULER: (GATE,),
}
TYPED: Final = {
    "featureGates": {"WorkloadAwareScheduling": True},
    "gangSchedulingManagement": {"schedulerProvider": "kubernetes"},
}
ROOM: Final = 4  # pods of one CPU on all nodes together


@pytest.mark.real
@pytest.mark.timeout(400)
@pytest.mark.parametrize("size", [4, 5])
def test_kube_scheduler_starts_a_gang_whole_or_not_at_all(tmp_path: Path, size: int) -> None:
    """A group that fits is placed whole; of one that is a pod too many none is placed."""
    binaries = need_binaries()
    if SCHEDULER not in binaries or binaries.release() < "1.37":
        pytest.skip("the Workload API comes with Kubernetes 1.37")
    asyncio.run(_gang(binaries, tmp_path, size))


async def _gang(binaries: Any, folder: Path, size: int) -> None:
    random = Random(7)
    node = NodeShape("node-0", {}, {"cpu": str(ROOM), "pods": "50", "memory": "64Gi"})
    shape = replace(preset("small"), nodes=(node,))
    more = {**FLAGS, API_SERVER: (*FLAGS[API_SERVER], *AuditLog.flags(folder))}
    async with (
        real_cluster(binaries, shape=shape, random=random, more=more) as cluster,
        real_env(cluster, random) as env,
    ):
        await prepare(env)
        log = AuditLog(AuditLog.path(folder))
        async with World(env, cluster.loops, "gang", log, patience=3.0, virtual=False) as world:
            running = await world.start(configuration=TYPED)
            with world.reviewing(running):
                await _scenario(world, size)


async def _scenario(world: World, size: int) -> None:
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
    listed = (await world.client.list(SCHEDULING_PODGROUPS, world.namespace))["items"]
    assert [each["spec"]["schedulingPolicy"] for each in listed] == [{"gang": {"minCount": size}}]
    assert len((await world.client.list(WORKLOADS, world.namespace))["items"]) == 1
    lws = world.get(LEADERWORKERSETS, "sample") or {}
    states = {each["type"]: each["status"] for each in lws["status"]["conditions"]}
    assert states["WorkloadSchedulingCreated"] == "True"
