"""Webhooks over real HTTPS on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from lws.apimachinery.manifests import JSON
from lws.webhook import ServingCertificate
from lws.webhook.certs import Pair, make_ca, make_leaf
from lws_sandbox.admission import HttpsCaller, ServiceError, ServiceResolver
from lws_sandbox.admission.calling import CallError
from lws_sandbox.admission.configuration import Target

NOW = datetime.now(UTC)
NAME = "hooks.n.svc"


@pytest.fixture(scope="module")
def authority() -> Pair:
    """Signs the webhook's certificate."""
    return make_ca(NOW)


@pytest.fixture
async def caller() -> AsyncIterator[HttpsCaller]:
    """Finds every service on loopback port 1, where nobody listens, unless told otherwise."""
    made = HttpsCaller(lambda _namespace, _name, port: ("127.0.0.1", port))
    yield made
    await made.close()


@asynccontextmanager
async def listening(leaf: Pair, delay: float = 0) -> AsyncIterator[tuple[int, list[web.BaseRequest]]]:
    """A webhook that answers ``{}``; gives its port and what it was asked."""
    asked: list[web.BaseRequest] = []
    release = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        asked.append(request)
        if delay:
            await release.wait()
        return web.Response(body=b"{}", content_type="application/json")

    serving = ServingCertificate()
    serving.load(leaf.certificate, leaf.key)
    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=serving.context)
    await site.start()
    try:
        yield runner.addresses[0][1], asked
    finally:
        release.set()
        await runner.cleanup()


def service(port: int, bundle: bytes, path: str = "/check") -> Target:
    """The target behind service hooks in namespace n."""
    return Target(service=("n", "hooks", port), path=path, ca_bundle=bundle)


async def test_service_over_tls(authority: Pair, caller: HttpsCaller) -> None:
    """A service is dialled where it resolves to, under its own name, with headers and timeout as the server sends."""
    async with listening(make_leaf(authority, [NAME], NOW)) as (port, asked):
        answer = await caller.post(service(port, authority.certificate), b"{}", 5)
    assert (answer.status, answer.body, answer.content_type) == (200, b"{}", "application/json")
    request = asked[0]
    assert (request.path, dict(request.query)) == ("/check", {"timeout": "5s"})
    assert request.headers["Host"] == f"{NAME}:{port}"
    assert request.headers["User-Agent"] == "kube-apiserver-admission"
    assert request.headers["Accept"] == "application/json, */*"
    assert request.headers["Content-Type"] == "application/json"


async def test_several_authorities_in_a_bundle(authority: Pair, caller: HttpsCaller) -> None:
    """During a rotation the bundle holds the old authority and the new one; either is trusted."""
    other = make_ca(NOW)
    for signer in (authority, other):
        async with listening(make_leaf(signer, [NAME], NOW)) as (port, _):
            bundle = other.certificate + authority.certificate
            assert (await caller.post(service(port, bundle), b"{}", 5)).status == 200


def failing(error: pytest.ExceptionInfo[CallError], target: Target, why: str, timeout: int = 5) -> None:
    """Check the whole message of a failed call."""
    assert str(error.value) == f'failed to call webhook: Post "{target.address(timeout)}": {why}'


async def test_untrusted(authority: Pair, caller: HttpsCaller) -> None:
    """An authority that is not in the bundle, or no bundle at all, is not trusted."""
    async with listening(make_leaf(authority, [NAME], NOW)) as (port, asked):
        for bundle in (make_ca(NOW).certificate, b""):
            with pytest.raises(CallError) as caught:
                await caller.post(service(port, bundle), b"{}", 5)
            why = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
            failing(caught, service(port, bundle), why)
    assert asked == []


async def test_wrong_name_and_expired(authority: Pair, caller: HttpsCaller) -> None:
    """A certificate of another name, or out of its time, is not trusted."""
    old = NOW - timedelta(days=800)
    ancient = make_ca(old)
    cases = [
        (make_leaf(authority, ["other.n.svc"], NOW), authority, "is not valid for the name that was asked for"),
        (make_leaf(ancient, [NAME], old), ancient, "has expired or is not yet valid"),
    ]
    for leaf, signer, why in cases:
        async with listening(leaf) as (port, _):
            with pytest.raises(CallError, match=f"x509: certificate {why}"):
                await caller.post(service(port, signer.certificate), b"{}", 5)


async def test_bundle_is_garbage(caller: HttpsCaller) -> None:
    """A caBundle that is no PEM fails before anything is dialled."""
    with pytest.raises(CallError) as caught:
        await caller.post(service(1, b"garbage"), b"{}", 5)
    assert str(caught.value) == (
        "could not get REST client: unable to load root certificates: unable to parse bytes as PEM block"
    )


async def test_nobody_listens(authority: Pair, caller: HttpsCaller) -> None:
    """A refused connection is told with its address."""
    target = Target(url="https://127.0.0.1:1/x", ca_bundle=authority.certificate)
    with pytest.raises(CallError) as caught:
        await caller.post(target, b"{}", 5)
    failing(caught, target, "dial tcp 127.0.0.1:1: connect: connection refused")
    assert target.address(5) == "https://127.0.0.1:1/x?timeout=5s"


async def test_slow(authority: Pair, caller: HttpsCaller) -> None:
    """A webhook that does not answer in time has exceeded its deadline."""
    async with listening(make_leaf(authority, [NAME], NOW), delay=1) as (port, _):
        with pytest.raises(CallError) as caught:
            await caller.post(service(port, authority.certificate), b"{}", 1)
        failing(caught, service(port, authority.certificate), "context deadline exceeded", 1)


SERVICE: JSON = {"spec": {"clusterIP": "10.0.0.9", "ports": [{"port": 443, "targetPort": 9443}]}}


@pytest.mark.parametrize(
    ("spec", "port", "found"),
    [
        (SERVICE["spec"], 443, ("10.0.0.9", 443)),
        ({**SERVICE["spec"], "type": "NodePort"}, 443, ("10.0.0.9", 443)),
        ({"type": "ExternalName", "externalName": "host.example"}, 8443, ("host.example", 8443)),
        (SERVICE["spec"], 80, 'no service port 80 found for service "s"'),
        ({**SERVICE["spec"], "clusterIP": "None"}, 443, 'cannot route to service with ClusterIP "None"'),
        ({"type": "Odd"}, 443, 'unsupported service type "Odd"'),
        (None, 443, 'service "s" not found'),
    ],
)
def test_services(spec: JSON | None, port: int, found: tuple[str, int] | str) -> None:
    """A Service leads to its cluster IP or external name, or says why it leads nowhere."""
    resolve = ServiceResolver(lambda _namespace, _name: None if spec is None else {"spec": spec})
    if isinstance(found, tuple):
        assert resolve("n", "s", port) == found
        return
    with pytest.raises(ServiceError) as caught:
        resolve("n", "s", port)
    assert str(caught.value) == found


def test_service_with_a_backend() -> None:
    """Where something really listens behind a Service, that is where traffic goes."""
    asked: list[tuple[str, str, int]] = []

    def backend(namespace: str, name: str, port: int) -> tuple[str, int]:
        asked.append((namespace, name, port))
        return "127.0.0.1", 12345

    assert ServiceResolver(lambda *_: SERVICE, backend)("n", "s", 443) == ("127.0.0.1", 12345)
    assert asked == [("n", "s", 9443)]
