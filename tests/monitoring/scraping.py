"""Scrapes what replicas export while they live in virtual time, and tells it to Prometheus' own rules.

Replicas are pods of a Deployment: they have their places, and one that ends is started again ten seconds later. They
answer whom the API server lets read metrics, as on their port.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

import yaml
from hack.alerts import PLACES
from prometheus_client.parser import text_string_to_metric_families

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES, SERVICEACCOUNTS, Resource
from lws.client.api import ApiClient
from lws.client.transport import Transport
from lws.clock import Clock
from lws.runtime.allowances import Allowances
from lws.runtime.authorization import Reviewer
from tests.manager.test_permissions import ACCOUNT, install
from tests.monitoring.promtool import INTERVAL, Samples, Series, Story
from tests.simulation.cluster import Cluster, Running
from tests.simulation.recording import Recording

ROOT: Final = Path(__file__).parents[2]
BINDING: Final = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
RESTART_SECONDS: Final = 10.0
SCRAPE_SECONDS: Final = 10.0  # after which a scrape is given up
# What only dashboards show is left out here, for there is much of it.
SKIPPED: Final = ("rest_client_", "workqueue_queue", "workqueue_work", "controller_runtime_reconcile_time")
Wrap = Callable[[Transport], Transport]


class Target(Protocol):
    """What is scraped.

    Attributes:
        labels: what Prometheus adds to its series.
    """

    labels: Mapping[str, str]

    async def exposition(self) -> bytes | None:
        """What a scrape gets; None if nobody answers."""
        ...


class Account:
    """Prometheus' ServiceAccount, with the right that config/prometheus gives it, and its token."""

    def __init__(self, cluster: Cluster) -> None:
        self._client = cluster.client
        self._binding = next(each for each in _documents("config/prometheus/role.yaml") if each["kind"] == BINDING.kind)
        self.token = ""

    async def install(self) -> None:
        """Have it, bound."""
        (subject,) = self._binding["subjects"]
        namespace, name = subject["namespace"], subject["name"]
        await self._client.create(NAMESPACES, {"metadata": {"name": namespace}})
        await self._client.create(SERVICEACCOUNTS, {"metadata": {"name": name, "namespace": namespace}})
        asked = {"spec": {"expirationSeconds": 7 * 86_400}}
        answer = await self._client.create(SERVICEACCOUNTS, asked, namespace=namespace, name=name, subresource="token")
        self.token = answer["status"]["token"]
        await self.bind()

    async def bind(self) -> None:
        """Apply config/prometheus, as far as the right goes."""
        await self._client.create(BINDING, self._binding)

    async def unbind(self) -> None:
        """Take the right away."""
        await self._client.delete(BINDING, "", self._binding["metadata"]["name"])


def _documents(path: str) -> list[JSON]:
    return list(yaml.safe_load_all((ROOT / path).read_text()))


class Replica:
    """A pod of the controller's Deployment, and who keeps it running.

    Args:
        cluster: where it runs.
        name: one letter.
        account: of whoever scrapes it, who is reviewed as on the port for metrics.
        scratch: a folder that outlives its containers.
        wrap: its way to the API server, on which it has the rights of its own account.
    """

    def __init__(self, cluster: Cluster, name: str, account: Account, scratch: Path, wrap: Wrap) -> None:
        self.name = name
        self.labels: Mapping[str, str] = {
            "job": PLACES["job"],
            "namespace": PLACES["namespace"],
            "pod": f"lws-{name}",
            "instance": name,
        }
        self.running: Running | None = None
        self.wanted = True
        self._cluster = cluster
        self._wrap = wrap
        self._account = account
        self._allowances = Allowances(scratch / name / "scrapers.json", cluster.clock)
        self._reviewer: Reviewer | None = None

    async def keep(self) -> None:
        """Start it, and again whenever it has ended."""
        while True:
            if self.wanted:
                self.running = await self._cluster.start(self._connect, ready=False)
                client = ApiClient(self.running.transport, user_agent="reviews", field_manager=None, timeout=10.0)
                self._reviewer = Reviewer(client, self._cluster.clock, self._allowances)
                await asyncio.wait([self.running.task])
                ended, self.running, self._reviewer = self.running, None, None
                await ended.stop()
            await asyncio.sleep(RESTART_SECONDS)

    def _connect(self, _: Transport) -> Transport:
        return self._wrap(Recording(self._cluster.sandbox.transport(ACCOUNT), self._cluster.writes))

    async def exposition(self) -> bytes | None:
        """What a scrape gets; None if it gets nothing."""
        if self._reviewer is None:
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(SCRAPE_SECONDS):
                refusal = await self._reviewer.review(f"Bearer {self._account.token}", "/metrics")
            if refusal is None and self.running is not None:
                return self.running.operator.metrics.exposition()
        return None


class Scraper:
    """Takes the place of Prometheus: every `INTERVAL` it asks every target, with ``honorLabels``."""

    def __init__(self, clock: Clock, targets: Sequence[Target]) -> None:
        self._targets = targets
        self._begin = clock.now().timestamp()
        self._scrapes = 0
        self._series: dict[str, list[float | None]] = {}

    @property
    def now(self) -> float:
        """The time of the last scrape, in seconds from the first."""
        return (self._scrapes - 1) * INTERVAL

    @property
    def series(self) -> Series:
        """Everything that was scraped."""
        return {name: self._filled(values) for name, values in self._series.items()}

    def story(self) -> Story:
        """A story of what was scraped."""
        return Story(self.series)

    async def run(self) -> None:
        """Scrape for ever."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while True:
            texts = await asyncio.gather(*(target.exposition() for target in self._targets))
            self._scrapes += 1
            for target, text in zip(self._targets, texts, strict=True):
                self._read(target.labels, text)
            await asyncio.sleep(begin + self._scrapes * INTERVAL - loop.time())

    async def wait(self, seconds: float) -> float:
        """Let time pass, until just after a scrape; returns its time."""
        end = self._scrapes + round(seconds / INTERVAL)
        while self._scrapes < end:  # noqa: ASYNC110 -- virtual time: a look costs nothing
            await asyncio.sleep(1)
        return self.now

    def _read(self, target: Mapping[str, str], text: bytes | None) -> None:
        self._note("up", target, 0.0 if text is None else 1.0)
        # Without types, for the parser would give counters names that Prometheus does not.
        lines = [line for line in (text or b"").decode().splitlines() if not line.startswith(("#", *SKIPPED))]
        for family in text_string_to_metric_families("\n".join([*lines, ""])):
            for sample in family.samples:
                self._note(sample.name, {**target, **sample.labels}, self._shifted(sample.name, sample.value))

    def _shifted(self, name: str, value: float) -> float:
        """Times are told from the first scrape on, for there promtool's clock begins."""
        return value - self._begin if name.endswith("_timestamp_seconds") and value else value

    def _note(self, name: str, labels: Mapping[str, str], value: float) -> None:
        written = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels))
        values = self._series.setdefault(f"{name}{{{written}}}", [])
        values += [None] * (self._scrapes - 1 - len(values))
        values.append(value)

    def _filled(self, values: list[float | None]) -> Samples:
        return [*values, *[None] * (self._scrapes - len(values))]


@asynccontextmanager
async def scraping(clock: Clock, targets: Sequence[Target]) -> AsyncIterator[Scraper]:
    """Scrape these until the end."""
    scraper = Scraper(clock, targets)
    async with _background([asyncio.create_task(scraper.run(), name="scraper")]):
        yield scraper


@asynccontextmanager
async def installed(cluster: Cluster, *wraps: Wrap) -> AsyncIterator[tuple[Account, list[Replica]]]:
    """Our roles, whoever scrapes, and a replica for each of these transports, kept running until the end."""
    await install(cluster)
    account = Account(cluster)
    await account.install()
    tasks: list[asyncio.Task[None]] = []
    with TemporaryDirectory() as scratch:
        replicas = [Replica(cluster, "ab"[number], account, Path(scratch), wrap) for number, wrap in enumerate(wraps)]
        async with _background(tasks):
            for replica in replicas:
                tasks.append(asyncio.create_task(replica.keep(), name=f"keeper of {replica.name}"))
                await asyncio.sleep(5)
            yield account, replicas


@asynccontextmanager
async def _background(tasks: list[asyncio.Task[None]]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
