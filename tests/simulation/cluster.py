"""A sandbox with our API installed and an operator in the same process, in virtual time and without sockets."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import yaml

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONTROLLERREVISIONS,
    CUSTOMRESOURCEDEFINITIONS,
    EVENTS,
    LEASES,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    PODS,
    SERVICES,
    STATEFULSETS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Resource,
)
from lws.client.api import ApiClient
from lws.client.transport import Transport
from lws.errors import AlreadyExistsError, NotFoundError
from lws.manager.manager import ControllerManager
from lws.manager.settings import Configuration, Settings
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.drills import Drills
from lws_sandbox.kinds import Features
from lws_sandbox.nodes import NodeShape, Shape
from lws_sandbox.virtual_time import VirtualClock
from tests.simulation.recording import Recording, Wrap, Write

__all__ = ["LOOPS", "NAMESPACE", "Cluster", "Running", "Wrap", "Write", "keys_of", "manifest", "running", "shape"]

ROOT: Final = Path(__file__).parents[2]
NAMESPACE: Final = "default"
LEADERWORKERSET: Final = "leaderworkerset.x-k8s.io_leaderworkersets"
DISAGGREGATED: Final = (
    "disaggregatedset.x-k8s.io_disaggregatedsets",
    "disaggregatedset.x-k8s.io_disaggregatedsetrolescalers",
)
LOOPS: Final = (
    "namespace-controller",
    "serviceaccount-controller",
    "garbage-collector-controller",
    "persistentvolume-binder-controller",
    "statefulset-controller",
    "pod-garbage-collector-controller",
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "kube-scheduler",
    "kubelet-heartbeat",
    "kubelet",
)


@cache
def _documents(path: str) -> tuple[JSON, ...]:
    return tuple(yaml.load_all((ROOT / path).read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _crd(name: str) -> JSON:
    (crd,) = _documents(f"config/crd/{name}.yaml")
    return crd


@cache
def _slim_crd(name: str) -> JSON:
    """One of our CustomResourceDefinitions with opaque pod templates and claims."""
    crd = copy.deepcopy(_crd(name))
    for version in crd["spec"]["versions"]:
        _slim(version["schema"]["openAPIV3Schema"])
    return crd


def _slim(schema: JSON) -> None:
    opaque = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for member, found in schema.get("properties", {}).items():
        if member == "leaderWorkerTemplate":
            section = found["properties"]
            section["leaderTemplate"] = section["workerTemplate"] = opaque
            section["volumeClaimTemplates"] = {"type": "array", "items": opaque}
        else:
            _slim(found.get("items", found))


def shape(nodes: int, *, delays: Delays | None = None, heartbeat: float = 0.0, events: bool = False) -> Shape:
    """Nodes in two zones and one rack each, big enough for everything."""
    made = tuple(
        NodeShape(f"node-{i}", {"zone": f"zone-{i % 2}", "rack": f"rack-{i}"}, {"cpu": "640", "pods": "1100"})
        for i in range(nodes)
    )
    return Shape(made, delays or Delays(), heartbeat=heartbeat, events=events)


class Cluster:
    """The whole of it; an async context manager. Nothing of the operator runs until `start`.

    Args:
        seed: of all chance.
        nodes: how many nodes there are.
        gang: whether groups are ganged.
        workers: how many keys each controller reconciles at once.
        resync: seconds between resyncs; None for never.
        elect: whether operators elect a leader.
        delays: how long things take on nodes.
        heartbeat: seconds between heartbeats of nodes; 0 for none, when nothing happens at rest.
        loops: names of the sandbox's control loops; those that groups need by default.
        disaggregated: whether DisaggregatedSets are reconciled.
        served: whether they are served from the beginning, and not only from `serve_disaggregated` on.
        parallel: whether StatefulSets heed maxUnavailable, or replace one pod at a time.
        events: whether the sandbox's own control loops record events.
        slim: leave the schema of pod templates out of the CustomResourceDefinition, which is then read much faster.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        nodes: int = 4,
        gang: bool = False,
        workers: int = 4,
        resync: float | None = None,
        elect: bool = False,
        delays: Delays | None = None,
        heartbeat: float = 0.0,
        loops: Iterable[str] | None = LOOPS,
        slim: bool = True,
        disaggregated: bool = False,
        served: bool = True,
        parallel: bool = True,
        events: bool = False,
    ) -> None:
        self._slim = slim
        self._disaggregated = disaggregated
        self._served = disaggregated and served
        self.random = Random(seed)
        self.clock = VirtualClock()
        self.sandbox = Sandbox(
            shape=shape(nodes, delays=delays, heartbeat=heartbeat, events=events),
            clock=self.clock,
            random=Random(self.random.getrandbits(64)),
            loops=None if loops is None else frozenset(loops),
            gang=gang,
            features=Features(max_unavailable_statefulset=parallel),
        )
        self.drills = Drills(self.sandbox)
        self.client: ApiClient = self.sandbox.client()
        self.writes: list[Write] = []
        self.operators: list[Running] = []
        self._elect = elect
        self.configure(gang=gang)
        self._workers, self._resync = workers, resync

    def configure(self, *, gang: bool) -> None:
        """How operators that start from now on are configured."""
        self._configuration = Configuration.model_validate(
            {
                "clientConnection": {"qps": -1, "burst": 1},
                "leaderElection": {"leaderElect": self._elect},
                "gangSchedulingManagement": {"schedulerProvider": "volcano"} if gang else None,
            }
        )

    async def __aenter__(self) -> Self:
        """Start the sandbox and install the API and the webhooks."""
        await self.sandbox.__aenter__()
        await self._define(LEADERWORKERSET, *(DISAGGREGATED if self._served else ()))
        with suppress(AlreadyExistsError):
            await self.client.create(NAMESPACES, {"metadata": {"name": "lws-system"}})
        for document in _documents("config/webhook/manifests.yaml"):
            mutating = document["kind"] == MUTATINGWEBHOOKCONFIGURATIONS.kind
            where = MUTATINGWEBHOOKCONFIGURATIONS if mutating else VALIDATINGWEBHOOKCONFIGURATIONS
            await self.client.create(where, document)
        self.sandbox.local_webhooks.serve("system", "webhook-service", self._review)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all operators, then the sandbox."""
        for running in [*self.operators]:
            await running.stop()
        await self.sandbox.__aexit__(kind, error, trace)

    async def serve_disaggregated(self) -> None:
        """Serve DisaggregatedSets from now on."""
        self._served = True
        await self._define(*DISAGGREGATED)

    async def _define(self, *names: str) -> None:
        for name in names:
            await self.client.create(CUSTOMRESOURCEDEFINITIONS, (_slim_crd if self._slim else _crd)(name))
        await self.until(self._established)

    async def _established(self) -> bool:
        """Whether our API is served."""
        try:
            await self.client.list(LEADERWORKERSETS)
            if self._served:
                await self.client.list(DISAGGREGATEDSETS)
                await self.client.list(ROLESCALERS)
        except NotFoundError:
            return False
        return True

    def _review(self, path: str, body: bytes, content_type: str) -> tuple[int, bytes]:
        """Webhooks answer as long as some operator process is there, leading or not; a fresh one answers otherwise."""
        if not self.operators:
            self._spare = getattr(self, "_spare", None) or self._make(self.sandbox.transport())
            return self._spare.handle_review(path, body, content_type)
        return self.operators[0].operator.handle_review(path, body, content_type)

    def _make(self, transport: Transport, lease_transport: Transport | None = None) -> ControllerManager:
        settings = Settings(
            configuration=self._configuration,
            disaggregated=self._disaggregated,
            workers=self._workers,
            resync=self._resync,
            watchdog=None,
            hostname="test",
        )
        chance = Random(self.random.getrandbits(64))
        return ControllerManager(
            settings, transport, clock=self.clock, random=chance, sockets=False, lease_transport=lease_transport
        )

    async def start(
        self, wrap: Wrap = lambda transport: transport, *, lease_wrap: Wrap | None = None, ready: bool = True
    ) -> Running:
        """Start an operator, its lease on a transport of its own if that is wrapped; returns when it works if asked."""
        transport = wrap(Recording(self.sandbox.transport(), self.writes))
        lease = lease_wrap(self.sandbox.transport()) if lease_wrap else None
        running = Running(self, self._make(transport, lease), transport)
        self.operators.append(running)
        if ready:
            waiting = asyncio.create_task(running.operator.wait_ready())
            await asyncio.wait([waiting, running.task], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if running.task.done():
                running.task.result()
        return running

    # Looking.

    async def all(self, resource: Resource, selector: str = "") -> list[JSON]:
        """Objects of the default namespace, by name."""
        found = await self.client.list(resource, NAMESPACE, label_selector=selector)
        return sorted(found["items"], key=lambda each: str(each["metadata"]["name"]))

    async def get(self, resource: Resource, name: str) -> JSON | None:
        """One object of the default namespace."""
        try:
            return await self.client.get(resource, NAMESPACE, name)
        except NotFoundError:
            return None

    async def events(self, reason: str = "") -> list[str]:
        """Notes of the operator's events, oldest first."""
        found = await self.all(EVENTS)
        found.sort(key=lambda each: (each["eventTime"] or "", int(each["metadata"]["resourceVersion"])))
        return [each["note"] for each in found if not reason or each["reason"] == reason]

    def counted(self, since: int = 0) -> list[Write]:
        """Writes of the operator that succeeded, but for events and leases."""
        free = {EVENTS.plural, LEASES.plural}
        return [each for each in self.writes[since:] if each.resource not in free and 200 <= each.status < 300]

    # Waiting, in virtual time.

    async def until(self, holds: Callable[[], Awaitable[bool]], *, seconds: float = 600.0, every: float = 0.25) -> None:
        """Wait until a condition holds.

        Raises:
            TimeoutError: it did not within so many virtual seconds.
        """
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110 -- virtual time: a look costs nothing
                await asyncio.sleep(every)

    async def available(self, name: str, *, seconds: float = 600.0) -> JSON:
        """Wait until a set is Available at its own generation; the set."""
        found: JSON = {}

        async def holds() -> bool:
            nonlocal found
            found = await self.client.get(LEADERWORKERSETS, NAMESPACE, name)
            status = found.get("status") or {}
            conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            return current and conditions.get("Available") == "True"

        await self.until(holds, seconds=seconds)
        return found

    async def quiet(self, seconds: float = 30.0, *, limit: float = 1200.0) -> None:
        """Wait until nothing was stored for so many virtual seconds, leases and events aside."""
        async with asyncio.timeout(limit):
            last = await self._fingerprint()
            still = 0.0
            while still < seconds:
                await asyncio.sleep(1.0)
                now = await self._fingerprint()
                still = still + 1.0 if now == last else 0.0
                last = now

    async def _fingerprint(self) -> tuple[str, ...]:
        found = []
        for resource in (LEADERWORKERSETS, STATEFULSETS, PODS, SERVICES, CONTROLLERREVISIONS):
            items = (await self.client.list(resource))["items"]
            found += [f"{each['metadata']['uid']}/{each['metadata']['resourceVersion']}" for each in items]
        return tuple(found)


class Running:
    """One operator process."""

    def __init__(self, cluster: Cluster, operator: ControllerManager, transport: Transport) -> None:
        self.cluster = cluster
        self.operator = operator
        self._transport = transport
        self.task = asyncio.create_task(operator.run(), name="operator")

    async def stop(self) -> None:
        """Stop in order."""
        if self in self.cluster.operators:
            self.cluster.operators.remove(self)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def crash(self) -> None:
        """Die: no request of it reaches the server any more, and nothing is tidied up."""
        await self._transport.close()
        await self.stop()


@asynccontextmanager
async def running(seed: int = 1, **arguments: Any) -> AsyncIterator[Cluster]:
    """A cluster with one operator that works."""
    async with Cluster(seed, **arguments) as cluster:
        await cluster.start()
        yield cluster


def manifest(
    name: str = "sample",
    *,
    replicas: int = 2,
    size: int = 3,
    image: str = "app:1",
    rolling: JSON | None = None,
    section: JSON | None = None,
    metadata: JSON | None = None,
    **spec: Any,
) -> JSON:
    """A LeaderWorkerSet as a user writes it."""
    template = {"spec": {"containers": [{"name": "main", "image": image}]}}
    body: JSON = {
        "replicas": replicas,
        "leaderWorkerTemplate": {"size": size, "workerTemplate": template, **(section or {})},
        **spec,
    }
    if rolling is not None:
        body["rolloutStrategy"] = {"type": "RollingUpdate", "rollingUpdateConfiguration": rolling}
    return {
        "apiVersion": LEADERWORKERSETS.api_version,
        "kind": LEADERWORKERSETS.kind,
        "metadata": {"name": name, "namespace": NAMESPACE, **(metadata or {})},
        "spec": body,
    }


def keys_of(objects: Iterable[JSON]) -> set[str]:
    """The revision keys that these objects carry."""
    return {(each["metadata"].get("labels") or {}).get(labels.REVISION, "") for each in objects}
