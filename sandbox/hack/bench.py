"""``python -m sandbox.hack.bench [PODS]``: what the sandbox's API server costs, and how long it keeps its loop waiting.

Prints the cost of a write by the number of stored pods, then, with 200 watchers on all of them, the rate of changes,
the events delivered, and the longest time for which nothing else could run. Exits 1 when that is over the limit.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from lws.client.transport import Request
from lws.clock import SystemClock
from lws_sandbox.collector import calm_collector
from lws_sandbox.serverbuilder import build_server
from lws_sandbox.transport import InProcessTransport

PODS = "/api/v1/namespaces/default/pods"
APPS = 50
WATCHERS = 200
CHANGES = 1000
LIMIT = 0.050
JSON = {"content-type": "application/json", "user-agent": "bench"}
MERGE = {"content-type": "application/merge-patch+json", "user-agent": "bench"}


def pod(index: int) -> bytes:
    """A pod of usual size, one of fifty applications."""
    env = [{"name": f"VARIABLE_{number}", "value": "x" * 24} for number in range(12)]
    container: dict[str, Any] = {"name": "main", "image": "registry.example/app:1", "env": env}
    container["resources"] = {"requests": {"cpu": "1", "nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}
    body = {"metadata": {"name": f"pod-{index}", "labels": {"app": f"app-{index % APPS}"}}}
    return json.dumps({**body, "spec": {"containers": [container]}}).encode()


class Meter:
    """Measures for how long the loop does not come round."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            self.worst = max(self.worst, time.perf_counter() - before)
            await asyncio.sleep(0.0005)

    def take(self) -> float:
        """The worst since the last time."""
        worst, self.worst = self.worst, 0.0
        return worst


class Bench:
    """One server and what is done to it."""

    def __init__(self) -> None:
        self.server = build_server(clock=SystemClock(), random=Random(1))
        self.transport = InProcessTransport(self.server)
        self.meter = Meter()
        self.lines = 0

    async def send(self, method: str, path: str, body: bytes = b"", **headers: Any) -> bytes:
        """A request that must succeed."""
        answer = await self.transport.send(Request(method, path, (), headers.get("headers", JSON), body))
        assert answer.status < 300, answer.body
        return answer.body

    async def fill(self, begin: int, end: int) -> None:
        """Create pods."""
        for index in range(begin, end):
            await self.send("POST", PODS, pod(index))

    async def change(self, count: int, total: int) -> None:
        """Write statuses, each a change."""
        for index in range(count):
            body = json.dumps({"status": {"phase": "Running", "message": f"{time.monotonic_ns()}"}}).encode()
            await self.send("PATCH", f"{PODS}/pod-{index * 7 % total}/status", body, headers=MERGE)

    @asynccontextmanager
    async def watchers(self, count: int) -> AsyncIterator[None]:
        """Watches while the context lasts: a quarter of everything, the others of one application each."""
        tasks = [asyncio.create_task(self._watch(index)) for index in range(count)]
        while self.server.watches < count:  # noqa: ASYNC110 -- nothing tells when a watch has begun
            await asyncio.sleep(0.01)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, index: int) -> None:
        query = [("watch", "1"), ("resourceVersion", str(self.server.storage.revision))]
        query += [("labelSelector", f"app=app-{index % APPS}")] if index % 4 else []
        async with self.transport.stream(Request("GET", PODS, tuple(query))) as stream:
            async for chunk in stream.chunks():
                self.lines += chunk.count(b"\n")


async def run(total: int) -> int:
    """The whole bench; returns the exit code."""
    bench = Bench()
    await bench.send("POST", "/api/v1/namespaces", b'{"metadata":{"name":"default"}}')
    meter = asyncio.create_task(bench.meter.run())
    stored = 0
    costs: list[float] = []
    for size in (total // 100, total // 10, total):
        await bench.fill(stored, size)
        stored = size
        begun = time.process_time()
        await bench.change(200, size)
        costs.append((time.process_time() - begun) / 200 * 1000)
        print(f"{size:>7} pods stored: {costs[-1]:6.2f} ms of CPU a write, ratio {costs[-1] / costs[0]:.2f}")
    bench.meter.take()
    begun = time.perf_counter()
    raw = await bench.send("GET", PODS)
    listing, listed = bench.meter.take(), time.perf_counter() - begun
    print(f"list of {total}: {len(raw) / 1e6:.0f} MB in {listed:.2f} s, longest stall {listing * 1000:.0f} ms")
    async with bench.watchers(WATCHERS):
        bench.meter.take()
        begun = time.perf_counter()
        await bench.change(CHANGES, total)
        seconds, worst = time.perf_counter() - begun, bench.meter.take()
        rate = f"{CHANGES / seconds:.0f} changes/s, {bench.lines / seconds:.0f} events/s"
        print(f"{WATCHERS} watchers: {rate}, longest stall {worst * 1000:.0f} ms")
    meter.cancel()
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return 1 if max(worst, listing) > LIMIT else 0


if __name__ == "__main__":
    calm_collector()
    sys.exit(asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)))
