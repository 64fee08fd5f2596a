"""A set that cannot be served costs the others nothing."""

from __future__ import annotations

import asyncio
from random import Random
from statistics import mean

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.client.transport import Request, Response, Transport
from lws.errors import TransportError
from tests.acceptance.support import figure
from tests.forwarding import Forwarding
from tests.simulation.chaos import Chaos, Trouble
from tests.simulation.cluster import Cluster, manifest
from tests.virtual import virtual_time

POISON = "poison"
SETS = 8
POISONED = 8
HANG = 30.0
LOOK = 0.25  # seconds between two looks at a set


class Poison(Forwarding):
    """A transport on which no apply for a poisoned set ever succeeds.

    Args:
        inner: carries the rest.
        status: with which it is answered; 0: there is no answer for half a minute, and then the connection breaks.
    """

    def __init__(self, inner: Transport, status: int) -> None:
        super().__init__(inner)
        self._status = status
        self.refused = 0

    async def send(self, request: Request) -> Response:
        """Pass on, or fail."""
        if request.method != "PATCH" or POISON not in request.path:
            return await self._inner.send(request)
        self.refused += 1
        if not self._status:
            await asyncio.sleep(HANG)
            raise TransportError("there was no answer")
        return Response(self._status, {"content-type": "application/json"}, b'{"kind":"Status","message":"poisoned"}')


async def durations(cluster: Cluster, prefix: str, companion: str, companions: int) -> list[float]:
    """Seconds from the creation of each of some sets, made at once beside others, until it is Available."""
    loop = asyncio.get_running_loop()
    begun = loop.time()

    for number in range(companions):
        await cluster.client.create(LEADERWORKERSETS, manifest(f"{companion}-{number}", replicas=1, size=2))

    async def one(name: str) -> float:
        await cluster.client.create(LEADERWORKERSETS, manifest(name, replicas=1, size=2))
        await cluster.available(name)
        return loop.time() - begun

    return await asyncio.gather(*(one(f"{prefix}-{number}") for number in range(SETS)))


@pytest.mark.long
@pytest.mark.parametrize(("status", "poisoned", "workers"), [(500, POISONED, 2), (422, 1, 1), (0, 1, 4)])
@virtual_time
async def test_poisoned_sets_do_not_slow_their_neighbours(status: int, poisoned: int, workers: int) -> None:
    """Sets come up as fast beside sets whose apply always fails, or never returns, as beside as many healthy ones."""
    made: list[Poison] = []

    def wrap(transport: Transport) -> Transport:
        made.append(Poison(Chaos(transport, Random(1), Trouble(delay=0.02)), status))
        return made[0]

    async with Cluster(nodes=1, workers=workers) as cluster:
        await cluster.start(wrap)
        healthy = await durations(cluster, "first", "healthy", poisoned)
        beside = await durations(cluster, "second", POISON, poisoned)
        refused = made[0].refused
        await asyncio.sleep(60)
        ratio = mean(beside) / mean(healthy)
        told = figure(
            f"{poisoned} poisoned sets ({status or 'no answer'}), {workers} workers: "
            f"neighbours take {mean(beside):.2f} s (at most {max(beside):.2f}) instead of {mean(healthy):.2f} s, "
            f"ratio {ratio:.2f}; "
            f"{refused} applies refused meanwhile, {made[0].refused - refused} in the next minute"
        )
        assert refused >= poisoned, told
        assert ratio <= 1.25, told  # one that hangs holds one of four workers
        assert max(beside) <= 4 / 3 * max(healthy) + LOOK, told
        assert made[0].refused - refused <= 20 * poisoned, told
