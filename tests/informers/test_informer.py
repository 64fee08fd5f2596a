"""What readers of an informer and of a registry rely on."""

from __future__ import annotations

import asyncio
from random import Random

import orjson
import pytest

from lws.client.api import ApiClient
from lws.informers.backoff import Backoff
from lws.informers.registry import InformerRegistry
from lws_sandbox.virtual_time import VirtualClock
from tests.informers.server import FakeServer, Refusal
from tests.informers.support import THINGS, Thing, Told, following, held, version
from tests.virtual import virtual_time


def registry_of(server: FakeServer) -> InformerRegistry:
    """A registry on a fake server."""
    return InformerRegistry(
        ApiClient(server, user_agent="test", field_manager=None), clock=VirtualClock(), random=Random(1)
    )


@virtual_time
async def test_initial_flag() -> None:
    """Objects of the first list are initial; live changes, and those that a later list uncovers, are not."""
    server = FakeServer()
    server.put("a")
    heard: list[tuple[str | None, str | None, bool]] = []
    async with following(server) as informer:
        informer.on_change(lambda old, new, initial: heard.append((version(old), version(new), initial)))
        await informer.wait_synced()
        server.put("b")
        await asyncio.sleep(1)
        server.break_streams()
        server.put("c")
        server.delete("a")
        server.compact()
        await asyncio.sleep(5)
    assert [initial for _, _, initial in heard] == [True, False, False, False]
    assert [(old is None, new is None) for old, new, _ in heard] == [
        (True, False),
        (True, False),
        (False, True),
        (True, False),
    ]


@virtual_time
async def test_late_handler() -> None:
    """A handler that comes late is told at once of what is there, as initial."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        heard: list[bool] = []
        informer.on_change(lambda old, new, initial: heard.append(initial))
        assert heard == [True]


@virtual_time
async def test_resync() -> None:
    """A resync tells of every object again, unchanged and as initial, and asks the server for nothing."""
    server = FakeServer()
    for number in range(450):
        server.put(f"a{number}")
    async with following(server, resync=600) as informer:
        await informer.wait_synced()
        heard: list[tuple[Thing | None, Thing | None, bool]] = []
        informer.on_change(lambda old, new, initial: heard.append((old, new, initial)))
        heard.clear()
        before = informer.counters.lists
        await asyncio.sleep(700)
        assert len(heard) == 450
        assert all(old is new and initial for old, new, initial in heard)
        assert informer.counters.lists == before


@virtual_time
async def test_read_your_writes() -> None:
    """A write counts as seen once its version, or a later one of the object or the collection, is in the store."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        progress: list[int] = []
        informer.on_progress(lambda: progress.append(informer.position))
        wrote = server.put("a")["metadata"]["resourceVersion"]
        seen = [informer.has_seen("ns", "a", wrote)]
        await asyncio.sleep(0.1)
        seen.append(informer.has_seen("ns", "a", wrote))
        assert seen == [False, True]
        assert progress[-1] == int(wrote)
        assert not informer.has_seen("ns", "a", int(wrote) + 1)


@virtual_time
async def test_store_is_written_before_handlers_hear() -> None:
    """A handler finds in the store what it is told of, and of a list finds all of it."""
    server = FakeServer()
    server.put("a")
    server.put("b")
    async with following(server) as informer:
        sizes: list[int] = []
        informer.on_change(lambda old, new, initial: sizes.append(len(informer.store)))
        await informer.wait_synced()
        server.delete("a")
        await asyncio.sleep(1)
    assert sizes == [2, 2, 1]


@virtual_time
async def test_a_long_list_is_told_in_turns() -> None:
    """While a list is told others have their turns, and find all of it; it counts as synced once all of it is told.

    Who begins to listen meanwhile is told of each object once, and so is everybody of what a later list uncovers.
    """
    server = FakeServer()
    for number in range(950):
        server.put(f"a{number}")
    async with following(server) as informer:
        heard: list[bool] = []
        turns: list[tuple[int, int, bool]] = []
        late: list[Told] = []

        def turn() -> None:
            if not informer.synced:
                turns.append((len(heard), len(informer.store), informer.synced))
                late.extend([Told(informer)] if len(turns) == 2 else [])
                asyncio.get_running_loop().call_soon(turn)

        def hear(_old: Thing | None, _new: Thing | None, initial: bool) -> None:
            if not heard:
                asyncio.get_running_loop().call_soon(turn)
            heard.append(initial)

        informer.on_change(hear)
        await informer.wait_synced()
        assert turns == [(number, 950, False) for number in (200, 400, 600, 800)]
        (told,) = late
        assert len(told.world) == len(told.changes) == 950
        server.break_streams()
        for number in range(450):
            server.delete(f"a{number}")
            server.put(f"b{number}")
        server.compact()
        await asyncio.sleep(5)
        assert len(heard) == 950 + 900
        assert told.world.keys() == held(informer).keys()


@virtual_time
async def test_a_resync_waits_for_a_list_that_is_being_told() -> None:
    """Nobody is told again of an object before being told of it once, however a resync and a list meet."""
    server = FakeServer()
    async with following(server, resync=10.0) as informer:
        await informer.wait_synced()
        for turn in range(40):  # lists and resyncs of several turns each, at ever other times
            server.break_streams()
            for number in range(450):
                server.put(f"{turn % 3}-{number}")
            server.compact()
            await asyncio.sleep(3.7)
        await asyncio.sleep(300)  # the pause after so many faults
        assert informer.counters.lists > 5


@virtual_time
async def test_failing_handler_hurts_nobody() -> None:
    """What one handler raises neither stops the informer nor keeps others from hearing."""
    server = FakeServer()
    server.put("a")

    def fail(old: Thing | None, new: Thing | None, initial: bool) -> None:
        raise ValueError("poisoned")

    async with following(server) as informer:
        informer.on_change(fail)
        heard: list[bool] = []
        informer.on_change(lambda old, new, initial: heard.append(initial))
        await informer.wait_synced()
        server.put("b")
        await asyncio.sleep(1)
        assert heard == [True, False]


@virtual_time
async def test_failing_index_hurts_nobody() -> None:
    """An object on which an index function fails has no values in that index; all others have theirs."""
    server = FakeServer()

    def fail_on_a(obj: Thing) -> str:
        if obj.metadata.name == "a":
            raise KeyError("poisoned")
        return obj.metadata.name

    async with following(server) as informer:
        informer.add_index("name", fail_on_a)
        await informer.wait_synced()
        server.put("a")
        server.put("b")
        await asyncio.sleep(1)
        assert [obj.metadata.name for obj in informer.store.by_index("name", "b")] == ["b"]
        assert informer.store.by_index("name", "a") == []
        server.delete("a")
        await asyncio.sleep(1)


@virtual_time
async def test_a_failure_of_our_own_begins_again() -> None:
    """An error that nobody foresaw is logged; the informer lists again and goes on."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        good = informer._decoder

        class Broken:
            def events(self, lines: bytes) -> None:
                informer._decoder = good
                raise RuntimeError("bug")

        informer._decoder = Broken()  # type: ignore[assignment]
        server.put("b")
        await asyncio.sleep(5)
        assert len(informer.store) == 2


@virtual_time
async def test_unreadable_object_stays_as_it_was() -> None:
    """An object that cannot be read any more stays as last read, until it is deleted; its neighbours go on."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        good = server.truth()
        server.version += 1
        for stream in server.streams:
            bad = {"name": "a", "namespace": "ns", "resourceVersion": str(server.version), "labels": 5}
            stream.send("MODIFIED", {"metadata": bad})
        server.put("b")
        await asyncio.sleep(1)
        assert held(informer)["ns", "a"] == good["ns", "a"]
        assert informer.counters.unreadable == 1
        server.delete("a")
        await asyncio.sleep(1)


@virtual_time
async def test_selection_is_the_servers() -> None:
    """2,000 unrelated objects are neither sent nor held nor told; leaving the selection is a removal."""
    server = FakeServer()
    server.put("mine", app="x")
    for number in range(2000):
        server.put(f"other{number}")
    async with following(server, label="app=x") as informer:
        await informer.wait_synced()
        for number in range(2000):
            server.put(f"other{number}", app="y")
        server.put("new", app="x")
        server.put("mine", app="y")
        await asyncio.sleep(1)
        assert set(held(informer)) == {("ns", "new")}
        assert informer.counters.events == 3
    assert all(dict(request.query)["labelSelector"] == "app=x" for request in server.requests)


@virtual_time
async def test_informers_are_shared() -> None:
    """Equal arguments give one informer; it starts at once where the registry runs already."""
    server = FakeServer()
    server.put("a", app="x")
    registry = registry_of(server)
    first = registry.informer(THINGS)
    assert registry.informer(THINGS) is first
    assert registry.informer(THINGS, label_selector="app=x") is not first
    task = asyncio.create_task(registry.run())
    await registry.wait_synced()
    late = registry.informer(THINGS, label_selector="app=z")
    await late.wait_synced()
    assert [(one.label_selector, one.objects, one.synced, one.healthy) for one in registry.statistics()] == [
        ("", 1, True, True),
        ("app=x", 1, True, True),
        ("app=z", 0, True, True),
    ]
    assert registry.synced
    assert registry.healthy
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert server.streams == []


@virtual_time
async def test_last_event_age() -> None:
    """The age counts from the last thing that the server said."""
    server = FakeServer()
    async with following(server) as informer:
        await informer.wait_synced()
        await asyncio.sleep(59)
        quiet = informer.last_event_age
        await asyncio.sleep(2)
        assert 58 < quiet < 60
        assert informer.last_event_age < 2


@virtual_time
async def test_an_informer_that_nobody_demands_is_not_silent() -> None:
    """While it asks for nothing its age is 0, or an alert on silent watches would fire; it counts from the demand."""
    registry = registry_of(FakeServer())
    informer = registry.informer(THINGS, optional=True, on_demand=True)
    task = asyncio.create_task(registry.run())
    await asyncio.sleep(600)
    assert [(each.last_event_age, each.healthy) for each in registry.statistics()] == [(0.0, True)]
    informer.demand()
    assert informer.last_event_age < 1
    await asyncio.sleep(5)
    informer.demand()
    assert informer.synced
    assert 0 < informer.last_event_age < 10
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@virtual_time
async def test_one_registry_runs_once() -> None:
    """A registry that runs cannot be run a second time."""
    registry = registry_of(FakeServer())
    task = asyncio.create_task(registry.run())
    await asyncio.sleep(1)
    with pytest.raises(RuntimeError, match="already"):
        await registry.run()
    task.cancel()


@virtual_time
async def test_same_seed_same_trace() -> None:
    """With the same seed the same requests are made at the same moments, whatever the faults."""

    async def trace() -> list[tuple[float, str]]:
        server = FakeServer()
        loop = asyncio.get_running_loop()
        start, seen = loop.time(), []
        async with following(server, seed=3) as informer:
            server.refusals.extend([Refusal(503)] * 4)
            await informer.wait_synced()
            server.before_page = None
            for _ in range(5):
                server.break_streams()
                await asyncio.sleep(10)
                seen.append((round(loop.time() - start, 6), orjson.dumps(server.requests[-1].query).decode()))
        return seen

    assert await trace() == await trace()


def test_backoff() -> None:
    """Waits double up to a cap, vary by half, and are no shorter than the server asks."""
    backoff = Backoff(Random(1), base=1.0, cap=8.0)
    for failures, full in ((1, 1.0), (2, 2.0), (4, 8.0), (40, 8.0)):
        waits = [backoff.delay(failures) for _ in range(100)]
        assert full / 2 <= min(waits) < max(waits) <= full
    assert backoff.delay(1, at_least=60.0) == 60.0
