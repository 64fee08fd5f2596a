"""The reference takes a cluster back in the middle of what only we do, against a real API server too (R28).

Its image is not at hand, so its writes are played (`tests.reference`): by the specification, word for word.
"""

from __future__ import annotations

from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PODDISRUPTIONBUDGETS, PODS
from lws.errors import NotFoundError, TooManyRequestsError
from lws.planning.leaderworkerset.handback import OUR_CONDITIONS
from tests import reference
from tests.cli.sessions import Plugin
from tests.real.planes import Plane
from tests.real.test_evacuation import EVICTION
from tests.real.world import World

WORKER = "sample-1-1"


def chosen(**values: str) -> JSON:
    """Metadata with these annotations of ours."""
    return {"annotations": {f"{PREFIX}{key.replace('_', '-')}": value for key, value in values.items()}}


async def live(world: World) -> JSON:
    """The set as it is stored."""
    return await world.client.get(LEADERWORKERSETS, world.namespace, "sample")


def members(lws: JSON) -> set[str]:
    """The members of its status."""
    return set(lws.get("status") or ())


def types(lws: JSON) -> set[str]:
    """The types of its conditions."""
    return {each["type"] for each in (lws.get("status") or {}).get("conditions", ())}


async def taken_over(world: World) -> str:
    """Our controller stops, what it leaves is handed back, the reference applies and writes; what the plugin said."""
    (running,) = world.operators
    await running.stop()
    told = await Plugin(world.client, namespace=world.namespace).run("hand-back sample")
    kept = world.revisions()
    await reference.applied(
        world.client, await live(world), kept[-1]["metadata"]["labels"][f"{reference.L}template-revision-hash"]
    )
    await reference.told(world.client, await live(world))
    after = await live(world)
    assert types(after).isdisjoint(OUR_CONDITIONS)
    assert members(after) <= set(reference.KNOWN)
    assert await budget(world) is None
    return told


async def taken_back(world: World, kept: int) -> None:
    """Our controller starts again: every group comes up, and there is no revision more."""
    await world.start()
    await world.settled("sample")
    await world.rest()
    assert len(world.revisions()) == kept


async def budget(world: World) -> JSON | None:
    """The budget of the set's name."""
    try:
        return await world.client.get(PODDISRUPTIONBUDGETS, world.namespace, "sample")
    except NotFoundError:
        return None


def fails(world: World, pod: str = WORKER) -> None:
    """A container is killed."""
    world.loops.kubelets.crash(world.namespace, pod, None, 137, "OOMKilled")


def test_r28_in_a_wait_the_reference_restarts_nothing(plane: Plane) -> None:
    """R28: a group that waits for its recreation is left as it is, and nothing of the wait is left in the status."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=2, metadata=chosen(restart_backoff="free=0,initial=5m,max=5m"))
        await world.settled("sample")
        await world.client.delete(PODS, world.namespace, WORKER, grace_period_seconds=0)
        await world.until(lambda: bool(world.notes("GroupBackOff")), "the wait")
        await world.until(lambda: len(world.all(PODS)) == 4, "all pods")
        await world.rest()
        before = world.uids()
        told = await taken_over(world)
        assert "GroupsHealthy removed" in told
        await world.rest()
        assert world.uids() == before
        await taken_back(world, kept=1)

    plane.run(scenario)


def test_r28_in_a_pause_the_rollout_goes_on(plane: Plane) -> None:
    """R28: the reference does not know the annotation, so the rollout goes on; no revision is made for it."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=2, metadata=chosen(rollout="paused"))
        await world.settled("sample")
        await world.roll("app:2")
        await world.until(lambda: "Paused" in types(world.get(LEADERWORKERSETS, "sample") or {}), "the pause")
        await world.rest()
        assert set(world.images("sample").values()) == {"app:1"}
        assert "Paused removed" in await taken_over(world)
        leaders = ("sample-0", "sample-1")
        await world.until(lambda: {world.images("sample").get(each) for each in leaders} == {"app:2"}, "the rollout")
        assert len(world.revisions()) == 2
        await taken_back(world, kept=1)

    plane.run(scenario)


def test_r28_in_an_evacuation_the_extra_group_goes(plane: Plane) -> None:
    """R28: a move that waits for its extra group ends with that group removed, and the others are left alone."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=2, metadata=chosen(evacuate="true"))
        await world.settled("sample")
        before = world.uids()
        free = [each["metadata"]["name"] for each in (await world.client.list(NODES))["items"]]
        # The extra group finds no room, so that the move stands still in its middle.
        await cordoned(world, free)
        try:
            await world.until(lambda: world.get(PODS, "sample-2") is not None, "the extra group")
            await world.rest()
            told = await taken_over(world)
            assert "PodDisruptionBudget sample removed" in told
            await world.until(lambda: world.uids() == before, "the end of the extra group")
        finally:
            await cordoned(world, free, on=False)
        await taken_back(world, kept=1)

    plane.run(scenario)


async def cordoned(world: World, nodes: list[str], *, on: bool = True) -> None:
    """Cordon nodes, or have pods come to them again."""
    for node in nodes:
        await world.client.patch(NODES, "", node, {"spec": {"unschedulable": on or None}})


def test_r28_a_closed_budget_is_removed_and_a_drain_ends(plane: Plane) -> None:
    """R28: while our budget is there an eviction is refused; handed back, it is granted."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=2, metadata=chosen(disruption_budget="1"))
        await world.settled("sample")
        assert await refused(world)
        assert "PodDisruptionBudget sample removed" in await taken_over(world)
        assert not await refused(world)
        await world.rest()
        await taken_back(world, kept=1)

    plane.run(scenario)


async def refused(world: World) -> bool:
    """Whether a worker may not be evicted; it is, if it may."""
    body = {**EVICTION, "metadata": {"name": WORKER, "namespace": world.namespace}}
    try:
        await world.client.create(PODS, body, name=WORKER, subresource="eviction")
    except TooManyRequestsError:
        return True
    return False


def test_r28_after_a_healing_the_group_is_named(plane: Plane) -> None:
    """R28: the plugin names the group that the reference will recreate for its restart; ours does not."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=2, size=2, metadata=chosen(group_recovery_grace="5m"))
        await world.settled("sample")
        fails(world)
        await world.until(lambda: bool(world.notes("GroupHealed")), "the healing")
        await world.settled("sample")
        before = world.uids()
        assert "the reference will recreate group 1 (a container was restarted)" in await taken_over(world)
        await taken_back(world, kept=1)
        assert world.uids() == before

    plane.run(scenario)
