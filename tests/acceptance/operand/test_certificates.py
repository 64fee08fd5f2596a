"""Who makes the certificates, and changing it: A05 to A11."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.operand import names
from lws.api.operand.messages import MISSING_CERT_MANAGER
from lws.apimachinery.manifests import annotations_of
from lws.apimachinery.resources import (
    CERTIFICATES,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    ISSUERS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    SECRETS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from lws.errors import LwsError
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.acceptance.operand.certmanager import CertManager, Tls
from tests.acceptance.operand.ground import NAMESPACE, fixture, workload
from tests.acceptance.operand.site import Site
from tests.virtual import virtual_time

pytestmark = pytest.mark.long

# A real pod is Ready once it serves a certificate that is trusted, which takes it so long.
SLOW = Delays(ready=60.0)


@asynccontextmanager
async def admissions(site: Site) -> AsyncIterator[list[str]]:
    """Have a set admitted each second, dry; what was refused."""
    refused: list[str] = []

    async def admit() -> None:
        while True:
            try:
                await site.client.create(LEADERWORKERSETS, workload("dry"), dry_run=True)
            except LwsError as error:
                refused.append(f"{site.clock.monotonic():.0f}: {error}")
            await asyncio.sleep(1)

    task = asyncio.create_task(admit())
    try:
        yield refused
    finally:
        task.cancel()


@virtual_time
async def test_a05_without_cert_manager_nothing_is_applied() -> None:
    """A05: both conditions have the reference's type, reason and text, and no object of the operand is made."""
    async with Site() as site:
        await site.start()
        await site.apply_cr(certificates={"mode": "CertManager"})
        degraded = await site.becomes("Degraded", "True", "MissingDependency", seconds=5)
        assert degraded["message"] == MISSING_CERT_MANAGER
        sync = await site.condition("TargetConfigControllerDegraded")
        assert (sync["status"], sync["reason"], sync["message"]) == ("True", "SyncError", MISSING_CERT_MANAGER)
        await asyncio.sleep(600)
        assert {each.resource for each in site.counted()} == {f"{names.PLURAL}/status"}


@virtual_time
async def test_a06_a_cert_manager_that_comes_later_is_used_at_once() -> None:
    """A06: within 10 s of its definitions issuers and certificates are there; once issued, all is well."""
    async with Site() as site:
        await site.start()
        await site.apply_cr(certificates={"mode": "CertManager"})
        await site.becomes("Degraded", "True", "MissingDependency")
        await asyncio.sleep(1000)
        await site.define(fixture("cert-manager"))
        await asyncio.sleep(10)
        for name in (names.SERVING_CERTIFICATE, names.METRICS_CERTIFICATE):
            assert await site.get(CERTIFICATES, name) is not None
        assert await site.get(ISSUERS, names.ISSUER) is not None
        assert await site.get(DEPLOYMENTS, names.DEPLOYMENT) is None
        manager = CertManager(site)
        await site.becomes("Available", "True")
        assert await site.is_condition("Degraded", "False")
        assert await site.is_condition("TargetConfigControllerDegraded", "False")
        manager.task.cancel()


@virtual_time
async def test_a07_with_cert_manager_there_its_certificates_are_used() -> None:
    """A07: mode Auto makes Certificates into the reference's Secrets, and the annotations name the serving one."""
    async with Site(definitions=["cert-manager"]) as site:
        manager = CertManager(site)
        found = await site.installed()
        assert found["status"]["certificates"]["mode"] == "CertManager"
        for name, secret in (
            (names.SERVING_CERTIFICATE, "webhook-server-cert"),
            (names.METRICS_CERTIFICATE, "metrics-server-cert"),
        ):
            certificate = await site.get(CERTIFICATES, name)
            assert certificate is not None
            assert certificate["spec"]["secretName"] == secret
            assert NAMESPACE in certificate["spec"]["dnsNames"][0]
        for resource, name in (
            (MUTATINGWEBHOOKCONFIGURATIONS, names.MUTATING),
            (VALIDATINGWEBHOOKCONFIGURATIONS, names.VALIDATING),
        ):
            hooks = await site.get(resource, name)
            assert hooks is not None
            assert annotations_of(hooks)[names.INJECT_CA] == f"{NAMESPACE}/{names.SERVING_CERTIFICATE}"
        assert found["status"]["certificates"]["webhookNotAfter"]
        assert found["status"]["certificates"]["metricsNotAfter"]
        manager.task.cancel()


@virtual_time
async def test_a08_a_certificate_that_is_not_issued_is_told_with_its_own_words() -> None:
    """A08: after two minutes the cause quotes the Certificate's message; once issued it is gone."""
    async with Site(definitions=["cert-manager"]) as site:
        manager = CertManager(site, issuing=False)
        await site.start()
        await site.apply_cr()
        began = site.clock.monotonic()
        degraded = await site.becomes("Degraded", "True", "CertificateNotReady")
        assert site.clock.monotonic() - began >= 120
        assert manager.complaint in degraded["message"]
        assert await site.is_condition("Progressing", "True", "WaitingForCertificates")
        manager.issuing = True
        await site.becomes("Degraded", "False")
        await site.settled()
        manager.task.cancel()


@virtual_time
async def test_a09_a_cert_manager_that_comes_changes_nothing() -> None:
    """A09: an installation with its own certificates keeps them, and no pod restarts."""
    async with Site() as site:
        await site.installed()
        before = await site.deployment()
        await site.define(fixture("cert-manager"))
        await asyncio.sleep(400)
        assert (await site.operator())["status"]["certificates"]["mode"] == "Internal"
        assert (await site.deployment())["metadata"]["generation"] == before["metadata"]["generation"]
        assert await site.get(CERTIFICATES, names.SERVING_CERTIFICATE) is None


@virtual_time
async def test_a10_switching_refuses_no_admission() -> None:
    """A10: from cert-manager to own certificates and back no admission is refused, and nothing is left behind."""
    async with Site(definitions=["cert-manager"], delays=SLOW) as site:
        manager, tls = CertManager(site), Tls(site)
        await site.installed()
        await asyncio.sleep(60)
        async with admissions(site) as refused:
            await asyncio.sleep(30)
            assert refused == []
            await site.edit(certificates={"mode": "Internal"})
            await asyncio.sleep(30)
            await site.settled()
            await asyncio.sleep(120)
            assert refused == []
            for resource, name in (
                (ISSUERS, names.ISSUER),
                (CERTIFICATES, names.SERVING_CERTIFICATE),
                (CERTIFICATES, names.METRICS_CERTIFICATE),
                (SECRETS, names.SERVING_SECRET),
                (SECRETS, names.METRICS_SECRET),
            ):
                assert await site.get(resource, name) is None, name
            own = await site.get(SECRETS, names.INTERNAL_SECRET)
            assert own is not None
            assert "extra.crt" not in own["data"]
            await site.edit(certificates={"mode": "CertManager"})
            await asyncio.sleep(60)
            await site.settled()
            await asyncio.sleep(120)
            assert refused == []
            assert await site.get(SECRETS, names.INTERNAL_SECRET) is None
            assert (await site.operator())["status"]["certificates"]["mode"] == "CertManager"
        manager.task.cancel()
        await tls.stop()


@virtual_time
async def test_a11_a_cert_manager_that_is_gone_is_replaced_when_its_certificate_is_gone() -> None:
    """A11: the operand is left alone until the Secret is gone too; then it makes its own, and nothing is refused."""
    async with Site(definitions=["cert-manager"], delays=SLOW) as site:
        manager, tls = CertManager(site), Tls(site)
        await site.installed()
        await asyncio.sleep(60)
        manager.task.cancel()
        async with admissions(site) as refused:
            before = await site.deployment()
            for definition in fixture("cert-manager"):
                await site.client.delete(CUSTOMRESOURCEDEFINITIONS, "", definition["metadata"]["name"])
            await site.becomes("Degraded", "True", "MissingDependency")
            await asyncio.sleep(300)
            assert (await site.deployment())["metadata"]["generation"] == before["metadata"]["generation"]
            await site.client.delete(SECRETS, NAMESPACE, names.SERVING_SECRET)
            await site.becomes("Degraded", "False")
            await asyncio.sleep(30)
            await site.settled()
            await asyncio.sleep(120)
            assert (await site.operator())["status"]["certificates"]["mode"] == "Internal"
            assert await site.events("CertificatesSwitched")
            assert refused == []
        await tls.stop()
