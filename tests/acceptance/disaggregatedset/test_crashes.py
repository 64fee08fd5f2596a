"""A controller that dies at any write leaves a set that its successor brings to the same end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import pytest

from tests.acceptance.disaggregatedset.site import B, Site, roles, site
from tests.acceptance.disaggregatedset.test_slices import legacy
from tests.virtual import virtual_time

End = tuple[dict[str, int], list[str], int, list[str]]


async def a04(found: Site) -> None:
    """A new image."""
    await found.edit(*roles(2, 2, "3.10"))


async def a16(found: Site) -> None:
    """A third revision in mid-rollout."""
    await found.edit(*roles(2, 2, "3.10"))
    await found.until(lambda: found.ready_at(B, 1))
    await found.edit(*roles(2, 2, "3.11"))


async def a18(found: Site) -> None:
    """Back to a revision that is still there."""
    await found.edit(*roles(2, 2, "3.10"))
    await found.until(lambda: found.ready_at(B, 1))
    await found.edit(*roles(2, 2))


async def a30(found: Site) -> None:
    """Fewer slices."""
    await found.edit(slices=1)


async def a45(found: Site) -> None:
    """More slices over release 0.9.0."""
    await found.edit(slices=2)


SCENARIOS: dict[str, Callable[[Site], Awaitable[None]]] = {
    "A04": a04, "A16": a16, "A18": a18, "A30": a30, "A45": a45,
}  # fmt: skip


async def lived(name: str, edge: int = 0, *, late: bool = False) -> tuple[End, int]:
    """Live through a scenario with a controller that dies at a write; how it ends, and how many writes that took."""
    async with site() as found:
        if name == "A45":
            await found.stop()
            await legacy(found)
            await found.start()
        else:
            await found.create(*roles(2, 2), slices=2 if name == "A30" else 1)
        await found.available()
        found.gate.breaks_at, found.gate.late = (found.gate.asked + edge if edge else 0), late
        before = found.gate.asked
        following = asyncio.create_task(found.restart_when_it_dies())
        await SCENARIOS[name](found)
        await found.available()
        await found.cluster.quiet(20.0)
        following.cancel()
        services = await found.services()
        return (await found.children(), services, await found.pods(), sorted(await found.reasons())), (
            found.gate.asked - before
        )


async def crossed(name: str, late: bool, edges: Callable[[int], Iterable[int]]) -> None:
    """Crash at these of a scenario's writes, and compare each end with that of an undisturbed life."""
    expected, writes = await lived(name)
    for edge in edges(writes):
        ended, _ = await lived(name, edge, late=late)
        assert ended[:3] == expected[:3], edge
        begun = [each.count("RollingUpdateStarted") for each in (ended[3], expected[3])]
        assert begun[0] <= begun[1], edge


@pytest.mark.long
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", SCENARIOS)
@virtual_time
async def test_a_crash_changes_no_end(name: str, late: bool) -> None:
    """At the second write, and at one in the middle: children, Services and pods are the same in the end."""
    await crossed(name, late, lambda writes: (2, writes // 2))


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", SCENARIOS)
@virtual_time
async def test_a_crash_at_any_write_changes_no_end(name: str, late: bool) -> None:
    """Before every single write, or after it and before its answer."""
    await crossed(name, late, lambda writes: range(1, writes + 1))
