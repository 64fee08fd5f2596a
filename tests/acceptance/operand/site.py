"""A sandbox with the operator in the same process, in virtual time and without sockets.

The operand's pods are pretended by the sandbox's kubelets. While one of them is Ready, the operand's webhook answers as
the real one does: by its own handlers, in process.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import orjson
import yaml

from lws.api.operand import names
from lws.api.operand.crd import LEADERWORKERSETOPERATOR, OPERATORS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    NAMESPACES,
    PODS,
    Resource,
)
from lws.client.api import ApiClient
from lws.client.transport import Transport
from lws.errors import NotFoundError
from lws.manager.manager import ControllerManager
from lws.manager.operand import OperandManager, OperandSettings
from lws.manager.settings import Configuration, Settings
from lws.planning.operand.assets import Asset, assets, parsed
from lws.reconcilers.operand.observe import Surroundings
from lws.reconcilers.operand.preview import Restarts
from lws_sandbox.admission.calling import CallError
from lws_sandbox.admission.configuration import Target
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.drills import Drills
from lws_sandbox.nodes import NodeShape, Shape
from lws_sandbox.virtual_time import VirtualClock
from tests.simulation.cluster import manifest as set_manifest
from tests.simulation.recording import Recording, Write

Key = tuple[str, str]
ROOT: Final = Path(__file__).parents[3]
NAMESPACE: Final = names.OPERATOR_NAMESPACE
IMAGE: Final = "registry.example/lws:v1.1.0"
NEXT_IMAGE: Final = "registry.example/lws:v1.2.0"
VERSION: Final = "1.1.0"
FREE: Final = frozenset({EVENTS.plural, LEASES.plural})


@cache
def fixture(name: str) -> tuple[JSON, ...]:
    """Definitions of other projects, as far as the operator needs them."""
    text = (ROOT / "tests/data/operand" / f"{name}.yaml").read_text(encoding="utf-8")
    return tuple(yaml.load_all(text, Loader=yaml.CSafeLoader))


@cache
def slim_assets() -> tuple[Asset, ...]:
    """The objects of this release, with opaque pod templates in the definition of sets, which is then read faster."""
    return parsed(_slim(assets()))


def _slim(found: Sequence[Asset]) -> bytes:
    opaque = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    entries = []
    for asset in found:
        manifest = orjson.loads(orjson.dumps(asset.manifest))
        if asset.resource == CUSTOMRESOURCEDEFINITIONS:
            for version in manifest["spec"]["versions"]:
                spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
                if "leaderWorkerTemplate" not in spec.get("properties", {}):
                    continue
                section = spec["properties"]["leaderWorkerTemplate"]["properties"]
                section["leaderTemplate"] = section["workerTemplate"] = opaque
                section["volumeClaimTemplates"] = {"type": "array", "items": opaque}
        entry = {"manifest": manifest, "plural": asset.resource.plural, "namespaced": asset.resource.namespaced}
        entries.append({**entry, "component": asset.component, "without": sorted(asset.without)})
    return orjson.dumps(entries)


class Running:
    """One operator process."""

    def __init__(self, site: Site, operator: OperandManager, transport: Transport) -> None:
        self.site = site
        self.operator = operator
        self._transport = transport
        self.task = asyncio.create_task(operator.run(), name="lws-operator")

    async def stop(self) -> None:
        """Stop in order."""
        if self in self.site.operators:
            self.site.operators.remove(self)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def crash(self) -> None:
        """Die: no request of it reaches the server any more, and nothing is tidied up."""
        await self._transport.close()
        await self.stop()


class Site:
    """The whole of it; an async context manager. Nothing of the operator runs until `start`.

    Args:
        seed: of all chance.
        nodes: how many nodes there are.
        definitions: what other projects have installed: names of fixtures.
        namespace: of the operator.
        objects: what the operator installs.
        delays: how long things take on nodes.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        nodes: int = 2,
        definitions: Iterable[str] = (),
        namespace: str = NAMESPACE,
        objects: Sequence[Asset] | None = None,
        delays: Delays | None = None,
    ) -> None:
        self.random = Random(seed)
        self.clock = VirtualClock()
        self.namespace = namespace
        capacity = {"cpu": "64", "memory": "64Gi", "pods": "500"}
        made = tuple(NodeShape(f"node-{i}", {"zone": f"zone-{i}"}, capacity) for i in range(nodes))
        self.sandbox = Sandbox(
            shape=Shape(made, delays or Delays(), heartbeat=0.0, events=False),
            clock=self.clock,
            random=Random(self.random.getrandbits(64)),
        )
        self.drills = Drills(self.sandbox)
        self.client: ApiClient = self.sandbox.client()
        self.writes: list[Write] = []
        self.operators: list[Running] = []
        self.reachable = True
        self.distrust: Callable[[Target], str] = lambda _: ""
        self._objects = slim_assets() if objects is None else tuple(objects)
        self._definitions = tuple(definitions)
        self._controller: asyncio.Task[None] | None = None
        self._admission: ControllerManager | None = None

    async def __aenter__(self) -> Self:
        """Start the sandbox, and install the operator's definition and namespace."""
        await self.sandbox.__aenter__()
        await self.define([LEADERWORKERSETOPERATOR.manifest()])
        for name in self._definitions:
            await self.define(fixture(name))
        await self.client.create(NAMESPACES, {"metadata": {"name": self.namespace}})
        self.serve(self.namespace)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, then the sandbox."""
        for running in [*self.operators]:
            await running.stop()
        await self.stop_operand()
        await self.sandbox.__aexit__(kind, error, trace)

    def serve(self, namespace: str) -> None:
        """Let the operand's webhook answer in this namespace, while one of its pods is Ready there."""

        async def answer(path: str, body: bytes, content_type: str) -> tuple[int, bytes]:
            if not self.reachable or not await self.ready_pods(namespace):
                raise CallError('failed to call webhook: Post "https://lws-webhook-service": connection refused')
            answered: tuple[int, bytes] = self._handlers().handle_review(path, body, content_type)
            return answered

        self.sandbox.local_webhooks.serve(
            namespace, names.WEBHOOK_SERVICE, answer, distrust=lambda target: self.distrust(target)
        )

    def _handlers(self) -> ControllerManager:
        if self._admission is None:
            self._admission = self._make_controller()
        return self._admission

    def _make_controller(self) -> ControllerManager:
        configuration = Configuration.model_validate(
            {"clientConnection": {"qps": -1, "burst": 1}, "leaderElection": {"leaderElect": False}}
        )
        settings = Settings(configuration=configuration, workers=4, resync=None, watchdog=None, hostname="operand")
        chance = Random(self.random.getrandbits(64))
        return ControllerManager(settings, self.sandbox.transport(), clock=self.clock, random=chance, sockets=False)

    async def run_operand(self) -> None:
        """Run the controller that the operand's pods would run; returns when it works."""
        operator = self._make_controller()
        self._admission = operator
        self._controller = asyncio.create_task(operator.run(), name="operand")
        await operator.wait_ready()

    async def stop_operand(self) -> None:
        """End the controller that `run_operand` started."""
        if self._controller is not None:
            self._controller.cancel()
            await asyncio.gather(self._controller, return_exceptions=True)
            self._controller = None

    async def define(self, manifests: Iterable[JSON]) -> None:
        """Install definitions, and wait until they are served."""
        for definition in manifests:
            created = await self.client.create(CUSTOMRESOURCEDEFINITIONS, definition)
            name = created["metadata"]["name"]

            async def established(name: str = name) -> bool:
                found = await self.client.get(CUSTOMRESOURCEDEFINITIONS, "", name)
                conditions = (found.get("status") or {}).get("conditions") or ()
                return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

            await self.until(established)

    async def start(
        self,
        *,
        image: str = IMAGE,
        version: str = VERSION,
        objects: Sequence[Asset] | None = None,
        transport: Transport | None = None,
        lease_transport: Transport | None = None,
        namespace: str | None = None,
        platform: str = "",
        log_level: Callable[[str], None] | None = None,
        ready: bool = True,
        hostname: str = "operator-0",
        restarts: Restarts | None = None,
    ) -> Running:
        """Start an operator; returns when it leads, or at once if not asked to wait."""
        recorded = Recording(transport or self.sandbox.transport(), self.writes)
        where = namespace or self.namespace
        settings = OperandSettings(Surroundings(where, image, version, platform), hostname=hostname)
        operator = OperandManager(
            settings,
            recorded,
            clock=self.clock,
            random=Random(self.random.getrandbits(64)),
            sockets=False,
            log_level=log_level,
            objects=self._objects if objects is None else objects,
            lease_transport=lease_transport,
            restarts=restarts,
        )
        running = Running(self, operator, recorded)
        self.operators.append(running)
        if ready:
            waiting = asyncio.create_task(operator.wait_ready())
            await asyncio.wait([waiting, running.task], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if running.task.done():
                running.task.result()
        return running

    # The operator's object.

    async def apply_cr(self, **spec: Any) -> JSON:
        """Create the object."""
        return await self.client.create(OPERATORS, operator_manifest(**spec))

    async def edit(self, **spec: Any) -> JSON:
        """Merge members into the object's spec; None takes one away."""
        return await self.client.patch(OPERATORS, "", names.SINGLETON, {"spec": spec})

    async def operator(self) -> JSON:
        """The object as it is."""
        return await self.client.get(OPERATORS, "", names.SINGLETON)

    async def condition(self, kind: str) -> JSON:
        """One condition; empty if there is none of this type."""
        conditions = ((await self.operator()).get("status") or {}).get("conditions") or ()
        return next((each for each in conditions if each["type"] == kind), {})

    async def is_condition(self, kind: str, status: str, reason: str = "") -> bool:
        """Whether a condition has this status and, if given, this reason."""
        found = await self.condition(kind)
        return found.get("status") == status and reason in ("", found.get("reason"))

    async def becomes(self, kind: str, status: str, reason: str = "", *, seconds: float = 300.0) -> JSON:
        """Wait until a condition has this status; the condition."""
        await self.until(lambda: self.is_condition(kind, status, reason), seconds=seconds)
        return await self.condition(kind)

    async def installed(self, **spec: Any) -> JSON:
        """Start an operator and make the object; returns it once the operand is available and nothing progresses."""
        if not self.operators:
            await self.start()
        await self.apply_cr(**spec)
        return await self.settled()

    async def settled(self, *, seconds: float = 600.0) -> JSON:
        """Wait until the operand is available and nothing progresses; the object."""

        async def holds() -> bool:
            found = await self.operator()
            current = (found.get("status") or {}).get("observedGeneration") == found["metadata"]["generation"]
            return (
                current
                and await self.is_condition("Available", "True")
                and await self.is_condition("Progressing", "False")
            )

        await self.until(holds, seconds=seconds)
        await asyncio.sleep(2.0)
        await self.until(holds, seconds=seconds)
        return await self.operator()

    # Looking.

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> JSON | None:
        """One object; None if it is not there."""
        where = (self.namespace if namespace is None else namespace) if resource.namespaced else ""
        try:
            return await self.client.get(resource, where, name)
        except NotFoundError:
            return None

    async def deployment(self) -> JSON:
        """The operand's Deployment."""
        return await self.client.get(DEPLOYMENTS, self.namespace, names.DEPLOYMENT)

    async def pods(self, namespace: str | None = None) -> list[JSON]:
        """Pods of the operand."""
        selector = ",".join(f"{key}={value}" for key, value in names.POD_LABELS.items())
        found = await self.client.list(PODS, namespace or self.namespace, label_selector=selector)
        pods: list[JSON] = found["items"]
        return pods

    async def ready_pods(self, namespace: str | None = None) -> list[JSON]:
        """Ready pods of the operand."""
        return [pod for pod in await self.pods(namespace) if is_ready(pod)]

    async def events(self, reason: str = "") -> list[JSON]:
        """Events about the operator's Deployment, oldest first."""
        found = (await self.client.list(EVENTS, self.namespace))["items"]
        ours = [each for each in found if each["regarding"].get("name") == names.OPERATOR_DEPLOYMENT]
        ours.sort(key=lambda each: (each["eventTime"] or "", int(each["metadata"]["resourceVersion"])))
        return [each for each in ours if not reason or each["reason"] == reason]

    async def told(self) -> Counter[str]:
        """How often each reason was told of the operator's Deployment, repetitions included."""
        counts: Counter[str] = Counter()
        for each in await self.events():
            counts[each["reason"]] += (each.get("series") or {}).get("count", 1)
        return counts

    def counted(self, since: int = 0) -> list[Write]:
        """Writes of the operator but for events, leases and dry runs."""
        return [each for each in self.writes[since:] if each.resource not in FREE and not each.dry_run]

    # Waiting, in virtual time.

    async def until(self, holds: Callable[[], Awaitable[bool]], *, seconds: float = 600.0, every: float = 0.25) -> None:
        """Wait until a condition holds.

        Raises:
            TimeoutError: it did not within so many virtual seconds.
        """
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110 -- virtual time: a look costs nothing
                await asyncio.sleep(every)


def operator_manifest(name: str = names.SINGLETON, **spec: Any) -> JSON:
    """A LeaderWorkerSetOperator as a user writes it."""
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": name}, "spec": spec}


def is_ready(pod: JSON) -> bool:
    """Whether a pod is Ready and not on its way out."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def workload(name: str = "sample", **arguments: Any) -> JSON:
    """A LeaderWorkerSet of a user."""
    return set_manifest(name, **arguments)
