"""A real Prometheus scrapes two replicas over TLS with a token, and answers what the dashboard asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import NAMESPACES
from lws.webhook.certs import make_ca
from tests.real.dashboard import check_panels
from tests.real.partners.monitored import Site
from tests.real.partners.processes import beside, until
from tests.real.planes import RealPlane
from tests.real.test_prometheus import Prometheus
from tests.simulation.cluster import manifest
from tests.tools import need

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


@contextmanager
def monitored(folder: Path, **broken: str) -> Iterator[tuple[RealPlane, Site, Prometheus]]:
    """A control plane with two replicas and their Prometheus."""
    need("prometheus")
    site = Site(broken=broken)
    with beside(site.life, folder) as plane:
        yield plane, site, Prometheus(site.address)


async def roll(plane: RealPlane) -> None:
    """Create a set and a set that finds no node, and roll the first."""
    client = plane.env.client("test")
    await client.create(NAMESPACES, {"metadata": {"name": "team"}})
    waiting = {
        "workerTemplate": {"spec": {"containers": [{"name": "m", "image": "i"}], "nodeSelector": {"no": "where"}}}
    }
    for name, section in (("web", {}), ("waiting", waiting)):
        await client.create(LEADERWORKERSETS, manifest(name, metadata={"namespace": "team"}, section=section))
    await until(lambda: _available(plane, 1), "the set")
    template = {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}
    change = {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}}
    generation = (await client.patch(LEADERWORKERSETS, "team", "web", change))["metadata"]["generation"]
    await until(lambda: _available(plane, generation), "the rollout")


async def _available(plane: RealPlane, generation: int) -> bool:
    status = (await plane.env.client("test").get(LEADERWORKERSETS, "team", "web")).get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return conditions.get("Available") == "True" and status.get("observedGeneration") == generation


def test_two_replicas_are_scraped_as_the_monitor_says(tmp_path: Path) -> None:
    """Through a rollout and a restart of the leader every rule evaluates, and every panel answers for every choice."""
    with monitored(tmp_path) as (plane, site, prometheus):
        prometheus.until(lambda: len(prometheus.ask("up == 1")) == 2)
        plane.call(roll(plane))
        prometheus.until(lambda: len(prometheus.ask('lws_groups_ready{namespace="team",name="web"} == 2')) == 2)
        answered = check_panels(prometheus, interval="8s")
        for title, legend in (
            ("What is wrong now", "Groups not ready"),
            ("Groups", "ready"),
            ("Reconciles", "{{controller}} {{result}}"),
            ("Admission", "{{webhook}} {{code}}"),
            ("Requests to the API server", "{{method}} {{code}}"),
            ("Duration of rolling updates", "half"),
            ("Days until certificates end", "{{certificate}}"),
            ("Replicas", "leading {{job}}"),
        ):
            assert answered[title, legend], (title, legend)
        rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
        assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
        led = leader(prometheus)
        plane.call(site.end(led))
        prometheus.until(lambda: len(prometheus.ask("up == 1")) == 1 and leader(prometheus) == 1 - led)
        check_panels(prometheus, interval="8s")
        plane.call(site.begin(led))
        prometheus.until(lambda: len(prometheus.ask("up == 1")) == 2)
        prometheus.until(lambda: len(prometheus.ask('lws_groups_ready{namespace="team",name="web"} == 2')) == 2)
        again = check_panels(prometheus, interval="8s")
        assert again["What is wrong now", "Groups not ready"] == answered["What is wrong now", "Groups not ready"] == 1


def leader(prometheus: Prometheus) -> int:
    """Which replica leads; -1 for none."""
    found = prometheus.ask("leader_election_master_status == 1")
    return int(found[0]["metric"]["pod"][-1]) if len(found) == 1 else -1


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"token": "rubbish"}, "401"),
        ({"token": ""}, "401"),
        ({"binding": ""}, "403"),
        ({"ca": make_ca(datetime.now(UTC)).certificate.decode()}, "certificate signed by unknown authority"),
        ({"name": "lws-controller-manager-metrics-service.elsewhere.svc"}, "certificate is valid for"),
    ],
    ids=["unknown", "nobody", "unbound", "other authority", "other name"],
)
def test_with_other_settings_nothing_is_scraped(tmp_path: Path, broken: dict[str, str], why: str) -> None:
    """Without token, right or authority, or for another name, both are down, and why is said, until it is mended."""
    with monitored(tmp_path, **broken) as (plane, site, prometheus):
        prometheus.until(lambda: _errors(prometheus, why))
        if "name" not in broken:
            plane.call(site.mend(plane.env.client("test")))
            prometheus.until(lambda: len(prometheus.ask("up == 1")) == 2)


def _errors(prometheus: Prometheus, why: str) -> bool:
    targets = prometheus.get("targets")["activeTargets"]
    return [why in each["lastError"] for each in targets] == [True, True]
