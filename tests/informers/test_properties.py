"""Any sequence of changes and faults ends in the truth, told exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lws.errors import TransportError
from lws_sandbox import virtual_time
from tests.informers.server import EXPIRED, TOO_LARGE, FakeServer, Refusal, selected, status
from tests.informers.support import following, held

Operation = Callable[[FakeServer], object]
NAMES = st.sampled_from([f"n{number}" for number in range(8)])
LABELS = st.sampled_from(["x", "y"])


def put(name: str, label: str) -> Operation:
    """Create or change an object."""
    return lambda server: server.put(name, app=label)


def delete(name: str) -> Operation:
    """Delete an object, if it is there."""
    return lambda server: server.delete(name) if ("ns", name) in server.objects else None


def refuse(code: int, times: int) -> Operation:
    """Refuse some requests to come."""
    return lambda server: server.refusals.extend([Refusal(code, "Refused")] * times)


def lose(times: int) -> Operation:
    """Give no answer to some requests to come."""
    return lambda server: server.refusals.extend([TransportError("lost")] * times)


def error(number: int) -> Operation:
    """End every watch with an ERROR event."""
    failures = [EXPIRED, TOO_LARGE, status(500, "InternalError"), status(429, "TooManyRequests", retryAfterSeconds=3)]
    return lambda server: server.fail_streams(failures[number])


def repeat(back: int) -> Operation:
    """Send an event of the past again."""

    def again(server: FakeServer) -> None:
        if len(server.history) >= back and server.streams:
            _, kind, obj, _ = server.history[-back]
            for stream in server.streams:
                if selected(obj, stream.query):
                    stream.send(kind, obj)

    return again


CHANGES = st.one_of(st.builds(put, NAMES, LABELS), st.builds(delete, NAMES))
FAULTS = st.one_of(
    st.builds(refuse, st.sampled_from([400, 401, 403, 404, 410, 422, 429, 500, 503, 504]), st.integers(1, 3)),
    st.builds(lose, st.integers(1, 3)),
    st.builds(error, st.integers(0, 3)),
    st.builds(repeat, st.integers(1, 4)),
    st.sampled_from(
        [
            FakeServer.compact,
            FakeServer.break_streams,
            FakeServer.end_streams,
            FakeServer.cut_streams,
            FakeServer.stall_streams,
            FakeServer.restart,
        ]
    ),
)
PAUSES = st.sampled_from([0.0, 0.0005, 0.01, 1.0, 25.0, 400.0])
STEPS = st.lists(st.tuples(st.one_of(CHANGES, CHANGES, FAULTS), PAUSES), max_size=40)


async def live(steps: list[tuple[Operation, float]], streaming: str, bookmarks: bool, label: str, seed: int) -> None:
    """Run the steps against an informer, then give it time to recover from the last fault."""
    server = FakeServer(streaming=streaming, bookmarks=bookmarks)
    async with following(server, seed=seed, label=label) as informer:
        for operation, pause in steps:
            operation(server)
            await asyncio.sleep(pause)
        server.refusals.clear()
        await asyncio.sleep(1000)
        assert held(informer) == server.truth(label)
        assert informer.healthy
        assert len(server.requests) < 60 * (len(steps) + 2), "no busy loop"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=STEPS,
    streaming=st.sampled_from(["served", "served", "refused", "ignored"]),
    bookmarks=st.booleans(),
    label=st.sampled_from(["", "app=x"]),
    seed=st.integers(0, 2**32),
)
def test_no_lost_and_no_phantom_object(
    steps: list[tuple[Operation, float]], streaming: str, bookmarks: bool, label: str, seed: int
) -> None:
    """Whatever happens, the store ends as the server's truth, and handlers were told exactly the way there."""
    virtual_time.run(live(steps, streaming, bookmarks, label, seed))
