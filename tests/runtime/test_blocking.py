"""A blocked event loop, seen from another thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence

from structlog.testing import capture_logs

from lws.runtime.blocking import BlockingWatch


def planted_loop(until: threading.Event) -> None:
    """Block the event loop, as a slice that computes for too long does."""
    while not until.is_set():
        pass


def told(event: str, logs: Sequence[Mapping[str, object]], until: threading.Event) -> None:
    """Set an event once a line is logged. Runs in a thread of its own."""
    while not any(line["event"] == event for line in logs):
        until.wait(0.001)
    until.set()


async def test_a_blocked_slice_is_logged_with_its_stack_while_it_runs() -> None:
    """The log names the function that blocks the loop before that has ended, and how long it took afterwards."""
    over, again = threading.Event(), threading.Event()
    with capture_logs() as logs, BlockingWatch(limit=0.05, period=0.01):
        threading.Thread(target=told, args=("event loop blocked", logs, over), daemon=True).start()
        planted_loop(over)
        await asyncio.to_thread(told, "event loop no longer blocked", logs, again)
    first = next(line for line in logs if line["event"] == "event loop blocked")
    assert "planted_loop" in first["stack"]


async def test_a_stop_is_obeyed_while_the_loop_is_blocked() -> None:
    """A process that is to stop, and whose loop does not answer, is ended from the other thread."""
    ended = threading.Event()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    with capture_logs() as logs, BlockingWatch(limit=0.05, period=0.01, patience=0.1, end=end) as watch:
        watch.request_stop()
        planted_loop(ended)
    assert codes == [1]
    assert any("planted_loop" in str(line.get("stack")) and line["log_level"] == "error" for line in logs)


async def test_a_loop_that_answers_is_left_alone() -> None:
    """A stop that was requested ends nothing by itself, and an idle loop logs nothing."""
    asked = threading.Event()
    with capture_logs() as logs, BlockingWatch(limit=5.0, period=0.001, end=lambda _: asked.set()) as watch:
        watch.request_stop()
        loop = watch._loop
        for _ in range(50):
            await loop.run_in_executor(None, threading.Event().wait, 0.001)
    assert logs == []
    assert not asked.is_set()
