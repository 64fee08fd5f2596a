"""What a scrape tells of a DisaggregatedSet while it lives (operations 4, DD-38)."""

from __future__ import annotations

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.reconcilers.disaggregatedset.metrics import AWAITED, BLOCKED, DESIRED, FAMILIES, LAST_PROGRESS, PROGRESS, READY
from tests.acceptance.disaggregatedset.site import B, Site, homeless, roles, site
from tests.api.disaggregatedset.making import role
from tests.simulation.cluster import NAMESPACE, Running
from tests.virtual import virtual_time


def value(running: Running, name: str, **labels: str) -> float | None:
    """What a scrape of this operator tells of the set."""
    registry = running.operator.metrics.registry
    return registry.get_sample_value(name, {"namespace": NAMESPACE, "name": "x", **labels})


def series(running: Running) -> int:
    """How many series there are of DisaggregatedSets."""
    names = {each.name for each in FAMILIES}
    return sum(sample.name in names for each in running.operator.metrics.registry.collect() for sample in each.samples)


def operator(found: Site) -> Running:
    """The operator that runs."""
    (running,) = found.cluster.operators
    return running


@virtual_time
async def test_a_life() -> None:
    """At rest all is ready and no rollout told of; while it rolls, its last move is; of a set that is gone, nothing."""
    async with site() as found:
        running = operator(found)
        assert series(running) == 0
        await found.create(*roles(2, 3))
        await found.available()
        assert [value(running, DESIRED, role=name) for name in ("prefill", "decode")] == [2, 3]
        assert [value(running, READY, role=name) for name in ("prefill", "decode")] == [2, 3]
        rest = [value(running, name) for name in (PROGRESS, AWAITED, LAST_PROGRESS, BLOCKED)]
        assert rest == [1, 0, 0, 0]
        assert series(running) == 2 * 2 + 4
        await found.edit(*roles(2, 3, "3.10"))
        moves: list[float] = []

        async def over() -> bool:
            moves.append(value(running, LAST_PROGRESS) or 0)
            return await found.children(revision=B) == await found.children() and await found.settled()

        await found.until(over)
        await found.available()
        begun = [each for each in moves if each]
        assert begun == sorted(begun)
        assert len(set(begun)) > 2
        assert value(running, LAST_PROGRESS) == 0
        await found.client.delete(DISAGGREGATEDSETS, NAMESPACE, "x")
        await found.cluster.quiet(5.0)
        assert series(running) == 0


@virtual_time
async def test_a_rollout_that_waits() -> None:
    """New groups that no node takes are waited for; the time of the last move stays, across a restart too."""
    async with site() as found:
        running = operator(found)
        await found.create(*roles(2, 2))
        await found.available()
        await found.edit(role("prefill", 2, template=homeless()), role("decode", 2, template=homeless()))
        await found.cluster.quiet(5.0)
        assert value(running, AWAITED) == 2
        assert value(running, PROGRESS) == 0
        moved = value(running, LAST_PROGRESS)
        await found.stop()
        again = await found.start()
        await found.cluster.quiet(5.0)
        assert moved
        assert value(again, LAST_PROGRESS) == moved
        assert [value(again, READY, role=name) for name in ("prefill", "decode")] == [2, 2]


@virtual_time
async def test_blocked() -> None:
    """Somebody else's LeaderWorkerSet under the name of a child is told of."""
    async with site() as found:
        running = operator(found)
        await found.create(*roles(1, 1))
        await found.available()
        (name, *_) = await found.children()
        spec = (await found.client.get(LEADERWORKERSETS, NAMESPACE, name))["spec"]
        stranger = {"metadata": {"name": f"x-0-{B}-prefill", "namespace": NAMESPACE}, "spec": spec}
        await found.client.create(
            LEADERWORKERSETS, {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", **stranger}
        )
        await found.edit(*roles(1, 1, "3.10"))
        await found.cluster.quiet(5.0)
        assert value(running, BLOCKED) == 1
