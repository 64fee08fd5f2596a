"""A cluster with the operator in the same process: the sandbox in virtual time, or a real one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import yaml

from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    PODS,
    Resource,
)
from lws.client.api import ApiClient
from lws.client.transport import Transport
from lws.clock import Clock
from lws.errors import NotFoundError
from lws.manager.operand import OperandManager, OperandSettings
from lws.planning.operand.assets import Asset, assets, parsed
from lws.reconcilers.operand.observe import Surroundings
from lws.reconcilers.operand.preview import Restarts
from lws_sandbox.admission.configuration import Target
from lws_sandbox.drills import Drills
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
    return slimmed(assets())


def slimmed(found: Sequence[Asset]) -> tuple[Asset, ...]:
    """The objects of a release, with an opaque definition of sets."""
    return parsed(_slim(found))


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

    def __init__(self, site: Ground, operator: OperandManager, transport: Transport) -> None:
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


class Ground:
    """What scenarios of the operator stand on.

    Args:
        client: may do everything.
        clock: of the cluster.
        random: of all chance.
        namespace: of the operator.
        objects: what the operator installs.
    """

    drills: Drills

    def __init__(
        self, client: ApiClient, clock: Clock, random: Random, namespace: str, objects: Sequence[Asset]
    ) -> None:
        self.client = client
        self.clock = clock
        self.random = random
        self.namespace = namespace
        self.writes: list[Write] = []
        self.operators: list[Running] = []
        self.distrust: Callable[[Target], str] = lambda _: ""
        self._objects = tuple(objects)

    def serve(self, namespace: str) -> None:
        """Let the operand's webhook answer in this namespace too, where that is to be told."""

    async def run_operand(self) -> None:
        """Run the controller that the operand's pods would run; returns when it works."""
        raise NotImplementedError

    def transport(self) -> Transport:
        """A way to the API server for one operator."""
        raise NotImplementedError

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
        recorded = Recording(transport or self.transport(), self.writes)
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

    async def replace(self, spec: JSON) -> JSON:
        """Make this the object's spec; members that are None are left out."""
        live = await self.operator()
        given = {key: _given(value) for key, value in spec.items() if value is not None}
        return await self.client.update(OPERATORS, {**live, "spec": given})

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

        try:
            await self.until(holds, seconds=seconds)
            await asyncio.sleep(2.0)
            await self.until(holds, seconds=seconds)
        except TimeoutError:
            raise AssertionError(await self.said()) from None
        return await self.operator()

    async def said(self) -> str:
        """All conditions as text, and operators that ended, for whoever waited in vain."""
        conditions = ((await self.operator()).get("status") or {}).get("conditions") or ()
        told = [f"{each['type']} {each['status']} {each.get('message')}" for each in conditions]
        return "\n".join([*told, *(f"an operator ended: {each.task}" for each in self.operators if each.task.done())])

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


def _given(value: Any) -> Any:
    return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value


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
