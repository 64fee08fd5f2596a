"""Servers that refuse, shed load, or are out of reach: health, remedies, and recovery by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lws.apimachinery.resources import PODS, Resource
from lws.client.transport import Request
from lws.errors import TransportError
from lws.informers.requests import remedy
from tests.informers.server import FakeServer, FakeStream, Refusal
from tests.informers.support import following, held
from tests.virtual import virtual_time


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (PODS, ""),
        (Resource("a.x-k8s.io", "v1", "as", "A"), "; install the CustomResourceDefinition as.a.x-k8s.io"),
        (
            Resource("scheduling.k8s.io", "v1beta1", "workloads", "Workload"),
            (
                "; have the API server serve scheduling.k8s.io/v1beta1, or install the CustomResourceDefinition "
                "workloads.scheduling.k8s.io"
            ),
        ),
    ],
    ids=["core", "custom", "built in"],
)
def test_a_kind_that_is_not_served_has_its_own_remedy(resource: Resource, expected: str) -> None:
    """Nobody is told to define what the API server may only have switched off."""
    assert remedy(404, resource) == expected


@pytest.mark.parametrize("code", [403, 404, 401])
@pytest.mark.parametrize("streaming", ["served", "refused"])
@virtual_time
async def test_refused_at_the_start(code: int, streaming: str) -> None:
    """A list that is forbidden or not served is unhealthy with a remedy, and recovers by itself."""
    server = FakeServer(streaming=streaming)
    server.put("a")
    server.standing = Refusal(code, "Nope")
    async with following(server) as informer:
        await asyncio.sleep(100)
        assert (informer.synced, informer.healthy) == (False, False)
        assert "Nope" in informer.trouble
        assert code != 403 or "grant the verbs list and watch" in informer.trouble
        assert len(server.requests) < 25
        server.standing = None
        await asyncio.sleep(31)
        assert (informer.synced, informer.healthy, informer.trouble) == (True, True, "")


@pytest.mark.parametrize("code", [403, 404, 401, 500, 503])
@virtual_time
async def test_refused_later(code: int) -> None:
    """A watch that is refused keeps what is known until the server speaks again."""
    server = FakeServer()
    server.put("a")
    server.put("b")
    async with following(server) as informer:
        await informer.wait_synced()
        server.standing = Refusal(code, "Nope")
        server.break_streams()
        server.delete("a")
        await asyncio.sleep(100)
        assert (len(informer.store), informer.healthy) == (2, False)
        server.standing = None
        await asyncio.sleep(31)
        assert (held(informer), informer.healthy) == (server.truth(), True)


@pytest.mark.parametrize("code", [403, 404])
@virtual_time
async def test_an_optional_resource_is_done_without(code: int) -> None:
    """What is optional and refused keeps nobody waiting; each time it comes or goes is told once."""
    server = FakeServer()
    server.put("a")
    server.standing = Refusal(code, "Nope")
    async with following(server, optional=True) as informer:
        told: list[str] = []
        informer.on_availability(lambda: told.append(informer.unavailable))
        await informer.wait_synced()
        assert not informer.synced
        assert "Nope" in informer.unavailable
        await asyncio.sleep(100)
        server.standing = TransportError("gone")
        await asyncio.sleep(100)
        assert "Nope" in informer.unavailable, "a server that is away has changed nothing"
        server.standing = None
        await asyncio.sleep(31)
        assert (informer.synced, informer.unavailable) == (True, "")
        server.standing = Refusal(code, "Nope again")
        server.break_streams()
        await asyncio.sleep(60)
        assert held(informer), "what was seen stays"
        assert [bool(each) for each in told] == [True, False, True]
        server.standing = None
        await asyncio.sleep(31)


@virtual_time
async def test_only_the_optional_is_done_without() -> None:
    """A refused resource that is not optional is waited for."""
    server = FakeServer()
    server.standing = Refusal(404, "Nope")
    async with following(server) as informer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await informer.wait_synced()
        assert (informer.missing, informer.unavailable) == (True, "")
        server.standing = None
        await asyncio.sleep(31)


@virtual_time
async def test_retry_after_is_kept() -> None:
    """A server that sheds load is not asked again before the time it names."""
    server = FakeServer()
    server.refusals.append(Refusal(429, "TooManyRequests", {"retry-after": "13"}))
    async with following(server) as informer:
        await informer.wait_synced()
        assert asyncio.get_running_loop().time() >= 13


@virtual_time
async def test_retry_after_is_bounded() -> None:
    """An answer that asks for a day of patience, as a proxy in between may send, is asked again after five minutes."""
    server = FakeServer()
    server.refusals.append(Refusal(503, "ServiceUnavailable", {"retry-after": "86400"}))
    async with following(server) as informer:
        await informer.wait_synced()
        assert 300 <= asyncio.get_running_loop().time() < 301


class _Faulty(FakeServer):
    """A way to the server that fails as no transport should."""

    faulty = True

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[FakeStream]:
        if self.faulty:
            raise RuntimeError("a bug")
        async with super().stream(request) as stream:
            yield stream


@pytest.mark.long
@virtual_time
async def test_a_fault_of_ours_shows_in_health() -> None:
    """An informer that keeps failing unforeseen is unhealthy after a minute, says why, and recovers by itself."""
    server = _Faulty()
    server.put("a")
    async with following(server) as informer:
        await asyncio.sleep(100)
        assert (informer.synced, informer.healthy) == (False, False)
        assert "RuntimeError" in informer.trouble
        server.faulty = False
        await asyncio.sleep(31)
        assert (informer.synced, informer.healthy, informer.trouble) == (True, True, "")


@virtual_time
async def test_server_out_of_reach() -> None:
    """While the server is out of reach attempts back off; a minute of it is unhealthy; its return heals."""
    server = FakeServer()
    server.put("a")
    async with following(server) as informer:
        await informer.wait_synced()
        server.standing = TransportError("connection refused", maybe_done=False)
        server.break_streams()
        await asyncio.sleep(30)
        seen = [informer.healthy]
        await asyncio.sleep(270)
        seen.append(informer.healthy)
        assert len(server.requests) < 30
        server.put("b")
        server.standing = None
        await asyncio.sleep(31)
        assert [*seen, informer.healthy] == [True, False, True]
