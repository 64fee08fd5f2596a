"""Every fault that a watch can meet: nothing is lost and nothing is made up."""

from __future__ import annotations

import asyncio
import itertools

import orjson
import pytest

from lws.errors import TransportError
from lws.informers.informer import Informer
from tests.informers.server import EXPIRED, TOO_LARGE, FakeServer, Refusal, status
from tests.informers.support import following, held
from tests.virtual import virtual_time


@virtual_time
async def test_streamed_list_then_changes() -> None:
    """A streamed list and the changes after it arrive over one request."""
    server = FakeServer()
    server.put("a")
    server.put("b")
    async with following(server) as informer:
        await informer.wait_synced()
        server.put("c")
        server.put("a")
        server.delete("b")
        await asyncio.sleep(1)
        assert len(server.requests) == 1
        assert informer.position == server.version


@virtual_time
async def test_pages_of_500_where_streaming_is_refused() -> None:
    """A server that refuses streamed lists is listed by pages of 500 from then on."""
    server = FakeServer(streaming="refused")
    for number in range(1201):
        server.put(f"a{number}")
    async with following(server) as informer:
        await informer.wait_synced()
        await asyncio.sleep(1)
        server.put("late")
        server.compact()
        server.break_streams()
        await asyncio.sleep(5)
    queries = [dict(request.query) for request in server.requests]
    assert [query.get("limit") for query in queries[1:4]] == ["500", "500", "500"]
    assert sum("sendInitialEvents" in query for query in queries) == 1


@virtual_time
async def test_streaming_parameter_ignored() -> None:
    """A server that does not know streamed lists never ends one; pages are used after a silence."""
    server = FakeServer(streaming="ignored", bookmarks=False)
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        assert 30 <= asyncio.get_running_loop().time() < 40
        server.put("b")
        await asyncio.sleep(1)


@virtual_time
async def test_change_between_pages() -> None:
    """What changes while pages are read is learned from the watch, which begins at the first page."""
    server = FakeServer(streaming="refused")
    for number in range(700):
        server.put(f"a{number:04}")

    def meddle(request: int) -> None:
        if request == 3:
            server.delete("a0001")
            server.put("a0002")
            server.put("zzz")

    server.before_page = meddle
    async with following(server) as informer:
        await informer.wait_synced()
        await asyncio.sleep(1)


@virtual_time
async def test_page_token_expires() -> None:
    """A page token that expires starts the list anew, in one piece."""
    server = FakeServer(streaming="refused")
    for number in range(700):
        server.put(f"a{number:04}")

    def expire(request: int) -> None:
        if request == 3:
            server.delete("a0001")
            server.compact()

    server.before_page = expire
    async with following(server) as informer:
        await informer.wait_synced()
        await asyncio.sleep(1)
    assert [dict(request.query).get("limit") for request in server.requests[1:4]] == ["500", "500", None]


@virtual_time
async def test_410_in_mid_stream() -> None:
    """An ERROR event of 410 in a watch lists anew, and what vanished meanwhile is reported."""
    server = FakeServer()
    server.put("a")
    server.put("b")
    async with following(server) as informer:
        await informer.wait_synced()
        await asyncio.sleep(1)
        streams = list(server.streams)
        server.streams.clear()
        server.delete("a")
        server.put("c")
        for stream in streams:
            stream.send("ERROR", EXPIRED)
            stream.feed(None)
        await asyncio.sleep(1)
        assert held(informer) == server.truth()


@virtual_time
async def test_410_at_the_start_of_a_watch() -> None:
    """A position out of the server's window, by event or by status, lists anew."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        server.break_streams()
        server.put("b")
        server.delete("a")
        server.compact()
        await asyncio.sleep(5)
        assert held(informer) == server.truth()
        server.refusals.append(Refusal(410, body=EXPIRED))
        server.break_streams()
        server.delete("b")
        await asyncio.sleep(5)


@virtual_time
async def test_410_for_ever_is_not_a_busy_loop() -> None:
    """A server whose every watch is 410 is asked ever more slowly."""
    server = FakeServer(streaming="refused")
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        server.floor = 10**9
        server.break_streams()
        before = len(server.requests)
        await asyncio.sleep(600)
        assert len(server.requests) - before < 120
        server.floor = 0
        await asyncio.sleep(60)


@pytest.mark.parametrize(
    "failure",
    [status(500, "InternalError"), status(429, "TooManyRequests", retryAfterSeconds=7), TOO_LARGE, status(400, "Bad")],
    ids=["500", "429", "504", "400"],
)
@virtual_time
async def test_error_events(failure: dict[str, object]) -> None:
    """An ERROR event of any other kind is a fault like a broken connection; its text is never taken for an object."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        server.fail_streams(failure)
        server.put("b")
        server.delete("a")
        await asyncio.sleep(20)
        assert held(informer) == server.truth()


@pytest.mark.parametrize(
    "line",
    [b'{"type":"ADDED","object":{"meta', b'{"type":"MODIFIED"', b"{", b"not json\n", b'{"type":"NEW","object":{}}\n'],
)
@virtual_time
async def test_truncated_and_garbled_lines(line: bytes) -> None:
    """A line that is cut or is no event ends the watch, which goes on from the last event before it."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        streams = list(server.streams)
        whole = server.put("b")
        for stream in streams:
            stream.feed(orjson.dumps({"type": "ADDED", "object": whole}) + b"\n" + line)
        server.cut_streams(line)
        server.put("c")
        await asyncio.sleep(5)
        assert held(informer) == server.truth()
        assert informer.counters.lists == 1


@virtual_time
async def test_broken_connection_resumes() -> None:
    """After a broken connection the watch goes on from the last event, without a new list."""
    server = FakeServer()
    async with following(server) as informer:
        await informer.wait_synced()
        for number in range(20):
            server.put(f"a{number}")
            if number % 3 == 0:
                server.break_streams()
            await asyncio.sleep(3)
        assert informer.counters.lists == 1
        assert informer.healthy


@virtual_time
async def test_clean_ends_resume() -> None:
    """A watch that the server ends is reopened where it ended, and not over and over."""
    server = FakeServer()
    async with following(server) as informer:
        await informer.wait_synced()
        for number in range(10):
            server.end_streams()
            server.put(f"a{number}")
            await asyncio.sleep(10)
        assert informer.counters.lists == 1
        assert len(server.requests) < 60


@virtual_time
async def test_stall_is_found() -> None:
    """A watch that is silent beyond the server's timeout is given up, and nothing is missed."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        server.stall_streams()
        server.put("b")
        server.delete("a")
        await asyncio.sleep(500)
        assert held(informer) == server.truth()
        assert informer.counters.faults >= 1


@virtual_time
async def test_stall_within_a_list() -> None:
    """A list that falls silent is begun again, and its half is never seen."""
    server = FakeServer()
    server.put("a")
    server.mute = True
    async with following(server) as informer:
        await asyncio.sleep(10)
        server.streams[0].send("ADDED", {"metadata": {"name": "half", "resourceVersion": "1"}})
        await asyncio.sleep(10)
        assert not informer.synced
        assert len(informer.store) == 0
        server.mute = False
        await informer.wait_synced()


@virtual_time
async def test_duplicates() -> None:
    """An event that is sent twice is told once; an older one again changes nothing in the end."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        first = server.put("a")
        for stream in server.streams:
            stream.send("MODIFIED", first)
        await asyncio.sleep(1)
        assert informer.counters.events == 2
        server.put("a")
        for stream in server.streams:
            stream.send("MODIFIED", first)
        await asyncio.sleep(5)
        assert held(informer) == server.truth()


@virtual_time
async def test_bookmarks_advance_the_position() -> None:
    """With bookmarks only, a quiet informer keeps its position in the server's window and never lists again."""
    server = FakeServer()
    server.put("a", app="x")
    async with following(server, label="app=x") as informer:
        await informer.wait_synced()
        for number in range(100):
            server.put(f"other{number}")
            await asyncio.sleep(70)
            server.history.clear()
            server.floor = server.version - 3
        assert informer.counters.lists == 1
        assert informer.counters.faults == 0
        assert informer.position > server.version - 5


@virtual_time
async def test_server_without_bookmarks() -> None:
    """Without bookmarks a quiet watch proves nothing at its end, so that it is listed again; nothing is told twice."""
    server = FakeServer(bookmarks=False)
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        await asyncio.sleep(2000)
        assert informer.counters.lists > 1
        assert informer.counters.events == 1


@virtual_time
async def test_server_restarts_with_lower_versions() -> None:
    """A server that comes back with another history is found out within half a minute and listed anew."""
    server = FakeServer()
    for number in range(50):
        server.put(f"a{number % 7}")
    async with following(server) as informer:
        await informer.wait_synced()
        server.restart()
        server.delete("a1")
        server.put("new")
        await asyncio.sleep(30)
        assert held(informer) == server.truth()
        assert informer.position <= server.version


@virtual_time
async def test_lower_versions_in_the_stream() -> None:
    """An event or bookmark below the position means another history, and lists anew."""
    server = FakeServer()
    for number in range(50):
        server.put(f"a{number % 7}")
    async with following(server) as informer:
        await informer.wait_synced()
        streams = list(server.streams)
        server.restart()
        server.streams = streams
        for stream in streams:
            stream.pending.clear()
            stream.position = 0
        server.put("new")
        await asyncio.sleep(2)
        assert held(informer) == server.truth()
        for stream in server.streams:
            stream.send("BOOKMARK", {"metadata": {"resourceVersion": "1"}})
        await asyncio.sleep(2)
        assert informer.counters.lists == 3


@virtual_time
async def test_server_lags_behind() -> None:
    """A replica that has not reached our position is given time; only then is everything listed again."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        server.refusals.extend([Refusal(504, body=TOO_LARGE)] * 2)
        server.break_streams()
        await asyncio.sleep(10)
        assert informer.counters.lists == 1
        server.refusals.extend([Refusal(504, body=TOO_LARGE)] * 3)
        server.break_streams()
        await asyncio.sleep(30)
        assert informer.counters.lists == 2


@virtual_time
async def test_replaced_object_is_a_removal_and_an_addition() -> None:
    """An object that was replaced under its name while we were away is told as gone and as new."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        heard: list[tuple[bool, bool]] = []
        informer.on_change(lambda old, new, initial: heard.append((old is None, new is None)))
        heard.clear()
        server.break_streams()
        server.delete("a")
        server.put("a")
        server.compact()
        await asyncio.sleep(5)
        assert heard == [(False, True), (True, False)]


@virtual_time
async def test_a_silent_watch_is_given_up_after_two_missed_bookmarks() -> None:
    """Where bookmarks come each minute, two minutes without a byte are a fault; nothing that happened is missed."""
    server = FakeServer()
    async with following(server) as informer:
        await informer.wait_synced()
        await asyncio.sleep(70)
        server.stall_streams()
        server.put("a")
        await asyncio.sleep(125)
        assert held(informer) == server.truth()
        assert informer.counters.faults == 1


@virtual_time
async def test_silence_is_no_fault_where_bookmarks_never_come() -> None:
    """A server without bookmarks may be silent until the time-out that we gave it."""
    server = FakeServer(bookmarks=False)
    async with following(server) as informer:
        await informer.wait_synced()
        await asyncio.sleep(290)
        assert informer.counters.faults == 0


@virtual_time
async def test_only_an_internal_error_that_lasts_calls_for_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """An informer that keeps failing by itself is broken after a minute; a server out of reach breaks none."""
    server = FakeServer()
    async with following(server) as informer:
        await informer.wait_synced()
        server.standing = TransportError("gone")
        server.break_streams()
        await asyncio.sleep(600)
        assert (informer.healthy, informer.broken) == (False, False)

        async def follow(_: object) -> None:
            raise ValueError("no")

        monkeypatch.setattr(Informer, "_follow", follow)
    async with following(server) as informer:
        broken = []
        for _ in range(2):
            await asyncio.sleep(50)
            broken.append(informer.broken)
        monkeypatch.undo()
        server.standing = None
        await informer.wait_synced()
        assert [*broken, informer.broken] == [False, True, False]


@virtual_time
async def test_an_internal_error_long_after_another_is_again_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """An informer that failed by an internal error, and worked since, restarts as soon as the first time."""
    begun: list[float] = []
    lives = iter([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1000.0, 0.0, 10_000.0])

    async def follow(_: object) -> None:
        begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(next(lives))
        raise ValueError("internal error")

    monkeypatch.setattr(Informer, "_follow", follow)
    async with following(FakeServer()):
        await asyncio.sleep(1500)
    waits = [later - earlier for earlier, later in itertools.pairwise(begun)]
    assert waits[7] > 10
    assert waits[8] - 1000 < 1
    assert waits[9] < 2
