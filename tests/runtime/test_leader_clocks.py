"""No write after the renew deadline, whatever the clocks do (operations 3, faults of leadership)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lws.apimachinery.resources import PODS
from lws.client.api import ApiClient
from lws.client.transport import Request, Response
from lws.errors import LwsError
from lws.runtime.fence import Fence, LeadershipLostError
from lws.runtime.leader import LeaderElector, Timing
from lws_sandbox import virtual_time as vt
from tests.runtime.fake import FakeServer

TIMING = Timing()
SPAN = 240.0
RATES = st.floats(min_value=0.5, max_value=2.0)
CLOSE_RATES = st.floats(min_value=0.85, max_value=1.25)  # their ratio stays below 15 / 10
STALLS = st.lists(
    st.tuples(st.floats(min_value=0, max_value=SPAN), st.floats(min_value=0.5, max_value=60.0)), max_size=6
)


class SkewedClock:
    """A process's own clock: it runs at a rate of its own, and its time of day is off."""

    def __init__(self, rate: float, offset: float) -> None:
        self._rate = rate
        self._offset = offset
        self._loop = asyncio.get_running_loop()

    def monotonic(self) -> float:
        """Local seconds."""
        return self._loop.time() * self._rate

    def now(self) -> datetime:
        """Local time of day."""
        return vt.EPOCH + timedelta(seconds=self._offset + self.monotonic())


class Process:
    """A candidate with its own clock, that stands still at times, and writes whenever it may."""

    def __init__(self, name: str, server: FakeServer, rate: float, stalls: list[tuple[float, float]]) -> None:
        self.name = name
        self.clock = SkewedClock(rate, offset=Random(name).uniform(-3600, 3600))
        self.server = server
        self.stalls = stalls
        self.renewed = float("-inf")  # local time at which the last renewal that succeeded was sent
        self.writes: list[tuple[float, str]] = []  # true time, and the holder that the server had on record
        self.late: list[float] = []  # local times of writes after the renew deadline
        self.elector = LeaderElector(
            ApiClient(self, user_agent=name, field_manager="lws"),
            namespace="lws-system",
            name="lease",
            identity=name,
            clock=self.clock,
            random=Random(name),
            timing=TIMING,
        )
        self.writer = ApiClient(Fence(self, self.elector), user_agent=name, field_manager="lws")

    async def send(self, request: Request) -> Response:
        """Carry a request: the network goes on while the process stands still."""
        sent = self.clock.monotonic()
        lease = request.path.startswith("/apis/coordination")
        if not lease:
            if sent >= self.renewed + TIMING.renew_deadline:
                self.late.append(sent)
            holder = self.server.objects.get("/apis/coordination.k8s.io/v1/namespaces/lws-system/leases/lease")
            self.writes.append((asyncio.get_running_loop().time(), (holder or {}).get("spec", {})["holderIdentity"]))
        response = await asyncio.create_task(self.server.send(request))
        if lease and request.method in ("POST", "PUT") and response.status < 300:
            self.renewed = max(self.renewed, sent)
        return response

    def stream(self, request: Request) -> Any:
        """Nothing is streamed."""
        raise AssertionError(request)

    async def close(self) -> None:
        """Nothing is open."""

    async def live(self) -> None:
        """Lead once, and end when leadership is lost."""
        await self.elector.acquire()
        writing = asyncio.create_task(_Stalling(self._write(), self).run())
        try:
            await self.elector.hold()
        except LeadershipLostError:
            await asyncio.sleep(5.0)  # reconciles that do not know yet go on for a while
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self) -> None:
        number = 0
        while True:
            number += 1
            try:
                await self.writer.create(PODS, {"metadata": {"name": f"{self.name}-{number}", "namespace": "default"}})
            except LwsError:
                await asyncio.sleep(0.5)
            await asyncio.sleep(0.4)

    def standstill(self) -> float:
        """For how many more seconds this process stands still."""
        now = asyncio.get_running_loop().time()
        return max((begin + length - now for begin, length in self.stalls if begin <= now < begin + length), default=0)


class _Stalling:
    """Runs a coroutine as if its process stood still at times: it is not resumed while that lasts."""

    def __init__(self, body: Awaitable[None], process: Process) -> None:
        self._body = body
        self._process = process

    async def run(self) -> None:
        """Run to the end."""
        await self

    def __await__(self) -> Generator[Any, Any, None]:
        steps = self._body.__await__()
        error: BaseException | None = None
        while True:
            try:
                waits = steps.throw(error) if error is not None else next(steps)
            except StopIteration:
                return
            error = None
            try:
                yield waits
                while (rest := self._process.standstill()) > 0:
                    yield from asyncio.sleep(rest).__await__()
            except BaseException as thrown:  # cancellations and timeouts are for the body
                error = thrown


async def _simulate(rates: list[float], stalls: list[list[tuple[float, float]]]) -> list[Process]:
    server = FakeServer()
    server.latency = 0.05
    processes: list[Process] = []
    tasks = []
    for number, (rate, own) in enumerate(zip(rates, stalls, strict=True)):
        process = Process(f"p{number}", server, rate, own)
        processes.append(process)
        tasks.append(asyncio.create_task(_Stalling(process.live(), process).run()))
    await asyncio.sleep(SPAN)
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
    return processes


@pytest.mark.long
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(rates=st.tuples(RATES, RATES, RATES), stalls=st.tuples(STALLS, STALLS, STALLS))
def test_no_write_after_the_renew_deadline(
    rates: tuple[float, ...], stalls: tuple[list[tuple[float, float]], ...]
) -> None:
    """With clock rates from 0.5 to 2 and stalls of up to 60 s, no write is sent after the writer's own deadline."""
    processes = vt.run(_simulate(list(rates), list(stalls)))
    assert any(process.writes for process in processes)
    assert [process.late for process in processes] == [[], [], []]


@pytest.mark.long
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(rates=st.tuples(CLOSE_RATES, CLOSE_RATES, CLOSE_RATES), stalls=st.tuples(STALLS, STALLS, STALLS))
def test_no_write_without_the_lease(rates: tuple[float, ...], stalls: tuple[list[tuple[float, float]], ...]) -> None:
    """While the rates' ratio is below that of lease duration and renew deadline, only the lease's holder writes."""
    for process in vt.run(_simulate(list(rates), list(stalls))):
        assert {holder for _, holder in process.writes} <= {process.name}


def test_the_simulation_can_tell_a_bad_elector(monkeypatch: pytest.MonkeyPatch) -> None:
    """An elector that forgets its deadline is caught by this simulation."""
    monkeypatch.setattr(LeaderElector, "remaining", property(lambda self: 1.0 if self._held else 0.0))
    careless, _ = vt.run(_simulate([1.0, 1.0], [[(20.0, 60.0)], []]))
    assert careless.late
    assert {holder for _, holder in careless.writes} == {"p0", "p1"}
