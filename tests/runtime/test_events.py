"""Events: what is written, what is folded, what is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.actions import Fold
from lws.apimachinery.objects import ObjectMeta
from lws.client.transport import Request
from lws.errors import ServerError, TransportError
from lws.runtime.events import CAPACITY, EventRecorder, ObjectRef, cut_note
from lws_sandbox.virtual_time import VirtualClock
from tests.runtime.fake import FakeServer
from tests.virtual import virtual_time

SET = ObjectRef("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "default", "vllm", "uid-1", "42")
POD = ObjectRef("v1", "Pod", "default", "vllm-0", "uid-2", "43")


class Bench:
    """A recorder and the server that it writes to."""

    def __init__(self) -> None:
        self.server = FakeServer()
        self.dropped: list[str] = []
        self.recorder = EventRecorder(
            self.server.client(),
            component="leaderworkerset",
            hostname="host",
            clock=VirtualClock(),
            random=Random(1),
            dropped=self.dropped.append,
        )

    @property
    def events(self) -> list[dict[str, Any]]:
        """What the server holds."""
        return list(self.server.objects.values())

    def record(
        self, reason: str = "GroupsProgressing", note: str = "hello", ref: ObjectRef = SET, sort: str = "Normal"
    ) -> None:
        """Record an event of a kind."""
        self.recorder.record(ref, sort, reason, "Create", note)


@asynccontextmanager
async def running() -> AsyncIterator[Bench]:
    """A recorder that runs."""
    bench = Bench()
    task = asyncio.create_task(bench.recorder.run())
    yield bench
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@virtual_time
async def test_an_event_has_every_field_of_the_specification() -> None:
    """An event is written as section 12 describes it: reporter, regarding, related, times, names."""
    async with running() as bench:
        bench.recorder.record(SET, "Warning", "FailedCreate", "Create", "no quota", POD)
        await asyncio.sleep(1)
        (event,) = bench.events
    (path,) = bench.server.objects
    assert path == f"/apis/events.k8s.io/v1/namespaces/default/events/{event['metadata']['name']}"
    name, _, stamp = event["metadata"].pop("name").rpartition(".")
    assert name == "vllm"
    assert int(stamp, 16) == 1_767_225_600 * 10**9
    event["metadata"].pop("resourceVersion")
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": "default"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "leaderworkerset",
        "reportingInstance": "leaderworkerset-host",
        "type": "Warning",
        "reason": "FailedCreate",
        "action": "Create",
        "note": "no quota",
        "regarding": {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "namespace": "default",
            "name": "vllm",
            "uid": "uid-1",
            "resourceVersion": "42",
        },
        "related": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "default",
            "name": "vllm-0",
            "uid": "uid-2",
            "resourceVersion": "43",
        },
    }


@virtual_time
async def test_equal_events_become_a_series_that_keeps_the_first_note() -> None:
    """Equal events are one event: the second writes the series, further ones nothing until it is over."""
    async with running() as bench:
        bench.record(note="first", sort="Warning")
        await asyncio.sleep(1)
        for n in range(10):
            bench.record(note=f"again {n}", sort="Warning")
            await asyncio.sleep(1)
        assert [method for method, _ in bench.server.writes] == ["POST", "PATCH"]
        assert bench.events[0]["series"]["count"] == 2
        await asyncio.sleep(400)
        assert [method for method, _ in bench.server.writes] == ["POST", "PATCH", "PATCH"]
        assert bench.events[0]["note"] == "first"
        assert bench.events[0]["series"] == {"count": 11, "lastObservedTime": "2026-01-01T00:00:10.000000Z"}


@virtual_time
async def test_normal_events_with_other_notes_are_told_apart() -> None:
    """Two steps of a rollout with no status written between them are two events, each with its own note."""
    async with running() as bench:
        bench.record("GroupsUpdating", "Updating replica 1")
        bench.record("GroupsUpdating", "Updating replica 0")
        bench.record("GroupsUpdating", "Updating replica 0")
        await asyncio.sleep(1)
        assert sorted(event["note"] for event in bench.events) == ["Updating replica 0", "Updating replica 1"]


@virtual_time
async def test_a_series_of_two_is_written_once() -> None:
    """When the server knows the final count already, the end of a series writes nothing."""
    async with running() as bench:
        bench.record()
        await asyncio.sleep(1)
        bench.record()
        await asyncio.sleep(4000)
        assert [method for method, _ in bench.server.writes] == ["POST", "PATCH"]


@virtual_time
async def test_a_series_that_goes_on_is_refreshed_every_half_hour() -> None:
    """While a series goes on for hours the server hears of it every 30 minutes."""
    async with running() as bench:
        for _ in range(2 * 60 + 1):
            bench.record()
            await asyncio.sleep(60)
        patches = [request for request in bench.server.requests if request.method == "PATCH"]
        assert len(patches) == 1 + 4 or len(patches) == 1 + 3
        assert bench.events[0]["series"]["count"] > 80


@virtual_time
async def test_after_six_quiet_minutes_the_same_again_is_a_new_event() -> None:
    """A series ends six minutes after its last event."""
    async with running() as bench:
        bench.record()
        await asyncio.sleep(359)
        bench.record()
        await asyncio.sleep(365)
        bench.record()
        await asyncio.sleep(1)
        assert len(bench.events) == 2


@pytest.mark.parametrize("part", ["type", "reason", "action", "regarding", "version", "related"])
def test_what_differs_in_any_part_is_not_folded(part: str) -> None:
    """Events that differ in type, reason, action, regarding, its resourceVersion, or related stay apart (spec 12)."""

    @virtual_time
    async def check() -> None:
        async with running() as bench:
            base: dict[str, Any] = {
                "regarding": SET,
                "type": "Normal",
                "reason": "GroupsProgressing",
                "action": "Create",
                "note": "hello",
                "related": None,
            }
            others: dict[str, dict[str, Any]] = {
                "type": {"type": "Warning"},
                "reason": {"reason": "FailedCreate"},
                "action": {"action": "Delete"},
                "regarding": {"regarding": POD},
                "version": {"regarding": ObjectRef(SET.api_version, SET.kind, "default", "vllm", "uid-1", "43")},
                "related": {"related": POD},
            }
            bench.recorder.record(**base)
            bench.recorder.record(**{**base, **others[part]})
            await asyncio.sleep(1)
            assert [method for method, _ in bench.server.writes] == ["POST", "POST"]

    check()


@virtual_time
async def test_events_of_one_instant_have_different_names() -> None:
    """Two events about one object in the same instant are two objects."""
    async with running() as bench:
        bench.record("A")
        bench.record("B")
        await asyncio.sleep(1)
        assert len(bench.events) == 2


@virtual_time
async def test_a_series_that_begins_before_the_first_write_is_complete() -> None:
    """Equal events that come before the first was written lose none of their count."""
    async with running() as bench:
        for _ in range(3):
            bench.record()
        await asyncio.sleep(1)
        assert bench.events[0]["series"]["count"] == 3
        assert len(bench.server.writes) == 1


@virtual_time
async def test_a_second_event_during_the_first_write_is_written_after_it() -> None:
    """An equal event that comes while the first is on its way leads to the patch afterwards."""
    async with running() as bench:
        bench.server.latency = 1.0
        bench.record()
        await asyncio.sleep(0.5)
        bench.record()
        await asyncio.sleep(10)
        assert [method for method, _ in bench.server.writes] == ["POST", "PATCH"]
        assert bench.events[0]["series"]["count"] == 2


@virtual_time
async def test_a_vanished_event_is_created_again() -> None:
    """An event that outlived its time on the server is created anew with its series, as client-go does."""
    async with running() as bench:
        bench.record()
        await asyncio.sleep(1)
        bench.server.objects.clear()
        bench.record()
        await asyncio.sleep(1)
        assert [method for method, _ in bench.server.writes] == ["POST", "PATCH", "POST"]
        assert bench.events[0]["series"]["count"] == 2


@virtual_time
async def test_without_answer_it_is_tried_again_twelve_times() -> None:
    """A write without answer is tried 12 times about ten seconds apart, then dropped and counted."""
    async with running() as bench:

        def fail(_: Request) -> None:
            raise TransportError("refused", maybe_done=False)

        bench.server.before = fail
        bench.record()
        await asyncio.sleep(60)
        assert 5 <= len(bench.server.requests) <= 7
        await asyncio.sleep(200)
        assert len(bench.server.requests) == 12
        assert bench.dropped == ["no answer"]


@virtual_time
async def test_it_arrives_once_the_server_is_back() -> None:
    """An event that was recorded while the server was away is written when it is back."""
    async with running() as bench:

        def fail(_: Request) -> None:
            raise ServerError(503, "", "away")

        bench.server.before = fail
        bench.record()
        await asyncio.sleep(30)
        bench.server.before = lambda _: None
        await asyncio.sleep(30)
        assert len(bench.events) == 1
        assert bench.dropped == []


@virtual_time
async def test_a_refusal_is_final() -> None:
    """An event that the server refuses, here because its name is taken, is not tried again."""
    async with running() as bench:
        bench.server.objects = _Everything()
        bench.record()
        await asyncio.sleep(1000)
        assert len(bench.server.requests) == 1
        assert bench.dropped == ["refused"]


@virtual_time
async def test_a_write_whose_answer_was_lost_counts_as_done() -> None:
    """An event that arrived although nobody said so is neither dropped nor written twice, and its series goes on."""
    async with running() as bench:
        bench.server.after = _lose_answer
        bench.record()
        await asyncio.sleep(1)
        bench.server.after = lambda _: None
        bench.record()
        await asyncio.sleep(30)
        assert bench.dropped == []
        assert [event["series"]["count"] for event in bench.events] == [2]


def _lose_answer(_: Request) -> None:
    raise TransportError("the connection broke")


class _Everything(dict[str, Any]):
    """A store in which every name is taken."""

    def __contains__(self, key: object) -> bool:
        return True


@virtual_time
async def test_recording_never_blocks_and_is_bounded() -> None:
    """With a dead server a flood is taken at once; beyond the capacity events are dropped and counted."""
    async with running() as bench:
        bench.server.latency = 10_000
        for n in range(CAPACITY + 25):
            bench.record(f"Reason{n}")
        assert bench.dropped == ["queue full"] * 25
        assert asyncio.get_running_loop().time() == 0


@virtual_time
async def test_a_flood_is_told_once_until_there_is_room() -> None:
    """However many events find no room, the log has one line of it, and one more for the next flood."""
    async with running() as bench:
        with capture_logs() as logged:
            for flood in "ab":
                for n in range(2 * CAPACITY):
                    bench.record(f"Reason-{flood}-{n}")
                await asyncio.sleep(600)
    assert [line["log_level"] for line in logged if line["event"] == "event dropped"].count("warning") == 2
    assert bench.dropped == ["queue full"] * 2 * CAPACITY


@virtual_time
async def test_an_idle_recorder_does_nothing() -> None:
    """After its last series is over a recorder sets no timer."""
    async with running() as bench:
        bench.record()
        await asyncio.sleep(400)
        loop = asyncio.get_running_loop()
        assert not [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert len(bench.recorder._remembered) == 0


@virtual_time
async def test_stopping_writes_what_waits() -> None:
    """What was recorded just before the stop is still written."""
    async with running() as bench:
        await asyncio.sleep(1)
        for n in range(20):
            bench.record(f"Reason{n}")
    assert len(bench.events) == 20


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("short", "short"),
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, "x" * 1024),
        ("é" * 512, "é" * 512),
        ("x" + "é" * 512, "x" + "é" * 511),
        ("€" * 400, "€" * 341),
        ("😀" * 300, "😀" * 256),
        ("100% of 50%s", "100% of 50%s"),
    ],
)
def test_cd_17_notes_are_plain_and_cut(note: str, expected: str) -> None:
    """A note is plain text of at most 1024 bytes, cut between characters (CD-17)."""
    assert cut_note(note) == expected
    assert len(expected.encode()) <= 1024


def test_a_reference_is_made_from_live_metadata() -> None:
    """An object's metadata and resource make its reference; empty members are left out."""
    meta = ObjectMeta(name="vllm", namespace="default", uid="u", resource_version="7")
    ref = ObjectRef.to(LEADERWORKERSETS, meta)
    assert ref.to_json() == {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "namespace": "default",
        "name": "vllm",
        "uid": "u",
        "resourceVersion": "7",
    }
    assert ObjectRef("v1", "Node", "", "n1").to_json() == {"apiVersion": "v1", "kind": "Node", "name": "n1"}


STEP = Fold("steps", 3, 3, "steps {low} to {high}, {count} of them", 2)


@virtual_time
async def test_many_events_at_once_are_told_by_one() -> None:
    """The first are told as they come, the rest of a burst together, one that is alone as it is (CD-83)."""
    async with running() as bench:
        for number in range(6):
            fold = Fold("steps", number, number + 1, STEP.several, 2)
            bench.recorder.record(SET, "Normal", "GroupsUpdating", "Update", f"step {number}", POD, fold)
        await asyncio.sleep(1)
        assert [each["note"] for each in bench.events] == ["step 0", "step 1"]
        await asyncio.sleep(10)
        assert [each["note"] for each in bench.events][2:] == ["steps 2 to 6, 4 of them"]
        assert bench.events[2]["related"] == bench.events[0]["related"]
        bench.recorder.record(SET, "Normal", "GroupsUpdating", "Update", "step 9", POD, STEP)
        await asyncio.sleep(11)
        assert [each["note"] for each in bench.events][3:] == ["step 9"]
        await asyncio.sleep(60)
        bench.recorder.record(SET, "Normal", "GroupsUpdating", "Update", "another minute", POD, STEP)
        await asyncio.sleep(1)
        assert bench.events[-1]["note"] == "another minute"


@virtual_time
async def test_what_was_gathered_is_told_at_the_stop() -> None:
    """An orderly stop loses no event that waits for others."""
    async with running() as bench:
        for number in range(4):
            bench.recorder.record(SET, "Normal", "GroupsUpdating", "Update", f"step {number}", POD, STEP)
        await asyncio.sleep(1)
    assert [each["note"] for each in bench.events] == ["step 0", "step 1", "steps 3 to 3, 2 of them"]
