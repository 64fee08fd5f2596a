"""``python -m hack.bench [SETS] [GROUPS] [SIZE]``: what the controller costs, and how that grows with the sets.

Creates SETS sets of GROUPS groups of SIZE pods on the sandbox in virtual time, first a hundredth of them, then a tenth,
then all, each run in a process of its own; prints writes by kind, reconciles, seconds of CPU, the longest slice of the
loop that a task of the controller took, what a second controller uses until its caches are synced, what a scrape is,
memory, and what the machine did for others meanwhile. The controller's share of the CPU is what its tasks use, without
what the API server does for them; admission counts with the API server.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import orjson
import structlog
from rich.console import Console
from rich.table import Table
from tests.simulation.cluster import Cluster, Write, manifest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.client.transport import Request, Response, Stream, Transport
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.virtual_time import run as run_virtually

DEFAULTS = (100, 2, 2)
SMALLER = (100, 10, 1)  # parts of the sets that are measured first
CHILD = "--child"


@dataclass
class Figures:
    """What one run came to. Seconds are of CPU, memory is in MiB."""

    sets: int
    groups: int
    writes: dict[str, int] = field(default_factory=dict)
    reconciles: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    operator_seconds: float = 0.0
    rest_seconds: float = 0.0
    base_memory: float = 0.0
    memory: float = 0.0
    scrape_samples: int = 0
    scrape_bytes: int = 0
    scrape_seconds: float = 0.0
    longest_slice: float = 0.0
    sync_seconds: float = 0.0
    sync_memory: float = 0.0
    foreign_seconds: float = 0.0
    pods: int = 0


class Meter:
    """Seconds of CPU that some work used, and those of its longest step."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.longest = 0.0


class Timed(Coroutine[Any, Any, Any]):
    """An awaitable whose steps are measured."""

    def __init__(self, work: Coroutine[Any, Any, Any], meter: Meter) -> None:
        self._work = work
        self._meter = meter

    def send(self, value: Any) -> Any:
        """One step."""
        return self._step(self._work.send, value)

    def throw(self, *error: Any) -> Any:
        """One step that begins with an error."""
        return self._step(self._work.throw, *error)

    def close(self) -> None:
        """End it."""
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return cast("Generator[Any, Any, Any]", self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def _step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        begun = time.process_time()
        try:
            return step(*arguments)
        finally:
            used = time.process_time() - begun
            self._meter.seconds += used
            self._meter.longest = max(self._meter.longest, used)


class Tasks:
    """Makes the loop's tasks; those that the operator starts, and those that they start, are measured."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._ours: set[asyncio.Task[Any]] = set()

    def __call__(
        self, loop: asyncio.AbstractEventLoop, work: Any, *, context: Context | None = None, **_: Any
    ) -> asyncio.Task[Any]:
        """A task."""
        ours = getattr(work, "__qualname__", "") == "ControllerManager.run" or asyncio.current_task(loop) in self._ours
        task: asyncio.Task[Any] = asyncio.Task(Timed(work, self._meter) if ours else work, loop=loop, context=context)
        if ours:
            self._ours.add(task)
            task.add_done_callback(self._ours.discard)
        return task


class Served:
    """A transport that measures what the API server does for its caller."""

    def __init__(self, inner: Transport, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    async def send(self, request: Request) -> Response:
        """Pass on."""
        answer: Response = await Timed(self._inner.send(request), self._meter)
        return answer

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Pass on."""
        async with self._inner.stream(request) as stream:
            yield ServedStream(stream, self._meter)

    async def close(self) -> None:
        """Pass on."""
        await self._inner.close()


class ServedStream:
    """A stream whose making is measured."""

    def __init__(self, inner: Stream, meter: Meter) -> None:
        self._inner = inner
        self._meter = meter
        self.status = inner.status
        self.headers = inner.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """Its pieces."""
        pieces: Any = self._inner.chunks()
        try:
            while True:
                yield await Timed(pieces.__anext__(), self._meter)
        except StopAsyncIteration:
            return
        finally:
            await pieces.aclose()


async def measure(sets: int, groups: int, size: int) -> Figures:
    """Create the sets, wait until all are Available, and stay a minute at rest."""
    figures = Figures(sets, sets * groups, pods=sets * groups * size)
    busy, own = _busy(), time.process_time()
    async with Cluster(nodes=-(-sets * groups * size // 1000), delays=Delays(jitter=1.0)) as cluster:
        tasks, served = Meter(), Meter()
        asyncio.get_running_loop().set_task_factory(cast("Any", Tasks(tasks)))
        operator = (await cluster.start(lambda transport: Served(transport, served))).operator
        figures.base_memory = _memory()
        tasks.seconds, tasks.longest, served.seconds, begun = 0.0, 0.0, 0.0, time.process_time()
        names = [f"set-{number}" for number in range(sets)]
        for name in names:
            await cluster.client.create(LEADERWORKERSETS, manifest(name, replicas=groups, size=size))
        for name in names:
            await cluster.available(name)
        await asyncio.sleep(20)
        figures.seconds = time.process_time() - begun
        figures.operator_seconds = tasks.seconds - served.seconds
        figures.longest_slice = tasks.longest
        figures.writes = dict(Counter(_kind(each) for each in cluster.writes))
        for sample in next(iter(operator.metrics.controllers.reconciles.collect())).samples:
            if sample.name.endswith("_total"):
                name = sample.labels["controller"]
                figures.reconciles[name] = figures.reconciles.get(name, 0) + int(sample.value)
        begun = time.process_time()
        await asyncio.sleep(60)
        figures.rest_seconds = time.process_time() - begun
        begun = time.process_time()
        text = operator.metrics.exposition()
        figures.scrape_seconds = time.process_time() - begun
        figures.scrape_bytes = len(text)
        figures.scrape_samples = sum(not line.startswith(b"#") for line in text.splitlines())
        figures.memory = _memory()
        await cluster.operators[0].stop()
        before, tasks.seconds, served.seconds = _held(), 0.0, 0.0
        await cluster.start(lambda transport: Served(transport, served))
        figures.sync_seconds = tasks.seconds - served.seconds
        figures.sync_memory = _held() - before
    figures.foreign_seconds = max(0.0, _busy() - busy - (time.process_time() - own))
    return figures


def _busy() -> float:
    """Seconds of CPU of the whole machine, neither idle nor waiting; 0 where that is not told."""
    try:
        numbers = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return 0.0
    return (sum(numbers) - numbers[3] - numbers[4]) / os.sysconf("SC_CLK_TCK")


def _held() -> float:
    """MiB that the process holds now; 0 where that is not told."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _kind(write: Write) -> str:
    verb = {"POST": "create", "PUT": "update", "PATCH": "apply", "DELETE": "delete"}.get(write.method, write.method)
    return f"{verb} {write.resource}" + ("" if 200 <= write.status < 300 else f" ({write.status or 'no answer'})")


def in_a_process(sets: int, groups: int, size: int) -> Figures:
    """`measure` in a fresh process, so that memory is this run's alone."""
    command = [sys.executable, "-m", "hack.bench", CHILD, str(sets), str(groups), str(size)]
    return Figures(**orjson.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


Row = tuple[str, list[float], int]


def rows(runs: Sequence[Figures]) -> list[Row]:
    """Name, the figure of each run, and digits; an empty name begins a section."""

    def row(name: str, read: Callable[[Figures], float], digits: int = 0) -> Row:
        return name, [read(each) for each in runs], digits

    def of(member: str, kind: str) -> Callable[[Figures], float]:
        return lambda each: getattr(each, member).get(kind, 0)

    section: Row = ("", [], 0)
    writes = sorted({kind for each in runs for kind in each.writes})
    reconciles = sorted({kind for each in runs for kind in each.reconciles})
    return [
        *(row(f"writes: {kind}", of("writes", kind)) for kind in writes),
        row("writes, all", lambda each: sum(each.writes.values())),
        row("writes a group", lambda each: sum(each.writes.values()) / each.groups, 2),
        section,
        *(row(f"reconciles: {kind}", of("reconciles", kind)) for kind in reconciles),
        section,
        row("ms of CPU per group: controller", lambda each: each.operator_seconds / each.groups * 1000, 1),
        row("ms of CPU per group: with the sandbox", lambda each: each.seconds / each.groups * 1000, 1),
        row("seconds of CPU: controller", lambda each: each.operator_seconds, 2),
        row("seconds of CPU in a minute at rest, all", lambda each: each.rest_seconds, 3),
        row("ms of CPU, longest slice of the loop", lambda each: each.longest_slice * 1000, 1),
        row("seconds of CPU until another is synced", lambda each: each.sync_seconds, 2),
        section,
        row("a scrape: samples", lambda each: each.scrape_samples),
        row("a scrape: KiB", lambda each: each.scrape_bytes / 1024),
        row("a scrape: ms of CPU", lambda each: each.scrape_seconds * 1000, 1),
        section,
        row("peak memory, MiB, all", lambda each: each.memory),
        row("of it by these sets, KiB a group", _growth),
        row("what a synced controller holds, KiB a pod", lambda each: each.sync_memory * 1024 / each.pods, 1),
        section,
        row("seconds of CPU of other processes", lambda each: each.foreign_seconds, 1),
    ]


def _growth(figures: Figures) -> float:
    return (figures.memory - figures.base_memory) * 1024 / figures.groups


def show(runs: Sequence[Figures], size: int) -> None:
    """Print all of them, and how the last compares with the one before."""
    last = runs[-1]
    title = f"{last.sets} sets x {last.groups // last.sets} groups x {size} pods on the sandbox, in virtual time"
    table = Table(title=title)
    table.add_column("")
    for column in (*(f"{each.sets} sets" for each in runs), "ratio"):
        table.add_column(column, justify="right")
    for name, values, digits in rows(runs):
        if not name:
            table.add_section()
            continue
        ratio = f"{values[-1] / values[-2]:.2f}" if len(values) > 1 and values[-2] else "-"
        table.add_row(name, *(f"{value:,.{digits}f}" for value in values), ratio)
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def main(arguments: list[str]) -> None:
    """The whole bench, or one run of it."""
    child = arguments[:1] == [CHILD]
    given = [int(each) for each in arguments[child:]]
    sets, groups, size = [*given, *DEFAULTS[len(given) :]]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if child:
        sys.stdout.buffer.write(orjson.dumps(run_virtually(measure(sets, groups, size))))
        return
    counts = sorted({max(1, sets // part) for part in SMALLER})
    show([in_a_process(count, groups, size) for count in counts], size)


if __name__ == "__main__":
    main(sys.argv[1:])
