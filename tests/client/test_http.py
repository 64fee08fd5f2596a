"""Requests over real sockets."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from lws.client import http
from lws.client.connection import HttpTransport, Identity, StaticCredentials, Tls
from lws.client.transport import Request
from lws.errors import TransportError
from tests.client.certificates import Authority

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on loopback; its base URL."""
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def reaching(
    server: str, identity: Identity | None = None, proxy: str | None = None
) -> AsyncIterator[HttpTransport]:
    """A transport that is closed in the end."""
    transport = HttpTransport(server, StaticCredentials(identity), proxy=proxy)
    try:
        yield transport
    finally:
        await transport.close()


async def echo(request: web.Request) -> web.Response:
    """Say what came."""
    headers = [f"{key.lower()}={value}" for key, value in request.headers.items()]
    text = "\n".join([request.method, request.raw_path, await request.text(), *headers])
    answer = web.Response(text=text, status=201)
    answer.headers.add("Warning", '299 - "first"')
    answer.headers.add("Warning", '299 - "say \\"hi\\""')
    return answer


async def test_request_and_answer() -> None:
    """Method, path, query, headers and body arrive as given; status, body and warnings come back."""
    identity = Identity((("authorization", "Bearer t"), ("impersonate-group", "a"), ("impersonate-group", "b")))
    async with serving(echo) as server, reaching(server + "/k8s/clusters/c", identity) as transport:
        query = (("labelSelector", "a in (b, c)"), ("watch", "true"))
        request = Request("PUT", "/api/v1/pods/a%2Fb", query, {"x-test": "1"}, b"body", timeout=5)
        response = await transport.send(request)
    lines = response.body.decode().split("\n")
    assert lines[:3] == [
        "PUT",
        "/k8s/clusters/c/api/v1/pods/a%2Fb?labelSelector=a%20in%20%28b%2C%20c%29&watch=true",
        "body",
    ]
    assert {"x-test=1", "authorization=Bearer t", "impersonate-group=a", "impersonate-group=b"} <= set(lines)
    assert response.status == 201
    assert response.warnings == ("first", 'say "hi"')


async def test_a_separate_transport_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """When every connection of one transport is taken, a separate one with the same credentials is answered at once."""
    monkeypatch.setattr(http, "CONNECTIONS", 2)
    hold, busy = asyncio.Event(), asyncio.Event()
    waiting: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/slow":
            waiting.append(request.path)
            if len(waiting) == 2:
                busy.set()
            await hold.wait()
        return web.Response(text=request.headers["authorization"])

    identity = Identity((("authorization", "Bearer t"),))
    async with serving(answer) as server, reaching(server, identity) as transport:
        strangers = [asyncio.create_task(transport.send(Request("GET", "/slow", timeout=30))) for _ in range(3)]
        await busy.wait()
        with pytest.raises(TransportError, match="no answer in time"):
            await transport.send(Request("GET", "/lease", timeout=0.1))
        separate = transport.separate()
        response = await separate.send(Request("GET", "/lease", timeout=5))
        await separate.close()
        assert response.body == b"Bearer t"
        hold.set()
        await asyncio.gather(*strangers)


async def test_large_body_arrives_whole() -> None:
    """A body of megabytes arrives as given, with its length, and without complaint of the library that sends it."""

    async def measure(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.content_length} {len(await request.read())}")

    async with serving(measure) as server, reaching(server) as transport:
        response = await transport.send(Request("POST", "/", body=b"x" * (3 * 2**20), timeout=20))
    assert response.body.decode() == f"{3 * 2**20} {3 * 2**20}"


async def test_stream_arrives_in_pieces() -> None:
    """What the server writes is there before the answer ends."""
    go_on = asyncio.Event()

    async def two(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"one\n")
        await go_on.wait()
        await answer.write(b"two\n")
        return answer

    async with serving(two) as server, reaching(server) as transport, transport.stream(Request("GET", "/")) as answer:
        chunks = answer.chunks()
        assert await anext(chunks) == b"one\n"
        go_on.set()
        assert [chunk async for chunk in chunks] == [b"two\n"]


async def test_stream_of_one_long_line() -> None:
    """A line of several megabytes passes."""

    async def long(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"x" * 5_000_000)
        return answer

    async with serving(long) as server, reaching(server) as transport, transport.stream(Request("GET", "/")) as answer:
        assert sum([len(chunk) async for chunk in answer.chunks()]) == 5_000_000


async def test_stream_that_breaks() -> None:
    """A connection that breaks in mid-answer is a fault and not an end."""

    async def broken(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"one\n")
        assert request.transport is not None
        request.transport.abort()
        return answer

    async with serving(broken) as server, reaching(server) as transport:
        with pytest.raises(TransportError, match="broke"):
            async with transport.stream(Request("GET", "/")) as answer:
                [chunk async for chunk in answer.chunks()]


async def test_nobody_listens() -> None:
    """A refused connection says so, and that nothing can have been done."""
    async with serving(echo) as server:
        pass
    async with reaching(server) as transport:
        with pytest.raises(TransportError, match="/api: cannot connect: Connection refused") as caught:
            await transport.send(Request("POST", "/api"))
        assert not caught.value.maybe_done
        assert caught.value.__cause__ is not None
        with pytest.raises(TransportError):
            async with transport.stream(Request("GET", "/api")):
                pass


async def test_no_answer_in_time() -> None:
    """A request that is not answered in time may have been done."""

    async def never(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with serving(never) as server, reaching(server) as transport:
        with pytest.raises(TransportError, match="in time") as caught:
            await transport.send(Request("POST", "/", timeout=0.05))
        assert caught.value.maybe_done
        with pytest.raises(TransportError, match="in time"):
            async with transport.stream(Request("GET", "/", timeout=0.05)):
                pass


async def test_401_is_told_to_the_credentials() -> None:
    """Credentials hear that they were refused; the caller gets the answer."""

    class Told(StaticCredentials):
        count = 0

        def rejected(self) -> None:
            self.count += 1

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=401)

    credentials = Told()
    async with serving(refuse) as server:
        transport = HttpTransport(server, credentials)
        assert (await transport.send(Request("GET", "/"))).status == 401
        await transport.close()
    assert credentials.count == 1


async def test_proxy() -> None:
    """Requests go to the proxy, with the whole URL."""
    async with serving(echo) as proxy, reaching("http://api.invalid:1", proxy=proxy) as transport:
        response = await transport.send(Request("GET", "/version"))
    assert b"host=api.invalid:1" in response.body


def tls_server(authority: Authority, clients: Path | None = None) -> ssl.SSLContext:
    """A server's context; with ``clients`` it wants their certificates."""
    cert, key = authority.issue("server", stem=f"server-{authority.ca_file.stem}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    return context


async def test_tls_with_a_client_certificate(tmp_path: Path) -> None:
    """The server is checked by the CA given, and sees our certificate."""
    authority = Authority(tmp_path)
    cert, key = authority.issue("me")

    async def who(request: web.Request) -> web.Response:
        assert request.transport is not None
        return web.json_response(request.transport.get_extra_info("peercert")["subject"])

    identity = Identity((), Tls(str(authority.ca_file), str(cert), str(key)))
    async with (
        serving(who, tls_server(authority, authority.ca_file)) as server,
        reaching(server, identity) as transport,
    ):
        assert b'"me"' in (await transport.send(Request("GET", "/"))).body


async def test_tls_server_is_checked(tmp_path: Path) -> None:
    """A server of another CA, or under another name, is not spoken to, unless checking is off."""
    authority, other = Authority(tmp_path), Authority(tmp_path, "other-ca")
    async with serving(echo, tls_server(authority)) as server:
        for tls in (Tls(str(other.ca_file)), Tls(str(authority.ca_file), server_name="elsewhere")):
            async with reaching(server, Identity((), tls)) as transport:
                with pytest.raises(TransportError, match="certificate is not trusted: ") as caught:
                    await transport.send(Request("GET", "/"))
                assert not caught.value.maybe_done
        for tls in (Tls(verify=False), Tls(str(authority.ca_file), server_name="localhost")):
            async with reaching(server, Identity((), tls)) as transport:
                assert (await transport.send(Request("GET", "/"))).status == 201


async def test_rotated_ca_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CA bundle that is replaced comes into use without a restart; a half-written one does no harm."""
    monkeypatch.setattr(http, "LOOK_INTERVAL", 0.0)
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    bundle = tmp_path / "bundle.crt"
    bundle.write_bytes(old.ca_file.read_bytes())
    identity = Identity((), Tls(str(bundle)))
    async with serving(echo, tls_server(old)) as before, reaching(before, identity) as transport:
        assert (await transport.send(Request("GET", "/"))).status == 201
        bundle.write_bytes(b"half")
        assert (await transport.send(Request("GET", "/"))).status == 201
        async with serving(echo, tls_server(new)) as after:
            transport._server = after
            replacement = tmp_path / "next.crt"
            replacement.write_bytes(new.ca_file.read_bytes())
            os.replace(replacement, bundle)
            assert (await transport.send(Request("GET", "/"))).status == 201
