"""The stage of a rehearsal: a sandbox in virtual time with a copy of the cluster, and the product's controller."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any, Final

import structlog

from lws.api.disaggregatedset import labels as role_labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import DEPLOYMENTS, PODS, STATEFULSETS, Resource
from lws.cli.kubectl.disaggregatedset.explain import explain
from lws.cli.kubectl.disaggregatedset.picture import look
from lws.cli.kubectl.observe import observe
from lws.cli.kubectl.plan.rehearsal import Outcome, Request, Roles
from lws.cli.kubectl.plan.roles import RoleCourses
from lws.cli.kubectl.plan.world import POLICIES, World
from lws.client.api import ApiClient
from lws.errors import ApiError, LwsError, NotFoundError
from lws.manager.configfile import parse_policies
from lws.manager.policies import Policies
from lws.manager.settings import Configuration, Settings
from lws.planning.leaderworkerset.course import Courses, Place
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose, waits
from lws.planning.leaderworkerset.diagnosis.words import sentences
from lws_sandbox import virtual_time as vt
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.drills import Drills
from lws_sandbox.kinds import Features
from lws_sandbox.quickstart.environment import controller, sandbox_env
from lws_sandbox.quickstart.installation import NAMESPACE, manifests
from lws_sandbox.rehearsal import copying
from lws_sandbox.rehearsal.writes import Ledger, Noting
from lws_sandbox.storage import Event

SETTLING: Final = Delays(start=0.0, init=0.0, ready=0.0, stop=0.5)
PATIENCE: Final = 400.0  # seconds without a change, besides a start, after which nothing is expected any more
PREPARING: Final = 90.0  # seconds until the change is made
LONGEST: Final = 30 * 86_400.0  # seconds that a rehearsal may last
DRAIN_LIMIT: Final = 3600.0  # seconds that a drain waits for budgets, at least
_WRITTEN: Final = ("name", "namespace", "labels", "annotations")
_KEPT: Final = ("resourceVersion", "ownerReferences", "finalizers")
LOOPS: Final = frozenset(
    (
        "garbage-collector-controller",
        "statefulset-controller",
        "deployment-controller",
        "replicaset-controller",
        "pod-garbage-collector-controller",
        "node-lifecycle-controller",
        "taint-eviction-controller",
        "disruption-controller",
        "kube-scheduler",
        "kubelet-heartbeat",
        "kubelet",
    )
)


def rehearse(request: Request) -> Outcome:
    """Make the change and say how it went (`lws.cli.kubectl.plan.rehearsal`). It logs nothing."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return vt.run(_rehearse(request))
    finally:
        structlog.configure(**before)


@dataclass(slots=True)
class Stage:
    """A copy of a cluster, with its courses.

    Attributes:
        sandbox: the cluster.
        client: may do everything.
        courses: read off every change of a pod.
        roles: the same for the roles of DisaggregatedSets.
        ledger: what the controller wrote.
        warnings: of admission.
        moved: set whenever something of a set changes.
        start: virtual seconds at which the change is made.
    """

    sandbox: Sandbox
    client: ApiClient
    courses: Courses
    ledger: Ledger
    warnings: list[str]
    roles: RoleCourses = field(default_factory=RoleCourses)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    start: float = 0.0
    last: float = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the change."""
        return asyncio.get_running_loop().time() - self.start

    def see_pod(self, event: Event) -> None:
        """A pod changed."""
        pod = event.obj if event.type != "DELETED" else event.old or event.obj
        self.courses.see(event.type, pod, self.elapsed)
        self.roles.see(event.type, pod, self.elapsed)
        self.see(event)

    def see(self, _: Event) -> None:
        """Something changed."""
        self.last = self.elapsed
        self.moved.set()

    def begin(self) -> None:
        """What happens from now on belongs to the change."""
        self.start = asyncio.get_running_loop().time()
        self.last = 0.0
        self.courses.begin()
        self.roles.begin()
        self.ledger.clear()

    async def rest(self, patience: float) -> None:
        """Return when nothing has changed for so many seconds."""
        while self.elapsed < LONGEST:
            self.moved.clear()
            try:
                async with asyncio.timeout(patience):
                    await self.moved.wait()
            except TimeoutError:
                return


@asynccontextmanager
async def staged(request: Request) -> AsyncIterator[Stage]:
    """The copy at rest with a controller; of an upgrade, just before the controller starts to look at it.

    Everything else is ready for the change at the time of day at which it is asked for.
    """
    world = request.world
    clock = vt.VirtualClock(epoch=request.now - timedelta(seconds=PREPARING))
    gang = any((pod["metadata"].get("annotations") or {}).get(labels.POD_GROUP_NAME) for pod in world.of(PODS))
    sandbox = Sandbox(
        shape=copying.shape_of(world, SETTLING),
        clock=clock,
        random=Random(1),  # noqa: S311 -- simulation, no secret
        loops=LOOPS,
        gang=gang,
        features=Features(max_unavailable_statefulset=True),
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sandbox)
        env = sandbox_env(sandbox)
        await copying.define(sandbox, env.client("rehearsal"), manifests(env.reach))
        await _served(env.client("rehearsal"))
        warnings: list[str] = []
        client = ApiClient(env.transport, user_agent="rehearsal", field_manager=None, warn=warnings.append)
        stage = Stage(sandbox, client, Courses(_sizes(world)), Ledger(), warnings)
        sandbox.loops.kubelets.trusting = True
        for resource in (PODS, STATEFULSETS, DEPLOYMENTS, LEADERWORKERSETS, DISAGGREGATEDSETS):
            sandbox.server.storage.subscribe(str(resource), stage.see_pod if resource is PODS else stage.see)
        await copying.fill(sandbox, world)
        await stage.rest(SETTLING.stop + 30.0)
        sandbox.loops.kubelets.delays = Delays(start=0.5, init=0.5, ready=request.start_up, stop=0.5)
        stage.begin()
        watched = replace(env, transport=Noting(env.transport, stage.ledger, sandbox.server.storage))
        await stack.enter_async_context(controller(watched, _settings(gang, world.policies), installed=True))
        if request.kind != "upgrade":
            await stage.rest(30.0)
            await asyncio.sleep(max(0.0, PREPARING - asyncio.get_running_loop().time()))
        yield stage


async def _served(client: ApiClient) -> None:
    """Wait until sets are served; definitions take a moment."""
    while True:
        try:
            await client.list(LEADERWORKERSETS, limit=1)
            return
        except ApiError:
            await asyncio.sleep(0.1)


def _settings(gang: bool, policies: str) -> Settings:
    configuration = Configuration.model_validate(
        {
            "clientConnection": {"qps": -1, "burst": 1},
            "leaderElection": {"leaderElect": False},
            "gangSchedulingManagement": {"schedulerProvider": "volcano"} if gang else None,
        }
    )
    chosen = parse_policies(policies, f"ConfigMap {'/'.join(POLICIES)}") if policies else Policies()
    return Settings(namespace=NAMESPACE, configuration=configuration, policies=chosen, watchdog=None, resync=None)


def _sizes(world: World) -> dict[Place, int]:
    sizes = {}
    for raw in world.of(LEADERWORKERSETS):
        size = ((raw.get("spec") or {}).get("leaderWorkerTemplate") or {}).get("size")
        sizes[_place(raw)] = size if isinstance(size, int) else 1
    return sizes


def _place(raw: Mapping[str, Any]) -> Place:
    return str(raw["metadata"].get("namespace") or ""), str(raw["metadata"]["name"])


async def _rehearse(request: Request) -> Outcome:
    async with staged(request) as stage:
        patience = PATIENCE + 2 * request.start_up
        if request.kind == "upgrade":
            await stage.rest(patience)
            return await _outcome(stage, request)
        restless = tuple(place for place in stage.courses.places if stage.courses.of(place).happenings)
        revisions = await _revisions(stage.client, request.world)
        stage.begin()
        stuck: dict[str, str] = {}
        if request.kind == "drain":
            stuck = await _drain(stage, request)
        for edit in request.edited:
            if refused := await _write(stage.client, *edit):
                return Outcome(refused=refused, restless=restless, warnings=tuple(stage.warnings))
        await stage.rest(patience)
        return await _outcome(stage, request, revisions, stuck, restless)


async def _revisions(client: ApiClient, world: World) -> dict[Place, str]:
    """The revision of every DisaggregatedSet."""
    places = [_place(one) for one in world.of(DISAGGREGATEDSETS)]
    return {place: (await look(client, *place)).snapshot.target for place in places}


async def _write(client: ApiClient, resource: Resource, edited: JSON) -> str:
    """Write the edited object through admission; the words of a refusal, if it is refused."""
    meta = {name: edited["metadata"][name] for name in _WRITTEN if name in edited["metadata"]}
    wanted = {"apiVersion": resource.api_version, "kind": resource.kind, **edited, "metadata": meta}
    try:
        live = await client.get(resource, meta["namespace"], meta["name"])
    except NotFoundError:
        live = None
    try:
        if live is None:
            await client.create(resource, wanted, field_manager="kubectl")
        else:
            kept = {name: live["metadata"][name] for name in _KEPT if name in live["metadata"]}
            await client.update(resource, {**wanted, "metadata": {**meta, **kept}}, field_manager="kubectl")
    except ApiError as error:
        return str(error)
    return ""


async def _drain(stage: Stage, request: Request) -> dict[str, str]:
    """Drain the nodes at once, as `kubectl drain` does; the nodes that could not be, with the reason."""
    drills, limit = Drills(stage.sandbox), DRAIN_LIMIT + 4 * request.start_up
    done = await asyncio.gather(
        *(drills.node_drain(name, seconds=limit) for name in request.nodes), return_exceptions=True
    )
    stuck = {}
    for name, result in zip(request.nodes, done, strict=True):
        if isinstance(result, LwsError):
            stuck[name] = str(result)
        elif isinstance(result, BaseException):
            raise result
    return stuck


async def _outcome(
    stage: Stage,
    request: Request,
    revisions: Mapping[Place, str] | None = None,
    stuck: Mapping[str, str] | None = None,
    restless: tuple[Place, ...] = (),
) -> Outcome:
    there = [*request.world.of(LEADERWORKERSETS), *(await stage.client.list(LEADERWORKERSETS))["items"]]
    edited = [one for resource, one in request.edited if resource is LEADERWORKERSETS]
    places = {*stage.courses.places, *map(_place, (*there, *edited))}
    held: dict[Place, tuple[str, ...]] = {}
    keys: dict[Place, str] = {}
    for place in sorted(places):
        try:
            facts = (await observe(stage.client, *place)).facts
        except NotFoundError:
            continue
        keys[place] = facts.key
        if waits(found := diagnose(facts)):
            held[place] = sentences(found)
    return Outcome(
        courses={place: stage.courses.of(place) for place in sorted(places)},
        roles=await _roles(stage, request, revisions or {}),
        owners={_place(one): owner for one in there if (owner := _owner(one))},
        waits=held,
        keys=keys,
        warnings=tuple(stage.warnings),
        writes=stage.ledger.by_set(),
        stuck=dict(stuck or {}),
        seconds=stage.last,
        restless=restless,
    )


async def _roles(stage: Stage, request: Request, revisions: Mapping[Place, str]) -> dict[Place, Roles]:
    """How it went with the DisaggregatedSets."""
    edited = [one for resource, one in request.edited if resource is DISAGGREGATEDSETS]
    found = {}
    for place in sorted({_place(one) for one in (*request.world.of(DISAGGREGATEDSETS), *edited)}):
        picture = await look(stage.client, *place)
        found[place] = Roles(
            before=revisions.get(place, ""),
            after=picture.snapshot.target,
            whole=stage.roles.whole(place),
            roles=stage.roles.of(place),
            waits=explain(picture),
            writes=stage.ledger.of_roles(place),
        )
    return found


def _owner(lws: JSON) -> tuple[str, str] | None:
    """DisaggregatedSet and role of a LeaderWorkerSet that has them."""
    own = lws["metadata"].get("labels") or {}
    name = own.get(role_labels.NAME)
    return (str(name), str(own.get(role_labels.ROLE, ""))) if name else None
