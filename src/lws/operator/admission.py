"""The admission webhook of an operator: handlers, certificate, server, and what its health says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

import structlog

from lws.client.api import ApiClient
from lws.clock import Clock
from lws.operator.selfsigned import self_signed
from lws.operator.settings import Settings
from lws.runtime.health import Health
from lws.runtime.manager import Service, background
from lws.telemetry.metrics import Metrics, WebhookMetrics
from lws.webhook.certificate import CERTIFICATE_FILE, ServingCertificate
from lws.webhook.handlers import AdmissionHandlers
from lws.webhook.server import WebhookServer

_log = structlog.stdlib.get_logger("lws.operator")


class Admission:
    """Everything about admission in one operator.

    Args:
        settings: where to listen, whose certificates to serve.
        client: reaches the Secret and the webhook configurations; not fenced, every replica serves.
        clock: validity of certificates.
        random: jitter.
        metrics: where to count.
    """

    def __init__(
        self, settings: Settings, client: ApiClient, *, clock: Clock, random: Random, metrics: Metrics
    ) -> None:
        configuration = settings.configuration
        policy = configuration.tls.policy
        self.certificate = ServingCertificate(minimum_version=policy.minimum_version, ciphers=policy.ciphers)
        self.server = WebhookServer(
            AdmissionHandlers(gang=settings.gang),
            self.certificate,
            clock=clock,
            host=configuration.webhook.host,
            port=configuration.webhook.port,
            observer=WebhookMetrics(metrics),
        )
        self._settings = settings
        self._client = client
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._directory = Path(configuration.webhook.cert_dir)

    def handle_review(self, path: str, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
        """Answer one AdmissionReview without a socket: HTTP status and body."""
        return self.server.handle_review(path, body, content_type)

    def services(self, *, sockets: bool) -> list[Service]:
        """What must run for it, in order."""
        if not self._settings.webhooks:
            _log.warning("admission is off: pods stay without identity labels and environment, groups do not form")
            return []
        if not sockets:
            return []
        return [self._certificates(), Service("webhook", self._serve, stop_seconds=11.0)]

    def add_checks(self, readyz: Health, _healthz: Health, *, sockets: bool) -> None:
        """Have health tell the truth about it."""
        if not (self._settings.webhooks and sockets):
            return
        readyz.add("webhook", lambda: None if self.server.listening else "the webhook does not listen")
        readyz.add("certificate", lambda: None if self.certificate.certificate else "there is no serving certificate")

    def _certificates(self) -> Service:
        if self._settings.development and not (self._directory / CERTIFICATE_FILE).exists():
            return background("certificates", self._development_certificate)
        return Service("certificates", self._watch_files)

    async def _development_certificate(self) -> None:
        """Outside a cluster nobody hands us a certificate, and the API server of the cluster cannot know ours."""
        if self.certificate.certificate is None:
            pair = self_signed(("localhost",), self._clock.now())
            self.certificate.load(pair.certificate, pair.key)
        _log.warning(
            "running outside a cluster: unless a webhook configuration points to this process, the API server does not"
            " ask it, and pods stay without identity labels and environment"
        )
        await asyncio.get_running_loop().create_future()

    async def _watch_files(self, ready: Callable[[], None]) -> None:
        def observe(good: bool) -> None:
            (self._metrics.certificate_reads if good else self._metrics.certificate_read_errors).inc()

        ready()
        await self.certificate.watch(self._directory, observe=observe)

    async def _serve(self, ready: Callable[[], None]) -> None:
        await self.server.start()
        ready()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.server.stop()
