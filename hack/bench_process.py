"""What a controller is as a process: slices of its loop, start, stop, failover, memory, admission.

The process is the image's ``/manager`` on this machine's interpreter, beside an API server that is a process too and
holds a cluster at rest (`hack.stored`), so that all that is measured is the controller's own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final

import orjson
import yaml
from aiohttp import ClientError, ClientSession

from hack.machine import Others, cpu, rss
from hack.rootfs import COMMANDS, ENTRYPOINT
from hack.stored import AUTHORITY, HOST, WEBHOOK
from lws.apimachinery.resources import LEASES
from lws.client.connection import connect
from lws.clock import SystemClock
from lws.errors import NotFoundError
from lws_sandbox.certificates import Authority
from lws_sandbox.http import server_context
from lws_sandbox.kubeconfig import kubeconfig_file

ROOT: Final = Path(__file__).parents[1]
METRICS: Final = WEBHOOK + 1
PROBES: Final = WEBHOOK + 2
LEASE: Final = ("lws-system", "b8b2488c.x-k8s.io")
STARTS: Final = 5
FAILOVERS: Final = 3
PATIENCE: Final = 120.0
REST: Final = 10.0  # seconds after which all keys have been looked at


@dataclass(frozen=True)
class Figure:
    """One line of the table. ``foreign`` are cores that others used meanwhile."""

    name: str
    value: float
    digits: int
    goal: float
    foreign: float
    told: str = ""


@dataclass(frozen=True)
class Slice:
    """Milliseconds of CPU of the longest slice of an event loop, whose it was, and the collector's longest pause."""

    longest: float
    what: str
    pause: float


@asynccontextmanager
async def serving(folder: Path, store: Path | None = None) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """An API server that holds what ``store`` tells; gives what sends it commands."""
    command = [sys.executable, "-m", "hack.stored", str(folder), *([str(store)] if store else [])]
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert server.stdin is not None
    assert server.stdout is not None
    writer, reader = server.stdin, server.stdout

    async def told(answer: bytes) -> None:
        if await reader.readline() != answer:
            raise RuntimeError("the API server ended")

    async def obey(command: str) -> None:
        writer.write(f"{command}\n".encode())
        await told(b"done\n")

    try:
        await told(b"ready\n")
        yield obey
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()


def manager(folder: Path, *flags: str) -> list[str]:
    """The image's entry point on this interpreter."""
    command, arguments = COMMANDS["manager"]
    script = ENTRYPOINT.format(python=sys.executable, command=command, arguments=arguments)
    entry = folder / "manager"
    entry.write_text(script.replace('"/app"', repr(str(ROOT / "src"))))
    return [sys.executable, "-I", str(entry), *flags]


def flags(folder: Path, *, elect: bool = False, second: bool = False) -> list[str]:
    """How a controller is told of the API server in this folder, and of its ports; a second one has others."""
    ports = [each + (10 if second else 0) for each in (WEBHOOK, METRICS, PROBES)]
    configuration = {
        "apiVersion": "config.lws.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "leaderElection": {"leaderElect": elect},
        "webhook": {"host": HOST, "port": ports[0], "certDir": str(folder)},
        "metrics": {"bindAddress": f"{HOST}:{ports[1]}"},
        "health": {"healthProbeBindAddress": f"{HOST}:{ports[2]}"},
        "internalCertManagement": {"enable": False},
    }
    path = folder / f"config-{ports[0]}.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return ["--config", str(path), "--kubeconfig", str(folder / "kubeconfig")]


@asynccontextmanager
async def running(
    command: Sequence[str], folder: Path, probes: int = PROBES
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A controller that is ready."""
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        async with ClientSession() as session, asyncio.timeout(PATIENCE):
            while not await _answers(session, f"http://{HOST}:{probes}/readyz"):
                if process.returncode is not None:
                    raise SystemExit(f"the controller ended:\n{(folder / 'log').read_text()[-2000:]}")
                await asyncio.sleep(0.02)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answers(session: ClientSession, url: str, **more: Any) -> bool:
    try:
        async with session.get(url, **more) as answer:
            await answer.read()
            return answer.status == 200
    except ClientError:
        return False


async def slices(store: Path) -> dict[str, Slice]:
    """The longest slice of each occasion, with the cluster of a store."""
    found: dict[str, Slice] = {}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        report = folder / "report"
        command = [sys.executable, "-m", "hack.slices", str(report), *flags(folder)]
        async with serving(folder, store) as obey, running(command, folder) as process, ClientSession() as session:

            async def note(occasion: str) -> None:
                process.send_signal(signal.SIGUSR2)
                await _until(report.exists)
                told = orjson.loads(report.read_bytes())
                report.unlink()
                found[occasion] = Slice(told["slice"], told["what"], told["pause"])

            await note("start")
            await _quiet(process.pid)
            await note("first look at every key")
            bearer = {"Authorization": f"Bearer {(folder / 'token').read_text()}"}
            for _ in range(2):
                if not await _answers(session, f"https://{HOST}:{METRICS}/metrics", headers=bearer, ssl=False):
                    raise SystemExit("metrics are refused")
            await note("scrape")
            await obey("change")
            await _quiet(process.pid)
            await note("a change of every pod")
            await obey("roll")
            await _quiet(process.pid)
            await note("a rollout of every set")
            await obey("relist")
            await asyncio.sleep(2.0)
            await _quiet(process.pid)
            await note("all lists anew")
    return found


async def _until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 -- another process makes it true
        await asyncio.sleep(0.02)


async def _quiet(pid: int) -> None:
    """Wait until a process uses no CPU to speak of."""
    while True:
        before = cpu(pid)
        await asyncio.sleep(1.0)
        if cpu(pid) - before < 0.03:
            return


async def one_process(store: Path) -> list[Figure]:
    """Figures of a controller of this cluster."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        found = [*await _starts(folder)]
        async with serving(folder, store):
            found += await _resident(folder)
            found += await _failovers(folder)
    return found


async def _starts(folder: Path) -> list[Figure]:
    """From the start of the process to its first request, the median of some."""
    authority = Authority(SystemClock().now())
    pair, admin = authority.server((HOST,), SystemClock().now()), authority.client("a", (), SystemClock().now())
    for name, content in (("c", pair.certificate), ("k", pair.key)):
        (folder / name).write_bytes(content)
    asked = asyncio.Event()

    async def heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline():
            asked.set()
        writer.close()

    walls, cpus, others = [], [], Others()
    listener = await asyncio.start_server(heard, HOST, 0, ssl=server_context(str(folder / "c"), str(folder / "k")))
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        config = kubeconfig_file(f"https://{HOST}:{port}", authority.certificate, admin)
        (folder / "kubeconfig").write_bytes(config)
        command = manager(folder, *flags(folder))
        for _ in range(STARTS + 1):  # the first one may have to compile
            asked.clear()
            begun = time.monotonic()
            pid = _spawn(command, folder / "log")
            async with asyncio.timeout(PATIENCE):
                await asked.wait()
            walls.append(time.monotonic() - begun)
            cpus.append(_kill(pid))
    foreign = others.cores
    return [
        Figure("start to first request, s of wall", median(walls[1:]), 2, 1.0, foreign, f"best {min(walls[1:]):.2f}"),
        Figure("start to first request, s of CPU", median(cpus[1:]), 2, 0.6, foreign, f"best {min(cpus[1:]):.2f}"),
    ]


def _spawn(command: list[str], log: Path) -> int:
    """Start a process whose use of the CPU is asked for exactly, once it has ended."""
    with log.open("ab") as file:
        outputs = [(os.POSIX_SPAWN_DUP2, file.fileno(), each) for each in (1, 2)]
        return os.posix_spawn(command[0], command, os.environ, file_actions=outputs)


def _kill(pid: int) -> float:
    """End it; seconds of CPU that it used."""
    os.kill(pid, signal.SIGKILL)
    used = os.wait4(pid, 0)[2]
    return used.ru_utime + used.ru_stime


async def _resident(folder: Path) -> list[Figure]:
    """Memory, admission, and the stop, of a controller that works."""
    async with running(manager(folder, *flags(folder)), folder) as process, ClientSession() as session:
        await _quiet(process.pid)
        bearer = {"Authorization": f"Bearer {(folder / 'token').read_text()}"}
        await _answers(session, f"https://{HOST}:{METRICS}/metrics", headers=bearer, ssl=False)
        await asyncio.sleep(REST)
        found = [Figure("memory, MiB resident", rss(process.pid), 1, 90, 0.0)]
        found.append(await _admission(folder, process.pid))
        await _quiet(process.pid)
        others, begun = Others(), time.monotonic()
        process.terminate()
        await process.wait()
        wall = time.monotonic() - begun
        return [*found, Figure("stop at rest, s of wall", wall, 2, 0.5, others.cores, f"exit {process.returncode}")]


async def _admission(folder: Path, pid: int) -> Figure:
    """Reviews at a rate, the controller and who asks on a core each."""
    cores = sorted(os.sched_getaffinity(0))
    for task in (Path("/proc") / str(pid) / "task").iterdir():
        os.sched_setaffinity(int(task.name), cores[:1])
    others = Others()
    command = [sys.executable, "-m", "hack.peer.admission", f"https://{HOST}:{WEBHOOK}", str(folder / AUTHORITY)]
    asker = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    os.sched_setaffinity(asker.pid, cores[-1:])
    out, _ = await asker.communicate()
    told = orjson.loads(out)
    more = f"median {told['median']:.2f} ms of {told['reviews']}, TLS, kept connections"
    return Figure("admission at 200 a second, ms at p99", told["p99"], 2, 5.0, others.cores, more)


async def _failovers(folder: Path) -> list[Figure]:
    """From the signal that stops a leader in order to the standby's lease, the median of some."""
    walls: list[float] = []
    others = Others()
    connection = await connect(str(folder / "kubeconfig"), None, environ={})
    client = connection.client(user_agent="bench", field_manager=None)

    async def other(*than: str) -> str:
        """Wait until somebody else holds the lease."""
        while True:
            with suppress(NotFoundError):
                holder = str((await client.get(LEASES, *LEASE))["spec"].get("holderIdentity") or "")
                if holder not in ("", *than):
                    return holder
            await asyncio.sleep(0.01)

    try:
        for _ in range(FAILOVERS):
            async with running(manager(folder, *flags(folder, elect=True)), folder) as leader:
                first = await other()
                second = flags(folder, elect=True, second=True)
                async with _started(manager(folder, *second), folder) as standby:
                    await asyncio.sleep(4.0 + Random(len(walls)).random() * 2)  # at any point of its waiting
                    begun = time.monotonic()
                    leader.terminate()
                    await other(first)
                    walls.append(time.monotonic() - begun)
                    standby.terminate()
                    await standby.wait()
    finally:
        await connection.close()
    more = f"longest {max(walls):.2f}"
    return [Figure("failover after a clean stop, s of wall", median(walls), 2, 1.0, others.cores, more)]


@asynccontextmanager
async def _started(command: Sequence[str], folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A controller that stands by, and so is never ready."""
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
