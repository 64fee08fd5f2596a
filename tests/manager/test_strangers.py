"""Strangers at the metrics port over real TLS sockets: they cost neither the lease nor a reconcile any time."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import structlog

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, NAMESPACES
from lws.client.transport import Request, Response, Transport
from lws.clock import SystemClock
from lws.manager.manager import REVIEW_BURST, REVIEW_QPS, ControllerManager
from lws.manager.settings import Configuration, Settings
from lws_sandbox.cluster import Sandbox
from tests.forwarding import Forwarding
from tests.manager.test_rolling_replacement import Replica
from tests.manager.test_servers import free_port
from tests.simulation.cluster import LEADERWORKERSET, crd, manifest

TOKENS = 30_000
CLIENTS = 16
RETRY_PERIOD = 2.0
LATE = 0.1  # seconds that the median may be later, which is what the loop has to do for so many callers
WORST = 5.0  # seconds for the worst of all, half of what the elector has: a busy machine explains that much
# Presents so many made-up tokens by keep-alive clients over TLS, and prints how many answers had which status.
STRANGERS = """
import asyncio, collections, os, ssl, sys
from tests.forwarding import Forwarding
os.nice(10)  # they would be on another machine
port, tokens, clients = map(int, sys.argv[1:])
trust = ssl.create_default_context()
trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
counts = collections.Counter()

async def client(numbers):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    for n in numbers:
        writer.write(f"GET /metrics HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer made-up-{n}\\r\\n\\r\\n".encode())
        head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode().lower()
        await reader.readexactly(int(head.split("content-length:")[1].split("\\r\\n")[0]))
        counts[int(head.split()[1])] += 1
    writer.transport.abort()

async def main():
    await asyncio.gather(*(client(range(first, tokens, clients)) for first in range(clients)))
    print(*(f"{status}={count}" for status, count in sorted(counts.items())))

asyncio.run(main())
"""


class Timed(Forwarding):
    """A transport that notes when each request was sent."""

    def __init__(self, inner: Transport) -> None:
        self.requests: list[tuple[float, Request]] = []
        super().__init__(inner)

    async def send(self, request: Request) -> Response:
        """Pass on."""
        self.requests.append((asyncio.get_running_loop().time(), request))
        return await self._inner.send(request)


@dataclass
class Served:
    """What was seen of the controller for a while: when it renewed, and how long each edit of a set waited."""

    renewals: list[float]
    seconds: list[float]

    @property
    def gaps(self) -> list[float]:
        """The times between renewals."""
        return [later - earlier for earlier, later in itertools.pairwise(self.renewals)]

    @property
    def gap(self) -> float:
        """Their median."""
        return statistics.median(self.gaps)

    @property
    def wait(self) -> float:
        """The median of what an edit waited."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        return (
            f"{len(self.renewals)} renewals {self.gap:.3f} s apart, at most {max(self.gaps):.3f} s; "
            f"{len(self.seconds)} edits served after {self.wait:.3f} s, at most {max(self.seconds):.3f} s"
        )


async def served(sandbox: Sandbox, line: Timed, lease: Timed, until: asyncio.Task[Any]) -> Served:
    """Scale the set to and fro for so long, a little more often than once in a second."""
    began, seconds = len(lease.requests), list[float]()
    while not until.done():
        seconds.append(await scaled(sandbox, line, 2 + len(seconds) % 2))
        await asyncio.wait({until}, timeout=0.8)
    return Served([when for when, request in lease.requests[began:] if request.method == "PUT"], seconds)


async def scaled(sandbox: Sandbox, line: Timed, replicas: int) -> float:
    """Seconds from an edit of the set until its leader StatefulSet is applied."""
    began = asyncio.get_running_loop().time()
    await sandbox.client().patch(LEADERWORKERSETS, "default", "sample", {"spec": {"replicas": replicas}})
    async with asyncio.timeout(60):
        while True:
            for when, request in reversed(line.requests):
                if when < began:
                    break
                if request.method == "PATCH" and request.path.endswith("/statefulsets/sample"):
                    return when - began
            await asyncio.sleep(0.002)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_bogus_tokens_over_tls_delay_neither_lease_nor_reconciles() -> None:
    """While 30,000 made-up tokens come over TLS, the lease is renewed on time and edits are served as before."""
    port = free_port()
    configuration = Configuration.model_validate(
        {
            "metrics": {"bindAddress": f"127.0.0.1:{port}"},
            "health": {"healthProbeBindAddress": "0"},
            "internalCertManagement": {"enable": False},
        }
    )
    async with Sandbox(loops=()) as sandbox:
        await sandbox.client().create(CUSTOMRESOURCEDEFINITIONS, crd(LEADERWORKERSET))
        await sandbox.client().create(NAMESPACES, {"metadata": {"name": "lws-system"}})
        line, lease = Timed(sandbox.transport()), Timed(sandbox.transport())
        operator = ControllerManager(
            Settings(configuration=configuration, webhooks=False),
            line,
            clock=SystemClock(),
            random=Random(1),
            lease_transport=lease,
        )
        replica = Replica(port, operator, asyncio.create_task(operator.run()))
        try:
            await replica.ready()
            await sandbox.client().create(LEADERWORKERSETS, manifest(replicas=1))
            await scaled(sandbox, line, 3)
            quiet = await served(sandbox, line, lease, asyncio.create_task(asyncio.sleep(6 * RETRY_PERIOD)))
            began = asyncio.get_running_loop().time()
            strangers = await asyncio.create_subprocess_exec(
                sys.executable, "-c", STRANGERS, str(port), str(TOKENS), str(CLIENTS), stdout=asyncio.subprocess.PIPE
            )
            telling = asyncio.create_task(strangers.communicate())
            busy = await served(sandbox, line, lease, telling)
            took = asyncio.get_running_loop().time() - began
            answers = dict(each.split("=") for each in (await telling)[0].decode().split())
        finally:
            await replica.terminate()
    told = f"{answers} in {took:.1f} s; before: {quiet}; during: {busy}"
    structlog.get_logger().info(told)
    assert set(answers) <= {"401", "503"}
    assert sum(map(int, answers.values())) == TOKENS
    reviews = sum("tokenreviews" in request.path for _, request in line.requests)
    assert reviews <= REVIEW_BURST + REVIEW_QPS * (took + 1)
    assert busy.gap < quiet.gap + LATE, f"renewals: {told}"
    assert max(busy.gaps) < WORST, f"renewals: {told}"
    assert busy.wait < quiet.wait + LATE, f"edits: {told}"
    assert max(busy.seconds) < WORST, f"edits: {told}"
