"""A webhook server on a loopback socket, and the TLS client that trusts it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from lws.clock import SystemClock
from lws.webhook import AdmissionHandlers, Limits, Observer, ServingCertificate, WebhookServer, certs
from lws.webhook.certs import Pair, make_ca, make_leaf

HOST = "lws-webhook-service.lws-system.svc"
Start = Callable[..., Awaitable[WebhookServer]]


_KEYS: list[rsa.RSAPrivateKey] = []


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand out keys that earlier tests had made, since making one takes long; never one twice in a test."""
    make, used = certs._new_key, iter(range(10_000))

    def next_key() -> rsa.RSAPrivateKey:
        index = next(used)
        if index == len(_KEYS):
            _KEYS.append(make())
        return _KEYS[index]

    monkeypatch.setattr(certs, "_new_key", next_key)


@pytest.fixture(scope="session")
def authority() -> Pair:
    """A certificate authority."""
    return make_ca(datetime.now(UTC))


@pytest.fixture(scope="session")
def leaf(authority: Pair) -> Pair:
    """A serving certificate."""
    return make_leaf(authority, [HOST], datetime.now(UTC))


@pytest.fixture
def trust(authority: Pair) -> ssl.SSLContext:
    """A client's context that trusts the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.certificate.decode())
    return context


@pytest.fixture
async def start(leaf: Pair) -> AsyncIterator[Start]:
    """Start a server with given limits; it is stopped after the test."""
    async with AsyncExitStack() as stack:

        async def make(limits: Limits | None = None, observer: Observer | None = None) -> WebhookServer:
            certificate = ServingCertificate()
            certificate.load(leaf.certificate, leaf.key)
            server = WebhookServer(
                AdmissionHandlers(),
                certificate,
                clock=SystemClock(),
                host="127.0.0.1",
                port=0,
                limits=limits,
                observer=observer,
            )
            await server.start()
            stack.push_async_callback(server.stop, 1.0)
            return server

        yield make
