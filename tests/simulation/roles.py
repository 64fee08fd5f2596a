"""Lives of a DisaggregatedSet beside a LeaderWorkerSet: who acts, what must hold, and how it must end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, Final

import orjson

from lws.api.disaggregatedset import labels as keys
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON, labels_of
from lws.apimachinery.resources import PODS, SERVICES, Resource
from lws.client.transport import Request, Transport
from lws.errors import NotFoundError
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.storage import Event
from tests.api.disaggregatedset.making import external, manifest, paced, pause, role
from tests.simulation.budgets import Budgets
from tests.simulation.cluster import NAMESPACE
from tests.simulation.driver import Cast, Life, Simulation, lived
from tests.simulation.faults import Faults
from tests.simulation.floors import EVERY, Floors
from tests.simulation.inspector import ALLOWED, Inspector
from tests.simulation.ledger import Ledger, controller, uid_of
from tests.simulation.states import pod_ready
from tests.simulation.users import User
from tests.simulation.world import World
from tests.virtual import run

NAME: Final = "x"
MINE: Final = f"{keys.NAME}={NAME}"
ROLES: Final = "abcde"
IMAGES: Final = ("3.9", "3.10", "3.11", "3.12")
PACES: Final[tuple[JSON, ...]] = (
    {},
    {"maxSurge": 1, "maxUnavailable": 0},
    {"maxSurge": 0, "maxUnavailable": 1},
    {"maxSurge": 2, "maxUnavailable": 1},
    {"maxSurge": "50%", "maxUnavailable": "25%"},
)


class Wanted:
    """A DisaggregatedSet as its user wants it, changed by chance."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.image = IMAGES[0]
        self.size = random.choice([1, 1, 2])
        self.slices = 1
        self.replicas = {name: random.randint(1, 4) for name in random.sample(ROLES, random.choice([2, 3]))}
        self.external: set[str] = set()
        self.paces = {name: random.choice(PACES) for name in ROLES}

    def roles(self) -> list[JSON]:
        """Its roles."""
        made = []
        for name, count in self.replicas.items():
            strategy: dict[str, Any] = {"rolloutStrategy": paced(**self.paces[name])} if self.paces[name] else {}
            kind = external if name in self.external else role
            made.append(kind(name, count, template=pause(self.image, size=self.size), **strategy))
        return made

    def any_role(self) -> str:
        """Some role."""
        return self.random.choice(sorted(self.replicas))

    def change_image(self) -> None:
        """Another image, which may be an earlier one."""
        self.image = self.random.choice(IMAGES)

    def change_replicas(self) -> None:
        """Another number of groups for some role."""
        self.replicas[self.any_role()] = self.random.randint(1, 5)

    def change_pace(self) -> None:
        """Another pace for some role."""
        self.paces[self.any_role()] = self.random.choice(PACES)

    def change_slices(self) -> None:
        """Another number of slices; there is one alone while a role is scaled by others."""
        self.slices = 1 if self.external else self.random.randint(1, 3)

    def change_roles(self) -> None:
        """A role more or less, or another in place of one."""
        others = sorted(set(ROLES) - set(self.replicas))
        if others and self.random.random() < 0.5:
            self.replicas[self.random.choice(others)] = self.random.randint(1, 4)
        elif len(self.replicas) > 2:
            gone = self.any_role()
            del self.replicas[gone]
            self.external.discard(gone)

    def toggle_scaler(self) -> None:
        """Some role is scaled by others, or no longer; one at least keeps its own count."""
        name = self.any_role()
        if name in self.external:
            self.external.discard(name)
        elif len(self.external) + 1 < len(self.replicas) and self.slices == 1:
            self.external.add(name)


class Beside(User):
    """The user of the other set; what that one chooses from the beginning is tried elsewhere."""

    def _born_with(self) -> dict[str, str]:
        return {}


class RolesUser:
    """Creates and edits the set and its scalers; each method tells what it did."""

    def __init__(self, world: World) -> None:
        self._cluster = world.cluster
        self.wanted = Wanted(world.random)

    async def create(self) -> str:
        """Create the set."""
        made = manifest(*self.wanted.roles(), name=NAME)
        made["metadata"] = {"name": NAME, "namespace": NAMESPACE}
        await self._cluster.client.create(DISAGGREGATEDSETS, made)
        return f"roles created: {self._told()}"

    async def image(self) -> str:
        """Roll all roles."""
        return await self._edit("image", self.wanted.change_image)

    async def count(self) -> str:
        """Scale a role."""
        return await self._edit("replicas", self.wanted.change_replicas)

    async def pace(self) -> str:
        """Change how fast a role may move."""
        return await self._edit("pace", self.wanted.change_pace)

    async def slices(self) -> str:
        """Change the number of slices."""
        return await self._edit("slices", self.wanted.change_slices)

    async def role(self) -> str:
        """Add or remove a role."""
        return await self._edit("role", self.wanted.change_roles)

    async def scaler(self) -> str:
        """Have a role scaled by others, or no longer."""
        return await self._edit("scaler", self.wanted.toggle_scaler)

    async def scale(self) -> str:
        """An autoscaler scales a role."""
        names = sorted(self.wanted.external)
        if not names:
            return "no role to scale"
        name, count = self.wanted.random.choice(names), self.wanted.random.randint(1, 4)
        patch = {"spec": {"replicas": count}}
        try:
            await self._cluster.client.patch(ROLESCALERS, NAMESPACE, f"{NAME}-{name}", patch, subresource="scale")
        except NotFoundError:
            return f"{name} has no scaler yet"
        return f"{name} scaled to {count}"

    async def _edit(self, what: str, change: Any) -> str:
        change()
        spec = {"roles": self.wanted.roles(), "slices": self.wanted.slices}
        made = await self._cluster.client.patch(DISAGGREGATEDSETS, NAMESPACE, NAME, {"spec": spec})
        return f"{what}: generation {made['metadata']['generation']} {self._told()}"

    def _told(self) -> str:
        wanted = self.wanted
        each = [
            f"{name}={'external' if name in wanted.external else count} {wanted.paces[name]}"
            for name, count in wanted.replicas.items()
        ]
        return f"K={wanted.slices} {wanted.image} size={wanted.size} {', '.join(each)}"


class RolesFaults(Faults):
    """The same harm, done to the pods of both sets; and people who delete what the DisaggregatedSet made."""

    whose: ClassVar[str] = labels.NAME

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.floors = Floors(world.ledger, world.cluster.sandbox.loops.fleet.failed)

    async def delete_child(self) -> str:
        """Somebody deletes a LeaderWorkerSet of the set."""
        found = await self._there(LEADERWORKERSETS)
        if not found:
            return "no child to delete"
        child = self._world.random.choice(found)
        told, name = child["metadata"]["labels"], child["metadata"]["name"]
        self.floors.forgiven.add((int(told[keys.SLICE]), told[keys.ROLE]))
        await self._world.cluster.client.delete(LEADERWORKERSETS, NAMESPACE, name)
        return f"child {name} deleted"

    async def delete_of_roles(self) -> str:
        """Somebody deletes a Service or a scaler of the set."""
        resource = self._world.random.choice([SERVICES, SERVICES, ROLESCALERS])
        found = await self._there(resource)
        if not found:
            return f"no {resource.kind} to delete"
        name = self._world.random.choice(found)["metadata"]["name"]
        await self._world.cluster.client.delete(resource, NAMESPACE, name)
        return f"{resource.kind} {name} deleted"

    async def _there(self, resource: Resource) -> list[JSON]:
        found = await self._world.cluster.all(resource, MINE)
        return [each for each in found if "deletionTimestamp" not in each["metadata"]]


@dataclass
class RolesLedger(Ledger):
    """What the invariants remember; of children, what their DisaggregatedSet wrote is what a user did elsewhere."""

    _generations: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hear of every child too."""
        super().__post_init__()
        self.storage.subscribe(str(LEADERWORKERSETS), self._child_changed)

    def _child_changed(self, event: Event) -> None:
        meta = event.obj["metadata"]
        if controller(event.obj) is not None and self._generations.get(meta["uid"]) != meta["generation"]:
            self._generations[meta["uid"]] = meta["generation"]
            self.edited(event.obj)


class RolesBudgets(Budgets):
    """Children have no restart budgets; what is written of them is judged by the inspector."""

    def stored(self, body: JSON, live: JSON) -> None:
        """Judge counts of the other set."""
        if controller(live) is None:
            super().stored(body, live)


class RolesInspector(Inspector):
    """What must hold of a write besides: whose a child is, what of it is written, and when it goes."""

    allowed: ClassVar[Any] = {
        "POST": ALLOWED["POST"] | {"leaderworkersets", "disaggregatedsetrolescalers"},
        "PATCH": ALLOWED["PATCH"] | {"disaggregatedsets/status", "disaggregatedsetrolescalers/status"},
        "PUT": ALLOWED["PUT"],
        "DELETE": ALLOWED["DELETE"] | {"leaderworkersets", "services", "disaggregatedsetrolescalers"},
    }

    def __init__(self, inner: Transport, ledger: Ledger) -> None:
        super().__init__(inner, ledger)
        self._budgets = RolesBudgets(ledger)

    def _look(self, request: Request, kind: str, namespace: str, name: str) -> None:
        match request.method, kind:
            case "POST", "leaderworkersets" | "disaggregatedsetrolescalers":
                self._created(orjson.loads(request.body), kind, namespace)
            case "PATCH", "leaderworkersets":
                self._scaled(orjson.loads(request.body), namespace, name)
            case "DELETE", "leaderworkersets" | "services" | "disaggregatedsetrolescalers":
                self._collected(kind, namespace, name, uid_of(request))
            case _:
                super()._look(request, kind, namespace, name)

    def _scaled(self, body: JSON, namespace: str, name: str) -> None:
        """Of a child only its count changes, what a rollout began with, and a pace that holds it (1.4, DD-09)."""
        live = self._ledger.get(LEADERWORKERSETS, namespace, name)
        if live is None or controller(live) is None:
            return
        told = set(body.get("spec") or {}) | set((body.get("metadata") or {}).get("annotations") or {})
        if not told <= {"replicas", "rolloutStrategy", keys.INITIAL_REPLICAS}:
            self._ledger.complain(f"PATCH of child {name}: {body}")

    def _collected(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """What goes is asked for by UID and is the set's; a child goes once it is drained, or with its slice."""
        if not uid:
            self._ledger.complain(f"{kind} {name} is deleted whichever it is")
        resource = {"leaderworkersets": LEADERWORKERSETS, "services": SERVICES}.get(kind, ROLESCALERS)
        live = self._ledger.get(resource, namespace, name)
        ds = self._ledger.get(DISAGGREGATEDSETS, namespace, NAME)
        if live is None or ds is None or live["metadata"]["uid"] != uid:
            return
        by = controller(live)
        if by is None or by["uid"] != ds["metadata"]["uid"]:
            self._ledger.complain(f"{kind} {name} is deleted, which is not the set's")
        within = int(labels_of(live).get(keys.SLICE, 0)) < ds["spec"].get("slices", 1)
        if kind == "leaderworkersets" and live["spec"]["replicas"] and within:
            self._ledger.complain(f"child {name} is deleted with {live['spec']['replicas']} replicas")


@dataclass
class RolesWorld(World):
    """A world of both sets."""

    inspector: type[Inspector] = RolesInspector


class RolesSimulation(Simulation):
    """The course of one life: everything that befalls a LeaderWorkerSet elsewhere, and what is done to roles."""

    user = Beside
    faults = RolesFaults
    steps: ClassVar[tuple[int, int]] = (8, 16)
    restless: ClassVar[int] = 0  # a DisaggregatedSet has no say in a back-off

    def __init__(self, world: World, life: Life) -> None:
        super().__init__(world, life)
        assert isinstance(self._faults, RolesFaults)
        self.roles = RolesUser(world)
        self._floors = self._faults.floors
        self._actions += [
            (16, self.roles.image),
            (9, self.roles.count),
            (5, self.roles.pace),
            (6, self.roles.slices),
            (6, self.roles.role),
            (6, self.roles.scaler),
            (8, self.roles.scale),
            (4, self._faults.delete_child),
            (4, self._faults.delete_of_roles),
        ]

    async def run(self) -> None:
        """From the first object to the last rest."""
        self._tell(await self.roles.create())
        watcher = asyncio.create_task(self._measure())
        try:
            await super().run()
        finally:
            watcher.cancel()
            self._tell(f"floors: a role was held to one {self._floors.looked} times")

    async def _measure(self) -> None:
        while True:
            self._floors.look()
            await asyncio.sleep(EVERY)

    async def _unrest(self) -> list[str]:
        return await super()._unrest() + await self._of_roles()

    async def _of_roles(self) -> list[str]:
        """One child for each slice and role, of one revision, with its Service and pods, and nothing else."""
        cluster, wanted = self._world.cluster, self.roles.wanted
        ds = await cluster.client.get(DISAGGREGATEDSETS, NAMESPACE, NAME)
        children, pods = await cluster.all(LEADERWORKERSETS, MINE), await cluster.all(PODS, MINE)
        scalers = {labels_of(each)[keys.ROLE]: each for each in await cluster.all(ROLESCALERS, MINE)}
        counts = dict(wanted.replicas)
        counts |= {name: each["spec"]["replicas"] for name, each in scalers.items()}
        told = [labels_of(each) for each in children]
        places = sorted((each[keys.SLICE], each[keys.ROLE]) for each in told)
        expected = sorted((str(k), name) for k in range(wanted.slices) for name in counts)
        problems = [] if places == expected else [f"children {places} instead of {expected}"]
        problems += [] if scalers.keys() == wanted.external else [f"scalers {sorted(scalers)} of {wanted.external}"]
        if len({each[keys.REVISION] for each in told}) != 1:
            problems.append(f"revisions {sorted(each[keys.REVISION] for each in told)}")
        problems += [problem for child in children for problem in _of_child(child, pods, counts, wanted)]
        services = {each["metadata"]["name"] for each in await cluster.all(SERVICES, MINE)}
        if services != {f"{each['metadata']['name']}-prv" for each in children}:
            problems.append(f"Services {sorted(services)}")
        return problems + _of_status(ds, counts, wanted.slices)


def _of_child(child: JSON, pods: list[JSON], counts: dict[str, int], wanted: Wanted) -> list[str]:
    name, count = child["metadata"]["name"], counts.get(labels_of(child)[keys.ROLE])
    problems = [] if child["spec"]["replicas"] == count else [f"{name}: {child['spec']['replicas']} groups of {count}"]
    mine = [pod for pod in pods if labels_of(pod).get(labels.NAME) == name]
    if len(mine) != (count or 0) * wanted.size or not all(map(pod_ready, mine)):
        problems.append(f"{name}: {len(mine)} pods, ready {sum(map(pod_ready, mine))}")
    for pod in mine:
        image = pod["spec"]["containers"][0]["image"]
        if not image.endswith(f":{wanted.image}"):
            problems.append(f"{pod['metadata']['name']} runs {image} instead of {wanted.image}")
    return problems


def _of_status(ds: JSON, counts: dict[str, int], slices: int) -> list[str]:
    """A set at rest is Available and nothing else, and its status tells the counts of the present generation."""
    status = ds.get("status") or {}
    true = [each["type"] for each in status.get("conditions", ()) if each["status"] == "True"]
    problems = [] if true == ["Available"] else [f"roles: conditions that are True: {true}"]
    told = {each["name"]: each for each in status.get("roleStatuses", ())}
    for name, count in counts.items():
        numbers = [told.get(name, {}).get(each, 0) for each in ("replicas", "readyReplicas", "updatedReplicas")]
        if numbers != [count * slices] * 3:
            problems.append(f"status of {name}: {numbers} instead of {count * slices}")
    if status.get("observedGeneration") != ds["metadata"]["generation"]:
        problems.append("roles: the status does not describe the present generation")
    return problems


SLOW: Final = Delays(start=0.3, init=0.3, ready=1.5, stop=0.5, jitter=2.0)  # a step of a rollout is seen more than once
CAST: Final = Cast(RolesLedger, RolesWorld, RolesSimulation, delays=SLOW, disaggregated=True)


def live(seed: int) -> Life:
    """Run the life of a DisaggregatedSet beside a LeaderWorkerSet."""
    return run(lived(seed, CAST))
