"""``explain-stuck`` on what a kubelet of 1.36 really reports, drill by drill, with the controller at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.client.api import ApiClient
from lws_sandbox import virtual_time as vt
from lws_sandbox.cluster import Sandbox
from lws_sandbox.drills import Drills
from lws_sandbox.nodes import preset
from lws_sandbox.quickstart.environment import controller, sandbox_env
from tests.cli.sessions import Plugin
from tests.simulation.cluster import manifest
from tests.virtual import virtual_time

POD = {"initContainers": [{"name": "prep", "image": "app:1"}], "containers": [{"name": "main", "image": "app:1"}]}
SUBJECT = "Group 1: worker pod web-1-1 on "


class Stage:
    """A sandbox with the controller and a set of two groups of two, all Ready."""

    def __init__(self, client: ApiClient, drills: Drills) -> None:
        self.client = client
        self.drill = drills.run

    async def explain(self, name: str = "web") -> str:
        """What `kubectl lws explain-stuck` prints."""
        return await Plugin(self.client).run(f"explain-stuck {name}")

    async def told(self, words: str, name: str = "web") -> str:
        """The explanation, as soon as it has these words; the last one if it never has."""
        text = ""
        for _ in range(600):
            text = await self.explain(name)
            if words in text:
                break
            await asyncio.sleep(0.5)
        return text

    async def create(self, name: str, *, annotations: JSON | None = None, **arguments: Any) -> None:
        """Create a set."""
        body = manifest(name, **arguments)
        body["metadata"] |= {"namespace": "default", "annotations": annotations or {}}
        await self.client.create(LEADERWORKERSETS, body)


@asynccontextmanager
async def stage(policy: str = "None") -> AsyncIterator[Stage]:
    """Run one; under the policy ``None`` a fault stays where it is."""
    sandbox = Sandbox(shape=preset("small"), clock=vt.VirtualClock(), random=Random(7))
    async with sandbox:
        env = sandbox_env(sandbox)
        async with controller(env):
            running = Stage(env.client("test"), Drills(sandbox))
            section = {"restartPolicy": policy, "workerTemplate": {"spec": POD}}
            await running.create("web", replicas=2, size=2, section=section)
            await running.told("waits for nothing")
            yield running


DRILLS = [
    ("pod.crash-loop", {"code": 9}, "has failing container main: it exited with code 9"),
    ("pod.oom-loop", {}, "exited with code 137 (OOMKilled)"),
    ("pod.init-fail", {"code": 3}, "has failing init container prep: it exited with code 3"),
    ("pod.bad-image", {"container": "main"}, "cannot pull image"),
    ("pod.missing-config", {"container": "main"}, "cannot start container main: CreateContainerConfigError"),
    ("pod.missing-volume", {}, "cannot start (FailedMount): MountVolume.SetUp failed"),
    ("pod.no-network", {}, "cannot start (FailedCreatePodSandBox): Failed to create pod sandbox"),
    ("pod.hang", {}, "is running but not ready (container main)"),
]


@pytest.mark.long
@pytest.mark.parametrize(("drill", "arguments", "words"), DRILLS, ids=[one[0] for one in DRILLS])
@virtual_time
async def test_every_failure_of_a_pod_is_named_by_its_cause(drill: str, arguments: JSON, words: str) -> None:
    """Pod, container and cause are told in the kubelet's words; neither the controller nor another group is blamed."""
    async with stage() as running:
        await running.drill(drill, {"name": "web-1-1", "namespace": "default", **arguments})
        text = await running.told(words)
        (line,) = [line for line in text.splitlines() if words in line]
        assert line.startswith(SUBJECT)
        assert "Group 0" not in text
        assert "check that the controller runs" not in text


@pytest.mark.long
@virtual_time
async def test_a_node_that_is_down_is_named_while_its_pods_cannot_end() -> None:
    """The pod on the lost node is the cause, with the way out; the leader that waits for it is no riddle (L11)."""
    async with stage("RecreateGroupOnPodRestart") as running:
        pod = await running.client.get(PODS, "default", "web-1-1")
        node = pod["spec"]["nodeName"]
        await running.drill("node.fail", {"name": node})
        text = await running.told(f"is on node {node}, which is not ready since")
        assert f"delete Node {node}" in text
        await asyncio.sleep(400)
        text = await running.told("is terminating and waits for its workers")
        first, *_ = text.splitlines()
        assert f"worker pod web-1-1 is on node {node}, which is not ready since" in first
        assert "foregroundDeletion" not in text


@pytest.mark.long
@virtual_time
async def test_the_holders_of_a_topology_are_named() -> None:
    """A group that finds no zone of its own learns which groups of which set hold them (S2)."""
    zone = "topology.kubernetes.io/zone"
    async with stage() as running:
        annotations = {"leaderworkerset.sigs.k8s.io/exclusive-topology": zone}
        await running.create("one", replicas=2, size=2, annotations=annotations)
        await running.create("two", replicas=1, size=2, annotations=annotations)
        text = await running.told("taken:", "two")
        assert (
            f"Annotation leaderworkerset.sigs.k8s.io/exclusive-topology requires a {zone} of its own for each group"
            in text
        )
        assert "zone-0 by group" in text
