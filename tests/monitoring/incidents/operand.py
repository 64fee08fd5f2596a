"""Alerts about what the operator installed, out of the operator's own metrics."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from hack.alerts import OPERATOR_ALERTS

from lws.api.operand import names
from lws.apimachinery.resources import SECRETS
from lws.webhook.certs import make_ca, make_leaf
from tests.acceptance.operand.certmanager import CertManager
from tests.acceptance.operand.ground import NAMESPACE, NEXT_IMAGE
from tests.acceptance.operand.site import Site
from tests.acceptance.operand.test_rollouts import image_of, release
from tests.monitoring.incidents.staging import Incident, staged
from tests.monitoring.promtool import Story
from tests.monitoring.scraping import Scraper, scraping

US: Final = {"job": "lws-operator-metrics-service", "namespace": NAMESPACE}
QUIET: Final = [alert.name for alert in OPERATOR_ALERTS]


class Operator:
    """The pod of the operator, whichever release runs in it."""

    def __init__(self, site: Site) -> None:
        self.labels: Mapping[str, str] = {**US, "pod": "operator", "instance": "operator"}
        self._site = site

    async def exposition(self) -> bytes | None:
        """What a scrape gets."""
        return self._site.operators[-1].operator.metrics.exposition() if self._site.operators else None


@asynccontextmanager
async def operated(**spec: object) -> AsyncIterator[tuple[Site, Scraper]]:
    """A site whose operator has installed all, and is scraped."""
    async with Site() as site:
        await site.installed(**spec)
        async with scraping(site.clock, [Operator(site)]) as scraper:
            await scraper.wait(60)
            yield site, scraper


async def cordon(site: Site) -> None:
    """Have no node take pods."""
    for number in range(2):
        await site.drills.node_cordon(f"node-{number}")


async def uncordon(site: Site) -> None:
    """Have both nodes take pods again."""
    for number in range(2):
        await site.drills.node_uncordon(f"node-{number}")


@staged("LWSOperandNotAvailable", "`kubectl uncordon NODE`")
async def no_pod_available() -> Story:
    """No node takes the pods of the operand."""
    async with operated() as (site, scraper):
        await cordon(site)
        for pod in await site.pods():
            await site.drills.pod_delete(pod["metadata"]["name"], NAMESPACE, grace=0)
        early = await scraper.wait(240)
        during = await scraper.wait(360)
        await uncordon(site)
        await site.settled()
        after = await scraper.wait(300)
        story = scraper.story().silent(early, after, alerts=QUIET)
        return story.fires("LWSOperandNotAvailable", during, **US)


@staged("LWSOperatorDegraded", "take the setting back or mend it: `kubectl edit leaderworkersetoperator cluster`")
async def invalid_configuration() -> Story:
    """An override is no member of the configuration."""
    async with operated() as (site, scraper):
        await site.edit(unsupportedConfigOverrides={"bogus": True})
        early = await scraper.wait(840)
        during = await scraper.wait(180)
        await site.edit(unsupportedConfigOverrides=None)
        await site.settled()
        after = await scraper.wait(300)
        story = scraper.story().silent(early, after, alerts=QUIET)
        return story.fires("LWSOperatorDegraded", during, **US)


@staged("LWSRolloutStuck", "If no node takes the new pods, `kubectl uncordon NODE`, or add nodes")
async def no_room_for_a_rollout() -> Story:
    """No node takes the pods of a release, whose rollout has an hour."""
    async with operated(rollout={"deadlineSeconds": 3600}) as (site, scraper):
        await cordon(site)
        await release(site, NEXT_IMAGE)
        early = await scraper.wait(1680)
        during = await scraper.wait(240)
        await uncordon(site)
        await site.settled()
        assert await image_of(site) == NEXT_IMAGE
        after = await scraper.wait(300)
        story = scraper.story().silent(early, alerts=["LWSRolloutStuck"]).silent(after, alerts=QUIET)
        return story.fires("LWSRolloutStuck", during, phase="RollingOut", **US)


@staged("LWSOperandCertificateExpiring", "delete the Secret that one of them fills")
async def certificate_not_renewed() -> Story:
    """Whoever fills the Secret of the serving certificate has not renewed it for a year but five days."""
    async with Site(definitions=["cert-manager"]) as site:
        manager = CertManager(site)
        await site.installed()
        now = site.clock.now() - timedelta(days=360)
        secret = await site.client.get(SECRETS, NAMESPACE, names.SERVING_SECRET)
        pair = make_leaf(make_ca(now), ["lws-webhook-service.openshift-lws-operator.svc"], now)
        data = {"tls.crt": pair.certificate, "tls.key": pair.key}
        secret["data"] |= {key: base64.b64encode(value).decode() for key, value in data.items()}
        await site.client.update(SECRETS, secret)
        async with scraping(site.clock, [Operator(site)]) as scraper:
            early = await scraper.wait(3000)
            during = await scraper.wait(1800)
            await site.client.delete(SECRETS, NAMESPACE, names.SERVING_SECRET)
            after = await scraper.wait(900)
        manager.task.cancel()
        story = scraper.story().silent(early, after, alerts=QUIET)
        return story.fires("LWSOperandCertificateExpiring", during, certificate="webhook", **US)


@staged("LWSWebhookProbeFailing", "a firewall or NetworkPolicy keeps the API server from port 9443")
async def webhook_out_of_reach() -> Story:
    """All pods are Ready, and the API server does not reach them, until it may."""
    async with operated() as (site, scraper):
        site.reachable = False
        early = await scraper.wait(240)
        during = await scraper.wait(360)
        site.reachable = True
        await site.becomes("Available", "True")
        after = await scraper.wait(300)
        story = scraper.story().silent(early, after, alerts=QUIET)
        return story.fires("LWSWebhookProbeFailing", during, **US).fires("LWSOperandNotAvailable", during, **US)


INCIDENTS: Final[tuple[Incident, ...]] = (
    *(no_pod_available, invalid_configuration, no_room_for_a_rollout, certificate_not_renewed, webhook_out_of_reach),
)
