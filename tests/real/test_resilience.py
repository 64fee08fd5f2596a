"""Failures that are recorded, counted and waited for, against a real API server too (resilience 2, 3, 4)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from lws.api.leaderworkerset.labels import GROUP_RESTART_COUNTS
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, PODS, STATEFULSETS, Resource
from lws.client.api import ApiClient
from lws.client.transport import Request, Response
from lws.errors import ForbiddenError, InvalidError
from tests.cli.sessions import Plugin
from tests.forwarding import Forwarding
from tests.real.planes import Plane, RealPlane
from tests.real.world import World
from tests.reconcilers.test_forensics import WithLogs

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
    before, created, waits = world.uids(), made(world, "sample-1"), len(world.notes("GroupBackOff"))
    world.loops.kubelets.crash(world.namespace, WORKER, None, 137, "OOMKilled")
    await world.until(lambda: len(world.notes("GroupBackOff")) > waits or replaced(world, before), "what follows")
    if not replaced(world, before):
        await world.until(lambda: status(world).get("readyReplicas", 0) == 1, "a group that waits and is not ready")
    await world.replaced("sample-1", before)
    await world.until(lambda: world.uids().keys() == before.keys(), "all pods")
    await world.settled("sample")
    return made(world, "sample-1") - created


def replaced(world: World, before: dict[str, str]) -> bool:
    """Whether the group has another leader."""
    return world.uids().get("sample-1", before["sample-1"]) != before["sample-1"]


def paced(world: World) -> tuple[int, JSON]:
    """The first wait, and the annotation for it: silence after a failure is longer than the default in virtual time."""
    first = 40 if world.virtual else 10
    return first, {"annotations": {f"{PREFIX}restart-backoff": f"initial={first}s"}} if world.virtual else {}


def test_r02_a_third_failure_waits_and_each_is_recorded(plane: Plane) -> None:
    """R02: two of four failures are acted upon at once, the third after 10 s, the fourth after 20; all are recorded."""

    async def scenario(world: World) -> None:
        await world.start()
        first, chosen = paced(world)
        await world.create(replicas=2, size=4, metadata=chosen)
        await world.settled("sample")
        for least in (0, 0, first, 2 * first):
            assert await killed(world) >= least
        await world.until(lambda: len(status(world).get("failures", ())) == 4, "the records")
        for number, failure in zip((4, 3, 2, 1), status(world)["failures"], strict=True):
            assert (failure["pod"], failure["container"], failure["exitCode"]) == (WORKER, "main", 137)
            assert (failure["reason"], failure["restarts"]) == ("OOMKilled", number)
            assert failure["node"]
        assert [note.rpartition("; ")[2] for note in world.notes("GroupFailed")] == [
            f"recreation {number}" for number in (1, 2, 3, 4)
        ]
        assert [note.partition("; recreated at ")[0] for note in world.notes("GroupBackOff")] == [
            "Group 1 failed 3 times",
            "Group 1 failed 4 times",
        ]
        (entry,) = status(world)["restarts"]
        assert (entry["index"], entry["restarts"]) == ("1", 4)

    plane.run(scenario)


def test_r05_a_budget_ends_a_group_that_had_its_wait(plane: Plane) -> None:
    """R05: of a budget of three two are spent at once, the third after its wait, counted then; the fourth ends it."""

    async def scenario(world: World) -> None:
        await world.start()
        first, chosen = paced(world)
        await world.create(replicas=2, size=3, metadata=chosen, section={"maxGroupRestarts": 3})
        await world.settled("sample")
        for spent in (1, 2):
            await killed(world)
            assert counts(world) == [spent]
        before = world.uids()
        created = made(world, "sample-1")
        world.loops.kubelets.crash(world.namespace, WORKER, None, 137, "OOMKilled")
        await world.until(lambda: bool(world.notes("GroupBackOff")), "the wait")
        assert counts(world) == [2]
        await world.replaced("sample-1", before)
        assert made(world, "sample-1") - created >= first
        await world.until(lambda: counts(world) == [3], "the count")
        await world.until(lambda: world.uids().keys() == before.keys(), "all pods")
        await world.settled("sample")
        world.loops.kubelets.crash(world.namespace, WORKER, None, 9)
        await world.until(
            lambda: [each["state"] for each in status(world).get("groups", ())] == ["Failed"], "the group to be Failed"
        )
        (group,) = status(world)["groups"]
        assert (group["index"], group["pod"]) == ("1", WORKER)
        assert "exited with 9" in group["message"]
        assert len(world.notes("GroupBackOff")) == 1
        await Plugin(world.client, namespace=world.namespace).run("restart sample --group 1 --now")
        await world.settled("sample")
        assert counts(world) == []
        degraded = [each["status"] for each in status(world)["conditions"] if each["type"] == "Degraded"]
        assert degraded == ["False"]

    plane.run(scenario)


def counts(world: World) -> list[int]:
    """The restarts that were charged."""
    found: JSON = world.get(LEADERWORKERSETS, "sample") or {}
    return list(json.loads(found["metadata"].get("annotations", {}).get(GROUP_RESTART_COUNTS, "{}")).values())


def test_r11_who_scaled_workers_is_named(plane: Plane) -> None:
    """R11: worker StatefulSets that somebody scaled are reported after a minute with that field manager's name."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=4, section={"restartPolicy": "None"})
        await world.settled("sample")
        wanted = {"sample-0": 1, "sample-1": 7}
        for name, replicas in wanted.items():
            await scale(world, name, replicas)
        await world.until(lambda: len(status(world).get("groups", ())) == 2, "the report")
        for group, count in zip(status(world)["groups"], wanted.values(), strict=True):
            assert group["reason"] == "WorkersScaled"
            said = f"has {count} replicas (some-autoscaler scaled it), but its group has 3 workers"
            assert said in group["message"]
        assert {name: replicas_of(world, name) for name in wanted} == wanted

    plane.run(scenario)


async def scale(world: World, name: str, replicas: int) -> None:
    """Scale a worker StatefulSet, as an autoscaler that knows no better."""
    change = {"spec": {"replicas": replicas}}
    await world.client.patch(STATEFULSETS, world.namespace, name, change, field_manager="some-autoscaler")


def replicas_of(world: World, name: str) -> int:
    """What a StatefulSet asks for."""
    found: JSON = world.get(STATEFULSETS, name) or {}
    return int(found["spec"]["replicas"])


def test_r11_repair_gives_up_against_an_autoscaler(plane: Plane) -> None:
    """R11: asked for, the number is put back at once, and left alone after three times in an hour."""

    async def scenario(world: World) -> None:
        await world.start()
        metadata = {"annotations": {f"{PREFIX}repair-workers": "true"}}
        await world.create(replicas=1, size=4, section={"restartPolicy": "None"}, metadata=metadata)
        await world.settled("sample")
        for number in (1, 2, 3):
            await scale(world, "sample-0", 1)
            await world.until(lambda n=number: len(world.notes("WorkersScaled")) == n, "the repair")  # type: ignore[misc]
            await world.until(lambda: replicas_of(world, "sample-0") == 3, "the number")
            await world.rest()
        await scale(world, "sample-0", 1)
        await world.until(lambda: replicas_of(world, "sample-0") == 1, "the autoscaler's number")
        await world.rest()
        assert replicas_of(world, "sample-0") == 1
        assert len(world.notes("WorkersScaled")) == 3
        assert status(world).get("readyReplicas", 0) == 0

    plane.run(scenario)


class _As(Forwarding):
    """A transport whose every request is our ServiceAccount's, with every right that RBAC can give."""

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


def test_r44_a_log_that_hangs_and_a_configmap_of_somebody_elses(plane: Plane) -> None:
    """R44: a recreation waits two seconds for a log at most; a foreign ConfigMap stays as it is, which is reported."""

    async def scenario(world: World) -> None:
        answers: list[Response | None] = [None, Response(200, {}, b"last words\n")]
        await world.start(lambda inner: WithLogs(inner, lambda: answers.pop(0)))
        meta = {"name": "sample-failures", "namespace": world.namespace}
        await world.client.create(CONFIGMAPS, {"metadata": meta, "data": {"theirs": "yes"}})
        wanted = {"annotations": {f"{PREFIX}failure-log-lines": "50"}}
        await world.create(replicas=2, size=3, metadata=wanted)
        await world.settled("sample")
        begun = asyncio.get_running_loop().time()
        world.loops.kubelets.crash(world.namespace, WORKER, None, 137, "OOMKilled")
        await world.until(lambda: bool(world.notes("RecreateGroup")), "the recreation")
        assert 1.99 <= asyncio.get_running_loop().time() - begun < 8
        await world.settled("sample")
        await killed(world)
        await world.until(lambda: bool(world.notes("FailureLogNotKept")), "the report")
        assert "ConfigMap sample-failures is not of this set" in world.notes("FailureLogNotKept")[-1]
        found = await world.client.get(CONFIGMAPS, world.namespace, "sample-failures")
        assert found["data"] == {"theirs": "yes"}

    plane.run(scenario)
