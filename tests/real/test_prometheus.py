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
from typing import Any, Final

import pytest
import yaml
from hack import monitoring
from hack.alerts import PLACES
from hack.panels import PANELS, VARIABLES

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws_sandbox import virtual_time as vt
from tests.manifests.render import kustomize
from tests.simulation.cluster import Cluster, manifest
from tests.tools import need

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
PATIENCE: Final = 60.0  # real seconds


async def expositions() -> list[bytes]:
    """What a leader and a standby export of a set that is ready and one that waits for nodes."""
    async with Cluster(elect=True) as cluster:
        leader = await cluster.start()
        standby = await cluster.start(ready=False)
        await cluster.client.create(LEADERWORKERSETS, manifest("ready"))
        await cluster.available("ready")
        for number in range(4):
            await cluster.drills.run("node.cordon", {"name": f"node-{number}"})
        await cluster.client.create(LEADERWORKERSETS, manifest("waiting"))
        await cluster.quiet(10)
        return [each.operator.metrics.exposition() for each in (leader, standby)]


class Target(ThreadingHTTPServer):
    """Serves one exposition; `down` ends every connection unanswered."""

    def __init__(self, text: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.text = text
        self.down = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        target = self.server
        assert isinstance(target, Target)
        if target.down:
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
            {"targets": [each.address], "labels": {"namespace": PLACES["namespace"], "pod": f"lws-{number}"}}
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
def targets() -> list[Target]:
    """Two replicas."""
    need("prometheus")
    return [Target(text) for text in vt.run(expositions())]


@pytest.fixture
def honor() -> bool:
    """What the ServiceMonitor that we ship says."""
    monitor = kustomize("overlays/prometheus")["ServiceMonitor", "lws-controller-manager-metrics-monitor"]
    return bool(monitor["spec"]["endpoints"][0].get("honorLabels"))


def test_sets_keep_their_namespace(tmp_path: Path, targets: list[Target], honor: bool) -> None:
    """As scraped, series of sets are in the sets' namespace, and everything else is in the controller's."""
    with running(tmp_path, targets, honor=honor) as prometheus:
        prometheus.until(lambda: len(prometheus.ask("lws_groups_ready")) == 4)
        assert {each["metric"]["namespace"] for each in prometheus.ask("lws_groups_ready")} == {"default"}
        assert {each["metric"]["namespace"] for each in prometheus.ask("up")} == {"lws-system"}
        assert {each["metric"]["namespace"] for each in prometheus.ask("lws_build_info")} == {"lws-system"}
        assert prometheus.ask('{exported_namespace!=""}') == []


@pytest.mark.long
def test_without_honor_labels_sets_would_be_lost(tmp_path: Path, targets: list[Target]) -> None:
    """The counterpart, which shows that the test above can fail."""
    with running(tmp_path, targets, honor=False) as prometheus:
        prometheus.until(lambda: len(prometheus.ask("lws_groups_ready")) == 4)
        assert {each["metric"]["namespace"] for each in prometheus.ask("lws_groups_ready")} == {"lws-system"}


@pytest.mark.long
def test_rules_and_panels_work_across_a_restart(tmp_path: Path, targets: list[Target], honor: bool) -> None:
    """Every rule evaluates, every panel answers without an error or a negative value, while the leader is away too."""
    values = {"$__rate_interval": "4s", **{f"${each.name}": ".*" for each in VARIABLES}}
    with running(tmp_path, targets, honor=honor) as prometheus:
        prometheus.until(lambda: all(each["health"] == "ok" for each in _rules(prometheus)))
        for down in (False, True, False):
            targets[0].down = down
            prometheus.until(lambda wanted=1 if down else 2: len(prometheus.ask("up == 1")) == wanted)  # type: ignore[misc]
            for panel in PANELS:
                for query, _ in panel.queries:
                    for name in sorted(values, key=len, reverse=True):
                        query = query.replace(name, values[name])
                    assert all(float(each["value"][1]) >= 0 for each in prometheus.ask(query)), panel.title
            waiting = prometheus.ask('max by (namespace, name) (lws_groups_not_ready{reason="Unschedulable"})')
            assert [each["metric"] for each in waiting] == [{"namespace": "default", "name": "waiting"}]
        assert [each["name"] for each in _rules(prometheus) if each["health"] != "ok"] == []


def _rules(prometheus: Prometheus) -> list[JSON]:
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
