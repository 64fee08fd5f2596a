"""Watches: order, selectors, bookmarks, initial events, timeouts, and what breaks them."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from sandbox.tests.plain import MAPS, TABLE, Plain, plain_server

from lws.client.transport import Request
from lws.errors import TransportError
from tests.virtual import virtual_time

END = "k8s.io/initial-events-end"


@virtual_time
async def test_a_watch_from_a_version_replays_what_came_after() -> None:
    """Every change after the version comes once and in order; a removal carries a version of its own."""
    plain = await Plain().begin()
    start = await plain.make("a")
    await plain.make("b")
    await plain.merge(f"{MAPS}/a", {"data": {"k": "1"}})
    await plain.delete(f"{MAPS}/b")
    seen = await plain.get(MAPS, watch=1, resourceVersion=start.version, timeoutSeconds=1)
    assert seen.story == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen.events]
    assert versions == sorted(set(versions))


@virtual_time
async def test_selectors_turn_changes_into_arrivals_and_departures() -> None:
    """Into the selection is ADDED, out of it DELETED with the last selected state at the new version."""
    plain = await Plain().begin()
    start = (await plain.get(MAPS)).version
    await plain.make("a", labels={"app": "y"})
    await plain.merge(f"{MAPS}/a", {"metadata": {"labels": {"app": "x"}}})
    await plain.merge(f"{MAPS}/a", {"metadata": {"labels": {"more": "1"}}})
    out = await plain.merge(f"{MAPS}/a", {"metadata": {"labels": {"app": "z"}}})
    await plain.delete(f"{MAPS}/a")
    seen = await plain.get(MAPS, watch=1, resourceVersion=start, labelSelector="app=x", timeoutSeconds=1)
    assert [kind for kind, _ in seen.story] == ["ADDED", "MODIFIED", "DELETED"]
    left = seen.events[-1]["object"]["metadata"]
    assert (left["labels"], left["resourceVersion"]) == ({"app": "x", "more": "1"}, out.version)


@virtual_time
async def test_a_watch_without_a_version_begins_with_what_is_there() -> None:
    """From 0 or no version the objects come as ADDED, without a bookmark."""
    plain = await Plain().begin()
    await plain.make("b")
    await plain.make("a")
    for query in ({}, {"resourceVersion": "0"}):
        seen = await plain.get(MAPS, watch=1, timeoutSeconds=1, **query)
        assert sorted(seen.story) == [("ADDED", "a"), ("ADDED", "b")]


@virtual_time
async def test_initial_events_end_with_a_marked_bookmark() -> None:
    """A streaming list sends the objects, then the annotated bookmark, then changes."""
    plain = await Plain().begin()
    await plain.make("a")
    query: dict[str, Any] = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    watch = asyncio.create_task(plain.get(MAPS, watch=1, allowWatchBookmarks="true", timeoutSeconds=1, **query))
    await asyncio.sleep(0.5)
    await plain.make("b")
    seen = await watch
    assert seen.story[:3] == [("ADDED", "a"), ("BOOKMARK", ""), ("ADDED", "b")]
    assert seen.events[1]["object"]["metadata"]["annotations"] == {END: "true"}


@virtual_time
async def test_bookmarks_advance_each_minute_and_before_the_end() -> None:
    """An idle watch is told the newest version every minute and two seconds before it ends."""
    plain = await Plain().begin()
    start = (await plain.get(MAPS)).version
    query: dict[str, Any] = {"resourceVersion": start, "allowWatchBookmarks": "true"}
    watch = asyncio.create_task(plain.get(MAPS, watch=1, timeoutSeconds=150, **query))
    await asyncio.sleep(1)
    await plain.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": "elsewhere"}})
    seen = await watch
    assert [kind for kind, _ in seen.story] == ["BOOKMARK"] * 3
    versions = {event["object"]["metadata"]["resourceVersion"] for event in seen.events}
    assert versions == {str(plain.server.storage.revision)}
    assert plain.server.watches == 0


@virtual_time
async def test_a_compacted_version_is_410_as_an_event() -> None:
    """A watch from before the window gets one ERROR event with an Expired Status, and ends."""
    plain = await Plain().begin()
    start = (await plain.get(MAPS)).version
    await plain.make("a")
    plain.server.compact()
    seen = await plain.get(MAPS, watch=1, resourceVersion=start)
    assert seen.status == 200
    [error] = seen.events
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")


@pytest.mark.parametrize(
    "query",
    [
        {"resourceVersionMatch": "NotOlderThan"},
        {"sendInitialEvents": "true"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
    ],
)
def test_options_that_do_not_fit_are_refused(query: dict[str, str]) -> None:
    """Match and initial events need each other: otherwise 422."""

    @virtual_time
    async def run() -> None:
        plain = await Plain().begin()
        assert (await plain.get(MAPS, watch=1, **query)).status == 422

    run()


@virtual_time
async def test_a_watch_as_table_tells_its_columns_once() -> None:
    """The first Table of a watch has the columns, the later ones do not."""
    plain = await Plain().begin()
    await plain.make("a")
    await plain.make("b")
    seen = await plain.get(MAPS, watch=1, timeoutSeconds=1, accept=TABLE)
    columns = [event["object"]["columnDefinitions"] for event in seen.events]
    assert columns[0]
    assert columns[1] is None


@virtual_time
async def test_broken_watches_end_as_lost_connections() -> None:
    """A closed transport ends its streams with an error; a drill ends those of everybody."""
    plain = await Plain().begin()
    request = Request("GET", MAPS, (("watch", "1"),))

    async def read() -> None:
        async with plain.transport.stream(request) as stream:
            async for _ in stream.chunks():
                pass

    drilled = asyncio.create_task(read())
    await asyncio.sleep(1)
    assert plain.server.watches == 1
    assert plain.server.break_watches() == 1
    await drilled
    closed = asyncio.create_task(read())
    await asyncio.sleep(1)
    await plain.transport.close()
    with pytest.raises(TransportError):
        await closed
    assert plain.server.watches == 0


@virtual_time
async def test_a_cancelled_watch_leaves_nothing_behind() -> None:
    """Leaving a stream early forgets the watch, so that nothing is kept for it."""
    plain = await Plain().begin()
    async with plain.transport.stream(Request("GET", MAPS, (("watch", "1"),))) as stream:
        chunks = stream.chunks()
        await plain.make("a")
        assert json.loads(await anext(chunks))["type"] == "ADDED"
    assert plain.server.watches == 0


class _Follower:
    """A client that lists, watches, and begins again where it was when its watch ends."""

    def __init__(self, plain: Plain, chance: random.Random) -> None:
        self._plain = plain
        self._chance = chance
        self.state: dict[str, str] = {}
        self.version = "0"
        self.last = 0

    async def run(self, until: float) -> None:
        listed = await self._plain.get(MAPS)
        self.version = listed.version
        self.state = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listed.body["items"]}
        while asyncio.get_running_loop().time() < until:
            seconds = self._chance.randint(1, 5)
            seen = await self._plain.get(MAPS, watch=1, resourceVersion=self.version, timeoutSeconds=seconds)
            for event in seen.events:
                self._take(event["type"], event["object"]["metadata"])

    def _take(self, kind: str, meta: dict[str, str]) -> None:
        name, version = meta["name"], meta["resourceVersion"]
        assert int(version) > self.last, "versions fell"
        self.last = int(version)
        self.version = version
        assert (name in self.state) is (kind != "ADDED"), f"{kind} of {name}"
        if kind == "DELETED":
            del self.state[name]
        else:
            self.state[name] = version


async def _write(plain: Plain, chance: random.Random, until: float) -> None:
    while asyncio.get_running_loop().time() < until:
        await asyncio.sleep(chance.random() * 0.4)
        name = chance.choice("abcd")
        match chance.randint(0, 3):
            case 0:
                await plain.post(MAPS, {"metadata": {"name": name}})
            case 1:
                await plain.delete(f"{MAPS}/{name}")
            case _:
                await plain.merge(f"{MAPS}/{name}", {"data": {"k": str(chance.random())}})


async def _converge(seed: int) -> None:
    chance = random.Random(seed)
    plain = await Plain(plain_server(seed)).begin()
    followers = [_Follower(plain, random.Random(seed * 100 + index)) for index in range(3)]
    writers = [_write(plain, random.Random(seed * 100 + 50 + index), 12) for index in range(3)]
    await asyncio.gather(*writers, *(follower.run(12 + chance.random() * 8) for follower in followers))
    for follower in followers:
        final = await plain.get(MAPS)
        assert follower.state == {
            item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in final.body["items"]
        }


@pytest.mark.long
def test_followers_see_everything_once_and_in_order() -> None:
    """In 40 random runs of three writers, three followers that resume their watches end with the server's own state."""
    for seed in range(40):
        virtual_time(_converge)(seed)
