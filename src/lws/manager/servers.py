"""The ports for probes and metrics.

Guarantees: a port that cannot be opened is an error that names its setting; metrics are served over TLS to callers whom
the API server authenticates and authorises, and to nobody else (operations 4).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import ConfigurationError
from lws.manager.metrics_certificate import MetricsCertificate
from lws.manager.settings import HealthEndpoint, Settings
from lws.runtime.authorization import Refusal, Reviewer
from lws.runtime.health import Health, Report
from lws.runtime.lifetimes import Service
from lws.telemetry.metrics import Metrics

_log = structlog.stdlib.get_logger("lws.manager")
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def parse_address(address: str, setting: str) -> tuple[str | None, int] | None:
    """Host and port of ``:8081``, ``127.0.0.1:8081`` or ``[::1]:8081``; None if ``0`` turns the port off.

    Raises:
        ConfigurationError: it is none of these.
    """
    if address == "0":
        return None
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f"{setting}: {address!r} is no address; write :8081 or 127.0.0.1:8081, or 0 for none")
    return host.strip("[]") or None, int(port)


def health_server(settings: HealthEndpoint, readyz: Health, healthz: Health) -> Service:
    """Answers probes over plain HTTP, each check also under its own path."""
    app = web.Application()
    for name, health in (
        (settings.readiness_endpoint_name, readyz),
        (settings.liveness_endpoint_name, healthz),
    ):
        path = "/" + name.strip("/")
        app.router.add_get(path, _probe(health))
        app.router.add_get(path + "/{check}", _probe(health))
    setting = "health.healthProbeBindAddress"
    return Service("health", _server(app, settings.health_probe_bind_address, setting))


def metrics_server(settings: Settings, client: ApiClient, metrics: Metrics, *, clock: Clock) -> Service:
    """Serves ``/metrics`` over TLS to those who may read it."""
    reviewer = Reviewer(client, clock)
    certificate = MetricsCertificate(settings, client, clock=clock, metrics=metrics)

    async def scrape(request: web.Request) -> web.Response:
        refusal = await reviewer.review(request.headers.get("Authorization", ""), request.path)
        if isinstance(refusal, Refusal):
            return web.Response(status=refusal.status, text=refusal.text + "\n")
        return web.Response(body=metrics.exposition(), headers={"Content-Type": _CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/metrics", scrape)
    address = settings.configuration.metrics.bind_address
    serve = _server(app, address, "metrics.bindAddress", certificate.serving.context)
    if address == "0":
        return Service("metrics", serve)

    async def run(ready: Callable[[], None]) -> None:
        certificate.begin()
        keeping = asyncio.create_task(certificate.run(), name="metrics certificate")
        try:
            await serve(ready)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    return Service("metrics", run)


def _probe(health: Health) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        check = request.match_info.get("check")
        if check is not None:
            return _answer(health.report_one(check))
        query = request.query
        return _answer(health.report(verbose="verbose" in query, exclude=query.getall("exclude", [])))

    return answer


def _answer(report: Report) -> web.Response:
    return web.Response(status=report.status, text=report.text, headers={"X-Content-Type-Options": "nosniff"})


def _server(
    app: web.Application, address: str, setting: str, context: ssl.SSLContext | None = None
) -> Callable[[Callable[[], None]], Awaitable[None]]:
    where = parse_address(address, setting)

    async def run(ready: Callable[[], None]) -> None:
        if where is None:
            ready()
            await asyncio.get_running_loop().create_future()
            return
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await _listen(runner, where, setting, context)
            ready()
            await asyncio.get_running_loop().create_future()
        finally:
            await runner.cleanup()

    return run


async def _listen(
    runner: web.AppRunner, where: tuple[str | None, int], setting: str, context: ssl.SSLContext | None
) -> None:
    host, port = where
    site = web.TCPSite(runner, host, port, ssl_context=context)
    try:
        await site.start()
    except OSError as error:
        cause = error.strerror or str(error)
        raise ConfigurationError(
            f"{setting}: cannot listen on {host or ''}:{port}: {cause}; free the port or set another address"
        ) from error
    _log.debug("listening", setting=setting, address=str(site.name))
