"""What a controller that was built by a `ControllerBuilder` begins with (K7)."""

from __future__ import annotations

import asyncio
from random import Random

from lws.runtime.builder import ControllerBuilder, ControllerOptions
from lws.runtime.controller import Done, Verdict
from lws_sandbox.virtual_time import VirtualClock
from tests.informers.server import FakeServer
from tests.informers.support import Thing, following
from tests.virtual import virtual_time

Key = tuple[str, str]


def keys_of(old: Thing | None, new: Thing | None) -> list[Key]:
    """The object itself, gone or not."""
    return [each.metadata.key for each in (old, new) if each is not None][-1:]


@virtual_time
async def test_standby_keeps_no_keys_and_begins_with_what_is_there() -> None:
    """Before it runs nothing is queued, however much comes and goes; then every object is handed out, once."""
    server = FakeServer()
    server.put("first")
    handled: list[str] = []

    async def reconcile(key: Key) -> Verdict:
        handled.append(key[1])
        return Done()

    async with following(server) as informer:
        builder = ControllerBuilder[Key]("things", ControllerOptions(VirtualClock(), Random(1)))
        builder.watch(informer, keys_of)
        controller = builder.build(reconcile)
        await informer.wait_synced()
        for number in range(40):
            server.put(f"gone-{number}")
        await asyncio.sleep(1)
        for number in range(40):
            server.delete(f"gone-{number}")
        server.put("second")
        await asyncio.sleep(1)
        assert len(builder.queue) == 0
        running = asyncio.create_task(controller.run())
        await asyncio.sleep(1)
        assert handled == ["first", "second"]
        server.delete("first")
        await asyncio.sleep(1)
        assert handled == ["first", "second", "first"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@virtual_time
async def test_changes_during_the_beginning_are_not_lost() -> None:
    """A large cache is taken in a few objects at a time, and what changes meanwhile is handed out live."""
    server = FakeServer()
    for number in range(2000):
        server.put(f"thing-{number:04}")
    async with following(server) as informer:
        await informer.wait_synced()
        heard: list[tuple[str, bool]] = []

        def hear(old: Thing | None, new: Thing | None, initial: bool) -> None:
            heard.append(((new or old).metadata.name, initial))  # type: ignore[union-attr]  # one of them is there

        beginning = asyncio.create_task(informer.follow(hear))
        await asyncio.sleep(0)
        assert 0 < len(heard) < 2000
        await beginning
        server.put("late")
        await asyncio.sleep(1)
    assert len({name for name, initial in heard if initial}) == 2000
    assert heard[-1] == ("late", False)
