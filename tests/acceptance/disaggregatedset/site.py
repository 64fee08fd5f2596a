"""A cluster that serves DisaggregatedSets, and what the scenarios of the specification ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import orjson

from lws.api.disaggregatedset import labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import EVENTS, PODS, SERVICES, Resource
from lws.client.transport import Request, Response, Stream, Transport
from lws.errors import TransportError
from tests.acceptance.disaggregatedset.stages import STAGE
from tests.api.disaggregatedset.making import manifest, pause, role
from tests.simulation.cluster import Cluster
from tests.simulation.operated import NAMESPACE, OperatedCluster, Running

A: Final = "28d81a04"  # pause:3.9 for both of prefill and decode
B: Final = "c49d2f9c"  # pause:3.10


def roles(
    prefill: int, decode: int, image: str = "3.9", *, prefill_pace: JSON | None = None, **pace: Any
) -> list[JSON]:
    """Roles prefill and decode; ``pace`` is the configuration of both unless prefill has its own."""
    paces = (prefill_pace if prefill_pace is not None else pace, pace)
    together = zip(("prefill", "decode"), (prefill, decode), paces, strict=True)
    return [role(name, count, template=pause(image), **_strategy(each)) for name, count, each in together]


def homeless() -> JSON:
    """A template whose pods find no node, and so never get ready."""
    template = pause("3.10")
    template["workerTemplate"]["spec"]["nodeSelector"] = {"no": "such"}
    return template


def _strategy(pace: JSON) -> JSON:
    return {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": pace}} if pace else {}


class Site:
    """The cluster, and the set ``x`` in it; ``gate`` is between controller and API server."""

    def __init__(self, cluster: OperatedCluster) -> None:
        self.cluster = cluster
        self.client = cluster.client
        self.gate = Gate()
        self._mark = 0
        self.lowest: dict[str, int] = {}
        self.highest: dict[str, int] = {}

    @property
    def sandbox(self) -> Cluster:
        """The cluster, for what only a sandbox can do."""
        assert isinstance(self.cluster, Cluster)
        return self.cluster

    # Acting.

    async def start(self) -> Running:
        """Start the operator."""
        running = await self.cluster.start(self.gate.around)
        controller, before = running.operator.disaggregated, self.gate.passes()
        assert controller is not None
        self.gate.passes = lambda: before + controller.reconciles
        return running

    async def restart_when_it_dies(self) -> None:
        """Have another operator follow the one that dies at the gate."""
        await self.gate.broke.wait()
        for running in [*self.cluster.operators]:
            await running.crash()
        self.gate.breaks_at = 0
        self.gate.broke.clear()
        await self.start()

    async def stop(self) -> None:
        """Stop the operator."""
        for running in [*self.cluster.operators]:
            await running.stop()

    async def create(self, *made: JSON, **arguments: Any) -> JSON:
        """Create the set of these roles."""
        body = manifest(*made, **arguments)
        for member in ("uid", "generation"):
            del body["metadata"][member]
        return await self.client.create(DISAGGREGATEDSETS, body)

    async def edit(self, *made: JSON, **spec: Any) -> JSON:
        """Give the set these roles, if any, and these members of its spec."""
        change = {**({"roles": list(made)} if made else {}), **spec}
        return await self.client.patch(DISAGGREGATEDSETS, NAMESPACE, "x", {"spec": change})

    async def touch(self) -> None:
        """Annotate the set."""
        await self.client.patch(DISAGGREGATEDSETS, NAMESPACE, "x", {"metadata": {"annotations": {"touched": "yes"}}})

    async def scale(self, role_name: str, replicas: int) -> JSON:
        """Scale a role as an autoscaler does."""
        patch = {"spec": {"replicas": replicas}}
        return await self.client.patch(ROLESCALERS, NAMESPACE, f"x-{role_name}", patch, subresource="scale")

    async def delete_child(self, name: str) -> None:
        """Delete a LeaderWorkerSet by hand."""
        await self.client.delete(LEADERWORKERSETS, NAMESPACE, name)

    # Looking.

    async def get(self, name: str = "x") -> JSON:
        """The set."""
        return await self.client.get(DISAGGREGATEDSETS, NAMESPACE, name)

    async def all(self, resource: Resource, **selected: str) -> list[JSON]:
        """What belongs to the set, by name."""
        selector = ",".join(f"{labels.PREFIX}{key}={value}" for key, value in {"name": "x", **selected}.items())
        return await self.cluster.all(resource, selector)

    async def children(self, **selected: str) -> dict[str, int]:
        """Replicas of every child, by name."""
        return {
            each["metadata"]["name"]: each["spec"]["replicas"] for each in await self.all(LEADERWORKERSETS, **selected)
        }

    async def observed(self) -> bool:
        """Whether the status describes the set as it stands."""
        live = await self.get()
        return bool(live.get("status", {}).get("observedGeneration") == live["metadata"]["generation"])

    async def blocked(self, reason: str) -> bool:
        """Whether the set is blocked for this reason."""
        return await self.condition("Blocked") == ("True", reason)

    async def ready_at(self, revision: str, count: int) -> bool:
        """Whether every child of the revision has at least so many ready groups, and there is one."""
        found = await self.all(LEADERWORKERSETS, revision=revision)
        return bool(found) and all(each.get("status", {}).get("readyReplicas", 0) >= count for each in found)

    async def has_replicas(self, revision: str, **replicas: int) -> bool:
        """Whether the children of the revision are to have so many groups."""
        found = await self.all(LEADERWORKERSETS, revision=revision)
        return {each["metadata"]["labels"][labels.ROLE]: each["spec"]["replicas"] for each in found} == replicas

    async def settled(self) -> bool:
        """Whether every group of every child is ready."""
        found = await self.all(LEADERWORKERSETS)
        return all(each["spec"]["replicas"] == each.get("status", {}).get("readyReplicas", 0) for each in found)

    async def pods(self, **selected: str) -> int:
        """How many pods there are."""
        return len(await self.all(PODS, **selected))

    async def services(self) -> list[str]:
        """Names of Services."""
        return [each["metadata"]["name"] for each in await self.all(SERVICES)]

    async def condition(self, kind: str, name: str = "x") -> tuple[str, str]:
        """Status and reason of a condition; empty when it is not there."""
        found = (await self.get(name)).get("status", {}).get("conditions", [])
        return next(((each["status"], each["reason"]) for each in found if each["type"] == kind), ("", ""))

    async def events(self) -> list[tuple[str, str]]:
        """Reason and note of the events about the set, in the order in which they were recorded."""
        found = [each for each in await self.cluster.all(EVENTS) if each["regarding"]["kind"] == DISAGGREGATEDSETS.kind]
        found.sort(key=lambda each: (each["eventTime"] or "", int(each["metadata"]["resourceVersion"])))
        return [(each["reason"], each["note"]) for each in found]

    async def reasons(self) -> list[str]:
        """Reasons of the events about the set."""
        return [reason for reason, _ in await self.events()]

    def steps(self, target: str, names: Sequence[str], slice_: int = 0) -> str:
        """Every state that the controller's passes led to since `mark`, as the specification writes them.

        Args:
            target: the revision that counts as new.
            names: the roles, in order.
            slice_: whose children to look at.
        """
        replicas: dict[tuple[str, str, str], int] = {}
        shown: list[str] = []
        for number, writes in groupby(self.gate.writes, key=lambda each: each.number):
            for write in writes:
                _replay(write, replicas, str(slice_))
            state = _shown(replicas, target, names)
            if number <= self._mark:
                shown = [state]
            elif shown[-1:] != [state]:
                shown.append(state)
        return " → ".join(shown)

    def mark(self) -> None:
        """Tell of steps from here."""
        self._mark = self.gate.passes()

    def written(self, method: str) -> list[str]:
        """Names of the LeaderWorkerSets that were written so since `mark`, in order."""
        return [each.name for each in self.gate.writes if each.number > self._mark and each.method == method]

    async def measure(self) -> None:
        """Note the fewest ready groups of each role and the most that were asked for, every quarter of a second.

        The ceiling is one of counts in the spec (disaggregatedset 6.1): groups that are still stopping come on top.
        """
        self.lowest, self.highest = {}, {}
        while True:
            ready: dict[str, int] = {}
            asked: dict[str, int] = {}
            for child in await self.all(LEADERWORKERSETS):
                role_name = child["metadata"]["labels"][labels.ROLE]
                status = child.get("status", {})
                ready[role_name] = ready.get(role_name, 0) + status.get("readyReplicas", 0)
                asked[role_name] = asked.get(role_name, 0) + child["spec"]["replicas"]
            for role_name, count in ready.items():
                self.lowest[role_name] = min(self.lowest.get(role_name, count), count)
                self.highest[role_name] = max(self.highest.get(role_name, 0), asked[role_name])
            await asyncio.sleep(0.25)

    @asynccontextmanager
    async def measuring(self) -> AsyncIterator[None]:
        """`measure` as long as the block runs."""
        task = asyncio.create_task(self.measure())
        try:
            yield
        finally:
            task.cancel()

    # Waiting.

    async def until(self, holds: Callable[[], Awaitable[bool]], **limits: float) -> None:
        """Wait until a condition holds, in virtual time."""
        await self.cluster.until(holds, **limits)

    async def available(self, name: str = "x") -> JSON:
        """Wait until the set is Available at its own generation; the set."""
        found: JSON = {}

        async def holds() -> bool:
            nonlocal found
            found = await self.get(name)
            status = found.get("status", {})
            conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
            current = status.get("observedGeneration") == found["metadata"]["generation"]
            return current and conditions.get("Available") == "True"

        await self.until(holds)
        await self.cluster.quiet(5.0)
        return found

    async def scaler(self, role_name: str) -> JSON | None:
        """A role's scaler."""
        return await self.cluster.get(ROLESCALERS, f"x-{role_name}")


def _concerns_sets(path: str, name: str) -> bool:
    """Whether the controller of DisaggregatedSets writes this, and not the one of LeaderWorkerSets."""
    ours = f"/{LEADERWORKERSETS.plural}" in path and not path.endswith("/status")
    return ours or "/disaggregatedset" in path or ("/services" in path and name.endswith("-prv"))


def _replay(write: Noted, replicas: dict[tuple[str, str, str], int], slice_: str) -> None:
    """What a write did to the replicas of children, by name, revision and role."""
    if write.method == "POST":
        found = write.body["metadata"]["labels"]
        if found[labels.SLICE] == slice_:
            replicas[write.name, found[labels.REVISION], found[labels.ROLE]] = write.body["spec"]["replicas"]
        return
    key = next((each for each in replicas if each[0] == write.name), None)
    if key is not None and write.method == "DELETE":
        del replicas[key]
    elif key is not None and "spec" in write.body:
        replicas[key] = write.body["spec"]["replicas"]


def _shown(replicas: dict[tuple[str, str, str], int], target: str, names: Sequence[str]) -> str:
    sides = []
    for new in (False, True):
        counts = [
            sum(
                count
                for (_, revision, role_name), count in replicas.items()
                if role_name == name and (revision == target) is new
            )
            for name in names
        ]
        sides.append(",".join(str(count) for count in counts))
    return "·".join(sides)


@dataclass(frozen=True, slots=True)
class Noted:
    """A write of a child that succeeded, and in which pass it was asked for."""

    number: int
    method: str
    name: str
    body: JSON


class Gate:
    """Notes what the controller does to children, and refuses what it is told to, as a quota would.

    With ``breaks_at`` it is a controller that dies: at that write, counted from 1, and ever after, nothing passes;
    ``late`` lets the write itself pass, and loses its answer.
    """

    def __init__(self) -> None:
        self.breaks_at = 0
        self.late = False
        self.asked = 0  # writes of children, their Services, scalers and the set
        self.broke = asyncio.Event()
        self.refusals: list[tuple[str, str]] = []  # method and name
        self.writes: list[Noted] = []
        self.passes: Callable[[], int] = lambda: 0

    def around(self, inner: Transport) -> Transport:
        """The transport with the gate before it."""
        return _Gated(inner, self)


class _Gated:
    def __init__(self, inner: Transport, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    async def send(self, request: Request) -> Response:
        body = orjson.loads(request.body) if request.body else {}
        name = request.path.rpartition("/")[2]
        name = body["metadata"].get("name", "") if request.method == "POST" and body else name
        if (request.method, name) in self._gate.refusals:
            self._gate.refusals.remove((request.method, name))
            status = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": "quota\nmore"}
            return Response(403, {"content-type": "application/json"}, orjson.dumps(status))
        number = self._gate.passes()
        if self._gate.broke.is_set():
            raise TransportError("the controller died")
        if request.method != "GET" and _concerns_sets(request.path, name):
            self._gate.asked += 1
            if self._gate.asked == self._gate.breaks_at:
                if self._gate.late:
                    await self._inner.send(request)
                self._gate.broke.set()
                raise TransportError("the controller died")
        answer = await self._inner.send(request)
        child = request.path.split("/")[-2 if request.method != "POST" else -1] == LEADERWORKERSETS.plural
        if child and request.method != "GET" and 200 <= answer.status < 300:
            self._gate.writes.append(Noted(number, request.method, name, body))
        return answer

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        return self._inner.stream(request)

    async def close(self) -> None:
        await self._inner.close()


@asynccontextmanager
async def site(*, begin: bool = True, **arguments: Any) -> AsyncIterator[Site]:
    """A cluster with an operator that works, unless it is to begin later (`Site.start`)."""
    async with STAGE.get().cluster(**arguments) as cluster:
        found = Site(cluster)
        if begin:
            await found.start()
        yield found
