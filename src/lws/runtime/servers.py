"""The ports for probes and metrics.

Guarantees: a port that cannot be opened is an error that names its setting; metrics are served over TLS to callers whom
the API server authenticates and authorises, and to nobody else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web

from lws.errors import ConfigurationError
from lws.runtime.authorization import Refusal, Reviewer
from lws.runtime.health import Health, Report
from lws.runtime.lifetimes import Service
from lws.telemetry.metrics import MetricsRegistry

_log = structlog.stdlib.get_logger("lws.servers")
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


def health_server(address: str, setting: str, checks: Mapping[str, Health]) -> Service:
    """Answers probes over plain HTTP, each check also under its own path.

    Args:
        address: where to listen, as `parse_address` reads it.
        setting: names the address in errors.
        checks: what is answered, by its path.
    """
    app = web.Application()
    for name, health in checks.items():
        path = "/" + name.strip("/")
        app.router.add_get(path, _probe(health))
        app.router.add_get(path + "/{check}", _probe(health))
    return Service("health", _server(app, address, setting))


def metrics_server(
    address: str, setting: str, metrics: MetricsRegistry, reviewer: Reviewer, context: ssl.SSLContext | None
) -> Service:
    """Serves ``/metrics`` to those whom the reviewer lets read it.

    Args:
        address: where to listen, as `parse_address` reads it.
        setting: names the address in errors.
        metrics: what is served.
        reviewer: judges callers.
        context: TLS; plain HTTP if absent.
    """

    async def scrape(request: web.Request) -> web.Response:
        refusal = await reviewer.review(request.headers.get("Authorization", ""), request.path)
        if isinstance(refusal, Refusal):
            return web.Response(status=refusal.status, text=refusal.text + "\n")
        # Thousands of sets take a while to be collected and written down, and reconciles must not wait for that.
        body = await asyncio.to_thread(await metrics.collected())
        return web.Response(body=body, headers={"Content-Type": _CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/metrics", scrape)
    return Service("metrics", _server(app, address, setting, context))


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
