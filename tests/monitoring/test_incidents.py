"""Incidents staged in virtual time: the alert fires for the right set, its remedy is carried out, and it resolves."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hack.alerts import ALERTS, PLACES

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws.manager.certificates import note_read
from lws.planning.leaderworkerset import sets
from lws.webhook.certificate import ServingCertificate
from lws.webhook.certs import make_ca, make_leaf
from lws_sandbox import virtual_time as vt
from tests.acceptance.disaggregatedset.site import B, roles
from tests.api.disaggregatedset.making import manifest as made
from tests.monitoring.promtool import Story, check
from tests.monitoring.scraping import Scraper, scraped
from tests.monitoring.wire import Wire
from tests.simulation.cluster import Cluster, manifest

pytestmark = pytest.mark.long

SET = {"namespace": "default", "name": "web"}
US = {"job": PLACES["job"], "namespace": PLACES["namespace"]}
OTHERS = [alert.name for alert in ALERTS]


class Site:
    """A cluster with two replicas that are scraped, and their wires."""

    def __init__(self, cluster: Cluster, scraper: Scraper, wires: list[Wire]) -> None:
        self.cluster = cluster
        self.scraper = scraper
        self.wires = wires

    async def create(self, **spec: Any) -> None:
        """Create the set."""
        await self.cluster.client.create(LEADERWORKERSETS, manifest("web", **spec))

    async def drill(self, drill: str, **arguments: Any) -> None:
        """Have something happen."""
        await self.cluster.drills.run(drill, arguments)

    async def pods(self) -> dict[str, tuple[str, str]]:
        """UID and node of every pod."""
        return {
            each["metadata"]["name"]: (each["metadata"]["uid"], each["spec"].get("nodeName", ""))
            for each in await self.cluster.all(PODS)
        }


@asynccontextmanager
async def site(**arguments: Any) -> AsyncIterator[Site]:
    """A cluster whose controller has begun to work."""
    wires = [Wire(), Wire()]
    async with Cluster(elect=True, **arguments) as cluster, scraped(cluster, *(each.wrap for each in wires)) as scraper:
        await scraper.wait(60)
        yield Site(cluster, scraper, wires)


async def not_ready() -> Story:
    """No node takes pods; remedy: uncordon, as explain-stuck says."""
    async with site() as here:
        nodes = [f"node-{number}" for number in range(4)]
        for node in nodes:
            await here.drill("node.cordon", name=node)
        await here.create()
        early = await here.scraper.wait(1740)
        late = await here.scraper.wait(660)
        for node in nodes:
            await here.drill("node.uncordon", name=node)
        await here.cluster.available("web")
        after = await here.scraper.wait(600)
        return here.scraper.story().silent(early, after, alerts=OTHERS).fires("LWSSetNotReady", late, **SET)


async def blocked() -> Story:
    """A StatefulSet of somebody else has the set's name; remedy: delete it."""
    async with site() as here:
        pod = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
        spec = {"replicas": 0, "serviceName": "x", "selector": {"matchLabels": {"app": "x"}}, "template": pod}
        foreign = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
        await here.cluster.client.create(STATEFULSETS, foreign)
        await here.create()
        during = await here.scraper.wait(600)
        await here.cluster.client.delete(STATEFULSETS, "default", "web")
        await here.cluster.available("web")
        after = await here.scraper.wait(600)
        return here.scraper.story().fires("LWSSetBlocked", during, **SET).silent(after, alerts=OTHERS)


async def failing() -> Story:
    """Every write of a worker StatefulSet is refused by a quota; remedy: raise it."""
    async with site() as here:
        for wire in here.wires:
            wire.refused = {"statefulsets"}
        await here.create()
        during = await here.scraper.wait(900)
        for wire in here.wires:
            wire.refused = set()
        await here.cluster.available("web", seconds=1500)
        after = await here.scraper.wait(900)
        return here.scraper.story().fires("LWSSetFailing", during, **SET).silent(after, alerts=OTHERS)


async def crash_looping() -> Story:
    """A group fails every four minutes on a bad node; remedy: cordon it, and the group goes elsewhere, alone."""
    async with site() as here:
        await here.create()
        await here.cluster.available("web")
        before = await here.pods()
        for _ in range(3):
            during = await here.scraper.wait(240)
            await here.drill("pod.crash", name="web-0-1")
        during = await here.scraper.wait(60)
        bad = before["web-0-1"][1]
        await here.drill("node.cordon", name=bad)
        await here.drill("pod.crash", name="web-0-1")
        await here.cluster.available("web")
        now = await here.pods()
        assert all(now[name] == before[name] for name in before if name.startswith("web-1"))
        assert now["web-0-1"][1] != bad
        after = await here.scraper.wait(3600 + 1200)
        return here.scraper.story().fires("LWSGroupCrashLooping", during, **SET).silent(after, alerts=OTHERS)


async def stalled() -> Story:
    """A new LeaderWorkerSet is deleted amid a rollout, and a foreign finalizer keeps it; remedy: take that off."""
    async with site(disaggregated=True) as here:
        client, target = here.cluster.client, f"web-0-{B}-decode"

        async def begun() -> bool:
            return await here.cluster.get(LEADERWORKERSETS, target) is not None

        body = made(*roles(3, 3), name="web")
        await client.create(DISAGGREGATEDSETS, {**body, "metadata": {"name": "web", "namespace": "default"}})
        await here.scraper.wait(300)
        await client.patch(DISAGGREGATEDSETS, "default", "web", {"spec": {"roles": roles(3, 3, "3.10")}})
        await here.cluster.until(begun)
        await client.patch(LEADERWORKERSETS, "default", target, {"metadata": {"finalizers": ["example.com/slow"]}})
        await client.delete(LEADERWORKERSETS, "default", target)
        early = await here.scraper.wait(600)
        during = await here.scraper.wait(600)
        await client.patch(LEADERWORKERSETS, "default", target, {"metadata": {"finalizers": []}})
        after = await here.scraper.wait(900)
        story = here.scraper.story().fires("LWSDisaggregatedSetStalled", during, **SET)
        return story.silent(early, after, alerts=OTHERS).silent(during, alerts=["LWSSetNotReady"])


async def not_leading() -> Story:
    """No replica may write the lease; remedy: apply the rights again."""
    async with site() as here:
        for wire in here.wires:
            wire.refused = {"leases"}
        during = await here.scraper.wait(600)
        for wire in here.wires:
            wire.refused = set()
        after = await here.scraper.wait(300)
        return here.scraper.story().fires("LWSControllerNotLeading", during, **US).silent(after, alerts=OTHERS)


async def stuck() -> Story:
    """Writes of StatefulSets hang until they are given up; remedy: the API server answers in time again."""
    async with site() as here:
        for wire in here.wires:
            wire.hanging = {"statefulsets"}
        for number in range(120):
            await here.cluster.client.create(LEADERWORKERSETS, manifest(f"web-{number}", replicas=0))
        during = await here.scraper.wait(690)
        for wire in here.wires:
            wire.hanging = set()
        after = await here.scraper.wait(900)
        story = here.scraper.story().fires("LWSControllerStuck", during, controller="leaderworkerset", **US)
        return story.silent(after, alerts=OTHERS)


async def down() -> Story:
    """No replica runs; remedy: have them run."""
    async with site() as here:
        for replica in here.scraper.replicas:
            replica.wanted = False
            assert replica.running is not None
            await replica.running.stop()
        during = await here.scraper.wait(600)
        for replica in here.scraper.replicas:
            replica.wanted = True
        after = await here.scraper.wait(300)
        story = here.scraper.story().fires("LWSMetricsMissing", during, **US)
        return story.silent(after, alerts=OTHERS).silent(during, alerts=["LWSControllerNotLeading"])


async def one_replica_down() -> Story:
    """The standby does not run; remedy: have it run."""
    async with site() as here:
        lost = here.scraper.replicas[1]
        assert lost.running is not None
        lost.wanted = False
        await lost.running.stop()
        during = await here.scraper.wait(900)
        lost.wanted = True
        after = await here.scraper.wait(300)
        story = here.scraper.story().fires("LWSReplicaMissing", during, pod="lws-b", instance="b", **US)
        return story.silent(after, alerts=OTHERS).silent(
            during, alerts=["LWSControllerNotLeading", "LWSMetricsMissing"]
        )


async def many_errors() -> Story:
    """A quota refuses the StatefulSets of many sets; remedy, as the log names it: raise the quota."""
    async with site() as here:
        for wire in here.wires:
            wire.refused = {"statefulsets"}
        for number in range(45):
            await here.cluster.client.create(LEADERWORKERSETS, manifest(f"web-{number}", replicas=0))
        during = await here.scraper.wait(900)
        for wire in here.wires:
            wire.refused = set()
        after = await here.scraper.wait(1800)
        story = here.scraper.story().fires("LWSReconcileErrors", during, controller="leaderworkerset", **US)
        return story.silent(after, alerts=OTHERS)


async def panics() -> Story:
    """A planner fails at one set in a way nobody foresaw; remedy: the release that is mended, after a report."""
    roll = sets._roll

    def broken(seen: Any, now: Any) -> Any:
        if seen.snapshot.lws.metadata.name == "web":
            raise ZeroDivisionError
        return roll(seen, now)

    async with site() as here:
        with patch.object(sets, "_roll", broken):
            await here.create()
            during = await here.scraper.wait(120)
        await here.cluster.available("web", seconds=1500)
        after = await here.scraper.wait(2400)
        return here.scraper.story().fires("LWSControllerPanics", during, **US).silent(after, alerts=OTHERS)


async def slow() -> Story:
    """The event loop gets no CPU for two seconds of every three; remedy: it gets enough again."""
    async with site() as here:
        watching = [
            asyncio.create_task(each.running.operator.watchdog.run())
            for each in here.scraper.replicas
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
        after = await here.scraper.wait(600)
        for each in watching:
            each.cancel()
        assert during - begin > 600
        story = here.scraper.story().silent(after, alerts=OTHERS)
        story.firing.append((during, "LWSEventLoopSlow", [{"pod": f"lws-{name}", **US} for name in "ab"]))
        return story


async def certificate() -> Story:
    """What is mounted is not renewed until days before its end; remedy: a new one is mounted, and served."""
    with tempfile.TemporaryDirectory() as name:
        async with site() as here:
            (replica, *_), folder = here.scraper.replicas, Path(name)
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
            early = await here.scraper.wait(1800)
            during = await here.scraper.wait(2400)
            mounted(timedelta())
            after = await here.scraper.wait(300)
            reading.cancel()
            story = here.scraper.story().silent(early, after, alerts=OTHERS)
            return story.fires("LWSCertificateExpiring", during, certificate="serving", **US)


INCIDENTS = {
    each.__name__: each
    for each in (
        *(not_ready, blocked, failing, crash_looping, stalled, not_leading, stuck, down),
        *(one_replica_down, many_errors, panics, slow, certificate),
    )
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("incident", INCIDENTS)
def test_an_incident_fires_and_its_remedy_resolves_it(tmp_path: Path, incident: str) -> None:
    """What is wrong is named by the set's own namespace and name; after the remedy nothing fires any more."""
    story: Coroutine[Any, Any, Story] = INCIDENTS[incident]()
    check(tmp_path, vt.run(story))


async def frozen() -> tuple[Story, list[int]]:
    """The API server answers nothing for ten minutes; how many series of the set each scrape had meanwhile."""
    async with site() as here:
        await here.create()
        await here.cluster.available("web")
        await here.scraper.wait(120)
        for wire in here.wires:
            wire.freeze()
        begin = round(here.scraper.now / 30) + 1
        during = await here.scraper.wait(600)
        for wire in here.wires:
            wire.thaw()
        after = await here.scraper.wait(600)
        end = round(during / 30)
        series = [values for name, values in here.scraper.series.items() if name.startswith("lws_groups_ready{")]
        numbers = [sum(values[at] is not None for values in series) for at in range(begin, end + 1)]
        story = here.scraper.story().silent(after, alerts=OTHERS)
        firing = 'count(ALERTS{alertname="LWSWatchFailing",alertstate="firing"}) > bool 0'
        return story.asks(firing, during, {"{}": 1}), numbers


def test_an_api_server_that_does_not_answer_is_told_and_hides_no_set(tmp_path: Path) -> None:
    """For ten minutes every scrape has the set's series, from the standby's caches, and the silence is alarmed."""
    story, numbers = vt.run(frozen())
    assert len(numbers) == 20
    assert min(numbers) >= 1
    check(tmp_path, story)
