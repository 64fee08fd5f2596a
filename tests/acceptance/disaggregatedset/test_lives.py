"""Capacity through whole lives: however often the image changes, what the pace of a role lets go is all that goes.

Lives with everything else that may happen are those of `tests.simulation.roles`.
"""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.acceptance.disaggregatedset.site import site
from tests.simulation.roles import Wanted
from tests.virtual import virtual_time

pytestmark = pytest.mark.long


async def keep_capacity(seed: int) -> None:
    """A life of new images, looked at every quarter of a second."""
    async with site(seed=seed, nodes=1, delays=Delays(jitter=3.0)) as found:
        wanted = Wanted(Random(seed))
        await found.create(*wanted.roles())
        await found.available()
        async with found.measuring():
            for _ in range(4):
                wanted.change_image()
                await found.edit(*wanted.roles())
                await asyncio.sleep(wanted.random.choice([0.5, 3, 10]))
            await found.available()
        for name, count in wanted.replicas.items():
            unavailable = wanted.paces[name].get("maxUnavailable", 0)
            down = count * 25 // 100 if unavailable == "25%" else unavailable
            assert found.lowest[name] >= count - down, (seed, name)


@pytest.mark.parametrize("seed", range(4))
@virtual_time
async def test_capacity_of_a_life(seed: int) -> None:
    """However often the image changes, ready groups of a role never fall below what its pace allows."""
    await keep_capacity(seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(4, 204))
@virtual_time
async def test_capacity_of_many_lives(seed: int) -> None:
    """The same for many more seeds."""
    await keep_capacity(seed)
