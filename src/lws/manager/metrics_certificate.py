"""The certificate of the metrics port (operations 4).

What is mounted under ``/tmp/k8s-metrics-server/serving-certs`` is served as it is. Otherwise, where the controller
keeps its own certificates, the authority in their Secret signs a leaf for the metrics Service, so that scrapers can
verify it by the ``ca.crt`` beside it. Until there is one, and outside a cluster, the certificate is self-signed.

Guarantees: there is a certificate from the first moment; a new authority is followed within a minute; the leaf is
renewed 90 days before its end. A container that is restarted while the API server does not answer serves the leaf that
it had, not one that scrapers refuse.
"""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Final

import structlog

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import SECRETS
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import LwsError
from lws.manager.certificates import keep, kept, note_read, self_signed
from lws.manager.metrics import Metrics
from lws.manager.settings import METRICS_CERTIFICATES, Settings
from lws.runtime.lifetimes import Service, background
from lws.webhook.certificate import CERTIFICATE_FILE, ServingCertificate
from lws.webhook.certs import CertificateError, Pair, is_due, make_leaf, read_certificates
from lws.webhook.keychain import Keychain
from lws.webhook.rotation import Compute, at_once

LOOK_SECONDS: Final = 60.0
FIRST_LOOK_SECONDS: Final = 1.0  # between looks while the Secret is not there yet
_log = structlog.stdlib.get_logger("lws.manager")


class MetricsCertificate:
    """Keeps one; see the module for its guarantees.

    Args:
        settings: where the Secret is, and whether it is ours.
        client: reads the Secret.
        clock: validity.
        metrics: where to export when the certificate ends.
        compute: calls what makes keys, as `CertificateRotator` has it.
    """

    def __init__(
        self, settings: Settings, client: ApiClient, *, clock: Clock, metrics: Metrics, compute: Compute = at_once
    ) -> None:
        configuration = settings.configuration
        policy = configuration.tls.policy
        self._ciphers = policy.ciphers
        self.serving = ServingCertificate(minimum_version=policy.minimum_version, ciphers=policy.ciphers)
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._compute = compute
        self._managed = configuration.internal_cert_management
        self._namespace = settings.namespace
        self._own = self._managed.enable and settings.webhooks and not settings.development
        self._copy = Path(settings.scratch) / "metrics" if settings.scratch and self._own else None
        self._authority = b""  # that signed what is served

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names of the metrics Service, which is named after the webhook's unless it is configured."""
        prefix = self._managed.webhook_service_name.removesuffix("webhook-service")
        name = self._managed.metrics_service_name or f"{prefix}controller-manager-metrics-service"
        service = f"{name}.{self._namespace}.svc"
        return service, f"{service}.cluster.local"

    async def run(self) -> None:
        """Keep it until cancelled."""
        directory = Path(METRICS_CERTIFICATES)
        if (directory / CERTIFICATE_FILE).exists():
            await self.serving.watch(directory, observe=lambda good: self._note(good=good))
        elif self._own:
            await self._follow()
        else:
            await asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Have a certificate at once, if none is mounted."""
        if (Path(METRICS_CERTIFICATES) / CERTIFICATE_FILE).exists():
            return
        now = self._clock.now()
        copy = None if self._copy is None else kept(self._copy, self.names, now)
        pair = copy or self_signed(("localhost",), now, self._ciphers)
        self.serving.load(pair.certificate, pair.key)
        if copy is not None:
            self._note(good=True)
            _log.info("metrics certificate of before the restart loaded", names=self.names)

    def service(self) -> Service:
        """Have a certificate at once, and keep it."""

        async def run() -> None:
            self.begin()
            await self.run()

        return background("metrics certificate", run)

    async def _follow(self) -> None:
        while True:
            try:
                await self._look()
            except (LwsError, CertificateError) as error:
                _log.debug("no authority signs the metrics certificate yet", cause=str(error))
            await asyncio.sleep(LOOK_SECONDS if self._authority else FIRST_LOOK_SECONDS)

    async def _look(self) -> None:
        """Sign anew if the authority is another or the leaf is due."""
        secret = await self._client.get(SECRETS, self._namespace, self._managed.webhook_secret_name)
        authority = Keychain.from_data(_decoded(secret)).ca
        if self._authority == authority.certificate and not self._due():
            return
        leaf = await self._compute(make_leaf, authority, self.names, self._clock.now())
        self.serving.load(leaf.certificate, leaf.key)
        self._authority = authority.certificate
        self._note(good=True)
        _log.info("metrics certificate signed", names=self.names)
        self._keep(leaf)

    def _keep(self, leaf: Pair) -> None:
        if self._copy is None:
            return
        try:
            keep(self._copy, leaf)
        except OSError as error:
            _log.warning("the metrics certificate will not outlive a restart of the container", cause=str(error))

    def _due(self) -> bool:
        served = self.serving.certificate
        return served is None or is_due(read_certificates(served)[0], self._clock.now())

    def _note(self, *, good: bool) -> None:
        note_read(self._metrics, "metrics", self.serving.certificate, good=good)


def _decoded(secret: JSON) -> dict[str, bytes]:
    data = secret.get("data") or {}
    try:
        return {name: base64.b64decode(value, validate=True) for name, value in data.items()}
    except (ValueError, TypeError) as error:
        raise CertificateError("the Secret cannot be read") from error
