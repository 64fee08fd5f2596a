"""What a set costs to come up, and that it costs nothing once it is there."""

from __future__ import annotations

import asyncio

from lws.apimachinery.resources import PODS, SERVICES, STATEFULSETS
from tests.acceptance.support import figure
from tests.real.ledger import by_kind
from tests.real.planes import Plane
from tests.real.world import World

GROUPS = 4


def test_a_creation_costs_no_more_than_r_plus_6_writes(plane: Plane) -> None:
    """Revision, leader StatefulSet, Service, R worker StatefulSets and at most three statuses reach the server."""

    async def scenario(world: World) -> None:
        await world.start()
        world.requests.clear()
        await world.create(replicas=GROUPS, size=2)
        await world.settled("sample")
        writes = world.requests.writes()
        told = figure(f"creation of {GROUPS} groups: {len(writes)} writes ({by_kind(writes)})")
        assert GROUPS + 4 <= len(writes) <= GROUPS + 6, told
        assert all(each.status < 300 for each in writes), told
        assert world.names(SERVICES) == ["sample"]
        assert len(world.revisions()) == 1
        assert len(world.all(PODS, name="sample")) == 2 * GROUPS

    plane.run(scenario)


def test_at_rest_nothing_is_asked(plane: Plane) -> None:
    """A set that is as desired is looked at again and again, out of the caches alone."""

    async def scenario(world: World) -> None:
        await world.start(resync=0.5)
        await world.create(replicas=2, size=2)
        await world.settled("sample")
        world.requests.clear()
        await world.rest(5)
        asked = world.requests.of_controller()
        assert asked == [], by_kind(asked)

    plane.run(scenario)


def test_a_successor_takes_over_without_a_write(plane: Plane) -> None:
    """An operator that starts where another one stopped reads the sets, and writes nothing at all."""

    async def scenario(world: World) -> None:
        first = await world.start()
        for number in range(3):
            await world.create(f"set-{number}", replicas=2, size=2)
        for number in range(3):
            await world.settled(f"set-{number}")
        await first.stop()
        before = world.uids(), [each["metadata"]["resourceVersion"] for each in world.all(STATEFULSETS)]
        world.requests.clear()
        await world.start()
        await world.rest(3)
        assert world.requests.writes() == []
        assert before == (world.uids(), [each["metadata"]["resourceVersion"] for each in world.all(STATEFULSETS)])

    plane.run(scenario)


def test_sets_created_at_once_come_up_together(plane: Plane) -> None:
    """Each of twelve sets created at the same moment costs as much as one alone."""

    async def scenario(world: World) -> None:
        await world.start()
        world.requests.clear()
        await asyncio.gather(*(world.create(f"set-{number}", replicas=2, size=2) for number in range(12)))
        for number in range(12):
            await world.available(f"set-{number}")
        await world.rest()
        writes = world.requests.writes()
        told = figure(f"12 sets of 2 groups: {len(writes)} writes ({by_kind(writes)})")
        assert len(writes) <= 12 * (2 + 6), told
        assert [each for each in writes if each.status >= 400] == [], told

    plane.run(scenario)
