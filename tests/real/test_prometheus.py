"""A real Prometheus scrapes two replicas as the ServiceMonitor says, and evaluates what we ship."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
import yaml
from hack import monitoring
from hack.alerts import PLACES

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES, STATEFULSETS
from lws_sandbox import virtual_time as vt
from tests.acceptance.disaggregatedset.site import A, roles
from tests.api.disaggregatedset.making import manifest as made
from tests.manifests.render import kustomize
from tests.monitoring.incidents.sets import FOREIGN
from tests.real.dashboard import check_panels, choices
from tests.simulation.cluster import Cluster, manifest
from tests.tools import need

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
PATIENCE: Final = 60.0  # real seconds
WHERE: Final = {"cluster": "east", "namespace": PLACES["namespace"]}


Expositions: TypeAlias = tuple[bytes | None, bytes | None]


async def expositions() -> list[Expositions]:
    """What two replicas export with the first as leader, while it is away, and once it is back as standby.

    There is a set that is ready, one that waits for nodes, one that is blocked, and a DisaggregatedSet.
    """
    async with Cluster(elect=True, disaggregated=True) as cluster:
        leader = await cluster.start()
        standby = await cluster.start(ready=False)
        other = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
        await cluster.client.create(NAMESPACES, other)
        await cluster.client.create(LEADERWORKERSETS, manifest("ready"))
        body = made(*roles(1, 2), name="split")
        await cluster.client.create(DISAGGREGATEDSETS, {**body, "metadata": {"name": "split", "namespace": "default"}})
        await cluster.available("ready")
        await cluster.quiet(10)
        for number in range(4):
            await cluster.drills.run("node.cordon", {"name": f"node-{number}"})
        for namespace in ("default", "other"):
            await cluster.client.create(LEADERWORKERSETS, manifest("waiting", metadata={"namespace": namespace}))
        foreign = {**FOREIGN, "metadata": {"name": "blocked", "namespace": "default"}}
        await cluster.client.create(STATEFULSETS, foreign)
        await cluster.client.create(LEADERWORKERSETS, manifest("blocked"))
        await cluster.quiet(10)
        both: list[Expositions] = [(leader.operator.metrics.exposition(), standby.operator.metrics.exposition())]
        await leader.crash()
        await standby.operator.wait_ready()
        await cluster.quiet(10)
        both.append((None, standby.operator.metrics.exposition()))
        again = await cluster.start(ready=False)
        await cluster.quiet(10)
        return [*both, (again.operator.metrics.exposition(), standby.operator.metrics.exposition())]


class Target(ThreadingHTTPServer):
    """Serves one exposition; without one it ends every connection unanswered."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.text: bytes | None = None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        target = self.server
        assert isinstance(target, Target)
        if target.text is None:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.end_headers()
        self.wfile.write(target.text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
        """Nobody reads it."""


class Prometheus:
    """A running server, asked over HTTP."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def ask(self, expression: str) -> list[JSON]:
        """The samples of an instant query."""
        found: list[JSON] = self.get("query", query=expression)["result"]
        return found

    def until(self, holds: Callable[[], bool]) -> None:
        """Ask until it holds; fails if it does not in time."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if holds():
                    return
            except OSError:
                pass
            assert time.monotonic() < end, "Prometheus did not get there in time"
            time.sleep(0.2)  # another process's progress: there is nothing to wait on but to ask again


@contextmanager
def running(folder: Path, targets: list[Target], *, honor: bool) -> Iterator[Prometheus]:
    """Prometheus with our rules, scraping each second as the Prometheus operator would have it."""
    scrape = {
        "job_name": PLACES["job"],
        "honor_labels": honor,
        "static_configs": [
            {"targets": [each.address], "labels": {**WHERE, "pod": f"lws-{number}"}}
            for number, each in enumerate(targets)
        ],
    }
    (folder / "rules.yaml").write_text(yaml.safe_dump(monitoring.rules()))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [scrape],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [need("prometheus"), f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
        try:
            prometheus = Prometheus(address)
            prometheus.until(lambda: len(prometheus.ask("up")) == len(targets))
            yield prometheus
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def phases() -> list[Expositions]:
    """What replicas export across a restart of the leader."""
    need("prometheus")
    return vt.run(expositions())


@pytest.fixture
def targets(phases: list[Expositions]) -> Iterator[list[Target]]:
    """Two replicas, before the restart."""
    made = [Target(), Target()]
    show(made, phases[0])
    yield made
    for each in made:
        each.shutdown()
        each.server_close()


def show(targets: list[Target], texts: Expositions) -> None:
    """Have the replicas export this from now on."""
    for target, text in zip(targets, texts, strict=True):
        target.text = text


SETS: Final = 12  # of six sets, by two replicas
CHOICES: Final = {
    "cluster": ["east"],
    "job": [PLACES["job"]],
    "namespace": ["default", "other"],
    "set": ["blocked", "ready", "split", f"split-0-{A}-decode", f"split-0-{A}-prefill", "waiting"],
}
RATED: Final = "count by (pod) (rate(lws_informer_faults_total[8s]))"  # who has been scraped twice
# How many series what tells of the sets has in every phase.
ANSWERS: Final = {
    ("What is wrong now", "Blocked"): 1,
    ("Groups", "ready"): 1,
    ("Ready groups of each set", "{{namespace}}/{{name}}"): 6,
    ("Ready groups of roles", "{{namespace}}/{{name}} {{role}}"): 2,
    ("Replicas", "leading {{job}}"): 1,
    ("Builds", "{{version}} {{commit}}"): 1,
}


@pytest.fixture
def honor() -> bool:
    """What the ServiceMonitor that we ship says."""
    monitor = kustomize("overlays/prometheus")["ServiceMonitor", "lws-controller-manager-metrics-monitor"]
    return bool(monitor["spec"]["endpoints"][0].get("honorLabels"))


def test_sets_keep_their_namespace(tmp_path: Path, targets: list[Target], honor: bool) -> None:
    """As scraped, series of sets are in the sets' namespace, and everything else is in the controller's."""
    with running(tmp_path, targets, honor=honor) as prometheus:
        prometheus.until(lambda: len(prometheus.ask("lws_groups_ready")) == SETS)
        assert {each["metric"]["namespace"] for each in prometheus.ask("lws_groups_ready")} == {"default", "other"}
        assert {each["metric"]["namespace"] for each in prometheus.ask("up")} == {"lws-system"}
        assert {each["metric"]["namespace"] for each in prometheus.ask("lws_build_info")} == {"lws-system"}
        assert prometheus.ask('{exported_namespace!=""}') == []


@pytest.mark.long
def test_without_honor_labels_sets_would_be_lost(tmp_path: Path, targets: list[Target]) -> None:
    """The counterpart, which shows that the test above can fail."""
    with running(tmp_path, targets, honor=False) as prometheus:
        prometheus.until(lambda: len(prometheus.ask("lws_groups_ready")) == SETS)
        assert {each["metric"]["namespace"] for each in prometheus.ask("lws_groups_ready")} == {"lws-system"}


@pytest.mark.long
def test_rules_and_panels_work_across_a_restart(
    tmp_path: Path, targets: list[Target], phases: list[Expositions], honor: bool
) -> None:
    """Every rule evaluates, every panel answers for each value of each variable, while the leader is away too."""
    with running(tmp_path, targets, honor=honor) as prometheus:
        prometheus.until(lambda: all(each["health"] == "ok" for each in _rules(prometheus)))
        for texts in phases:
            show(targets, texts)
            up = sum(text is not None for text in texts)
            prometheus.until(lambda wanted=up: len(prometheus.ask("up == 1")) == wanted)  # type: ignore[misc]
            prometheus.until(lambda wanted=up: len(prometheus.ask(RATED)) >= wanted)  # type: ignore[misc]
            assert choices(prometheus) == CHOICES
            counted = check_panels(prometheus, interval="8s")
            assert counted.items() >= ANSWERS.items(), counted
            waiting = prometheus.ask('max by (namespace, name) (lws_groups_not_ready{reason="Unschedulable"})')
            assert sorted(each["metric"]["namespace"] for each in waiting) == ["default", "other"]
            assert {each["metric"]["name"] for each in waiting} == {"waiting"}
        assert [each["name"] for each in _rules(prometheus) if each["health"] != "ok"] == []


def _rules(prometheus: Prometheus) -> list[JSON]:
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
