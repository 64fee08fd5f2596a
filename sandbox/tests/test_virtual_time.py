"""The virtual loop."""

from __future__ import annotations

import asyncio

import pytest

from lws_sandbox import virtual_time as vt
from tests.virtual import virtual_time


@virtual_time
async def test_an_hour_passes_at_once() -> None:
    """A sleep of an hour ends at once, an hour later by the loop's and the wall's clock."""
    clock = vt.VirtualClock()
    before = clock.now()
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop().time() == pytest.approx(3600)
    assert (clock.now() - before).total_seconds() == pytest.approx(3600)


@virtual_time
async def test_timers_fire_in_order_of_time() -> None:
    """Timers fire in the order of their times, whatever the order in which they were set."""
    seen: list[int] = []
    loop = asyncio.get_running_loop()
    for delay in (3, 1, 2):
        loop.call_later(delay, seen.append, delay)
    await asyncio.sleep(10)
    assert seen == [1, 2, 3]


def test_a_deadlock_is_an_error() -> None:
    """A program in which nothing can happen any more fails instead of hanging."""

    async def forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(vt.Deadlock):
        vt.run(forever())
