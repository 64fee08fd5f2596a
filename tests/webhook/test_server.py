"""The HTTPS server on loopback: slow, silent and oversized clients, certificates, draining."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from lws.clock import SystemClock
from lws.errors import ConfigurationError
from lws.webhook import AdmissionHandlers, Limits, ServingCertificate, WebhookServer
from lws.webhook.certs import Pair, make_leaf
from lws.webhook.handlers import MUTATE_POD
from lws.webhook.review import LARGEST_BODY
from tests.webhook.conftest import HOST, Start
from tests.webhook.reviews import UID, encode, pod, review

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GOOD = encode(review(pod()))
QUICK = Limits(handshake=0.3, first_request=0.3, body=0.3, idle=0.6, lingering=0.2)


@asynccontextmanager
async def client(server: WebhookServer, trust: ssl.SSLContext) -> AsyncIterator[Client]:
    """A TLS connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trust, server_hostname=HOST)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def post(body: bytes = GOOD, path: str = f"{MUTATE_POD}?timeout=10s", **headers: str) -> bytes:
    """A request."""
    fields = {"Host": HOST, "Content-Type": "application/json", "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of an answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length:")[1].split("\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)


async def closed(reader: asyncio.StreamReader) -> bool:
    """Whether the server ends the connection without another word."""
    try:
        return await reader.read() == b""
    except (ConnectionError, ssl.SSLError):
        return True


async def works(server: WebhookServer, trust: ssl.SSLContext) -> bool:
    """Whether a good review is answered as it should be."""
    async with client(server, trust) as (reader, writer):
        writer.write(post())
        status, body = await answer(reader)
        return status == 200 and json.loads(body)["response"]["uid"] == UID


async def test_reviews_over_tls(start: Start, trust: ssl.SSLContext) -> None:
    """Several reviews on one connection are answered, with the query that API servers send."""
    server = await start()
    async with client(server, trust) as (reader, writer):
        for _ in range(3):
            writer.write(post())
            status, body = await answer(reader)
            assert (status, json.loads(body)["response"]["allowed"]) == (200, True)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (post(path="/"), 404),
        (post(path="/healthz"), 404),
        (post().replace(b"POST", b"GET", 1), 405),
        (post().replace(b"POST", b"DELETE", 1), 405),
        (post(Content_Encoding="gzip"), 415),
        (post(Content_Type="text/plain"), 200),
        (post(b"{"), 400),
        (post(Content_Length="nonsense"), 400),
        (post(Content_Length=str(LARGEST_BODY + 1)), 413),
        (b"hello\r\n\r\n", 400),
        (b"POST " + b"/x" * 10_000 + b" HTTP/1.1\r\n\r\n", 400),
        (post(X=("y" * 20_000)), 400),
        (b"\x16\x03\x01 tls in tls \r\n\r\n", 400),
    ],
)
async def test_answers_by_http(start: Start, trust: ssl.SSLContext, request_bytes: bytes, status: int) -> None:
    """What is no review at a webhook's path is a 4xx without a traceback, and the server goes on."""
    server = await start(QUICK)
    async with client(server, trust) as (reader, writer):
        writer.write(request_bytes)
        told, body = await answer(reader)
    assert told == status
    assert b"Traceback" not in body
    assert await works(server, trust)


async def test_clients_cause_no_tracebacks(
    start: Start, trust: ssl.SSLContext, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Garbage and clients that vanish in mid-sentence leave no traceback in the log."""
    caplog.set_level("DEBUG")
    server = await start(QUICK)
    for sent in (post(Content_Length="nonsense"), post()[:-10], post(b"", Transfer_Encoding="chunked") + b"zz\r\n"):
        async with client(server, trust) as (_, writer):
            writer.write(sent)
            await works(server, trust)
    await works(server, trust)
    await server.stop(0.1)
    assert "Traceback" not in caplog.text + "".join(capsys.readouterr())


async def test_continue_is_granted(start: Start, trust: ssl.SSLContext) -> None:
    """A client that asks before it sends its body is told to go on."""
    server = await start()
    async with client(server, trust) as (reader, writer):
        head, _, body = post(Expect="100-continue").partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(body)
        assert (await answer(reader))[0] == 200


async def test_oversized_without_a_length(start: Start, trust: ssl.SSLContext) -> None:
    """A chunked body is refused as soon as it is too large, not when it ends."""
    server = await start(Limits(largest_body=100_000, lingering=0.2))
    async with client(server, trust) as (reader, writer):
        writer.write(post(b"", Content_Length="", Transfer_Encoding="chunked"))
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        for _ in range(10):
            writer.write(chunk)
        status, body = await answer(reader)
        assert (status, json.loads(body)["reason"]) == (413, "RequestEntityTooLarge")
        assert await closed(reader)
    assert await works(server, trust)


async def test_slow_body(start: Start, trust: ssl.SSLContext) -> None:
    """A body that does not come is answered 408 and the connection ends; others are served meanwhile."""
    server = await start(QUICK)
    async with client(server, trust) as (reader, writer):
        writer.write(post()[:-10])
        assert await works(server, trust)
        status, _ = await answer(reader)
        assert status == 408
        assert await closed(reader)


@pytest.mark.parametrize("sent", [b"", b"POST /mutate--v1-pod HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_silent_client(start: Start, trust: ssl.SSLContext, sent: bytes) -> None:
    """A client that sends no whole request is cut off in time; others are served meanwhile."""
    server = await start(QUICK)
    async with client(server, trust) as (reader, writer):
        writer.write(sent)
        assert await works(server, trust)
        async with asyncio.timeout(3):
            assert await closed(reader)


async def test_idle_connection(start: Start, trust: ssl.SSLContext) -> None:
    """An idle connection outlives the limit for first requests, and ends with its own; so does a half request on it."""
    server = await start(QUICK)
    for further in (b"", b"POST /mutate--v1-pod HTTP/1.1\r\nX: "):
        async with client(server, trust) as (reader, writer):
            writer.write(post())
            await answer(reader)
            writer.write(further)
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout(3):
                assert await closed(reader)
            assert asyncio.get_running_loop().time() - began > QUICK.first_request


async def test_no_handshake(start: Start, trust: ssl.SSLContext) -> None:
    """A client that never begins TLS is cut off; so is one that speaks plain HTTP."""
    server = await start(QUICK)
    for sent in (b"", post()):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        async with asyncio.timeout(3):
            assert await closed(reader)
        writer.close()
    assert await works(server, trust)


async def test_many_slow_clients(start: Start, trust: ssl.SSLContext) -> None:
    """A hundred clients that drip bytes do not keep one good client waiting."""
    server = await start(Limits(first_request=5, body=5))
    slow: list[Client] = []
    for _ in range(100):
        slow.append(await asyncio.open_connection("127.0.0.1", server.port, ssl=trust, server_hostname=HOST))
        slow[-1][1].write(post()[:-1])
    async with asyncio.timeout(2):
        assert await works(server, trust)
    for _, writer in slow:
        writer.transport.abort()


async def test_room_for_so_many_connections(start: Start, trust: ssl.SSLContext) -> None:
    """Beyond the limit a connection is closed at once; when one goes, there is room again."""
    server = await start(Limits(connections=2))
    async with client(server, trust), client(server, trust):
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await works(server, trust)
    while True:
        try:
            assert await works(server, trust)
            break
        except (ConnectionError, asyncio.IncompleteReadError):
            await asyncio.sleep(0)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_old_tls_is_refused(start: Start, trust: ssl.SSLContext) -> None:
    """TLS before 1.2 is not spoken; 1.2 and 1.3 are."""
    server = await start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        trust.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        trust.maximum_version = version
        assert await works(server, trust)
    trust.set_ciphers("DEFAULT:@SECLEVEL=0")
    trust.minimum_version = trust.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await works(server, trust)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_certificate_is_exchanged(
    start: Start, trust: ssl.SSLContext, authority: Pair, leaf: Pair, version: ssl.TLSVersion
) -> None:
    """New connections see the new certificate at once; open ones go on with the old one."""
    trust.maximum_version = version
    server = await start()
    newer = make_leaf(authority, [HOST], datetime.now(UTC))

    def seen(writer: asyncio.StreamWriter) -> bytes:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return ssl.DER_cert_to_PEM_cert(der).encode()

    async with client(server, trust) as (reader, writer):
        assert seen(writer) == leaf.certificate
        assert server._certificate.load(newer.certificate, newer.key)
        async with client(server, trust) as (_, second):
            assert seen(second) == newer.certificate
        writer.write(post())
        assert (await answer(reader))[0] == 200


async def test_no_certificate_yet(trust: ssl.SSLContext) -> None:
    """Before there is a certificate, handshakes fail and the server stays up for the first one."""
    certificate = ServingCertificate()
    server = WebhookServer(AdmissionHandlers(), certificate, clock=SystemClock(), host="127.0.0.1", port=0)
    await server.start()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await works(server, trust)
    await server.stop()


async def test_stopping_drains(start: Start, trust: ssl.SSLContext) -> None:
    """A review that was begun is finished while nothing new is accepted."""
    server = await start()
    async with client(server, trust) as (reader, writer):
        whole = post()
        writer.write(whole[:-1])
        assert await works(server, trust)
        port = server.port
        stopping = asyncio.create_task(server.stop(5))
        await asyncio.sleep(0)
        assert not server.listening
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole[-1:])
        assert (await answer(reader))[0] == 200
        await stopping


async def test_leaving_ends_connections_with_their_answers(start: Start, trust: ssl.SSLContext) -> None:
    """Once the server leaves, each answer ends its connection, and new connections are still accepted."""
    server = await start()
    async with client(server, trust) as (reader, writer):
        writer.write(post())
        await answer(reader)
        server.leave()
        writer.write(post())
        assert b"connection: close" in (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.read()
        assert await works(server, trust)


async def test_stopping_closes_idle_connections_first(start: Start, trust: ssl.SSLContext) -> None:
    """An idle connection is closed while a request on another is still being read."""
    server = await start(Limits(lingering=30.0))
    async with client(server, trust) as (idle, writer), client(server, trust) as (reader, busy):
        writer.write(post())
        await answer(idle)
        busy.write(post()[:-1])
        assert await works(server, trust)
        stopping = asyncio.create_task(server.stop(30))
        async with asyncio.timeout(5):
            assert await closed(idle)
        assert not stopping.done()
        busy.write(post()[-1:])
        assert (await answer(reader))[0] == 200
        writer.transport.abort()
        async with asyncio.timeout(5):
            await stopping


async def test_stopping_does_not_wait_for_ever(start: Start, trust: ssl.SSLContext) -> None:
    """A review whose body never comes is given up after the grace period."""
    server = await start()
    async with client(server, trust) as (_, writer):
        writer.write(post()[:-1])
        assert await works(server, trust)
        async with asyncio.timeout(5):
            await server.stop(0.1)
    await server.stop()


async def test_port_in_use(start: Start, leaf: Pair) -> None:
    """A port that is taken is one sentence with the remedy."""
    taken = (await start()).port
    server = WebhookServer(AdmissionHandlers(), ServingCertificate(), clock=SystemClock(), host="127.0.0.1", port=taken)
    with pytest.raises(ConfigurationError) as caught:
        await server.start()
    assert str(caught.value).startswith(f"the webhook cannot listen on 127.0.0.1:{taken} (")
    assert str(caught.value).endswith("): free it, or set webhook.host and webhook.port")


async def test_observer_hears_of_reviews(start: Start, trust: ssl.SSLContext) -> None:
    """Each review is told with its path, HTTP status and seconds; unknown paths are not."""

    class Listener:
        def __init__(self) -> None:
            self.heard: list[tuple[str, ...]] = []

        def started(self, webhook: str) -> None:
            self.heard.append(("started", webhook))

        def finished(self, webhook: str, code: int, seconds: float) -> None:
            assert seconds >= 0
            self.heard.append(("finished", webhook, str(code)))

    listener = Listener()
    server = await start(None, listener)
    for request in (post(), post(b"{"), post(path="/x")):
        async with client(server, trust) as (reader, writer):
            writer.write(request)
            await answer(reader)
    assert listener.heard == [
        ("started", MUTATE_POD),
        ("finished", MUTATE_POD, "200"),
        ("started", MUTATE_POD),
        ("finished", MUTATE_POD, "400"),
    ]
