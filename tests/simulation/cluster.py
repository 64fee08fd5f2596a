"""A sandbox with our API installed and an operator in the same process, in virtual time and without sockets."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterable
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
    CUSTOMRESOURCEDEFINITIONS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from lws.errors import AlreadyExistsError, NotFoundError
from lws.manager.settings import Configuration, Settings
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.drills import Drills
from lws_sandbox.kinds import Features
from lws_sandbox.nodes import NodeShape, Shape
from lws_sandbox.virtual_time import VirtualClock
from tests.simulation.operated import NAMESPACE, OperatedCluster, Running
from tests.simulation.recording import Wrap, Write

__all__ = ["LOOPS", "NAMESPACE", "Cluster", "Running", "Wrap", "Write", "keys_of", "manifest", "running", "shape"]

ROOT: Final = Path(__file__).parents[2]
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


def crd(name: str) -> JSON:
    """One of our CustomResourceDefinitions."""
    (found,) = _documents(f"config/crd/{name}.yaml")
    return found


@cache
def _slim_crd(name: str) -> JSON:
    """One of our CustomResourceDefinitions with opaque pod templates and claims."""
    slim = copy.deepcopy(crd(name))
    for version in slim["spec"]["versions"]:
        _slim(version["schema"]["openAPIV3Schema"])
    return slim


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


class Cluster(OperatedCluster):
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
        typed: whether ``spec.scheduling`` is acted upon, by Workloads of Kubernetes unless groups are ganged.
        workload_api: whether these are served then.
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
        typed: bool = False,
        workload_api: bool = True,
    ) -> None:
        self._slim = slim
        self._served = disaggregated and served
        random, clock = Random(seed), VirtualClock()
        self.sandbox = Sandbox(
            shape=shape(nodes, delays=delays, heartbeat=heartbeat, events=events),
            clock=clock,
            random=Random(random.getrandbits(64)),
            loops=None if loops is None else frozenset(loops),
            gang=gang,
            workloads=typed and workload_api and not gang,
            features=Features(max_unavailable_statefulset=parallel),
        )
        self.drills = Drills(self.sandbox)
        settings = Settings(
            configuration=_configuration(gang=gang, elect=elect, typed=typed),
            disaggregated=disaggregated,
            workers=workers,
            resync=resync,
            watchdog=None,
            hostname="test",
        )
        super().__init__(
            self.sandbox.client(), clock=clock, random=random, connect=self.sandbox.transport, settings=settings
        )

    def configure(self, *, gang: bool) -> None:
        """How operators that start from now on are configured."""
        elect = self.settings.configuration.leader_election.leader_elect
        configuration = _configuration(gang=gang, elect=elect)
        self.settings = self.settings.model_copy(update={"configuration": configuration})

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
        self.serve_webhooks()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all operators, then the sandbox."""
        for running in [*self.operators]:
            await running.stop()
        await self.sandbox.__aexit__(kind, error, trace)

    def serve_webhooks(self, distrust: str = "") -> None:
        """Have our webhooks be reached, or not be trusted for this reason."""
        self.sandbox.local_webhooks.serve("system", "webhook-service", self._review, distrust=lambda _: distrust)

    async def serve_disaggregated(self) -> None:
        """Serve DisaggregatedSets from now on."""
        self._served = True
        await self._define(*DISAGGREGATED)

    async def _define(self, *names: str) -> None:
        for name in names:
            await self.client.create(CUSTOMRESOURCEDEFINITIONS, (_slim_crd if self._slim else crd)(name))
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
            self._spare = getattr(self, "_spare", None) or self.make(self.sandbox.transport())
            return self._spare.handle_review(path, body, content_type)
        return self.operators[0].operator.handle_review(path, body, content_type)


def _configuration(*, gang: bool, elect: bool, typed: bool = False) -> Configuration:
    provider = "volcano" if gang else "kubernetes" if typed else ""
    return Configuration.model_validate(
        {
            "clientConnection": {"qps": -1, "burst": 1},
            "leaderElection": {"leaderElect": elect},
            "gangSchedulingManagement": {"schedulerProvider": provider} if provider else None,
            "featureGates": {"WorkloadAwareScheduling": True} if typed else {},
        }
    )


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
