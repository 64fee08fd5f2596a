"""R24: what a plan foresees is what then happens, in order and in numbers, and planning writes nothing."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.cli.kubectl.plan.rehearsal import Kind, Outcome, Request, rehearse
from lws.cli.kubectl.plan.world import read_world
from lws.planning.leaderworkerset.course import Courses, SetCourse
from lws_sandbox import virtual_time as vt
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.storage import Event
from tests.simulation.cluster import LOOPS, Cluster, manifest

PLACE = ("default", "web")
START_UP = 7.0
DELAYS = Delays(start=0.5, init=0.5, ready=START_UP, stop=0.5)
QUIET = 450.0


@dataclass(frozen=True)
class Case:
    """A set, and what is done to it."""

    before: JSON
    kind: Kind
    after: JSON | None = None
    nodes: tuple[str, ...] = ()


def random_set(random: Random) -> JSON:
    """A set of up to five groups, with any pace and policy."""
    surge, unavailable = random.randint(0, 2), random.randint(0, 2)
    rolling: JSON = {"maxSurge": surge, "maxUnavailable": unavailable or (0 if surge else 1)}
    if random.random() < 0.2:
        rolling["partition"] = random.randint(0, 3)
    policy = random.choice(["RecreateGroupOnPodRestart", "None", "RecreateGroupAfterStart"])
    return manifest(
        "web",
        replicas=random.randint(1, 5),
        size=random.randint(1, 3),
        rolling=rolling,
        section={"restartPolicy": policy},
        startupPolicy=random.choice(["LeaderCreated", "LeaderReady"]),
        networkConfig={"subdomainPolicy": random.choice(["Shared", "UniquePerReplica"])},
    )


def random_edit(random: Random, before: JSON) -> JSON:
    """The set with one or two members of another set's."""
    other = random_set(random)["spec"]
    spec: JSON = {**before["spec"]}
    template = {**spec["leaderWorkerTemplate"]}
    for what in random.sample(["image", "replicas", "size", "pace", "startup", "nothing"], random.randint(1, 2)):
        match what:
            case "image":
                container = {"name": "main", "image": f"app:{random.randint(2, 9)}"}
                template["workerTemplate"] = {"spec": {"containers": [container]}}
            case "replicas":
                spec["replicas"] = other["replicas"]
            case "size":
                template["size"] = other["leaderWorkerTemplate"]["size"]
            case "pace":
                spec["rolloutStrategy"] = other["rolloutStrategy"]
            case "startup":
                spec["startupPolicy"] = other["startupPolicy"]
    return {**before, "spec": {**spec, "leaderWorkerTemplate": template}}


def case_of(kind: Kind, seed: int) -> Case:
    """A case from a seed."""
    random = Random(f"{kind}/{seed}")
    before = random_set(random)
    if kind == "drain":
        return Case(before, kind, nodes=tuple(random.sample([f"node-{i}" for i in range(4)], random.randint(1, 2))))
    return Case(before, kind, random_edit(random, before))


async def happens(case: Case) -> tuple[SetCourse, Outcome]:
    """The course of the set on a cluster, and what a plan foresaw of it just before."""
    loops = (*LOOPS, "disruption-controller")
    async with Cluster(11, nodes=4, delays=DELAYS, loops=loops) as cluster:
        await cluster.start()
        await cluster.client.create(LEADERWORKERSETS, case.before)
        await cluster.available("web")
        await cluster.until(lambda: _at_rest(cluster))
        foreseen = await _plan(cluster, case)
        courses, moved, loop = Courses(), threading.Event(), vt.VirtualClock()
        for pod in cluster.sandbox.server.storage.objects(str(PODS)):
            courses.see("ADDED", pod)
        courses.begin()
        begin, last = loop.monotonic(), [loop.monotonic()]

        def see(event: Event) -> None:
            pod = event.obj if event.type != "DELETED" else event.old or event.obj
            courses.see(event.type, pod, loop.monotonic() - begin)
            last[0] = loop.monotonic()
            moved.set()

        cluster.sandbox.server.storage.subscribe(str(PODS), see)
        await _do(cluster, case)
        await cluster.until(lambda: _quiet(last, loop), seconds=1e6, every=20.0)
        return courses.of(PLACE), foreseen


async def _at_rest(cluster: Cluster) -> bool:
    found = await cluster.client.get(LEADERWORKERSETS, *PLACE)
    return bool(found["status"].get("updatedReplicas") == found["spec"]["replicas"])


async def _quiet(last: list[float], clock: vt.VirtualClock) -> bool:
    return clock.monotonic() - last[0] > QUIET


async def _plan(cluster: Cluster, case: Case) -> Outcome:
    """Plan as the command does, in another thread, while this cluster's time stands still; nothing is written."""
    version = cluster.sandbox.server.storage.revision
    world = await read_world(cluster.client, "" if case.kind == "drain" else "default")
    edited = None
    if case.after is not None:
        live = world.lws(*PLACE)
        assert live is not None
        edited = {**live, "spec": {**live["spec"], **case.after["spec"]}}
    found: list[Outcome] = []
    request = Request(case.kind, world, edited=edited, nodes=case.nodes, start_up=START_UP)
    thread = threading.Thread(target=lambda: found.append(rehearse(request)))
    thread.start()
    thread.join()
    assert cluster.sandbox.server.storage.revision == version
    return found[0]


async def _do(cluster: Cluster, case: Case) -> None:
    if case.after is not None:
        live = await cluster.client.get(LEADERWORKERSETS, *PLACE)
        live["spec"] |= case.after["spec"]
        await cluster.client.update(LEADERWORKERSETS, live)
        return
    import asyncio

    await asyncio.gather(*(cluster.drills.node_drain(name, seconds=3600.0) for name in case.nodes))


def told(course: SetCourse) -> tuple[Any, ...]:
    """What of a course has to be foreseen exactly: what happens, in its order, and all numbers."""
    steps = tuple((one.step, one.group) for one in course.happenings)
    return steps, replace(course, happenings=(), unplaced=())


def agree(kind: Kind, seed: int) -> None:
    """One case is as it was foreseen."""
    case = case_of(kind, seed)
    course, foreseen = vt.run(happens(case))
    assert not foreseen.refused
    assert told(foreseen.courses[PLACE]) == told(course), f"{kind} {seed}: {case}"


@pytest.mark.long
@pytest.mark.parametrize(("kind", "seed"), [("edit", 3)])
def test_a_plan_is_what_then_happens(kind: Kind, seed: int) -> None:
    """R24 in short: an edit comes as it was planned, in order and in numbers, and planning writes nothing."""
    agree(kind, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200))
def test_r24_every_edit_is_foreseen(seed: int) -> None:
    """R24: 200 random edits of random sets."""
    agree("edit", seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(50))
def test_r24_every_drain_is_foreseen(seed: int) -> None:
    """R24: 50 drains of one node or two."""
    agree("drain", seed)
