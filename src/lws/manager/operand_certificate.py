"""The certificate of the operator's own metrics port (operator, decision a).

On OpenShift the platform makes it and it is mounted; elsewhere the operator keeps an authority and a leaf in a Secret
of its own, by the code by which the operand keeps its own, so that scrapers can verify it by ``ca.crt``.

Guarantees: there is a certificate from the first moment, self-signed until the real one is there.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Final

import structlog

from lws.api.operand import names
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import LwsError
from lws.manager.certificates import note_read, self_signed
from lws.manager.metrics import Metrics
from lws.manager.settings import METRICS_CERTIFICATES
from lws.reconcilers.operand.apis import OPENSHIFT_GROUP, OptionalApis
from lws.runtime.lifetimes import Service, background
from lws.webhook.certificate import CERTIFICATE_FILE, ServingCertificate
from lws.webhook.rotation import CertificateRotator

LOOK_SECONDS: Final = 10.0
_log = structlog.stdlib.get_logger("lws.operand")


class OperatorCertificate:
    """Keeps one; see the module for its guarantees.

    Args:
        client: reaches the Secret.
        apis: tells whether this is OpenShift.
        namespace: of the Secret and the Service.
        platform: ``openshift`` or ``kubernetes``; empty to ask.
        clock: validity.
        random: jitter.
        metrics: where to export when the certificate ends.
        mounted: where a certificate of the platform is mounted.
    """

    def __init__(
        self,
        client: ApiClient,
        apis: OptionalApis,
        namespace: str,
        platform: str,
        *,
        clock: Clock,
        random: Random,
        metrics: Metrics,
        mounted: Path = Path(METRICS_CERTIFICATES),
    ) -> None:
        self.serving = ServingCertificate()
        self._apis = apis
        self._platform = platform
        self._clock = clock
        self._metrics = metrics
        self._mounted = mounted
        self._rotator = CertificateRotator(
            client,
            self.serving,
            clock=clock,
            random=random,
            namespace=namespace,
            secret=names.OPERATOR_METRICS_SECRET,
            service=names.OPERATOR_METRICS_SERVICE,
            configurations=(),
            observe=lambda _leaf, _authority: self._note(good=True),
        )

    def service(self) -> Service:
        """Have a certificate at once, and keep it."""
        return background("metrics certificate", self.run)

    async def run(self) -> None:
        """Keep it until cancelled."""
        pair = self_signed(("localhost",), self._clock.now())
        self.serving.load(pair.certificate, pair.key)
        if not await self._openshift():
            await self._rotator.run()
        while not (self._mounted / CERTIFICATE_FILE).exists():  # noqa: ASYNC110 -- nobody tells of files
            await asyncio.sleep(LOOK_SECONDS)
        await self.serving.watch(self._mounted, observe=lambda good: self._note(good=good))

    async def _openshift(self) -> bool:
        while not self._platform:
            try:
                return OPENSHIFT_GROUP in await self._apis.served()
            except LwsError as error:
                _log.debug("it is not known yet who makes the metrics certificate", cause=str(error))
                await asyncio.sleep(LOOK_SECONDS)
        return self._platform == "openshift"

    def _note(self, *, good: bool) -> None:
        note_read(self._metrics, "metrics", self.serving.certificate, good=good)
