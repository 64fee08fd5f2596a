"""A namespace of some cluster, an operator or several beside it, and the means to wait for what shall happen there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Any, Final, Self

import orjson

from lws.api.resources import (
    CONTROLLERREVISIONS,
    EVENTS,
    LEADERWORKERSETS,
    LEASES,
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    SERVICEACCOUNTS,
    SERVICES,
    STATEFULSETS,
    Resource,
)
from lws.cli.beside import Home
from lws.client.transport import Transport
from lws.errors import NotFoundError
from lws.informers.kinds import raw_kind
from lws.informers.registry import InformerRegistry
from lws.operator.operator import Operator
from lws.operator.settings import Configuration, Settings
from lws.sandbox.control_loops import ControlLoops
from tests.real.ledger import Ledger, Seen, Source
from tests.simulation.cluster import manifest
from tests.simulation.recording import Recording, Wrap, Write

JSON = dict[str, Any]
L: Final = "leaderworkerset.sigs.k8s.io/"
LIMIT: Final = 90.0  # seconds that anything may take
KINDS: Final = (
    LEADERWORKERSETS,
    STATEFULSETS,
    PODS,
    SERVICES,
    CONTROLLERREVISIONS,
    PERSISTENTVOLUMECLAIMS,
    SERVICEACCOUNTS,
    EVENTS,
)
QUIET: Final = (LEADERWORKERSETS, STATEFULSETS, PODS, SERVICES, CONTROLLERREVISIONS)


class World:
    """One namespace; an async context manager, ready when it is entered. At its end nothing of it runs any more.

    Args:
        home: of operators.
        loops: nodes.
        namespace: its name.
        requests: what the API server was asked.
        patience: seconds of silence after which nothing more is to come.
        virtual: whether time costs nothing.
    """

    def __init__(
        self,
        home: Home,
        loops: ControlLoops,
        namespace: str,
        requests: Source,
        *,
        patience: float,
        virtual: bool,
    ) -> None:
        self.home = home
        self.loops = loops
        self.namespace = namespace
        self.patience = patience
        self.virtual = virtual
        self.client = home.client("test")
        self.requests = Ledger(lambda: [each for each in requests() if self._is_here(each)])
        self.writes: list[Write] = []
        self.operators: list[Running] = []
        self.changes = 0
        self._changed = asyncio.Event()
        self._registry = InformerRegistry(home.client("view"), clock=home.clock, random=Random(1))
        self._informers = {kind: self._registry.informer(raw_kind(kind), namespace=namespace) for kind in KINDS}
        for kind, informer in self._informers.items():
            informer.on_change(lambda *_, kind=kind: self._note(kind))

    def _is_here(self, seen: Seen) -> bool:
        return seen.namespace in ("", self.namespace)

    def _note(self, kind: Resource) -> None:
        self.changes += kind in QUIET
        self._changed.set()

    async def __aenter__(self) -> Self:
        """Make the namespace and look at it."""
        with suppress(NotFoundError):
            await self.client.create(NAMESPACES, {"metadata": {"name": self.namespace}})
        self._looking = asyncio.create_task(self._registry.run(), name="view")
        await self._registry.wait_synced()
        await self.until(lambda: self.get(SERVICEACCOUNTS, "default") is not None, "a service account")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop operators, and leave no pod behind."""
        for running in [*self.operators]:
            await running.stop()
        try:
            if not self.virtual:
                await self._clear()
        except TimeoutError:
            if error is None:
                raise
        finally:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _clear(self) -> None:
        await self.client.patch(NODES, "", "node-0", {"metadata": {"labels": {"stage": None}}})
        for each in self.all(LEADERWORKERSETS):
            with suppress(NotFoundError):
                await self.client.delete(LEADERWORKERSETS, self.namespace, each["metadata"]["name"])
        await self.until(lambda: not self.all(PODS), "the end of all pods")
        await self.client.delete(NAMESPACES, "", self.namespace)

    # Operators.

    async def start(
        self, wrap: Wrap = lambda transport: transport, *, elect: bool = False, resync: float | None = None
    ) -> Running:
        """Start an operator; returns when it works."""
        transport = wrap(Recording(_Borrowed(self.home.transport), self.writes))
        configuration = Configuration.model_validate(
            {"clientConnection": {"qps": -1, "burst": 1}, "leaderElection": {"leaderElect": elect}}
        )
        settings = Settings(configuration=configuration, watchdog=None, hostname="test", resync=resync)
        chance = Random(self.home.random.getrandbits(64))
        operator = Operator(settings, transport, clock=self.home.clock, random=chance, sockets=False)
        running = Running(self, operator, transport)
        self.operators.append(running)
        waiting = asyncio.create_task(operator.wait_ready())
        await asyncio.wait([waiting, running.task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if running.task.done():
            running.task.result()
        return running

    # Doing.

    async def create(self, name: str = "sample", **arguments: Any) -> None:
        """Create a set; the arguments are those of `manifest`."""
        body = manifest(name, **arguments)
        body["metadata"]["namespace"] = self.namespace
        await self.client.create(LEADERWORKERSETS, body)

    async def edit(self, name: str = "sample", **spec: Any) -> None:
        """Change a set's spec."""
        await self.client.patch(LEADERWORKERSETS, self.namespace, name, {"spec": spec})

    async def roll(self, image: str, name: str = "sample") -> None:
        """Have a set run another image."""
        template = {"spec": {"containers": [{"name": "main", "image": image}]}}
        await self.edit(name, leaderWorkerTemplate={"workerTemplate": template})

    def crash(self, pod: str) -> None:
        """Let the container of a pod end, as its own fault."""
        self.loops.kubelets.crash(self.namespace, pod)

    async def delete_pod(self, name: str, **options: Any) -> None:
        """Delete a pod."""
        await self.client.delete(PODS, self.namespace, name, **options)

    async def open_stage(self) -> None:
        """Let pods that wait for a node with ``stage: open`` find one."""
        await self.client.patch(NODES, "", "node-0", {"metadata": {"labels": {"stage": "open"}}})

    # Looking.

    def all(self, resource: Resource, **labels: str) -> list[JSON]:
        """Objects that carry these labels of ours, by name; ``group_index="0"`` is ``…/group-index: "0"``."""
        wanted = {f"{L}{key.replace('_', '-')}": value for key, value in labels.items()}
        found = [each.raw for each in self._informers[resource].store]
        kept = [each for each in found if wanted.items() <= (each["metadata"].get("labels") or {}).items()]
        return sorted(kept, key=lambda each: str(each["metadata"]["name"]))

    def get(self, resource: Resource, name: str) -> JSON | None:
        """One object."""
        found = self._informers[resource].store.get(self.namespace, name)
        return found.raw if found is not None else None

    def names(self, resource: Resource, **labels: str) -> list[str]:
        """Names of objects."""
        return [str(each["metadata"]["name"]) for each in self.all(resource, **labels)]

    def revisions(self, name: str = "sample") -> list[JSON]:
        """The revisions of a set, oldest first."""
        found = [each for each in self.all(CONTROLLERREVISIONS, name=name) if _owner(each) == LEADERWORKERSETS.kind]
        return sorted(found, key=lambda each: int(each["revision"]))

    def applied(self, since: int = 0) -> list[tuple[int, int]]:
        """Partition and replicas of each leader StatefulSet that an operator applied."""
        bodies = [orjson.loads(each.body) for each in self.counted(since) if each.method == "PATCH"]
        specs = [body["spec"] for body in bodies if body["kind"] == STATEFULSETS.kind]
        return [(spec["updateStrategy"]["rollingUpdate"]["partition"], spec["replicas"]) for spec in specs]

    def counted(self, since: int = 0) -> list[Write]:
        """Writes of operators that succeeded, but for events and leases."""
        free = {EVENTS.plural, LEASES.plural}
        return [each for each in self.writes[since:] if each.resource not in free and 200 <= each.status < 300]

    def uids(self, resource: Resource = PODS) -> dict[str, str]:
        """UIDs by name."""
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in self.all(resource)}

    def images(self, name: str) -> dict[str, str]:
        """The image that each pod of a set runs."""
        return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in self.all(PODS, name=name)}

    def notes(self, reason: str = "") -> list[str]:
        """Notes of the operators' events, oldest first."""
        found = [each for each in self.all(EVENTS) if each.get("reportingComponent") == "leaderworkerset"]
        found += [each for each in self.all(EVENTS) if each.get("reportingController") == "leaderworkerset"]
        found.sort(key=lambda each: int(each["metadata"]["resourceVersion"]))
        return [str(each.get("note") or each["message"]) for each in found if reason in ("", each["reason"])]

    # Waiting.

    async def until(self, holds: Callable[[], bool], what: str = "a condition", seconds: float = LIMIT) -> None:
        """Wait until something holds of what is seen.

        Raises:
            TimeoutError: it does not within so many seconds; the message tells how far things have come.
        """
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} s:\n{self.told()}") from None

    async def counts(self, kind: Resource, number: int) -> None:
        """Wait until there are exactly so many objects."""
        await self.until(lambda: len(self.all(kind)) == number, f"{number} {kind.plural}")

    async def replaced(self, name: str, before: dict[str, str], kind: Resource = PODS) -> None:
        """Wait until there is another object of this name than the one whose UID is given."""
        await self.until(lambda: self.uids(kind).get(name, before[name]) != before[name], f"a new {kind.kind} {name}")

    async def available(self, name: str) -> JSON:
        """Wait until a set is Available at its own generation; the set."""
        await self.until(lambda: self.is_available(name), f"{name} Available")
        found = self.get(LEADERWORKERSETS, name)
        assert found is not None
        return found

    def is_available(self, name: str) -> bool:
        """Whether a set is Available at its own generation."""
        found = self.get(LEADERWORKERSETS, name) or {}
        status = found.get("status") or {}
        conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
        current = bool(status) and status.get("observedGeneration") == found["metadata"]["generation"]
        return current and conditions.get("Available") == "True"

    async def rest(self, seconds: float = 0.0, limit: float = LIMIT) -> None:
        """Wait until nothing of the namespace changed for so many seconds; for the world's own patience if not given.

        Raises:
            TimeoutError: it goes on and on.
        """
        deadline = asyncio.get_running_loop().time() + limit
        while True:
            before = self.changes
            with suppress(TimeoutError):
                await self.until(lambda: self.changes != before, seconds=seconds or self.patience)  # noqa: B023
            if self.changes == before:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"no rest within {limit:.0f} s:\n{self.told()}")

    async def settled(self, name: str) -> JSON:
        """Wait until a set is Available and nothing changes any more; the set."""
        while True:
            await self.available(name)
            await self.rest()
            if self.is_available(name):
                return await self.available(name)

    def told(self) -> str:
        """Sets and pods, one line each."""
        lines = [f"{each['metadata']['name']}: {each.get('status')}" for each in self.all(LEADERWORKERSETS)]
        for kind in (STATEFULSETS, PODS):
            for each in self.all(kind):
                meta, status = each["metadata"], each.get("status") or {}
                going = " terminating" if meta.get("deletionTimestamp") else ""
                lines.append(f"{kind.kind} {meta['name']}{going}: {_brief(status)}")
        return "\n".join([*lines, *self.notes()])


def claim(storage: str) -> JSON:
    """A template of volume claims."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}}
    return {"metadata": {"name": "data"}, "spec": spec}


def _owner(obj: JSON) -> str:
    return str((obj["metadata"].get("ownerReferences") or [{"kind": ""}])[0]["kind"])


def _brief(status: JSON) -> JSON:
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return {key: value for key, value in status.items() if isinstance(value, int | str)} | conditions


class _Borrowed:
    """A transport whose end is none of the borrower's business, but after which it carries nothing for him."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.send = inner.send
        self.stream = inner.stream

    async def close(self) -> None:
        """Leave the inner one open."""


class Running:
    """One operator."""

    def __init__(self, world: World, operator: Operator, transport: Transport) -> None:
        self.world = world
        self.operator = operator
        self.transport = transport
        self.task = asyncio.create_task(operator.run(), name="operator")

    async def stop(self) -> None:
        """Stop in order."""
        if self in self.world.operators:
            self.world.operators.remove(self)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
