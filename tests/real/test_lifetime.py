"""Sets that grow, shrink and go, objects taken away from under them, and operators that die on the way."""

from __future__ import annotations

import asyncio
from itertools import product

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PERSISTENTVOLUMECLAIMS, PODS, SERVICES, STATEFULSETS
from lws.client.transport import Transport
from lws.errors import ForbiddenError, InvalidError
from tests.acceptance.support import figure
from tests.real.ledger import by_kind
from tests.real.planes import Plane
from tests.real.world import World, claim
from tests.simulation.chaos import CrashPoint
from tests.simulation.recording import Wrap


def test_scaling_makes_and_takes_whole_groups(plane: Plane) -> None:
    """Through the scale subresource: up by one write and one worker StatefulSet a group, down by one write."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=1, size=2)
        await world.settled("sample")
        before = world.uids()
        for replicas in (4, 2, 0, 1):
            world.requests.clear()
            scale = {"spec": {"replicas": replicas}}
            await world.client.patch(LEADERWORKERSETS, world.namespace, "sample", scale, subresource="scale")
            await world.counts(PODS, 2 * replicas)
            found = await world.settled("sample")
            told = figure(f"scale to {replicas}: {by_kind(world.requests.writes())}")
            assert [found["status"].get(key, 0) for key in ("replicas", "readyReplicas")] == [replicas, replicas], told
            assert len(world.requests.done("PATCH", "statefulsets")) == 1, told
            assert world.requests.done("PATCH", "statefulsets").total() == 1, told
            if replicas >= 2:
                assert {name: world.uids()[name] for name in before} == before, told
        assert len(world.revisions()) == 1

    plane.run(scenario)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_deleted_set_leaves_nothing(plane: Plane, propagation: str) -> None:
    """Sets, pods, Services and revisions go with it, and the controller writes nothing on their way."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=2)
        await world.settled("sample")
        world.requests.clear()
        await world.client.delete(LEADERWORKERSETS, world.namespace, "sample", propagation=propagation)
        await world.until(
            lambda: not any(world.all(kind) for kind in (LEADERWORKERSETS, STATEFULSETS, PODS)), "the end"
        )
        await world.until(lambda: not world.names(SERVICES) and not world.revisions(), "the end of the rest")
        await world.rest()
        writes = [each for each in world.requests.writes() if each.status < 400]
        assert writes == [], by_kind(writes)
        assert [kind for kind in (STATEFULSETS, PODS, SERVICES) if world.all(kind)] == []

    plane.run(scenario)


def test_a_set_of_the_same_name_starts_afresh(plane: Plane) -> None:
    """Deleted and created at once, the new set gets objects of its own, none of the old one's."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=2)
        await world.settled("sample")
        before = {*world.uids().values(), *world.uids(STATEFULSETS).values(), *world.uids(SERVICES).values()}
        await world.client.delete(LEADERWORKERSETS, world.namespace, "sample")
        await world.until(lambda: world.get(LEADERWORKERSETS, "sample") is None, "the end of the set")
        await world.create(replicas=2, size=2, image="app:2")
        await world.until(lambda: set(world.images("sample").values()) == {"app:2"}, "new pods alone")
        await world.settled("sample")
        after = {*world.uids().values(), *world.uids(STATEFULSETS).values(), *world.uids(SERVICES).values()}
        assert not before & after
        assert len(world.all(PODS)) == 4

    plane.run(scenario)


def test_what_is_taken_away_comes_again(plane: Plane) -> None:
    """The shared Service, the current revision and the leader StatefulSet are made anew."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=1, size=2)
        await world.settled("sample")
        before = world.uids(SERVICES)
        await world.client.delete(SERVICES, world.namespace, "sample")
        await world.replaced("sample", before, SERVICES)
        pods = world.uids()
        await world.client.delete(STATEFULSETS, world.namespace, "sample", propagation="Foreground")
        await world.replaced("sample-0", pods)
        await world.until(lambda: len(world.all(PODS)) == 2, "its worker")
        await world.settled("sample")
        assert not {*pods.values()} & {*world.uids().values()}

    plane.run(scenario)


@pytest.mark.parametrize(("at", "edge"), [(1, "before"), *product(range(1, 6), ("after", "lost"))])
def test_a_creation_survives_its_operator(plane: Plane, at: int, edge: str) -> None:
    """Killed before or after a write, or deprived of its answer: the same objects, each created once."""

    async def scenario(world: World) -> None:
        struck = asyncio.Event()
        points: list[CrashPoint] = []

        def wrap(transport: Transport) -> Transport:
            points.append(CrashPoint(transport, at, edge, struck.set))
            return points[0]

        first = await world.start(wrap)
        await world.create(replicas=2, size=2)
        if edge != "lost":
            async with asyncio.timeout(30):
                await struck.wait()
            await first.stop()
            await world.start()
        await world.settled("sample")
        assert points[0].reached
        assert len(world.all(PODS)) == 4
        assert len(world.revisions()) == 1
        assert world.names(STATEFULSETS) == ["sample", "sample-0", "sample-1"]
        assert world.requests.done("POST", "statefulsets") == {"sample-0": 1, "sample-1": 1}

    plane.run(scenario)


def _third(struck: asyncio.Event) -> Wrap:
    return lambda transport: CrashPoint(transport, 3, "after", struck.set)


def test_an_update_survives_its_operator(plane: Plane) -> None:
    """Each of a row of operators dies at its third write; the last one ends the update, and no group is skipped."""

    async def scenario(world: World) -> None:
        running = await world.start()
        await world.create(replicas=3, size=2, rolling={"maxUnavailable": 1, "maxSurge": 1})
        await world.settled("sample")
        await world.roll("app:2")
        for _ in range(4):
            await running.stop()
            struck = asyncio.Event()
            running = await world.start(_third(struck))
            async with asyncio.timeout(60):
                await struck.wait()
        await running.stop()
        await world.start()
        await world.until(lambda: set(world.images("sample").values()) == {"app:2"}, "the whole update")
        found = await world.settled("sample")
        assert found["status"]["updatedReplicas"] == found["status"]["replicas"] == 3
        assert len(world.revisions()) == 1

    plane.run(scenario)


def test_rules_are_told_in_their_own_words(plane: Plane) -> None:
    """What breaks a rule of admission or of the schema is refused with that rule's message."""

    async def scenario(world: World) -> None:
        with pytest.raises(ForbiddenError) as refused:
            await world.create(size=2, section={"subGroupPolicy": {"subGroupSize": 3}})
        assert str(refused.value) == (
            'admission webhook "vleaderworkerset.kb.io" denied the request: '
            "[spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize: Invalid value: 3: size or size - 1 must be "
            "divisible by subGroupSize, spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize: Invalid value: 3: "
            "subGroupSize cannot be larger than size]"
        )
        with pytest.raises(InvalidError, match='Unsupported value: "Sometimes"'):
            await world.create(startupPolicy="Sometimes")

    plane.run(scenario)


def test_claims_that_cannot_be_changed_do_not_stop_the_rest(plane: Plane) -> None:
    """An edit of claim templates is refused by the StatefulSet; taken back, the set goes on as if nothing was."""

    async def scenario(world: World) -> None:
        await world.start()
        small, large = claim("1Gi"), claim("2Gi")
        await world.create(replicas=1, size=2, section={"volumeClaimTemplates": [small]})
        await world.settled("sample")
        assert world.names(PERSISTENTVOLUMECLAIMS) == ["data-sample-0", "data-sample-0-1"]
        before = world.uids()
        await world.edit(leaderWorkerTemplate={"volumeClaimTemplates": [large]})
        await world.until(lambda: bool(world.notes("FailedUpdate")), "the failure's event")
        assert "updates to statefulset spec for fields other than" in world.notes("FailedUpdate")[0]
        await world.edit(leaderWorkerTemplate={"volumeClaimTemplates": [small]})
        await world.edit(replicas=2)
        await world.until(lambda: len(world.all(PODS)) == 4, "the second group")
        await world.settled("sample")
        assert {name: world.uids()[name] for name in before} == before

    plane.run(scenario)
