"""A cert-manager for the sandbox: fills the Secrets of Certificates, and injects authorities into webhooks."""

from __future__ import annotations

import asyncio
import base64
from random import Random

from lws.api.operand import names
from lws.apimachinery.manifests import JSON, annotations_of
from lws.apimachinery.resources import (
    CERTIFICATES,
    MUTATINGWEBHOOKCONFIGURATIONS,
    SECRETS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from lws.errors import AlreadyExistsError, ConflictError, NotFoundError, TooManyRequestsError
from lws.planning.operand.switching import mode_of
from lws.webhook.certificate import ServingCertificate
from lws.webhook.certs import Pair, make_ca, make_leaf
from lws.webhook.keychain import distrust
from lws.webhook.rotation import CertificateRotator
from lws_sandbox.admission.configuration import Target
from tests.acceptance.operand.ground import Ground

PERIOD = 1.0


class CertManager:
    """Does cert-manager's work once a second, as long as it is ``issuing``."""

    def __init__(self, site: Ground, *, issuing: bool = True) -> None:
        self._site = site
        self._authority: Pair | None = None
        self.issuing = issuing
        self.complaint = "the issuer is not there"
        self.task = asyncio.create_task(self._run(), name="cert-manager")

    async def _run(self) -> None:
        while True:
            try:
                await self._issue()
                await self._inject()
            except (NotFoundError, ConflictError, TooManyRequestsError):
                pass  # somebody was faster, or the definitions are not served yet; the next round sees
            await asyncio.sleep(PERIOD)

    async def _issue(self) -> None:
        client = self._site.client
        found = (await client.list(CERTIFICATES, self._site.namespace))["items"]
        for certificate in sorted(found, key=lambda each: not each["spec"].get("isCA")):
            if not self.issuing:
                await self._tell(certificate, ready=False)
                continue
            secret = await self._site.get(SECRETS, certificate["spec"]["secretName"])
            if secret is None:
                await self._fill(certificate)
            await self._tell(certificate, ready=True)

    async def _fill(self, certificate: JSON) -> None:
        now, spec = self._site.clock.now(), certificate["spec"]
        if spec.get("isCA") or self._authority is None:
            self._authority = make_ca(now)
        pair = self._authority if spec.get("isCA") else make_leaf(self._authority, spec["dnsNames"], now)
        data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": self._authority.certificate}
        name = certificate["metadata"]["name"]
        meta = {
            "name": spec["secretName"],
            "namespace": self._site.namespace,
            "annotations": {names.CERTIFICATE_NAME: name},
        }
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        try:
            await self._site.client.create(SECRETS, {"metadata": meta, "data": encoded})
        except AlreadyExistsError:
            return

    async def _tell(self, certificate: JSON, *, ready: bool) -> None:
        condition = {"type": "Ready", "status": str(ready), "message": "" if ready else self.complaint}
        status = {"conditions": [condition]}
        if certificate.get("status") != status:
            changed = {**certificate, "status": status}
            await self._site.client.update(CERTIFICATES, changed, subresource="status")

    async def _inject(self) -> None:
        """What its CA injector does: the annotation's certificate gives every hook its authority."""
        for resource, name in (
            (MUTATINGWEBHOOKCONFIGURATIONS, names.MUTATING),
            (VALIDATINGWEBHOOKCONFIGURATIONS, names.VALIDATING),
        ):
            found = await self._site.get(resource, name)
            if found is None or names.INJECT_CA not in annotations_of(found):
                continue
            secret = await self._site.get(SECRETS, names.SERVING_SECRET)
            bundle = ((secret or {}).get("data") or {}).get("ca.crt")
            hooks = [
                {**each, "clientConfig": {**each["clientConfig"], "caBundle": bundle}} for each in found["webhooks"]
            ]
            if bundle and hooks != found["webhooks"]:
                await self._site.client.update(resource, {**found, "webhooks": hooks}, field_manager="cainjector")


class Tls:
    """Serves the webhook by what its pods would, and refuses as a client does whom the bundle does not help."""

    def __init__(self, site: Ground) -> None:
        self._site = site
        self._serving = ServingCertificate()
        self._rotator = CertificateRotator(
            site.client,
            self._serving,
            clock=site.clock,
            random=Random(1),
            namespace=site.namespace,
        )
        self._rotating: asyncio.Task[None] | None = None
        self._watching = asyncio.create_task(self._watch(), name="pods of the operand")
        self._modes: frozenset[str] = frozenset()  # of Ready pods
        self._mounted = b""
        site.distrust = self.distrust

    async def _watch(self) -> None:
        """Keep what the pods of the operand would keep."""
        while True:
            there = {mode_of(pod["spec"]) for pod in await self._site.pods()}
            self._modes = frozenset(mode_of(pod["spec"]) for pod in await self._site.ready_pods())
            if "Internal" in there and self._rotating is None:
                self._rotating = asyncio.create_task(self._rotator.run(), name="rotation")
            if "Internal" not in there and self._rotating is not None:
                self._rotating.cancel()
                self._rotating = None
            secret = await self._site.get(SECRETS, names.SERVING_SECRET)
            if secret is not None:
                self._mounted = base64.b64decode(secret["data"]["tls.crt"])
            await asyncio.sleep(0.5)

    def distrust(self, target: Target) -> str:
        """Why a handshake with some Ready pod would fail; empty if none would."""
        host = (target.server_name,)
        for mode in self._modes:
            served = self._mounted if mode == "CertManager" else (self._serving.certificate or b"")
            if why := distrust(target.ca_bundle, served, host, self._site.clock.now()):
                return why
        return ""

    async def stop(self) -> None:
        """Let the pods be."""
        for task in (self._watching, self._rotating):
            if task is not None:
                task.cancel()
