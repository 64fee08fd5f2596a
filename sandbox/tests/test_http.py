"""The server on a socket: TLS, client certificates, streams, large answers. Sockets are what is tested here."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from sandbox.tests.plain import MAPS, Plain, plain_server

from lws_sandbox.certificates import Authority, Pair
from lws_sandbox.http import CREDENTIAL_ID, serve, server_context
from lws_sandbox.reply import of_json
from lws_sandbox.server import BODY_LIMIT

NOW = datetime.now(UTC)


def _write(folder: Path, name: str, pair: Pair) -> tuple[str, str]:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    return str(certificate), str(key)


@asynccontextmanager
async def _served(folder: Path, plain: Plain, user: str = "") -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """The server over TLS, and a session that trusts it, with a certificate for ``user`` if one is named."""
    authority = Authority(NOW)
    (folder / "ca.crt").write_bytes(authority.certificate)
    pair = _write(folder, "server", authority.server(["127.0.0.1"], NOW))
    trust = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    if user:
        trust.load_cert_chain(*_write(folder, "client", authority.client(user, ["crew"], NOW)))
    tls = server_context(*pair, client_ca=str(folder / "ca.crt"))
    async with (
        serve(plain.server, tls=tls) as endpoint,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust), auto_decompress=False) as session,
    ):
        yield endpoint.url, session


async def test_a_client_certificate_names_its_user(tmp_path: Path) -> None:
    """The common name is the user, organisations are groups, and the certificate's digest goes with them."""
    plain = await Plain(plain_server()).begin()

    async def who(call: Any) -> dict[str, Any]:
        return {"name": call.user.name, "groups": call.user.groups, "extra": dict(call.user.extra)}

    plain.server.reviews["authentication.k8s.io", "selfsubjectreviews"] = who
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    async with _served(tmp_path, plain, "ada") as (url, session), session.post(url + path, json={}) as answer:
        told = await answer.json()
    assert (told["name"], told["groups"]) == ("ada", ["crew", "system:authenticated"])
    assert told["extra"][CREDENTIAL_ID][0].startswith("X509SHA256=")


class _Watches(dict[Any, None]):
    """Tells when the last watch is over."""

    def __init__(self) -> None:
        super().__init__()
        self.emptied = asyncio.Event()

    def pop(self, key: Any, default: Any = None) -> Any:
        found = super().pop(key, default)
        if not self:
            self.emptied.set()
        return found


async def test_a_watch_is_sent_piece_by_piece(tmp_path: Path) -> None:
    """Events of a watch arrive while it is open, and the server forgets it when the client leaves."""
    plain = await Plain(plain_server()).begin()
    open_watches = plain.server.__dict__["_watches"] = _Watches()
    async with _served(tmp_path, plain) as (url, session):
        async with session.get(f"{url}{MAPS}?watch=1") as answer:
            assert answer.headers["transfer-encoding"] == "chunked"
            await plain.make("a")
            first = json.loads(await answer.content.readline())
            await plain.make("b")
            second = json.loads(await answer.content.readline())
        assert [event["object"]["metadata"]["name"] for event in (first, second)] == ["a", "b"]
        async with asyncio.timeout(10):
            await open_watches.emptied.wait()


async def test_open_watches_end_with_the_server(tmp_path: Path) -> None:
    """Stopping the server does not wait for clients that watch."""
    plain = await Plain(plain_server()).begin()
    async with asyncio.timeout(20):
        async with _served(tmp_path, plain) as (url, session):
            answer = await session.get(f"{url}{MAPS}?watch=1")
            assert answer.status == 200
            await asyncio.sleep(0)
        answer.release()


async def test_large_answers_are_compressed_on_request(tmp_path: Path) -> None:
    """An answer of more than 128 KiB is gzipped for who takes that, smaller ones and others are not."""
    plain = await Plain(plain_server()).begin()
    for index in range(4):
        await plain.make(f"m{index}", data={"k": "x" * 50_000})
    async with _served(tmp_path, plain) as (url, session):
        async with session.get(url + MAPS, headers={"accept-encoding": "gzip"}) as answer:
            assert answer.headers["content-encoding"] == "gzip"
            assert len(json.loads(gzip.decompress(await answer.read()))["items"]) == 4
        async with session.get(url + MAPS, headers={"accept-encoding": "identity"}) as answer:
            assert "content-encoding" not in answer.headers
        async with session.get(f"{url}{MAPS}/m0", headers={"accept-encoding": "gzip"}) as answer:
            assert "content-encoding" not in answer.headers


async def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """More than 3 MiB is 413 with a Status, and the connection stays usable."""
    plain = await Plain(plain_server()).begin()
    body = b'{"metadata":{"name":"a"},"data":{"k":"' + b"x" * BODY_LIMIT + b'"}}'
    headers = {"content-type": "application/json"}
    async with _served(tmp_path, plain) as (url, session):
        async with session.post(url + MAPS, data=io.BytesIO(body), headers=headers) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (413, "RequestEntityTooLarge")
        async with session.get(url + MAPS) as answer:
            assert answer.status == 200


async def test_warnings_become_headers(tmp_path: Path) -> None:
    """Each warning is a Warning header of code 299, its text quoted."""
    plain = await Plain(plain_server()).begin()
    async with _served(tmp_path, plain) as (url, session):
        body = {"metadata": {"name": "a"}, "Data": {}}
        async with session.post(url + MAPS, json=body) as answer:
            assert answer.headers.getall("Warning") == ['299 - "unknown field \\"Data\\""']


def test_a_reply_is_json_with_its_type() -> None:
    """An object is answered as JSON and is not to be cached."""
    reply = of_json({"a": 1})
    assert (reply.headers["content-type"], reply.body) == ("application/json", b'{"a":1}\n')
    assert "no-cache" in reply.headers["cache-control"]
