"""One simulated life of a LeaderWorkerSet: what users, nodes, networks and processes do to it, all from one seed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from lws.api import labels
from lws.api.resources import CONTROLLERREVISIONS, LEADERWORKERSETS, PODS, SERVICES, STATEFULSETS, Resource
from lws.client.transport import Transport
from lws.errors import ApiError
from lws.reconcilers.observe import OWN_REVISIONS
from lws.runtime.fence import LeadershipLostError
from lws.sandbox.controllers.kubelet.loop import NoSuchPodError
from lws.sandbox.controllers.kubelet.runtime import Delays
from lws.sandbox.virtual_time import run as run_virtually
from tests.simulation.chaos import Chaos, Trouble
from tests.simulation.cluster import NAMESPACE, Cluster, Running, manifest
from tests.simulation.safety import Inspector, Ledger, Probe
from tests.simulation.states import expectation

JSON = dict[str, Any]
NAME: Final = "sim"
STEPS: Final = (4, 9)
POLICIES: Final = ("RecreateGroupOnPodRestart", "RecreateGroupOnPodRestart", "RecreateGroupAfterStart", "None")
CALM_SECONDS: Final = 900.0  # within which everything must have come to rest once the troubles are over


@dataclass
class Life:
    """What a seed came to.

    Attributes:
        seed: its number.
        problems: violated invariants; empty if all is well.
        timeline: what was done, and when.
        digest: of every write of every operator, in order: the same for the same seed.
        writes: how many there were.
        seconds: virtual seconds that passed.
    """

    seed: int
    problems: list[str] = field(default_factory=list)
    timeline: list[str] = field(default_factory=list)
    digest: str = ""
    writes: int = 0
    seconds: float = 0.0


def live(seed: int) -> Life:
    """Run one seed."""
    return run_virtually(_live(seed))


async def _live(seed: int) -> Life:
    life = Life(seed)
    random = Random(seed)
    quick = Delays(start=0.3, init=0.3, ready=0.5, stop=0.3, jitter=0.5)
    elect = random.random() < 0.2
    cluster = Cluster(seed, nodes=3, workers=random.choice([1, 2, 4]), elect=elect, delays=quick)
    async with cluster:
        simulation = Simulation(cluster, random, life, operators=2 if elect else 1)
        try:
            await simulation.run()
        except TimeoutError as error:
            life.problems.append(f"no rest: {error or 'something never came to an end'}")
    life.problems += simulation.ledger.violations
    trace = "\n".join(f"{each.time:.6f} {each} {each.status}" for each in cluster.writes)
    life.digest = hashlib.sha256(trace.encode()).hexdigest()[:16]
    life.writes = len(cluster.writes)
    return life


class Simulation:
    """Drives one cluster."""

    def __init__(self, cluster: Cluster, random: Random, life: Life, *, operators: int) -> None:
        self.cluster = cluster
        self.random = random
        self.life = life
        self.trouble = Trouble(delay=random.choice([0.0, 0.005, 0.03]))
        self.ledger = Ledger(cluster.clock.now, asyncio.get_running_loop().time, cluster.sandbox.server.storage)
        self._operators = operators
        self._edits = 0
        self._background: set[asyncio.Task[None]] = set()
        self._actions: list[tuple[int, Callable[[], Awaitable[str]]]] = [
            (6, self._edit_template),
            (4, self._scale),
            (4, self._pace),
            (2, self._policy),
            (2, self._resize),
            (1, self._startup),
            (1, self._network),
            (2, self._annotate),
            (14, self._delete_pod),
            (4, self._crash_pod),
            (2, self._fail_pod),
            (2, self._delete_worker_set),
            (1, self._delete_leader_set),
            (1, self._delete_service),
            (1, self._delete_revision),
            (2, self._drift),
            (2, self._freeze_node),
            (4, self._crash_operator),
            (1, self._replace_operator),
            (5, self._make_trouble),
            (2, self._break_watches),
            (1, self._recreate_set),
        ]

    # The course of it.

    async def run(self) -> None:
        """From the first object to the last rest."""
        for _ in range(self._operators):
            await self._start()
        await self._create()
        watcher = asyncio.create_task(self._look())
        try:
            for _ in range(self.random.randint(*STEPS)):
                await asyncio.sleep(self.random.expovariate(1 / 4))
                await self._act()
            await self._calm_down()
        finally:
            watcher.cancel()
        await self._judge()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.ledger.look()

    async def _act(self) -> None:
        weights = [weight for weight, _ in self._actions]
        action = self.random.choices([each for _, each in self._actions], weights)[0]
        try:
            told = await action()
        except (ApiError, NoSuchPodError) as error:
            told = f"{action.__name__.strip('_')}: {error}"
        self._tell(told)

    def _tell(self, what: str) -> None:
        self.life.timeline.append(f"{asyncio.get_running_loop().time():9.3f}s {what}")

    async def _calm_down(self) -> None:
        """End all troubles, let the last groups go, and wait for rest."""
        self.trouble.heal()
        await self.cluster.drills.api_heal()
        for node in sorted(self.cluster.sandbox.fleet.failed):
            await self.cluster.drills.node_recover(node)
        await asyncio.gather(*self._background)
        if not [each for each in self.cluster.operators if not each.task.done()]:
            await self._start()
        rolling = {"rolloutStrategy": {"rollingUpdateConfiguration": {"partition": 0, "maxUnavailable": 1}}}
        await self._patch({"spec": rolling})
        self._tell("calm")
        async with asyncio.timeout(CALM_SECONDS):
            while await self._unrest() or await self._moving():  # noqa: ASYNC110 -- virtual time
                await asyncio.sleep(1)

    async def _moving(self) -> bool:
        before = self.cluster.sandbox.server.storage.revision
        await asyncio.sleep(8)
        leases = 30 if self._operators > 1 else 0
        return self.cluster.sandbox.server.storage.revision - before > leases

    async def _judge(self) -> None:
        """The end is that of a life without faults, and nothing is written any more."""
        self.life.problems += await self._unrest()
        sent = len(self.cluster.counted())
        await asyncio.sleep(60)
        more = [str(each) for each in self.cluster.counted()[sent:]]
        if more:
            self.life.problems.append(f"writes at rest: {more}")
        self.life.seconds = asyncio.get_running_loop().time()

    async def _unrest(self) -> list[str]:
        selector = f"{labels.NAME}={NAME}"
        found = await self.cluster.get(LEADERWORKERSETS, NAME)
        if found is None:
            return ["the set is not there"]
        pods, sets = await self.cluster.all(PODS, selector), await self.cluster.all(STATEFULSETS, selector)
        problems = expectation(found, pods, sets, found)
        revisions = await self.cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)
        keys = {each["metadata"]["labels"][labels.REVISION] for each in revisions}
        used = {each["metadata"]["labels"].get(labels.REVISION) for each in sets}
        return problems + ([] if keys == used else [f"revisions {sorted(keys)}, used {sorted(map(str, used))}"])

    # Operators.

    async def _start(self) -> Running:
        probes: list[Probe] = []

        def wrap(transport: Transport) -> Transport:
            chance = Random(self.random.getrandbits(64))
            inner = Inspector(transport, self.ledger)
            probes.append(Probe(Chaos(inner, chance, self.trouble), self.ledger))
            return probes[0]

        running = await self.cluster.start(wrap, ready=False)
        probes[0].operator = running.operator
        return running

    async def _crash_operator(self) -> str:
        if not self.cluster.operators:
            return "no operator to crash"
        victim = self.random.choice(self.cluster.operators)
        await victim.crash()
        self._later(self.random.expovariate(1 / 5), self._start)
        return "operator crashes"

    async def _replace_operator(self) -> str:
        if self.cluster.operators:
            await self.cluster.operators[0].stop()
        await self._start()
        return "operator is replaced in order"

    def _later(self, seconds: float, what: Callable[[], Awaitable[object]]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            with suppress(ApiError, LeadershipLostError):
                await what()

        task = asyncio.create_task(wait())
        self._background.add(task)

    # Users.

    async def _create(self) -> None:
        random = self.random
        surge = random.choice([0, 0, 1, 2])
        made = await self.cluster.client.create(
            LEADERWORKERSETS,
            manifest(
                NAME,
                replicas=random.randint(1, 3),
                size=random.choice([1, 2, 2, 3]),
                rolling={"maxUnavailable": random.randint(0 if surge else 1, 2), "maxSurge": surge},
                section={"restartPolicy": random.choice(POLICIES)},
                startupPolicy=random.choice(["LeaderCreated", "LeaderReady"]),
                networkConfig={"subdomainPolicy": random.choice(["Shared", "UniquePerReplica"])},
            ),
        )
        self.ledger.edited(made)
        self._tell(f"created: {_summary(made)}")

    async def _patch(self, patch: JSON) -> str:
        made = await self.cluster.client.patch(LEADERWORKERSETS, NAMESPACE, NAME, patch)
        self.ledger.edited(made)
        return _summary(made)

    async def _edit_template(self) -> str:
        self._edits = max(1, self._edits + self.random.choice([1, 1, 1, -1]))
        containers = [{"name": "main", "image": f"app:{self._edits + 1}"}]
        template = self.random.choice(["workerTemplate", "workerTemplate", "leaderTemplate"])
        section = {template: {"spec": {"containers": containers}}}
        return f"{template} edited: " + await self._patch({"spec": {"leaderWorkerTemplate": section}})

    async def _scale(self) -> str:
        return "scaled: " + await self._patch({"spec": {"replicas": self.random.randint(0, 4)}})

    async def _pace(self) -> str:
        surge = self.random.randint(0, 2)
        rolling = {
            "partition": self.random.choice([0, 0, 1, 2]),
            "maxSurge": surge,
            "maxUnavailable": self.random.randint(0 if surge else 1, 3),
        }
        return "pace: " + await self._patch({"spec": {"rolloutStrategy": {"rollingUpdateConfiguration": rolling}}})

    async def _policy(self) -> str:
        policy = self.random.choice(POLICIES)
        return "policy: " + await self._patch({"spec": {"leaderWorkerTemplate": {"restartPolicy": policy}}})

    async def _resize(self) -> str:
        size = self.random.randint(1, 3)
        return "resized: " + await self._patch({"spec": {"leaderWorkerTemplate": {"size": size}}})

    async def _startup(self) -> str:
        policy = self.random.choice(["LeaderCreated", "LeaderReady"])
        return "startup: " + await self._patch({"spec": {"startupPolicy": policy}})

    async def _network(self) -> str:
        policy = self.random.choice(["Shared", "UniquePerReplica"])
        return f"{policy}: " + await self._patch({"spec": {"networkConfig": {"subdomainPolicy": policy}}})

    async def _annotate(self) -> str:
        entries = {f"note-{self.random.randint(0, 2)}": self.random.choice(["a", "b", None])}
        where = self.random.choice(["annotations", "labels"])
        return f"{where} {entries}: " + await self._patch({"metadata": {where: entries}})

    async def _recreate_set(self) -> str:
        how = self.random.choice(["Background", "Foreground"])
        await self.cluster.client.delete(LEADERWORKERSETS, NAMESPACE, NAME, propagation=how)
        while await self.cluster.get(LEADERWORKERSETS, NAME) is not None:  # noqa: ASYNC110 -- virtual time
            await asyncio.sleep(0.2)
        await self._create()
        return f"set deleted ({how}) and created again"

    # Faults.

    async def _any(self, resource: Resource) -> str | None:
        names = [each["metadata"]["name"] for each in await self.cluster.all(resource, f"{labels.NAME}={NAME}")]
        return self.random.choice(names) if names else None

    async def _delete_pod(self) -> str:
        name = await self._any(PODS)
        if name is None:
            return "no pod to delete"
        grace = self.random.choice([None, 0, 0, 0, 10])
        owed = await self._owed(name)
        await self.cluster.client.delete(PODS, NAMESPACE, name, grace_period_seconds=grace)
        if owed:
            operators = [*self.cluster.operators]
            self._later(6.0, lambda: self._expect_gone(name, owed, operators))
        return f"pod {name} deleted, grace {grace}"

    async def _owed(self, worker: str) -> str:
        """The UID of the leader that has to go with this worker; empty if the group may stay (CD-01)."""
        leader, _, index = worker.rpartition("-")
        pod = await self.cluster.get(PODS, leader) if leader != NAME and index.isdigit() else None
        lws, sets = await self.cluster.get(LEADERWORKERSETS, NAME), await self.cluster.get(STATEFULSETS, leader)
        if pod is None or lws is None or sets is None or self._troubled() or "deletionTimestamp" in pod["metadata"]:
            return ""
        policy = lws["spec"]["leaderWorkerTemplate"]["restartPolicy"]
        status = sets.get("status") or {}
        complete = (
            status.get("availableReplicas") == sets["spec"]["replicas"] and "deletionTimestamp" not in sets["metadata"]
        )
        same = sets["metadata"]["labels"][labels.REVISION] == pod["metadata"]["labels"][labels.REVISION]
        return str(pod["metadata"]["uid"]) if policy == "RecreateGroupOnPodRestart" and complete and same else ""

    def _troubled(self) -> bool:
        trouble = self.trouble
        return bool(trouble.refused or trouble.unsent or trouble.unanswered or trouble.broken) or self._operators > 1

    async def _expect_gone(self, worker: str, uid: str, operators: list[Running]) -> None:
        """A leader whose worker ended is gone or going, if nothing kept its operator from seeing to it."""
        if self._troubled() or not operators or operators != self.cluster.operators:
            return
        for pod in await self.cluster.all(PODS):
            if pod["metadata"]["uid"] == uid and "deletionTimestamp" not in pod["metadata"]:
                self.ledger.complain(f"{worker} ended, and its group was not recreated")

    async def _crash_pod(self) -> str:
        name = await self._any(PODS)
        if name is None:
            return "no pod to crash"
        self.cluster.sandbox.kubelets.crash(NAMESPACE, name)
        return f"pod {name} crashes"

    async def _fail_pod(self) -> str:
        name = await self._any(PODS)
        if name is None:
            return "no pod to fail"
        self.cluster.sandbox.kubelets.fail(NAMESPACE, name)
        return f"pod {name} is evicted"

    async def _delete_worker_set(self) -> str:
        name = await self._any(STATEFULSETS)
        if name is None or name == NAME:
            return "no worker set to delete"
        how = self.random.choice(["Background", "Foreground", "Orphan"])
        await self.cluster.client.delete(STATEFULSETS, NAMESPACE, name, propagation=how)
        return f"worker set {name} deleted ({how})"

    async def _delete_leader_set(self) -> str:
        how = self.random.choice(["Background", "Foreground"])
        await self.cluster.client.delete(STATEFULSETS, NAMESPACE, NAME, propagation=how)
        return f"leader set deleted ({how})"

    async def _delete_service(self) -> str:
        await self.cluster.client.delete(SERVICES, NAMESPACE, NAME)
        return "service deleted"

    async def _delete_revision(self) -> str:
        revisions = await self.cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)
        if not revisions:
            return "no revision to delete"
        name = self.random.choice(revisions)["metadata"]["name"]
        await self.cluster.client.delete(CONTROLLERREVISIONS, NAMESPACE, name)
        return f"revision {name} deleted"

    async def _drift(self) -> str:
        patch = self.random.choice(
            [
                {"spec": {"replicas": self.random.randint(0, 4)}},
                {"metadata": {"annotations": {labels.REPLICAS: "9"}}},
                {"metadata": {"labels": {"stray": "yes"}}},
            ]
        )
        await self.cluster.client.patch(STATEFULSETS, NAMESPACE, NAME, patch, field_manager="kubectl")
        return f"leader set drifts: {patch}"

    async def _freeze_node(self) -> str:
        node = f"node-{self.random.randint(0, 2)}"
        await self.cluster.drills.node_fail(node)
        self._later(self.random.expovariate(1 / 15), lambda: self.cluster.drills.node_recover(node))
        return f"{node} freezes"

    async def _make_trouble(self) -> str:
        kind = self.random.choice(["refused", "unsent", "unanswered"])
        setattr(self.trouble, kind, self.random.choice([0.1, 0.3, 0.6]))
        self.trouble.broken = self.random.choice([0.0, 0.02, 0.1])

        async def heal() -> None:
            self.trouble.heal()

        self._later(self.random.expovariate(1 / 8), heal)
        return f"trouble: {kind} {getattr(self.trouble, kind)}, watches {self.trouble.broken}"

    async def _break_watches(self) -> str:
        if self.random.random() < 0.5:
            await self.cluster.drills.api_compact()
        await self.cluster.drills.api_break()
        return "watches break, history forgotten"


def _summary(lws: JSON) -> str:
    spec = lws["spec"]
    section, rolling = spec["leaderWorkerTemplate"], spec["rolloutStrategy"]["rollingUpdateConfiguration"]
    images = [
        section[each]["spec"]["containers"][0]["image"]
        for each in ("leaderTemplate", "workerTemplate")
        if each in section
    ]
    return (
        f"generation {lws['metadata']['generation']} R={spec['replicas']} size={section['size']} "
        f"U={rolling['maxUnavailable']} S={rolling['maxSurge']} Q={rolling['partition']} {'+'.join(images)} "
        f"{section['restartPolicy']} {spec['startupPolicy']} {spec['networkConfig']['subdomainPolicy']}"
    )
