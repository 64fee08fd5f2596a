"""Alerts about the controller itself, and about what it needs."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
from hack.alerts import PLACES

from lws.apimachinery.resources import LEASES
from lws.client.transport import Request
from lws.errors import ServerError
from lws.manager.certificates import note_read
from lws.manager.settings import LEASE_NAME
from lws.planning.leaderworkerset import sets
from lws.webhook.certificate import ServingCertificate
from lws.webhook.certs import make_ca, make_leaf
from lws_sandbox import virtual_time as vt
from tests.manager.test_permissions import RBAC, documents
from tests.monitoring.incidents.staging import QUIET, US, Incident, Site, site, staged
from tests.monitoring.promtool import INTERVAL, Story
from tests.simulation.cluster import Cluster


async def lose_rights(here: Site, *names: str) -> None:
    """Delete these bindings of ours, and end every watch, as the API server does by itself within an hour."""
    for body in documents():
        if body["metadata"]["name"] in names:
            meta = body["metadata"]
            await here.client.delete(RBAC[body["kind"]], meta.get("namespace", ""), meta["name"])
    await here.drill("api.break")


async def apply_rights(here: Site) -> None:
    """Apply config/rbac again."""
    for body in documents():
        await here.client.apply(RBAC[body["kind"]], body, field_manager="kubectl")


@staged("LWSControllerNotLeading", "`Forbidden`: apply `config/rbac` again")
async def no_right_to_the_lease() -> Story:
    """No replica may write the lease."""
    async with site() as here:
        await lose_rights(here, "lws-leader-election-rolebinding")
        during = await here.wait(600)
        await apply_rights(here)
        after = await here.wait(300)
        return here.story().fires("LWSControllerNotLeading", during, **US).silent(after, alerts=QUIET)


@staged("LWSControllerNotLeading", "a second installation uses the same lease; remove one of them")
async def second_installation() -> Story:
    """Somebody else holds the lease, and renews it."""

    async def hold(here: Site) -> None:
        while True:
            lease = await here.client.get(LEASES, PLACES["namespace"], LEASE_NAME)
            now = here.cluster.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            lease["spec"] |= {"holderIdentity": "another", "renewTime": now}
            await here.client.update(LEASES, lease)
            await asyncio.sleep(1)

    async with site() as here:
        holding = asyncio.create_task(hold(here))
        during = await here.wait(600)
        holding.cancel()
        after = await here.wait(300)
        return here.story().fires("LWSControllerNotLeading", during, **US).silent(after, alerts=QUIET)


async def _many(here: Site, count: int) -> None:
    for number in range(count):
        await here.create(f"web-{number}", replicas=0)


@staged("LWSControllerStuck", "Usually the API server, etcd or a third-party webhook is slow")
async def slow_api_server() -> Story:
    """Writes of StatefulSets hang until they are given up, until the API server answers in time again."""
    async with site() as here:
        for wire in here.wires:
            wire.hanging = {"statefulsets"}
        await _many(here, 120)
        during = await here.wait(690)
        for wire in here.wires:
            wire.hanging = set()
        after = await here.wait(900)
        story = here.story().fires("LWSControllerStuck", during, controller="leaderworkerset", **US)
        return story.silent(after, alerts=QUIET)


@staged("LWSControllerStuck", "`kubectl -n lws-system delete pod POD`; another takes over")
async def slow_way_of_the_leader() -> Story:
    """Only the leader's writes of StatefulSets hang."""
    async with site() as here:
        leader = here.leader
        here.wires[here.replicas.index(leader)].hanging = {"statefulsets"}
        await _many(here, 120)
        during = await here.wait(690)
        assert leader.running is not None
        await leader.running.stop()
        after = await here.wait(900)
        assert here.leader is not leader
        story = here.story().fires("LWSControllerStuck", during, controller="leaderworkerset", **US)
        return story.silent(after, alerts=QUIET)


@staged("LWSReconcileErrors", "See [LWSSetFailing](#lwssetfailing); with many sets the\ncause is mostly common to them")
async def many_errors() -> Story:
    """A quota refuses the StatefulSets of many sets, until it is raised."""
    async with site() as here:
        for wire in here.wires:
            wire.refused = {"statefulsets"}
        await _many(here, 45)
        during = await here.wait(900)
        for wire in here.wires:
            wire.refused = set()
        after = await here.wait(1800)
        story = here.story().fires("LWSReconcileErrors", during, controller="leaderworkerset", **US)
        return story.silent(after, alerts=QUIET)


@staged("LWSControllerPanics", "Report the traceback with the set that it names")
async def panics() -> Story:
    """A planner fails at one set in a way nobody foresaw, until the release in which that is mended."""
    roll = sets._roll

    def broken(seen: Any, now: Any) -> Any:
        if seen.snapshot.lws.metadata.name == "web":
            raise ZeroDivisionError
        return roll(seen, now)

    async with site() as here:
        with patch.object(sets, "_roll", broken):
            await here.create()
            during = await here.wait(120)
        await here.available(1500)
        after = await here.wait(2400)
        return here.story().fires("LWSControllerPanics", during, **US).silent(after, alerts=QUIET)


NEEDED: Final = {
    *("leaderworkersets.leaderworkerset.x-k8s.io", "statefulsets.apps", "controllerrevisions.apps"),
    *("pods", "services", "nodes"),
}
OPTIONAL: Final = {"deployments.apps"}  # without which the controller works on


def _watches_fail(story: Story, at: float, resources: set[str]) -> Story:
    """At this time the alert fires for each of these resources, and for nothing else."""
    story.firing.append((at, "LWSWatchFailing", [{"resource": each, **US} for each in sorted(resources)]))
    return story


@staged("LWSWatchFailing", "`Forbidden`: apply `config/rbac` again")
async def no_right_to_watch() -> Story:
    """The controller may read nothing any more."""
    async with site() as here:
        await lose_rights(here, "lws-manager-rolebinding")
        early = await here.wait(120)
        during = await here.wait(480)
        await apply_rights(here)
        after = await here.wait(600)
        return _watches_fail(here.story().silent(early, after, alerts=QUIET), during, NEEDED)


@staged("LWSWatchFailing", "No answer: the API server, or the network between")
async def frozen() -> Story:
    """The API server answers nothing for ten minutes; scrapes are answered all the time, and have the set's series."""
    async with site() as here:
        await here.create()
        await here.available()
        await here.wait(120)
        led = here.leader
        for wire in here.wires:
            wire.freeze()
        begin = round(here.scraper.now / INTERVAL) + 1
        during = await here.wait(600)
        for wire in here.wires:
            wire.thaw()
        after = await here.wait(600)
        scrapes = range(begin, round(during / INTERVAL) + 1)
        assert len(scrapes) == 20
        assert _there(here.scraper.series, "lws_groups_ready{", scrapes)[0] >= 1
        # The leader is restarted, and knows its scrapers: of all its scrapes one may have met nobody.
        restarted = [values for name, values in here.scraper.series.items() if _up(name, led.name)]
        assert sum(values[at] == 1 for values in restarted for at in scrapes) >= len(scrapes) - 1
        return _watches_fail(here.story().silent(after, alerts=QUIET), during, NEEDED | OPTIONAL)


def _up(name: str, instance: str) -> bool:
    return name.startswith("up{") and f'instance="{instance}"' in name


def _there(series: Mapping[str, Any], metric: str, scrapes: Iterable[int]) -> tuple[int, int]:
    """The least and the greatest number of series of a metric in a scrape."""
    found = [values for name, values in series.items() if name.startswith(metric)]
    numbers = [sum(values[at] is not None for values in found) for at in scrapes]
    return min(numbers), max(numbers)


@staged("LWSEventLoopSlow", "kubectl -n lws-system set resources deployment/lws-controller-manager --requests=cpu=1")
async def no_cpu() -> Story:
    """The event loop gets no CPU for two seconds of every three, until it gets enough."""
    async with site() as here:
        watching = [
            asyncio.create_task(each.running.operator.watchdog.run())
            for each in here.replicas
            if each.running is not None
        ]
        loop = asyncio.get_running_loop()
        assert isinstance(loop, vt.VirtualTimeLoop)
        end = loop.time() + 1500
        begin = here.scraper.now
        while loop.time() < end:
            await asyncio.sleep(1)
            loop.advance(2)
        during = here.scraper.now
        after = await here.wait(600)
        for each in watching:
            each.cancel()
        assert during - begin > 600
        story = here.story().silent(after, alerts=QUIET)
        story.firing.append((during, "LWSEventLoopSlow", [{"pod": f"lws-{name}", **US} for name in "ab"]))
        return story


@staged("LWSMetricsMissing", "kubectl -n lws-system get pods")
async def down() -> Story:
    """No replica runs, until they do."""
    async with site() as here:
        for replica in here.replicas:
            replica.wanted = False
            assert replica.running is not None
            await replica.running.stop()
        during = await here.wait(600)
        for replica in here.replicas:
            replica.wanted = True
        after = await here.wait(300)
        story = here.story().fires("LWSMetricsMissing", during, **US)
        return story.silent(after, alerts=QUIET).silent(during, alerts=["LWSControllerNotLeading"])


@staged("LWSMetricsMissing", "apply `config/prometheus` again")
async def scraper_without_right() -> Story:
    """The API server does not let Prometheus read metrics, which is not mistaken for a lost leader."""
    async with site() as here:
        await here.account.unbind()
        during = await here.wait(600)
        await here.account.bind()
        after = await here.wait(300)
        story = here.story().fires("LWSMetricsMissing", during, **US)
        return story.silent(after, alerts=QUIET).silent(during, alerts=["LWSControllerNotLeading"])


@staged("LWSReplicaMissing", "kubectl -n lws-system describe pod POD")
async def one_replica_down() -> Story:
    """The standby does not run, until it does."""
    async with site() as here:
        lost = next(each for each in here.replicas if each is not here.leader)
        assert lost.running is not None
        lost.wanted = False
        await lost.running.stop()
        during = await here.wait(900)
        lost.wanted = True
        after = await here.wait(300)
        story = here.story().fires("LWSReplicaMissing", during, pod=f"lws-{lost.name}", instance=lost.name, **US)
        return story.silent(after, alerts=QUIET).silent(during, alerts=["LWSControllerNotLeading", "LWSMetricsMissing"])


@staged("LWSCertificateExpiring", "With cert-manager:\n`kubectl -n lws-system describe certificate`")
async def certificate() -> Story:
    """What is mounted is not renewed until days before its end; then a new one is mounted, and served."""
    with tempfile.TemporaryDirectory() as name:
        async with site() as here:
            (replica, *_), folder = here.replicas, Path(name)
            assert replica.running is not None
            metrics, now = replica.running.operator.metrics, here.cluster.clock.now()
            serving = ServingCertificate()

            def note(good: bool) -> None:
                note_read(metrics, "serving", serving.certificate, good=good)

            def mounted(begin: timedelta) -> None:
                pair = make_leaf(make_ca(now + begin), ["lws-webhook-service.lws-system.svc"], now + begin)
                (folder / "tls.crt").write_bytes(pair.certificate)
                (folder / "tls.key").write_bytes(pair.key)

            mounted(timedelta(days=-360))
            reading = asyncio.create_task(serving.watch(folder, observe=note))
            early = await here.wait(1800)
            during = await here.wait(2400)
            mounted(timedelta())
            after = await here.wait(300)
            reading.cancel()
            story = here.story().silent(early, after, alerts=QUIET)
            return story.fires("LWSCertificateExpiring", during, certificate="serving", **US)


class ApiServer:
    """The API server's own metrics, scraped by somebody who may."""

    def __init__(self, cluster: Cluster) -> None:
        self.labels: Mapping[str, str] = {"job": "apiserver", "instance": "api"}
        self._transport = cluster.sandbox.transport()

    async def exposition(self) -> bytes | None:
        """What a scrape gets."""
        return (await self._transport.send(Request("GET", "/metrics"))).body


async def _refused(here: Site, times: int) -> None:
    """Have creations of sets be refused by the API server, which cannot ask."""
    for number in range(times):
        with pytest.raises(ServerError, match="failed calling webhook"):
            await here.create(f"web-{number}")


@staged("LWSAdmissionFailing", "have the pods run: `kubectl -n lws-system describe pods`")
async def no_endpoints() -> Story:
    """The Service of the webhook has no endpoint, until pods run."""
    async with site(ApiServer) as here:
        webhooks, cluster = here.cluster.sandbox.local_webhooks, here.cluster
        webhooks.forget("system", "webhook-service")
        await _refused(here, 5)
        during = await here.wait(60)
        cluster.serve_webhooks()
        await here.create()
        await here.available()
        after = await here.wait(3000)
        story = here.story().fires("LWSAdmissionFailing", during, name="mleaderworkerset.kb.io")
        return story.silent(after, alerts=QUIET)


@staged("LWSAdmissionFailing", "the log names the bundle that cannot be written: apply `config/rbac` again")
async def untrusted_webhook() -> Story:
    """The API server does not trust the certificate of the webhook, whose bundle nobody may write."""
    async with site(ApiServer) as here:
        cluster = here.cluster
        cluster.serve_webhooks(distrust="certificate signed by unknown authority")
        await _refused(here, 5)
        during = await here.wait(60)
        cluster.serve_webhooks()
        await here.create()
        await here.available()
        after = await here.wait(3000)
        story = here.story().fires("LWSAdmissionFailing", during, name="mleaderworkerset.kb.io")
        return story.silent(after, alerts=QUIET)


INCIDENTS: Final[tuple[Incident, ...]] = (
    *(no_right_to_the_lease, second_installation, slow_api_server, slow_way_of_the_leader, many_errors, panics),
    *(no_right_to_watch, frozen, no_cpu, down, scraper_without_right, one_replica_down, certificate),
    *(no_endpoints, untrusted_webhook),
)
