"""The admission webhook of a controller process: handlers, certificate, server, health checks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Final

import structlog

from lws.api.leaderworkerset.pods import Avoided, nowhere
from lws.api.leaderworkerset.schedulingrules import NOTHING, Support
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.manager.certificates import note_read, self_signed
from lws.manager.metrics import Metrics
from lws.manager.settings import Settings
from lws.runtime.health import Health
from lws.runtime.lifetimes import Service, background
from lws.webhook.certificate import CERTIFICATE_FILE, ServingCertificate
from lws.webhook.certs import CA_VALIDITY, LEAF_VALIDITY
from lws.webhook.handlers import AdmissionHandlers
from lws.webhook.registration import LocalRegistration
from lws.webhook.rotation import CertificateRotator
from lws.webhook.server import WebhookServer

CERTIFICATE_SECONDS: Final = 60.0  # how long the start waits for a certificate
_log = structlog.stdlib.get_logger("lws.manager")


class Admission:
    """Everything about admission in one process.

    Args:
        settings: where to listen, whose certificates to serve.
        client: reaches the Secret and the webhook configurations; not fenced, every replica serves.
        clock: validity of certificates.
        random: jitter.
        metrics: where to count.
        scheduling: tells what there is for typed scheduling.
        avoided: tells which hosts a new pod had better avoid.
    """

    def __init__(
        self,
        settings: Settings,
        client: ApiClient,
        *,
        clock: Clock,
        random: Random,
        metrics: Metrics,
        scheduling: Callable[[], Support] = lambda: NOTHING,
        avoided: Avoided = nowhere,
    ) -> None:
        configuration = settings.configuration
        policy = configuration.tls.policy
        self.certificate = ServingCertificate(minimum_version=policy.minimum_version, ciphers=policy.ciphers)
        handlers = AdmissionHandlers(
            gang=settings.gang_schedulers,
            observer=metrics.webhook,
            random=random,
            scheduling=scheduling,
            avoided=avoided,
        )
        metrics.webhook.expect(sorted(handlers.paths))
        self.server = WebhookServer(
            handlers,
            self.certificate,
            clock=clock,
            host=configuration.webhook.host,
            port=configuration.webhook.port,
            observer=metrics.webhook,
        )
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._directory = Path(configuration.webhook.cert_dir)
        own = configuration.internal_cert_management.enable and not settings.development
        self._rotator = self._make_rotator(client, random) if own else None
        self._registration = self._make_registration(client) if settings.local_webhook_host else None
        self._leaving_since: float | None = None  # monotonic

    def handle_review(self, path: str, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
        """Answer one AdmissionReview without a socket: HTTP status and body."""
        return self.server.handle_review(path, body, content_type)

    def leave(self) -> None:
        """Begin to go: the notice runs from now, and every answer ends its connection. Idempotent."""
        if self._leaving_since is None:
            self._leaving_since = self._clock.monotonic()
            self.server.leave()

    def services(self, *, sockets: bool) -> list[Service]:
        """What must run for it, in order."""
        if not self._settings.webhooks:
            _log.warning(
                "admission is off: pods stay without identity labels and environment, groups do not form;"
                " unset ENABLE_WEBHOOKS unless another process admits them"
            )
            return []
        if not sockets:
            return []
        webhook = Service("webhook", self._serve, stop_seconds=11.0 + self._settings.notice)
        registered = [Service("webhook registration", self._register)] if self._registration is not None else []
        return [self._certificates(), webhook, *registered]

    def add_checks(self, readyz: Health, *, sockets: bool) -> None:
        """Add its readiness checks."""
        if not (self._settings.webhooks and sockets):
            return
        readyz.add("webhook", lambda: None if self.server.listening else "the webhook does not listen")
        readyz.add("certificate", self._distrust)

    def _make_rotator(self, client: ApiClient, random: Random) -> CertificateRotator:
        managed = self._settings.configuration.internal_cert_management
        return CertificateRotator(
            client,
            self.certificate,
            clock=self._clock,
            random=random,
            namespace=self._settings.namespace,
            secret=managed.webhook_secret_name,
            service=managed.webhook_service_name,
            observe=self._observe_ends,
            compute=asyncio.to_thread,  # it runs beside sockets only
        )

    def _make_registration(self, client: ApiClient) -> LocalRegistration:
        webhook = self._settings.configuration.webhook
        host = self._settings.local_webhook_host
        return LocalRegistration(client, self.server.endpoints, host=host, port=webhook.port)

    async def _register(self, ready: Callable[[], None]) -> None:
        """Have API servers ask this process for as long as it runs."""
        assert self._registration is not None
        try:
            await self.certificate.wait_loaded()
            await self._registration.register(self.certificate.certificate or b"")
            ready()
            await asyncio.get_running_loop().create_future()
        finally:
            await self._registration.withdraw()

    def _distrust(self) -> str | None:
        """Why an API server may not trust the certificate that is served."""
        if self.certificate.certificate is None:
            return (self._rotator and self._rotator.fault) or f"there is no serving certificate in {self._directory}"
        return self._rotator.fault if self._rotator is not None else None

    def _certificates(self) -> Service:
        if self._rotator is not None:
            return Service("certificates", self._rotate)
        mounted = (self._directory / CERTIFICATE_FILE).exists() and self._registration is None
        if self._settings.development and not mounted:
            return background("certificates", self._development_certificate)
        return Service("certificates", self._watch_files)

    async def _development_certificate(self) -> None:
        """Serve a self-signed certificate: outside a cluster none is mounted, and no API server knows ours."""
        if self.certificate.certificate is None:
            names = ("localhost", *filter(None, [self._settings.local_webhook_host]))
            pair = self_signed(names, self._clock.now(), self._settings.configuration.tls.policy.ciphers)
            self.certificate.load(pair.certificate, pair.key)
        if self._registration is None:
            _log.warning(
                "running outside a cluster: unless a webhook configuration points to this process, the API server does"
                " not ask it, and pods stay without identity labels and environment; --serve-webhooks-locally"
                " registers one"
            )
        await asyncio.get_running_loop().create_future()

    async def _rotate(self, ready: Callable[[], None]) -> None:
        """Rotate our own certificates. Ready once there is one, or after `CERTIFICATE_SECONDS`."""
        assert self._rotator is not None
        rotating = asyncio.create_task(self._rotator.run(), name="certificate rotation")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CERTIFICATE_SECONDS):
                    await self.certificate.wait_loaded()
            if self.certificate.certificate is None:
                _log.error("no serving certificate yet, starting without one", cause=self._rotator.fault)
            ready()
            await rotating
        finally:
            rotating.cancel()
            await asyncio.gather(rotating, return_exceptions=True)

    def _observe_ends(self, leaf: datetime, authority: datetime) -> None:
        self._metrics.certificate_expiry.labels("serving").set(leaf.timestamp())
        self._metrics.certificate_expiry.labels("authority").set(authority.timestamp())
        self._metrics.certificate_lifetime.labels("serving").set(LEAF_VALIDITY.total_seconds())
        self._metrics.certificate_lifetime.labels("authority").set(CA_VALIDITY.total_seconds())

    async def _watch_files(self, ready: Callable[[], None]) -> None:
        def observe(good: bool) -> None:
            note_read(self._metrics, "serving", self.certificate.certificate, good=good)

        ready()
        await self.certificate.watch(self._directory, observe=observe)

    async def _serve(self, ready: Callable[[], None]) -> None:
        await self.server.start()
        ready()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            # A refused connection is a rejected pod. A second cancellation cuts the notice short.
            self.leave()
            try:
                await asyncio.sleep(self._notice_left())
            finally:
                await self.server.stop()

    def _notice_left(self) -> float:
        assert self._leaving_since is not None
        return max(0.0, self._leaving_since + self._settings.notice - self._clock.monotonic())
