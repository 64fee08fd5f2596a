"""Random sets and what is done to them, planned on one cluster and then done there."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, Resource
from lws.cli.kubectl.plan.rehearsal import Kind, Outcome, Request, rehearse
from lws.cli.kubectl.plan.roles import RoleCourses
from lws.cli.kubectl.plan.world import read_world
from lws.planning.leaderworkerset.course import Courses, Place, SetCourse
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.storage import Event
from tests.api.disaggregatedset import making
from tests.simulation.cluster import Cluster, manifest
from tests.simulation.hashed import HASH_LOOPS

PLACE: Final[Place] = ("default", "web")
START_UP: Final = 7.0
DELAYS: Final = Delays(start=0.5, init=0.5, ready=START_UP, stop=0.5)
QUIET: Final = 450.0
WHOSE: Final = ("Ordinal", "Ordinal", "Hash", "Roles")


@dataclass(frozen=True)
class Case:
    """A set, and what is done to it."""

    before: JSON
    kind: Kind
    resource: Resource = LEADERWORKERSETS
    after: JSON | None = None  # its spec
    scales: tuple[tuple[str, int], ...] = ()  # External roles and their replicas
    nodes: tuple[str, ...] = ()


def case_of(kind: Kind, seed: int) -> Case:
    """A case from a seed: of four, one set is known by keys, and one is a DisaggregatedSet."""
    random, whose = Random(f"{kind}/{seed}"), WHOSE[seed % len(WHOSE)]
    before = random_roles(random) if whose == "Roles" else random_set(random, whose)
    resource = DISAGGREGATEDSETS if whose == "Roles" else LEADERWORKERSETS
    if kind == "drain":
        nodes = tuple(random.sample([f"node-{i}" for i in range(4)], random.randint(1, 2)))
        return Case(before, kind, resource, nodes=nodes)
    if whose == "Roles":
        return edited_roles(random, before)
    return Case(before, kind, resource, edited_set(random, before, whose))


def random_set(random: Random, identity: str = "Ordinal") -> JSON:
    """A set of up to five groups, with any pace and policy."""
    policy = random.choice(["RecreateGroupOnPodRestart", "None", "RecreateGroupAfterStart"])
    more: JSON = {"groupIdentity": identity} if identity != "Ordinal" else {}
    if more and random.random() < 0.3:
        more["groupReplacementPolicy"] = "Immediate"
    return manifest(
        "web",
        replicas=random.randint(1, 5),
        size=random.randint(1, 3),
        rolling=pace(random, partitioned=not more),
        section={"restartPolicy": policy},
        startupPolicy=random.choice(["LeaderCreated", "LeaderReady"]),
        networkConfig={"subdomainPolicy": random.choice(["Shared", "UniquePerReplica"])},
        **more,
    )


def pace(random: Random, *, partitioned: bool = False) -> JSON:
    """How many groups a rollout may take down or add."""
    surge, unavailable = random.randint(0, 2), random.randint(0, 2)
    rolling: JSON = {"maxSurge": surge, "maxUnavailable": unavailable or (0 if surge else 1)}
    if partitioned and random.random() < 0.2:
        rolling["partition"] = random.randint(0, 3)
    return rolling


def edited_set(random: Random, before: JSON, identity: str) -> JSON:
    """The spec with one or two members of another set's."""
    other = random_set(random, identity)["spec"]
    spec: JSON = copy.deepcopy(before["spec"])
    for what in random.sample(["image", "replicas", "size", "pace", "startup", "nothing"], random.randint(1, 2)):
        match what:
            case "image":
                container = {"name": "main", "image": f"app:{random.randint(2, 9)}"}
                spec["leaderWorkerTemplate"]["workerTemplate"] = {"spec": {"containers": [container]}}
            case "replicas":
                spec["replicas"] = other["replicas"]
            case "size":
                spec["leaderWorkerTemplate"]["size"] = other["leaderWorkerTemplate"]["size"]
            case "pace":
                spec["rolloutStrategy"] = other["rolloutStrategy"]
            case "startup":
                spec["startupPolicy"] = other["startupPolicy"]
    return spec


def random_roles(random: Random) -> JSON:
    """A DisaggregatedSet of two roles and up to two slices; a role may be scaled by others, or be known by keys."""
    roles = []
    for name in ("prefill", "decode"):
        more: JSON = {"rolloutStrategy": making.paced(**pace(random))}
        if random.random() < 0.2:
            more["groupIdentity"] = "Hash"
        template = making.pause(size=random.randint(1, 2))
        if random.random() < 0.2:
            roles.append(making.external(name, template=template, **more))
        else:
            roles.append(making.role(name, random.randint(1, 3), template=template, **more))
    slices = 1 if any("scaling" in each for each in roles) else random.randint(1, 2)  # of External roles only one
    made = making.manifest(*roles, name="web", slices=slices)
    return {**made, "metadata": {"name": "web", "namespace": "default"}}


def edited_roles(random: Random, before: JSON) -> Case:
    """One or two of its members changed."""
    spec, scales = copy.deepcopy(before["spec"]), []
    for what in random.sample(["image", "one image", "replicas", "slices", "nothing"], random.randint(1, 2)):
        role = random.choice(spec["roles"])
        match what:
            case "image" | "one image":
                for each in spec["roles"] if what == "image" else [role]:
                    containers = each["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"]
                    containers[0]["image"] = f"registry.k8s.io/pause:{random.randint(4, 9)}"
            case "replicas" if "scaling" in role:
                scales.append((role["name"], random.randint(1, 4)))
            case "replicas":
                role["spec"]["replicas"] = random.randint(1, 4)
            case "slices" if not any("scaling" in each for each in spec["roles"]):
                spec["slices"] = random.randint(1, 3)
    return Case(before, "edit", DISAGGREGATEDSETS, spec, tuple(scales))


@dataclass(frozen=True)
class Seen:
    """What happened, and what had been foreseen."""

    courses: Courses
    roles: RoleCourses
    foreseen: Outcome

    def differences(self) -> Iterator[str]:
        """Where the two differ: what happened in its order, and all numbers."""
        places = {*self.courses.places, *self.foreseen.courses}
        for place in sorted(places):
            yield from differing("/".join(place), self.foreseen.courses.get(place), self.courses.of(place))
        for place, planned in self.foreseen.roles.items():
            happened = self.roles.of(place)
            for role in sorted({*happened, *planned.roles}):
                yield from differing(role, planned.roles.get(role), happened.get(role), ordered=False)
            yield from differing("the whole", planned.whole, self.roles.whole(place), ordered=False)


def differing(
    what: str, foreseen: SetCourse | None, happened: SetCourse | None, *, ordered: bool = True
) -> Iterator[str]:
    """A sentence if two courses differ in more than their times; not in the order of groups if that is no matter."""
    planned, found = (told(one or SetCourse("", ""), ordered=ordered) for one in (foreseen, happened))
    if planned != found:
        yield f"{what}: foreseen {planned}, happened {found}"


def told(course: SetCourse, *, ordered: bool) -> tuple[Any, ...]:
    """What of a course has to be foreseen exactly."""
    steps = [(one.step, one.group) for one in course.happenings]
    numbers = replace(course, namespace="", name="", happenings=(), unplaced=())
    return steps if ordered else len(steps), numbers


async def play(case: Case) -> Seen:
    """Make the set, plan what is to be done to it, and do it."""
    loops, roles = (*HASH_LOOPS, "disruption-controller"), case.resource is DISAGGREGATEDSETS
    async with Cluster(11, nodes=4, delays=DELAYS, loops=loops, disaggregated=roles) as cluster:
        await cluster.start()
        await cluster.client.create(case.resource, case.before)
        last = [0.0]
        cluster.sandbox.server.storage.subscribe(str(PODS), lambda _: last.__setitem__(0, cluster.clock.monotonic()))
        await cluster.until(lambda: _at_rest(cluster, case.resource), seconds=1e5)
        await cluster.until(lambda: _quiet(cluster, last), seconds=1e6, every=20.0)
        foreseen = await _plan(cluster, case)
        seen = Seen(Courses(), RoleCourses(), foreseen)
        _watch(cluster, seen)
        last[0] = cluster.clock.monotonic()
        await _do(cluster, case)
        await cluster.until(lambda: _quiet(cluster, last), seconds=1e6, every=20.0)
        return seen


def _watch(cluster: Cluster, seen: Seen) -> None:
    storage, begin = cluster.sandbox.server.storage, cluster.clock.monotonic()

    def see(event: Event) -> None:
        pod = event.obj if event.type != "DELETED" else event.old or event.obj
        for each in (seen.courses, seen.roles):
            each.see(event.type, pod, cluster.clock.monotonic() - begin)

    for pod in storage.objects(str(PODS)):
        seen.courses.see("ADDED", pod)
        seen.roles.see("ADDED", pod)
    seen.courses.begin()
    seen.roles.begin()
    storage.subscribe(str(PODS), see)


async def _at_rest(cluster: Cluster, resource: Resource) -> bool:
    found = await cluster.client.get(resource, *PLACE)
    conditions = {one["type"]: one["status"] for one in (found.get("status") or {}).get("conditions") or ()}
    return conditions.get("Available") == "True"


async def _quiet(cluster: Cluster, last: list[float]) -> bool:
    return cluster.clock.monotonic() - last[0] > QUIET


async def _edits(cluster: Cluster, case: Case) -> list[tuple[Resource, JSON]]:
    """What is written; the set itself first."""
    live = await cluster.client.get(case.resource, *PLACE)
    edits = [] if case.after is None else [(case.resource, {**live, "spec": {**live["spec"], **case.after}})]
    for role, count in case.scales:
        scaler = await cluster.client.get(ROLESCALERS, "default", f"web-{role}")
        edits.append((ROLESCALERS, {**scaler, "spec": {**scaler["spec"], "replicas": count}}))
    return edits


async def _plan(cluster: Cluster, case: Case) -> Outcome:
    """Plan as the command does, in another thread, while this cluster's time stands still; nothing is written."""
    version = cluster.sandbox.server.storage.revision
    world = await read_world(cluster.client, "" if case.kind == "drain" else "default")
    edited = tuple(await _edits(cluster, case))
    request = Request(case.kind, world, cluster.clock.now(), edited=edited, nodes=case.nodes, start_up=START_UP)
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(rehearse(request)))
    thread.start()
    thread.join()
    assert cluster.sandbox.server.storage.revision == version
    return found[0]


async def _do(cluster: Cluster, case: Case) -> None:
    for resource, edited in await _edits(cluster, case):
        await cluster.client.update(resource, edited)
    await asyncio.gather(*(cluster.drills.node_drain(name, seconds=3600.0) for name in case.nodes))


def keyed(case: Case) -> bool:
    """Whether groups of the set are known by keys."""
    specs = [case.before["spec"], *(one["spec"] for one in case.before["spec"].get("roles") or ())]
    return any(spec.get("groupIdentity") == "Hash" for spec in specs)
