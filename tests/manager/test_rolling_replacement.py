"""Admission while the replicas of the controller are replaced one after the other, on real sockets."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from lws.clock import SystemClock
from lws.manager.manager import ControllerManager
from lws.manager.settings import Configuration, Settings
from lws.webhook.certificate import CERTIFICATE_FILE, KEY_FILE
from lws.webhook.certs import make_ca, make_leaf
from lws_sandbox.cluster import Sandbox
from tests.manager.test_servers import free_port
from tests.manager.test_sockets import REVIEW, install

HOST = "lws-webhook-service.lws-system.svc"
PATH = "/mutate-leaderworkerset-x-k8s-io-v1-leaderworkerset"
CALLS = 1000
CLIENTS = 3
NOTICE = 1.0
PROPAGATION = 0.4  # seconds until the clients' node knows that a replica is no endpoint any more
BODY = json.dumps(REVIEW).encode()
REQUEST = (
    f"POST {PATH}?timeout=10s HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY


@dataclass
class Endpoints:
    """The ports that a Service leads to now; each new connection takes any of them."""

    ports: list[int] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(7))

    def pick(self) -> int:
        """The port for a new connection."""
        return self.random.choice(self.ports)


@dataclass
class KeepAliveClient:
    """Calls as Go's transport does: reuses its connection unless it was seen to end, and never repeats a POST."""

    endpoints: Endpoints
    trust: ssl.SSLContext
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    connections: int = 0
    failures: list[str] = field(default_factory=list)

    async def call(self) -> None:
        """One review; what is not answered is noted."""
        try:
            await self._exchange(*await self._connected())
        except (OSError, asyncio.IncompleteReadError) as error:
            self.failures.append(repr(error))
            self._close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.connection is not None and self.connection[0].at_eof():
            self._close()
        if self.connection is None:
            port = self.endpoints.pick()
            self.connections += 1
            self.connection = await asyncio.open_connection("127.0.0.1", port, ssl=self.trust, server_hostname=HOST)
        return self.connection

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUEST)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
        assert json.loads(body)["response"]["allowed"] is True
        if "connection: close" in head:
            self._close()

    def _close(self) -> None:
        if self.connection is not None:
            self.connection[1].transport.abort()
            self.connection = None


@dataclass
class Replica:
    """One running controller."""

    port: int
    operator: ControllerManager
    task: asyncio.Task[None]

    async def ready(self) -> None:
        """Wait until its probe would say so."""
        async with asyncio.timeout(30):
            while self.operator.readyz.failures():
                assert not self.task.done()
                await asyncio.sleep(0.02)

    async def terminate(self) -> None:
        """What SIGTERM does."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def cluster(directory: Path) -> AsyncIterator[tuple[Sandbox, ssl.SSLContext]]:
    """A control plane, and the certificates that replicas serve and clients trust."""
    authority = make_ca(datetime.now(UTC))
    leaf = make_leaf(authority, [HOST], datetime.now(UTC))
    (directory / CERTIFICATE_FILE).write_bytes(leaf.certificate)
    (directory / KEY_FILE).write_bytes(leaf.key)
    async with Sandbox(loops=()) as sandbox:
        await install(sandbox.client())
        yield sandbox, ssl.create_default_context(cadata=authority.certificate.decode())


def replica(sandbox: Sandbox, directory: Path, seed: int) -> Replica:
    """Start a controller."""
    port = free_port()
    configuration = Configuration.model_validate(
        {
            "webhook": {"host": "127.0.0.1", "port": port, "certDir": str(directory)},
            "metrics": {"bindAddress": "0"},
            "health": {"healthProbeBindAddress": "0"},
            "internalCertManagement": {"enable": False},
        }
    )
    operator = ControllerManager(
        Settings(configuration=configuration, notice=NOTICE),
        sandbox.transport(),
        clock=SystemClock(),
        random=Random(seed),
    )
    return Replica(port, operator, asyncio.create_task(operator.run()))


async def replace(
    sandbox: Sandbox, directory: Path, endpoints: Endpoints, replicas: Sequence[Replica]
) -> list[Replica]:
    """As a Deployment does: the new one is ready first; endpoints follow the old one's end with a delay."""
    made: list[Replica] = []
    for seed, old in enumerate(replicas, 10):
        new = replica(sandbox, directory, seed)
        await new.ready()
        endpoints.ports.append(new.port)
        ending = asyncio.create_task(old.terminate())
        await asyncio.sleep(PROPAGATION)
        assert "shutdown" in old.operator.readyz.failures(), "readiness goes first"
        assert old.operator.admission.server.listening, "a Service may still lead here"
        endpoints.ports.remove(old.port)
        await ending
        made.append(new)
    return made


@pytest.mark.long
async def test_no_review_is_lost_while_the_replicas_are_replaced(tmp_path: Path) -> None:
    """Of 1,000 calls from three keep-alive clients through a rolling replacement of two replicas, none fails."""
    endpoints = Endpoints()
    async with cluster(tmp_path) as (sandbox, trust), AsyncExitStack() as stack:
        old = [replica(sandbox, tmp_path, seed) for seed in (1, 2)]
        for each in old:
            await each.ready()
            endpoints.ports.append(each.port)
        clients = [KeepAliveClient(endpoints, trust) for _ in range(CLIENTS)]
        replacing = asyncio.create_task(replace(sandbox, tmp_path, endpoints, old))
        calls = 0
        while calls < CALLS or not replacing.done():
            await asyncio.gather(*(client.call() for client in clients))
            calls += len(clients)
            await asyncio.sleep(0.005)
        for each in await replacing:
            stack.push_async_callback(each.terminate)
        assert [failure for client in clients for failure in client.failures] == []
        assert 2 * CLIENTS <= sum(client.connections for client in clients) < calls / 3, "connections are kept alive"
