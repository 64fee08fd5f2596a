"""Half an hour of normal life, and incidents, in virtual time: what the shipped alerts make of what is scraped."""

from __future__ import annotations

from pathlib import Path

import pytest
from hack.alerts import EVERY

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws_sandbox import virtual_time as vt
from tests.monitoring.promtool import INTERVAL, Story, check
from tests.monitoring.scraping import Replica, Wrap, installed, scraping
from tests.simulation.cluster import Cluster, manifest

pytestmark = pytest.mark.long

EVERY_ALERT = [alert.name for alert in EVERY]


def straight() -> Wrap:
    """A transport that nothing happens to."""
    return lambda transport: transport


def leader(replicas: list[Replica]) -> Replica:
    """The replica that leads."""
    return next(each for each in replicas if each.running is not None and each.running.operator.leading)


async def edit(cluster: Cluster, name: str, **spec: object) -> None:
    """Change the spec of a set as a user does."""
    found = await cluster.client.get(LEADERWORKERSETS, "default", name)
    found["spec"] |= spec
    await cluster.client.update(LEADERWORKERSETS, found)


async def normal_life() -> Story:
    """Create, scale, update, SIGTERM and kill -9 of the leader, idle, delete: 30 minutes."""
    async with (
        Cluster(elect=True) as cluster,
        installed(cluster, straight(), straight()) as (_, replicas),
        scraping(cluster.clock, replicas) as scraper,
    ):
        await scraper.wait(60)
        for name in ("one", "two"):
            await cluster.client.create(LEADERWORKERSETS, manifest(name, replicas=3))
        await scraper.wait(240)
        await edit(cluster, "one", replicas=5)
        await scraper.wait(120)
        template = manifest(image="app:2")["spec"]["leaderWorkerTemplate"]
        await edit(cluster, "one", leaderWorkerTemplate=template)
        await scraper.wait(60)
        terminated = leader(replicas).running
        assert terminated is not None
        await terminated.stop()
        await scraper.wait(300)
        killed = leader(replicas).running
        assert killed is not None
        await killed.crash()
        await scraper.wait(300)
        await edit(cluster, "two", replicas=1)
        await scraper.wait(300)
        await cluster.client.delete(LEADERWORKERSETS, "default", "two")
        await scraper.wait(420)
        return scraper.story()


def test_half_an_hour_of_normal_life_is_silent(tmp_path: Path) -> None:
    """Nothing fires while sets come, grow, roll, shrink and go, and leaders are stopped and killed."""
    story = vt.run(normal_life())
    length = max(map(len, story.series.values()))
    assert length * INTERVAL >= 1800
    assert sum(name.startswith("lws_groups_ready{") for name in story.series) == 4  # two sets, of two replicas
    check(tmp_path, story.silent(*range(0, length * INTERVAL, INTERVAL), alerts=EVERY_ALERT))
