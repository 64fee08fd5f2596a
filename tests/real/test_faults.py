"""Processes of a real control plane that are killed, stopped and overloaded while groups come and go."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import EVENTS, LEASES, PODS, Resource
from lws.client.transport import Transport
from lws.errors import ApiError, TooManyRequestsError, TransportError
from lws.manager.settings import LEASE_NAME
from lws_sandbox.quickstart.environment import controller
from lws_sandbox.quickstart.installation import NAMESPACE
from lws_sandbox.real.binaries import API_SERVER, CONTROLLER_MANAGER, ETCD, SCHEDULER
from tests.acceptance.support import figure
from tests.real.conftest import LIMIT, need_binaries
from tests.real.ledger import Seen, by_kind
from tests.real.planes import RealPlane, real_plane
from tests.real.world import World
from tests.simulation.chaos import Chaos, Trouble
from tests.simulation.recording import Wrap

pytestmark = [pytest.mark.real, pytest.mark.timeout(LIMIT)]
COMPACT_OFTEN = "--etcd-compaction-interval=3s"
FEW_AT_ONCE = (
    "--max-requests-inflight=3",
    "--max-mutating-requests-inflight=2",
    "--enable-priority-and-fairness=false",
)
LAG = 20.0
OUTAGE = 15.0  # longer than the renew deadline of a lease
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    """A control plane whose processes may be maltreated, and that forgets its history quickly."""
    with real_plane(need_binaries(), tmp_path_factory.mktemp("fragile"), COMPACT_OFTEN) as running:
        yield running


def once(world: World, before: dict[str, str]) -> None:
    """Assert that each group was replaced by one update: every pod made once, no leader deleted by us.

    A server that is killed may not have told of what it did last.
    """
    deleted = [str(each) for each in world.requests.writes() if each.verb == "DELETE" and each.resource == "pods"]
    assert deleted == []
    created = world.requests.done("POST", "pods")
    assert created.keys() <= before.keys()
    assert max(created.values()) == 1
    assert not {*before.values()} & {*world.uids().values()}


async def roll_with(world: World, trouble: asyncio.Task[None] | None = None) -> None:
    """Await the end of an update that was begun."""
    if trouble is not None:
        await trouble
    await world.until(lambda: set(world.images("sample").values()) == {"app:2"}, "the whole update", 150)
    await world.settled("sample")


@pytest.mark.parametrize("name", [API_SERVER, ETCD, CONTROLLER_MANAGER, SCHEDULER])
def test_a_process_killed_in_mid_rollout_delays_it_alone(fragile: RealPlane, name: str) -> None:
    """Started again on the same data, the update goes on and ends; every pod is replaced once."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=3, size=2)
        await world.settled("sample")
        before = world.uids()
        world.requests.clear()
        await world.roll("app:2")
        await world.until(lambda: "app:2" in world.images("sample").values(), "an updated pod")
        process = fragile.process(name)
        await process.kill()
        await asyncio.sleep(2)  # a while without it is what is tested
        await process.start()
        await roll_with(world)
        once(world, before)
        assert len(world.revisions()) == 1

    fragile.run(scenario)


def test_a_lagging_manager_delays_a_rollout_alone(fragile: RealPlane) -> None:
    """With kube-controller-manager stopped for 20 s, nothing is done twice, and nothing is written meanwhile."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=3, size=2)
        await world.settled("sample")
        before = world.uids()
        world.requests.clear()
        manager = fragile.process(CONTROLLER_MANAGER)
        await world.roll("app:2")
        await world.until(lambda: "app:2" in world.images("sample").values(), "an updated pod")
        manager.signal(signal.SIGSTOP)
        try:
            await world.rest()
            written = len(world.requests.writes())
            await world.rest(LAG)
            assert len(world.requests.writes()) == written, by_kind(world.requests.writes()[written:])
        finally:
            manager.signal(signal.SIGCONT)
        await roll_with(world)
        once(world, before)

    fragile.run(scenario)


def test_a_failure_while_the_manager_lags_recreates_once(fragile: RealPlane) -> None:
    """A worker that crashes while nobody can carry a deletion out costs one deletion, and its group comes back."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=3)
        await world.settled("sample")
        before = world.uids()
        world.requests.clear()
        manager = fragile.process(CONTROLLER_MANAGER)
        manager.signal(signal.SIGSTOP)
        try:
            world.crash("sample-0-1")
            await world.until(lambda: bool(world.notes("RecreateGroup")), "the recreation")
            world.crash("sample-0-2")
            await world.rest(5)
        finally:
            manager.signal(signal.SIGCONT)
        await world.replaced("sample-0", before)
        await world.counts(PODS, 6)
        await world.settled("sample")
        deleted = [str(each) for each in world.requests.writes() if each.verb == "DELETE"]
        assert deleted == ["DELETE pods sample-0 200"]
        assert len(world.notes("RecreateGroup")) == 1

    fragile.run(scenario)


def test_history_lost_while_nobody_looked_is_made_up_for(fragile: RealPlane) -> None:
    """An operator that saw nothing while the server restarted and compacted starts from a new list, and finds all."""

    async def scenario(world: World) -> None:
        trouble = Trouble()

        def wrap(transport: Transport) -> Transport:
            return Chaos(transport, Random(1), trouble)

        running = await world.start(wrap)
        await world.create(replicas=2, size=2)
        await world.create("other", replicas=1, size=2)
        await world.settled("sample")
        await world.settled("other")
        before = world.uids()
        lists = sum(each.lists for each in running.operator.registry.statistics())
        trouble.blind = True
        await world.edit("other", replicas=2)
        await world.delete_pod("sample-0-1", grace_period_seconds=0)
        await world.replaced("sample-0-1", before)
        await fragile.process(API_SERVER).kill()
        await fragile.process(API_SERVER).start()
        await asyncio.sleep(8)  # two compactions are what is tested
        await world.rest(3)
        trouble.heal()
        await world.replaced("sample-0", before)
        await world.counts(PODS, 8)
        await world.settled("sample")
        await world.settled("other")
        after = sum(each.lists for each in running.operator.registry.statistics())
        told = figure(f"{after - lists} lists after the server had forgotten what it was asked to resume from")
        assert after > lists, told

    fragile.run(scenario)


async def served(world: World) -> None:
    """Wait until the API server answers again."""
    async with asyncio.timeout(60):
        while True:
            try:
                await world.client.list(PODS, world.namespace)
                return
            except (ApiError, TransportError):
                await asyncio.sleep(0.2)


def test_a_leader_that_lost_its_lease_is_replaced(fragile: RealPlane) -> None:
    """A server that is away for longer than a lease holds costs the leadership, and what follows is done once."""

    async def scenario(world: World) -> None:
        async with controller(fragile.env):
            await world.create(replicas=3, size=2)
            await world.settled("sample")
            before, leader = world.uids(), await _holder(world)
            await fragile.process(API_SERVER).kill()
            await asyncio.sleep(OUTAGE)
            await fragile.process(API_SERVER).start()
            world.requests.clear()
            await served(world)
            await world.rest()
            assert world.uids() == before
            await world.roll("app:2")
            await roll_with(world)
            once(world, before)
            assert await _holder(world) not in ("", leader)

    fragile.run(scenario)


async def _holder(world: World) -> str:
    """Who leads."""
    lease = await world.client.get(LEASES, NAMESPACE, LEASE_NAME)
    return str(lease["spec"].get("holderIdentity") or "")


def refused(world: World) -> list[Seen]:
    """What the controller was refused for the load."""
    return [each for each in world.requests.seen if each.ours and each.status == 429]


async def patiently(do: Callable[..., Awaitable[None]], *arguments: Any, **more: Any) -> None:
    """Do something again for as long as the server asks for patience."""
    while True:
        try:
            return await do(*arguments, **more)
        except TooManyRequestsError as error:
            await asyncio.sleep(error.retry_after or 0.1)


async def burst(world: World, sets: int, groups: int, size: int, wrap: Wrap = lambda transport: transport) -> str:
    """Create so many sets at once; assert that they come up at no more than the promised number of writes; the figure.

    A creation that takes long tells of its progress every 15 s.
    """
    await world.start(wrap)
    world.requests.clear()
    begun = asyncio.get_running_loop().time()
    for number in range(sets):
        await patiently(world.create, f"set-{number}", replicas=groups, size=size)
    for number in range(sets):
        await world.until(lambda: world.is_available(f"set-{number}"), f"set-{number} Available", 200)  # noqa: B023
    seconds = asyncio.get_running_loop().time() - begun
    await world.rest(3)
    writes = [each for each in world.requests.writes() if each.status != 429]
    told = figure(
        f"{sets} sets of {groups} groups of {size} at once: {len(writes)} writes ({by_kind(writes)}), "
        f"{len(refused(world))} refused with 429, "
        f"{sum(world.requests.done('POST', EVENTS.plural).values())} events"
    )
    assert [each for each in writes if each.status >= 400] == [], told
    assert len(writes) <= sets * (groups + 6 + seconds // 15), told
    assert world.requests.done("POST", "pods").total() == sets * groups * size, told
    return told


@pytest.mark.parametrize(("sets", "groups", "size"), [(20, 4, 4)])
def test_a_burst_of_sets_costs_what_each_alone_costs(fragile: RealPlane, sets: int, groups: int, size: int) -> None:
    """Twenty sets of four groups of four pods, created at once, come up at no more than R + 6 writes each."""

    async def scenario(world: World) -> None:
        await burst(world, sets, groups, size)

    fragile.run(scenario)


def test_a_crowded_server_is_not_pressed(tmp_path: Path) -> None:
    """With room for two writes at a time, what is refused with 429 is asked again later, and all sets come up."""
    with real_plane(need_binaries(), tmp_path, *FEW_AT_ONCE) as plane:

        async def scenario(world: World) -> None:
            await world.client.create(BINDINGS, _binding("crowded"))
            # One of system:masters would be let in however many there are.
            transport = plane.cluster.plane.transport("crowded", ())
            try:
                await burst(world, 8, 3, 3, lambda _: transport)
                assert refused(world)
            finally:
                for running in [*world.operators]:
                    await running.stop()
                await transport.close()

        plane.run(scenario)


def _binding(user: str) -> JSON:
    return {
        "metadata": {"name": user},
        "roleRef": {"apiGroup": BINDINGS.group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": BINDINGS.group, "kind": "User", "name": user}],
    }
