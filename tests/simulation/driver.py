"""One simulated life of a LeaderWorkerSet: what users, nodes, networks and processes do to it, all from one seed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import CONTROLLERREVISIONS, PODS, STATEFULSETS
from lws.errors import ApiError
from lws.planning.leaderworkerset.statusnews import RECORD_SECONDS
from lws.reconcilers.leaderworkerset.caches import OWN_REVISIONS
from lws_sandbox.controllers.kubelet.loop import NoSuchPodError
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.simulation.chaos import Trouble
from tests.simulation.cluster import LOOPS, Cluster
from tests.simulation.faults import Faults
from tests.simulation.ledger import Ledger
from tests.simulation.states import expectation
from tests.simulation.users import User
from tests.simulation.world import NAME, NODES, World
from tests.virtual import run

QUICK: Final = Delays(start=0.3, init=0.3, ready=0.5, stop=0.3, jitter=0.5)
WATCH_SECONDS: Final = 35.0  # after which caches whose watches kept failing have looked again
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
    """Run one seed; every third is the life of a set whose groups are known by a key."""
    from tests.simulation import keyed  # which is made of what is here

    return run(lived(seed, keyed.CAST if seed % 3 == 2 else CAST))


async def lived(seed: int, cast: Cast) -> Life:
    """Run one seed with those who play in it."""
    life, random = Life(seed), Random(seed)
    elect = random.random() < 0.2
    chosen: dict[str, Any] = {"workers": random.choice([1, 2, 4]), "elect": elect, "loops": cast.loops}
    async with Cluster(seed, nodes=NODES, delays=cast.delays, disaggregated=cast.disaggregated, **chosen) as cluster:
        ledger = cast.ledger(cluster.clock.now, asyncio.get_running_loop().time, cluster.sandbox.server.storage)
        trouble = Trouble(delay=random.choice([0.0, 0.005, 0.03]))
        world = cast.world(cluster, random, ledger, trouble, 2 if elect else 1)
        simulation = cast.simulation(world, life)
        try:
            await simulation.run()
        except TimeoutError as error:
            life.problems.append(f"no rest: {error or 'something never came to an end'}")
    life.problems += ledger.violations
    life.timeline += [f"{line}  <-- violated" for line in ledger.violations]
    life.timeline.sort(key=lambda line: float(line.partition("s ")[0]))
    trace = "\n".join(f"{each.time:.6f} {each} {each.status}" for each in cluster.writes)
    life.digest = hashlib.sha256(trace.encode()).hexdigest()[:16]
    life.writes = len(cluster.writes)
    return life


class Simulation:
    """The course of one life."""

    user: ClassVar[type[User]] = User
    faults: ClassVar[type[Faults]] = Faults
    steps: ClassVar[tuple[int, int]] = (4, 9)  # how much happens, at least and at most
    restless: ClassVar[int] = 4  # how often groups fail again and again

    def __init__(self, world: World, life: Life) -> None:
        self._world = world
        self._life = life
        self._user = user = self.user(world)
        self._faults = faults = self.faults(world)
        self._actions: list[tuple[int, Callable[[], Awaitable[str]]]] = [
            (7, user.edit_template),
            (4, user.scale),
            (5, user.pace),
            (2, user.policy),
            (2, user.resize),
            (1, user.startup),
            (1, user.network),
            (2, user.annotate),
            (7, user.choose),
            (1, user.recreate),
            (1, user.recover),
            (8, faults.delete_pod),
            (6, faults.lose_worker),
            (4, faults.strike_group),
            (4, faults.crash_pod),
            (self.restless, faults.crash_again),
            (2, faults.fail_pod),
            (2, faults.delete_worker_set),
            (1, faults.delete_leader_set),
            (1, faults.delete_service),
            (1, faults.delete_revision),
            (2, faults.drift),
            (2, faults.freeze_node),
            (4, faults.crash_operator),
            (1, faults.replace_operator),
            (4, faults.make_trouble),
            (2, faults.break_watches),
        ]

    async def run(self) -> None:
        """From the first object to the last rest."""
        world = self._world
        for _ in range(world.operators):
            await world.start()
        self._tell(await self._user.create())
        watcher = asyncio.create_task(self._look())
        try:
            for _ in range(world.random.randint(*self.steps)):
                await asyncio.sleep(world.random.expovariate(1 / 4))
                await self._act()
            await self._calm_down()
        finally:
            watcher.cancel()
        await self._judge()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self._world.ledger.look()

    async def _act(self) -> None:
        weights = [weight for weight, _ in self._actions]
        action = self._world.random.choices([each for _, each in self._actions], weights)[0]
        try:
            told = await action()
        except (ApiError, NoSuchPodError) as error:
            told = f"{action.__name__}: {error}"
        self._tell(told)

    def _tell(self, what: str) -> None:
        self._life.timeline.append(f"{self._world.time:9.3f}s {what}")

    async def _calm_down(self) -> None:
        """End all troubles, let the last groups go, and wait for rest."""
        world = self._world
        await self._faults.heal()
        await world.settled()
        if not [each for each in world.cluster.operators if not each.task.done()]:
            await world.start()
        await self._user.choose_nothing()
        rolling = {"rolloutStrategy": {"rollingUpdateConfiguration": {"partition": 0, "maxUnavailable": 1}}}
        self._tell("calm: " + await self._user.patch({"spec": rolling}))
        unrest: list[str] = []
        try:
            async with asyncio.timeout(CALM_SECONDS):
                await asyncio.sleep(WATCH_SECONDS)
                while (unrest := await self._unrest()) or await self._moving():
                    await self._user.recover()
                    await asyncio.sleep(1)
        except TimeoutError:
            self._life.problems.append(f"no rest: {unrest or 'something goes on writing'}")

    async def _moving(self) -> bool:
        before = await self._versions()
        await asyncio.sleep(RECORD_SECONDS + 2)  # what is remembered of failures may come so late
        return before != await self._versions()

    async def _versions(self) -> set[tuple[str, str]]:
        """What is there, and in which version; leases are written all the time."""
        kinds = (LEADERWORKERSETS, STATEFULSETS, PODS)
        found = [each["metadata"] for kind in kinds for each in await self._world.cluster.all(kind)]
        return {(meta["uid"], meta["resourceVersion"]) for meta in found}

    async def _judge(self) -> None:
        """The end is that of a life without faults, and nothing is written any more."""
        cluster = self._world.cluster
        self._life.problems += await self._unrest()
        sent = len(cluster.counted())
        await asyncio.sleep(60)
        more = [str(each) for each in cluster.counted()[sent:]]
        if more:
            self._life.problems.append(f"writes at rest: {more}")
        self._life.seconds = self._world.time

    async def _unrest(self) -> list[str]:
        cluster, selector = self._world.cluster, f"{labels.NAME}={NAME}"
        found = await cluster.get(LEADERWORKERSETS, NAME)
        if found is None:
            return ["the set is not there"]
        pods, sets = await cluster.all(PODS, selector), await cluster.all(STATEFULSETS, selector)
        problems = expectation(found, pods, sets, found) + self._world.ledger.rules.rested(found)
        revisions = await cluster.all(CONTROLLERREVISIONS, f"{OWN_REVISIONS},{selector}")
        keys = {each["metadata"]["labels"][labels.REVISION] for each in revisions}
        used = {each["metadata"]["labels"].get(labels.REVISION) for each in sets}
        return problems + ([] if keys == used else [f"revisions {sorted(keys)}, used {sorted(map(str, used))}"])


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays a life.

    Attributes:
        ledger: what remembers.
        world: what those who act share.
        simulation: the course of it.
        loops: the control loops of the cluster.
        delays: how long things take on nodes.
        disaggregated: whether there are DisaggregatedSets.
    """

    ledger: type[Ledger] = Ledger
    world: type[World] = World
    simulation: type[Simulation] = Simulation
    loops: tuple[str, ...] = LOOPS
    delays: Delays = QUICK
    disaggregated: bool = False


CAST: Final = Cast()
