"""The ports for probes and metrics, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from lws.client.api import ApiClient
from lws.clock import SystemClock
from lws.errors import ConfigurationError
from lws.manager import metrics_certificate
from lws.manager.certificates import self_signed
from lws.manager.endpoints import metrics_endpoint, probes
from lws.manager.metrics import Metrics
from lws.manager.settings import Configuration, HealthEndpoint, Settings
from lws.runtime.health import Health
from lws.runtime.lifetimes import Service
from lws.runtime.servers import parse_address
from tests.manager.test_authorize import Reviews


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[None]:
    """Run a service until it is no longer needed."""
    ready = asyncio.Event()
    task = asyncio.ensure_future(service.run(ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        await task
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def get(url: str, **options: object) -> tuple[int, str]:
    """Status and text of an answer."""
    async with aiohttp.ClientSession() as session, session.get(url, **options) as answer:  # type: ignore[arg-type]
        return answer.status, await answer.text()


def metrics_service(settings: Settings, client: ApiClient, metrics: Metrics) -> Service:
    """The metrics port, with one client for everything."""
    return metrics_endpoint(settings, client, client, metrics, clock=SystemClock())


def configuration(port: int, **tls: object) -> Settings:
    """Settings of a run outside a cluster whose metrics are on this port."""
    found = Configuration.model_validate({"metrics": {"bindAddress": f"127.0.0.1:{port}"}, "tls": tls})
    return Settings(configuration=found, development=True)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (":8081", (None, 8081)),
        ("127.0.0.1:8081", ("127.0.0.1", 8081)),
        ("[::1]:8081", ("::1", 8081)),
        ("localhost:0", ("localhost", 0)),
        ("0", None),
    ],
)
def test_addresses_are_read_as_go_reads_them(address: str, expected: object) -> None:
    """Host and port, host alone left out, an IPv6 address in brackets; 0 is nowhere."""
    assert parse_address(address, "x") == expected


@pytest.mark.parametrize("address", ["", "8081", ":", ":http", ":70000", ":８０８１", "a:b:c:"])
def test_what_is_no_address_names_its_setting(address: str) -> None:
    """A malformed address is an error that names the setting."""
    with pytest.raises(ConfigurationError, match=r"metrics\.bindAddress"):
        parse_address(address, "metrics.bindAddress")


async def test_probes_answer_under_the_configured_names() -> None:
    """Readiness and liveness answer under their configured paths, with and without details, and check by check."""
    port = free_port()
    readyz, healthz = Health("readyz"), Health("healthz")
    readyz.add("caches", lambda: "not synced: pods")
    endpoint = HealthEndpoint.model_validate(
        {
            "healthProbeBindAddress": f"127.0.0.1:{port}",
            "readinessEndpointName": "/test",
            "livenessEndpointName": "live",
        }
    )
    async with serving(probes(endpoint, readyz, healthz)):
        base = f"http://127.0.0.1:{port}"
        assert await get(f"{base}/live") == (200, "ok")
        assert await get(f"{base}/live?verbose") == (200, "[+]ping ok\nhealthz check passed\n")
        status, text = await get(f"{base}/test")
        assert status == 500
        assert "[-]caches failed: not synced: pods" in text
        assert (await get(f"{base}/test?exclude=caches"))[0] == 200
        assert await get(f"{base}/test/caches") == (500, "not synced: pods\n")
        assert (await get(f"{base}/test/nonsense"))[0] == 404
        assert (await get(f"{base}/elsewhere"))[0] == 404


async def test_a_port_in_use_names_its_setting() -> None:
    """A port that somebody else listens on is an error that names the setting and the remedy."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        endpoint = HealthEndpoint.model_validate({"healthProbeBindAddress": address})
        with pytest.raises(ConfigurationError, match=r"health\.healthProbeBindAddress.*free the port or set another"):
            async with serving(probes(endpoint, Health("readyz"), Health("healthz"))):
                pass


async def test_a_port_can_be_turned_off() -> None:
    """The address 0 opens no port, and the service is ready all the same."""
    endpoint = HealthEndpoint.model_validate({"healthProbeBindAddress": "0"})
    async with serving(probes(endpoint, Health("readyz"), Health("healthz"))):
        pass


@pytest.mark.parametrize(
    ("case", "expected"), [("none", 401), ("unknown", 401), ("refused", 403), ("down", 500), ("allowed", 200)]
)
async def test_metrics_are_for_those_who_may(case: str, expected: int) -> None:
    """No token is 401, no permission 403, no review API 500; who may reads the metrics in the text format."""
    port = free_port()
    reviews = Reviews()
    reviews.authenticated = case != "unknown"
    reviews.allowed = case != "refused"
    reviews.gone = case == "down"
    service = metrics_service(configuration(port), ApiClient(reviews, user_agent="test", field_manager=None), Metrics())
    headers = {} if case == "none" else {"Authorization": "Bearer abc"}
    async with serving(service):
        status, text = await get(f"https://127.0.0.1:{port}/metrics", headers=headers, ssl=False)
    assert status == expected
    assert ("# HELP workqueue_depth" in text) == (expected == 200)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "welcome"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
async def test_tls_below_12_is_refused(version: ssl.TLSVersion, welcome: bool) -> None:
    """Handshakes of TLS 1.0 and 1.1 fail, those of 1.2 and 1.3 succeed."""
    port = free_port()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    service = metrics_service(
        configuration(port), ApiClient(Reviews(), user_agent="test", field_manager=None), Metrics()
    )
    async with serving(service):
        assert await handshake(port, context) is welcome


async def test_a_minimum_of_13_is_kept() -> None:
    """With tls.minVersion VersionTLS13 a client of TLS 1.2 is refused."""
    port = free_port()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    settings = configuration(port, minVersion="VersionTLS13")
    service = metrics_service(settings, ApiClient(Reviews(), user_agent="test", field_manager=None), Metrics())
    async with serving(service):
        assert not await handshake(port, context)


async def test_a_mounted_certificate_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With tls.crt and tls.key in their folder, the metrics are served with them."""
    pair = self_signed(("metrics.test",), datetime.now(UTC))
    (tmp_path / "tls.crt").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(pair.key)
    monkeypatch.setattr(metrics_certificate, "METRICS_CERTIFICATES", str(tmp_path))
    port = free_port()
    metrics = Metrics()
    service = metrics_service(configuration(port), ApiClient(Reviews(), user_agent="test", field_manager=None), metrics)
    context = ssl.create_default_context(cadata=pair.certificate.decode())
    async with serving(service):
        assert await handshake(port, context, name="metrics.test")
    name = "lws_certificate_expiry_timestamp_seconds"
    ends = metrics.registry.get_sample_value(name, {"certificate": "metrics"}) or 0
    assert ends == pytest.approx(datetime.now(UTC).timestamp() + 365 * 86400, abs=3700)
    assert metrics.registry.get_sample_value("certwatcher_read_certificate_total") == 1


async def handshake(port: int, context: ssl.SSLContext, name: str = "") -> bool:
    """Whether a TLS handshake succeeds."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name or None)
    except (ssl.SSLError, ConnectionError):
        return False
    writer.close()
    try:
        await writer.wait_closed()
    except (ssl.SSLError, ConnectionError):
        return False
    return True
