"""Where incidents are staged: a cluster with two replicas that are scraped, and their ways to the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from hack.alerts import ALERTS, API_SERVER_ALERTS, PLACES

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS
from tests.cli.sessions import Plugin
from tests.monitoring.promtool import Story
from tests.monitoring.scraping import Account, Replica, Scraper, Target, installed, scraping
from tests.monitoring.wire import Wire
from tests.simulation.cluster import NAMESPACE, Cluster, manifest

SET: Final = {"namespace": NAMESPACE, "name": "web"}
US: Final = {"job": PLACES["job"], "namespace": PLACES["namespace"]}
QUIET: Final = [alert.name for alert in (*ALERTS, *API_SERVER_ALERTS)]  # which have to be silent when all is well
Play = Callable[[], Coroutine[Any, Any, Story]]


@dataclass(frozen=True)
class Incident:
    """An alert that is made to fire, and its remedy, carried out.

    Attributes:
        alert: which one.
        remedy: words of its runbook that say what is done.
        play: stages it; the story says when the alert fires and that it is silent once all is well again.
    """

    alert: str
    remedy: str
    play: Play

    @property
    def name(self) -> str:
        """For a test's name."""
        return self.play.__name__


def staged(alert: str, remedy: str) -> Callable[[Play], Incident]:
    """The function stages this alert, and carries out this remedy of its runbook."""
    return lambda play: Incident(alert, remedy, play)


class Site:
    """A cluster with two replicas that are scraped, and their wires."""

    def __init__(
        self, cluster: Cluster, account: Account, replicas: list[Replica], scraper: Scraper, wires: list[Wire]
    ) -> None:
        self.cluster = cluster
        self.account = account
        self.replicas = replicas
        self.scraper = scraper
        self.wires = wires
        self.client = cluster.client
        self.wait = scraper.wait
        self._plugin = Plugin(cluster.client)

    @property
    def leader(self) -> Replica:
        """The replica that leads."""
        return next(each for each in self.replicas if each.running is not None and each.running.operator.leading)

    def story(self) -> Story:
        """What was scraped."""
        return self.scraper.story()

    async def create(self, name: str = "web", **spec: Any) -> None:
        """Create a set."""
        await self.client.create(LEADERWORKERSETS, manifest(name, **spec))

    async def patch(self, **patch: Any) -> None:
        """Change the set as ``kubectl patch`` does."""
        await self.client.patch(LEADERWORKERSETS, NAMESPACE, "web", patch)

    async def lws(self, line: str) -> None:
        """Run a command of ``kubectl lws``, which has to succeed."""
        told = await self._plugin.run(line)
        assert self._plugin.code == 0, (told, self._plugin.errors)

    async def drill(self, drill: str, **arguments: Any) -> None:
        """Have something happen."""
        await self.cluster.drills.run(drill, arguments)

    async def available(self, seconds: float = 600.0) -> None:
        """Wait until the set is."""
        await self.cluster.available("web", seconds=seconds)

    async def pods(self) -> dict[str, tuple[str, str]]:
        """UID and node of every pod."""
        return {
            each["metadata"]["name"]: (each["metadata"]["uid"], each["spec"].get("nodeName", ""))
            for each in await self.cluster.all(PODS)
        }


@asynccontextmanager
async def site(*others: Callable[[Cluster], Target], **arguments: Any) -> AsyncIterator[Site]:
    """A cluster whose controller has begun to work; the others are scraped too."""
    wires = [Wire(), Wire()]
    async with (
        Cluster(elect=True, **arguments) as cluster,
        installed(cluster, *(each.wrap for each in wires)) as (account, replicas),
        scraping(cluster.clock, [*replicas, *(each(cluster) for each in others)]) as scraper,
    ):
        await scraper.wait(60)
        yield Site(cluster, account, replicas, scraper, wires)
