"""The task dump: what each task waits for, also while the loop is blocked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from lws.runtime import taskdump
from lws.runtime.taskdump import dump_tasks_on, log_tasks, waiting_calls

BLOCKED = """
import asyncio, os, signal
from lws.runtime.taskdump import dump_tasks_on
from lws.telemetry.logs import LogSettings, configure_logging

def stand_still():
    os.write(1, b"blocked")
    os.read(0, 1)

async def main():
    with dump_tasks_on(signal.SIGUSR1):
        stand_still()
        while True:
            await asyncio.sleep(0)

configure_logging(LogSettings())
asyncio.run(main())
"""


class Waiter:
    """Waits in several ways, each a few calls deep."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def inner(self) -> None:
        """Wait."""
        await self.gate.wait()

    async def outer(self) -> None:
        """Wait one call further down."""
        await self.inner()

    @contextlib.asynccontextmanager
    async def context(self) -> AsyncIterator[None]:
        """Wait before the context is open."""
        await self.inner()
        yield

    async def enter(self) -> None:
        """Wait for a context to open."""
        async with self.context():
            pass


def names(task: asyncio.Task[None]) -> list[str]:
    """The calls without module and line."""
    return [re.sub(r"^.*\.(\w+):\d+$", r"\1", call) for call in waiting_calls(task)]


async def test_the_chain_of_calls_is_told_outermost_first() -> None:
    """A waiting task is described by every call from its coroutine to the one that waits, with module and line."""
    waiter = Waiter()
    task = asyncio.create_task(waiter.outer())
    await asyncio.sleep(0)
    assert names(task) == ["outer", "inner", "wait"]
    assert re.fullmatch(r"tests\.runtime\.test_taskdump\.Waiter\.outer:\d+", waiting_calls(task)[0])
    waiter.gate.set()
    await task
    assert waiting_calls(task) == []  # a finished task waits nowhere


async def test_generators_do_not_break_the_chain_before_them() -> None:
    """What is known up to an asynchronous generator is told."""
    waiter = Waiter()
    task = asyncio.create_task(waiter.enter())
    await asyncio.sleep(0)
    assert names(task)[:2] == ["enter", "__aenter__"]
    waiter.gate.set()
    await task


async def test_every_task_is_logged_with_its_place() -> None:
    """The dump counts the tasks and has one line for each place, with the names of all tasks that wait there."""
    waiter = Waiter()
    names = ("worker-2", "worker-1")
    tasks = [asyncio.create_task(waiter.inner(), name=name) for name in names]
    tasks.append(asyncio.create_task(waiter.outer(), name="another"))
    await asyncio.sleep(0)
    with capture_logs() as logs:
        log_tasks()
    waiter.gate.set()
    await asyncio.gather(*tasks)
    head, *places = logs
    assert head == {"event": "task dump", "log_level": "warning", "tasks": 4, "places": 3}  # one is the test's own
    assert [place["tasks"] for place in places][1:] == [["another"], ["worker-1", "worker-2"]]
    assert all(place["waiting_in"] for place in places)


async def test_a_signal_dumps_and_changes_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal to a running process prints the stacks of its threads and logs its tasks; the process goes on."""
    waiter, dumped = Waiter(), asyncio.Event()
    task = asyncio.create_task(waiter.outer(), name="patient")

    def dump() -> None:
        log_tasks()
        dumped.set()

    monkeypatch.setattr(taskdump, "log_tasks", dump)
    with capture_logs() as logs, dump_tasks_on(signal.SIGUSR1):
        os.kill(os.getpid(), signal.SIGUSR1)
        await dumped.wait()
    assert "most recent call first" in capfd.readouterr().err
    assert ["patient"] in [line.get("tasks") for line in logs]
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    waiter.gate.set()
    await task


def test_a_blocked_loop_is_shown_where_it_is_blocked() -> None:
    """While a call blocks the loop the signal shows that call; the tasks follow once the loop runs again."""
    with subprocess.Popen(
        [sys.executable, "-c", BLOCKED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(7) == b"blocked"
        process.send_signal(signal.SIGUSR1)
        shown = iter(process.stderr.readline, b"")
        assert next(line for line in shown if b"stand_still" in line)
        process.stdin.write(b"x")
        process.stdin.flush()
        assert json.loads(next(line for line in shown if line.startswith(b"{")))["msg"] == "task dump"
        process.kill()
