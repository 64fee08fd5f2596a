"""The ports for probes and metrics, as the configuration file asks for them (operations 2, 4)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lws.client.api import ApiClient
from lws.clock import Clock
from lws.manager.metrics import Metrics
from lws.manager.metrics_certificate import MetricsCertificate
from lws.manager.settings import HealthEndpoint, Settings
from lws.runtime.allowances import Allowances
from lws.runtime.authorization import Reviewer
from lws.runtime.health import Health
from lws.runtime.lifetimes import Service, together
from lws.runtime.servers import health_server, metrics_server


def probes(settings: HealthEndpoint, readyz: Health, healthz: Health) -> Service:
    """Answers probes under the configured paths."""
    checks = {settings.readiness_endpoint_name: readyz, settings.liveness_endpoint_name: healthz}
    return health_server(settings.health_probe_bind_address, "health.healthProbeBindAddress", checks)


def metrics_endpoint(
    settings: Settings, client: ApiClient, reviews: ApiClient, metrics: Metrics, *, clock: Clock
) -> Service:
    """Serves metrics over TLS to those who may read them.

    Args:
        settings: the address, and whose certificate is served.
        client: reads the Secret whose authority signs the certificate.
        reviews: asks the API server about callers.
        metrics: what is served.
        clock: validity, and how long a review is remembered.
    """
    address, setting = settings.configuration.metrics.bind_address, "metrics.bindAddress"
    certificate = MetricsCertificate(settings, client, clock=clock, metrics=metrics, compute=asyncio.to_thread)
    reviewer = Reviewer(reviews, clock, allowances(settings, clock))
    server = metrics_server(address, setting, metrics, reviewer, certificate.serving.context)
    return server if address == "0" else together("metrics", [certificate.service(), server])


def allowances(settings: Settings, clock: Clock) -> Allowances | None:
    """Where it is kept who was allowed to read metrics; None where nothing outlives a restart."""
    return Allowances(Path(settings.scratch) / "scrapers.json", clock) if settings.scratch else None
