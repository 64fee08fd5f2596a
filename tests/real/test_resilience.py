"""Failures that are recorded, counted and waited for, against a real API server too (resilience 2, 3, 4)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, PODS, STATEFULSETS, Resource
from lws.client.api import ApiClient
from lws.client.transport import Request, Response, Transport
from lws.errors import ForbiddenError, InvalidError
from tests.real.planes import Plane, RealPlane
from tests.real.world import World

WORKER = "sample-1-2"
ACCOUNT = "system:serviceaccount:lws-system:lws-controller-manager"
LABEL = {"leaderworkerset.sigs.k8s.io/name": "sample"}
POLICIES = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    namespaced=False,
)
BINDINGS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    namespaced=False,
)
COMPONENT = Path(__file__).parents[2] / "config" / "forensics" / "policy.yaml"


def status(world: World) -> JSON:
    """The status of the set."""
    found = world.get(LEADERWORKERSETS, "sample")
    assert found is not None
    told: JSON = found.get("status") or {}
    return told


def made(world: World, pod: str) -> float:
    """When a pod was created, in seconds."""
    found = world.get(PODS, pod)
    assert found is not None
    return datetime.fromisoformat(found["metadata"]["creationTimestamp"]).timestamp()


async def killed(world: World) -> float:
    """Have a worker be killed for its memory; how old its leader was when the next one was made."""
    before, created = world.uids(), made(world, "sample-1")
    world.loops.kubelets.crash(world.namespace, WORKER, None, 137, "OOMKilled")
    await world.replaced("sample-1", before)
    await world.until(lambda: world.uids().keys() == before.keys(), "all pods")
    await world.settled("sample")
    return made(world, "sample-1") - created


def test_r02_a_third_failure_waits_and_each_is_recorded(plane: Plane) -> None:
    """R02: two failures are acted upon at once, the third when its leader is 10 s old; the status has all."""

    async def scenario(world: World) -> None:
        await world.start()
        first = 60 if world.virtual else 10  # silence after a failure is long in virtual time
        chosen = {"annotations": {f"{PREFIX}restart-backoff": f"initial={first}s"}} if world.virtual else {}
        await world.create(replicas=2, size=4, metadata=chosen)
        await world.settled("sample")
        for _ in range(2):
            await killed(world)
        assert await killed(world) >= first
        await world.until(lambda: len(status(world).get("failures", ())) == 3, "the records")
        for number, failure in zip((3, 2, 1), status(world)["failures"], strict=True):
            assert (failure["pod"], failure["container"], failure["exitCode"]) == (WORKER, "main", 137)
            assert (failure["reason"], failure["restarts"]) == ("OOMKilled", number)
            assert failure["node"]
        assert [note.rpartition("; ")[2] for note in world.notes("GroupFailed")] == [
            f"recreation {number}" for number in (1, 2, 3)
        ]
        (waited,) = world.notes("GroupBackOff")
        assert waited.startswith("Group 1 failed 3 times; recreated at ")
        (entry,) = status(world)["restarts"]
        assert (entry["index"], entry["restarts"]) == ("1", 3)

    plane.run(scenario)


def test_r05_a_budget_ends_a_group_that_had_its_wait(plane: Plane) -> None:
    """R05: restarts of a budget wait as any; the failure for which none is left ends the group without a wait."""

    async def scenario(world: World) -> None:
        await world.start()
        first = 60 if world.virtual else 20  # longer than a set takes to settle
        chosen = {"annotations": {f"{PREFIX}restart-backoff": f"free=0,initial={first}s"}}
        section = {"maxGroupRestarts": 1}
        await world.create(replicas=2, size=3, metadata=chosen, section=section)
        await world.settled("sample")
        assert await killed(world) >= first
        world.loops.kubelets.crash(world.namespace, WORKER, None, 9)
        await world.until(
            lambda: [each["state"] for each in status(world).get("groups", ())] == ["Failed"], "the group to be Failed"
        )
        (group,) = status(world)["groups"]
        assert (group["index"], group["pod"]) == ("1", WORKER)
        assert len(world.notes("GroupBackOff")) == 1

    plane.run(scenario)


def test_r11_who_scaled_workers_is_named(plane: Plane) -> None:
    """R11: a worker StatefulSet that somebody scaled is reported after a minute with that field manager's name."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=3, section={"restartPolicy": "None"})
        await world.settled("sample")
        change = {"spec": {"replicas": 4}}
        await world.client.patch(STATEFULSETS, world.namespace, "sample-1", change, field_manager="some-autoscaler")
        await world.until(lambda: bool(status(world).get("groups")), "the report")
        (group,) = status(world)["groups"]
        assert (group["index"], group["reason"]) == ("1", "WorkersScaled")
        assert "has 4 replicas (some-autoscaler scaled it), but its group has 2 workers" in group["message"]
        found = world.get(STATEFULSETS, "sample-1")
        assert found is not None
        assert found["spec"]["replicas"] == 4

    plane.run(scenario)


class _As:
    """A transport whose every request is our ServiceAccount's, with every right that RBAC can give."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.stream = inner.stream
        self.close = inner.close

    async def send(self, request: Request) -> Response:
        """Carry the request in that name."""
        who = {"impersonate-user": ACCOUNT, "impersonate-group": "system:masters"}
        return await self._inner.send(replace(request, headers={**request.headers, **who}))


def test_r44_the_controller_writes_no_other_configmap(plane: Plane) -> None:
    """R44: whatever its rights, our ServiceAccount writes only ConfigMaps that hold failures, by name and label."""
    if not isinstance(plane, RealPlane):
        pytest.skip("the sandbox has no ValidatingAdmissionPolicies")

    async def scenario(world: World) -> None:
        policy, binding = yaml.safe_load_all(COMPONENT.read_text(encoding="utf-8"))
        await world.client.apply(POLICIES, policy, field_manager="test")
        await world.client.apply(BINDINGS, binding, field_manager="test")
        ours = ApiClient(_As(world.env.transport), user_agent="test", field_manager=None)

        async def refused(name: str, labels: JSON) -> bool:
            meta = {"name": name, "namespace": world.namespace, "labels": labels}
            try:
                await ours.create(CONFIGMAPS, {"metadata": meta, "data": {"a": "b"}}, dry_run=True)
            except (ForbiddenError, InvalidError) as error:
                return "the controller of LeaderWorkerSets writes only ConfigMaps" in str(error)
            return False

        async with asyncio.timeout(60):
            while not await refused("passwords", LABEL):  # noqa: ASYNC110 -- a policy takes effect unannounced
                await asyncio.sleep(0.5)
        assert await refused("sample-failures", {})
        assert not await refused("sample-failures", LABEL)

    plane.run(scenario)
