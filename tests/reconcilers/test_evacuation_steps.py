"""A move of groups that is disturbed at each of its steps, on the sandbox, in virtual time (resilience 6.3, R35)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.client.transport import Request, Response, Transport
from lws_sandbox.controllers.kubelet.loop import NoSuchPodError
from lws_sandbox.drills.base import DrillError
from lws_sandbox.virtual_time import run as run_virtually
from tests.forwarding import Forwarding
from tests.simulation.chaos import CrashPoint
from tests.simulation.cluster import NAMESPACE, Cluster, Running
from tests.simulation.moving import MOVING, Watched, chosen, cordon, edit, groups_on, made, settled, up, watching

DOWN_SECONDS = 3.0
SURGE = {"maxUnavailable": 0, "maxSurge": 1}  # so that an edit takes down no group either
STEPS = range(1, 9)  # the writes of a move of two groups, and some


async def edited(cluster: Cluster) -> None:
    """Somebody gives the set another image."""
    await edit(cluster, "app:2")


async def scaled_up(cluster: Cluster) -> None:
    """Somebody asks for two groups more."""
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": 6}})


async def scaled_down(cluster: Cluster) -> None:
    """Somebody asks for two groups less."""
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": 2}})


async def extra_crashes(cluster: Cluster) -> None:
    """A container of the extra group ends, if it runs."""
    with suppress(DrillError, NoSuchPodError):
        await cluster.drills.pod_crash("sample-4")


async def uncordoned(cluster: Cluster) -> None:
    """The node need not be emptied after all."""
    await cordon(cluster, "node-0", on=False)


Act = Callable[[Cluster], Awaitable[None]]
ACTS: dict[str, tuple[Act, int, int]] = {  # with how many groups there are in the end, and are ready at least
    "edit": (edited, 4, 4),
    "scale up": (scaled_up, 6, 4),
    "scale down": (scaled_down, 2, 2),
    "crash of the extra group": (extra_crashes, 4, 3),  # while it stands in, its crash is one group less, and no more
    "uncordon": (uncordoned, 4, 4),
}


class Counting(Forwarding):
    """A transport that tells when so many writes were answered."""

    def __init__(self, inner: Transport, at: int, reached: Callable[[], None]) -> None:
        super().__init__(inner)
        self._at = at
        self._reached = reached
        self._count = 0

    async def send(self, request: Request) -> Response:
        """Pass on."""
        response = await self._inner.send(request)
        self._count += request.method != "GET" and "/events" not in request.path
        if self._count == self._at:
            self._reached()
        return response


async def _disturbed(act: Act, step: int, replicas: int) -> Watched:
    """Move groups off a node, and have something else happen after so many writes of the controller."""
    async with Cluster(11, nodes=6, loops=MOVING) as cluster:
        first = await cluster.start()
        await up(cluster, replicas=4, size=2, rolling=SURGE, metadata=chosen(evacuate="true"))
        await first.stop()
        reached = asyncio.Event()
        await cluster.start(lambda transport: Counting(transport, step, reached.set))
        async with watching(cluster) as seen:
            await cordon(cluster, "node-0")
            with suppress(TimeoutError):
                async with asyncio.timeout(120):
                    await reached.wait()
            await act(cluster)
            await settled(cluster, replicas=replicas)
            await cluster.available("sample")
            await cluster.quiet(5)
        assert await made(cluster) == replicas
        if act is not uncordoned:
            assert await groups_on(cluster, "node-0") == set()
        return seen["sample"]


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", ACTS)
def test_r35_what_happens_in_the_middle_costs_no_group(name: str, step: int) -> None:
    """R35: edits, scalings, a crash of the extra group, an uncordon, at each step: no group is missing for them."""
    act, replicas, least = ACTS[name]
    found = run_virtually(_disturbed(act, step, replicas))
    assert found.least >= least
    most = 2 if act is edited else 1
    assert all(count <= most for group, count in found.moved.items() if group != "4"), found.moved


async def _crashed(step: int, edge: str) -> tuple[Watched, bool, set[str]]:
    """Move groups off a node, and end the controller at this write of it."""
    async with Cluster(12, nodes=4, loops=MOVING) as cluster:
        first = await cluster.start()
        await up(cluster, replicas=3, size=2, metadata=chosen(evacuate="true"))
        affected = await groups_on(cluster, "node-0")
        await first.stop()
        points: list[CrashPoint] = []
        dead = asyncio.Event()

        def wrap(transport: Transport) -> Transport:
            points.append(CrashPoint(transport, step, edge, dead.set))
            return points[0]

        reviving = asyncio.create_task(_revive(cluster, await cluster.start(wrap), dead))
        async with watching(cluster) as seen:
            await cordon(cluster, "node-0")
            await asyncio.sleep(5)
            await settled(cluster, replicas=3)
            await cluster.available("sample")
            await cluster.quiet(5)
        reviving.cancel()
        assert await made(cluster) == 3
        assert await groups_on(cluster, "node-0") == set()
        return seen["sample"], bool(points[0].reached), affected


async def _revive(cluster: Cluster, running: Running, dead: asyncio.Event) -> None:
    await dead.wait()
    await running.crash()
    await asyncio.sleep(DOWN_SECONDS)
    await cluster.start()


def check_crash(step: int, edge: str) -> bool:
    """Whether the write came; what must hold whether it did or not is asserted."""
    found, struck, affected = run_virtually(_crashed(step, edge))
    assert (found.least, found.most) == (3, 4)
    assert found.moved == dict.fromkeys(affected, 1)
    return struck


def test_r35_a_move_goes_on_after_a_crash() -> None:
    """R35: a controller that ends right after it deleted a leader leaves a move that the next one finishes, once."""
    assert check_crash(3, "after")


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("edge", ["before", "after", "lost"])
def test_r35_a_crash_at_any_write_moves_nothing_twice(edge: str) -> None:
    """R35: whatever write of a move the controller ends at, each group is moved once and no extra one is left."""
    step = 1
    while check_crash(step, edge):
        step += 1
    assert step > 6
