"""``python -m hack.bench [SETS] [GROUPS] [SIZE]``: what the controller costs, and how that grows with the sets.

Creates SETS sets of GROUPS groups of SIZE pods on the sandbox in virtual time, first a hundredth of them, then a tenth,
then all, each run in a process of its own; prints writes by kind, reconciles, seconds of CPU, what a second controller
uses until its caches are synced, what a scrape is, memory, and what the machine did for others meanwhile. The
controller's share of the CPU is what its tasks use, without what the API server does for them; admission counts with
the API server. Then a controller that is a process, beside an API server that is one, has the clusters that came of it
(`hack.bench_process`): the longest slices of its loop. At last it has 50 sets of 4 groups of 4 pods: start, stop,
failover, memory and admission, beside their goals.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import subprocess
import sys
import tempfile
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

from hack.bench_process import Figure, Slice, one_process, slices
from hack.machine import Others, rss
from hack.stored import keep
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.client.transport import Request, Response, Stream, Transport
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.virtual_time import run as run_virtually

DEFAULTS = (100, 2, 2)
SMALLER = (100, 10, 1)  # parts of the sets that are measured first
CHILD = "--child"
PROCESS = (50, 4, 4)
SLICE = 50
FLAT = "ratio ≤ 1.1"


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
    slices: dict[str, Slice] = field(default_factory=dict)
    sync_seconds: float = 0.0
    sync_memory: float = 0.0
    foreign_seconds: float = 0.0
    pods: int = 0


class Meter:
    """Seconds of CPU that some work used."""

    def __init__(self) -> None:
        self.seconds = 0.0


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
            self._meter.seconds += time.process_time() - begun


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


async def measure(sets: int, groups: int, size: int, store: Path) -> Figures:
    """Create the sets, wait until all are Available, stay a minute at rest, and keep what there is in a file."""
    figures, others = Figures(sets, sets * groups, pods=sets * groups * size), Others()
    async with Cluster(nodes=-(-sets * groups * size // 1000), delays=Delays(jitter=1.0)) as cluster:
        tasks, served = Meter(), Meter()
        asyncio.get_running_loop().set_task_factory(cast("Any", Tasks(tasks)))
        operator = (await cluster.start(lambda transport: Served(transport, served))).operator
        figures.base_memory = _memory()
        tasks.seconds, served.seconds, begun = 0.0, 0.0, time.process_time()
        names = [f"set-{number}" for number in range(sets)]
        for name in names:
            await cluster.client.create(LEADERWORKERSETS, manifest(name, replicas=groups, size=size))
        for name in names:
            await cluster.available(name)
        await asyncio.sleep(20)
        figures.seconds = time.process_time() - begun
        figures.operator_seconds = tasks.seconds - served.seconds
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
        keep(cluster.sandbox.server.storage, store)
    figures.foreign_seconds = others.seconds
    return figures


def _held() -> float:
    """MiB that the process holds now."""
    gc.collect()
    return rss(os.getpid())


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _kind(write: Write) -> str:
    verb = {"POST": "create", "PUT": "update", "PATCH": "apply", "DELETE": "delete"}.get(write.method, write.method)
    return f"{verb} {write.resource}" + ("" if 200 <= write.status < 300 else f" ({write.status or 'no answer'})")


def in_a_process(sets: int, groups: int, size: int, store: Path) -> Figures:
    """`measure` in a fresh process, so that memory is this run's alone."""
    command = [sys.executable, "-m", "hack.bench", CHILD, str(sets), str(groups), str(size), str(store)]
    return Figures(**orjson.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def in_processes(sets: int, groups: int, size: int, store: Path) -> Figures:
    """The same, then a controller with what came of it."""
    figures = in_a_process(sets, groups, size, store)
    figures.slices = asyncio.run(slices(store))
    return figures


Row = tuple[str, list[float], int, str]


def rows(runs: Sequence[Figures]) -> list[Row]:
    """Name, the figure of each run, digits, and the goal; an empty name begins a section."""

    def row(name: str, read: Callable[[Figures], float], digits: int = 0, goal: str = "") -> Row:
        return name, [read(each) for each in runs], digits, goal

    def of(member: str, kind: str) -> Callable[[Figures], float]:
        return lambda each: getattr(each, member).get(kind, 0)

    def longest(name: str) -> Callable[[Figures], float]:
        return lambda each: each.slices[name].longest

    def pause(name: str) -> Callable[[Figures], float]:
        return lambda each: each.slices[name].pause

    section: Row = ("", [], 0, "")
    writes = sorted({kind for each in runs for kind in each.writes})
    reconciles = sorted({kind for each in runs for kind in each.reconciles})
    return [
        *(row(f"writes: {kind}", of("writes", kind)) for kind in writes),
        row("writes, all", lambda each: sum(each.writes.values())),
        row("writes a group", lambda each: sum(each.writes.values()) / each.groups, 2, FLAT),
        section,
        *(row(f"reconciles: {kind}", of("reconciles", kind)) for kind in reconciles),
        section,
        row("ms of CPU per group: controller", lambda each: each.operator_seconds / each.groups * 1000, 1, FLAT),
        row("ms of CPU per group: with the sandbox", lambda each: each.seconds / each.groups * 1000, 1),
        row("seconds of CPU: controller", lambda each: each.operator_seconds, 2),
        row("seconds of CPU in a minute at rest, all", lambda each: each.rest_seconds, 3),
        row("seconds of CPU until another is synced", lambda each: each.sync_seconds, 2, "≤ 3"),
        section,
        row("a scrape: samples", lambda each: each.scrape_samples),
        row("a scrape: KiB", lambda each: each.scrape_bytes / 1024),
        row("a scrape: ms of CPU", lambda each: each.scrape_seconds * 1000, 1),
        section,
        row("peak memory, MiB, all", lambda each: each.memory),
        row("of it by these sets, KiB a group", _growth),
        row("what a synced controller holds, KiB a pod", lambda each: each.sync_memory * 1024 / each.pods, 1, "≤ 6"),
        section,
        *(row(f"longest slice, ms of CPU: {name}", longest(name), 1, f"≤ {SLICE}") for name in runs[-1].slices),
        *(row(f"pause for garbage, ms: {name}", pause(name), 1) for name in runs[-1].slices),
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
    for column in (*(f"{each.sets} sets" for each in runs), "ratio", "goal"):
        table.add_column(column, justify="right")
    for name, values, digits, goal in rows(runs):
        if not name:
            table.add_section()
            continue
        ratio = f"{values[-1] / values[-2]:.2f}" if len(values) > 1 and values[-2] else "-"
        table.add_row(name, *(f"{value:,.{digits}f}" for value in values), ratio, goal)
    console = _console()
    console.print(table)
    worst = max(last.slices.values(), key=lambda each: each.longest)
    console.print(f"The longest slice was of {worst.what}: {worst.longest:.1f} ms; the goal is {SLICE}.")


def show_process(found: Sequence[Figure]) -> None:
    """Print the figures of one process beside their goals."""
    table = Table(title="a controller process, 50 sets x 4 groups x 4 pods")
    for column, justify in (("", "left"), ("", "right"), ("goal", "right"), ("others, cores", "right"), ("", "left")):
        table.add_column(column, justify=cast("Any", justify))
    for each in found:
        table.add_row(
            each.name, f"{each.value:.{each.digits}f}", f"≤ {each.goal:g}", f"{each.foreign:.2f}", each.told or None
        )
    _console().print(table)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 110)


def main(arguments: list[str]) -> None:
    """The whole bench, or one run of it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if arguments[:1] == [CHILD]:
        sets, groups, size = map(int, arguments[1:4])
        sys.stdout.buffer.write(orjson.dumps(run_virtually(measure(sets, groups, size, Path(arguments[4])))))
        return
    given = [int(each) for each in arguments]
    sets, groups, size = [*given, *DEFAULTS[len(given) :]]
    counts = sorted({max(1, sets // part) for part in SMALLER})
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "store")
        show([in_processes(count, groups, size, store) for count in counts], size)
        in_a_process(*PROCESS, store)
        show_process(asyncio.run(one_process(store)))


if __name__ == "__main__":
    main(sys.argv[1:])
