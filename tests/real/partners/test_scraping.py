"""A real Prometheus scrapes two replicas over TLS with a token, and answers what the dashboard asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hack.panels import PANELS, VARIABLES

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import NAMESPACES
from tests.real.partners.monitored import Site
from tests.real.partners.processes import beside, until
from tests.real.planes import RealPlane
from tests.real.test_prometheus import Prometheus
from tests.simulation.cluster import manifest
from tests.tools import need

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


@contextmanager
def monitored(folder: Path, **broken: str) -> Iterator[tuple[RealPlane, Prometheus]]:
    """A control plane with two replicas and their Prometheus."""
    need("prometheus")
    site = Site(broken=broken)
    with beside(site.life, folder) as plane:
        yield plane, Prometheus(site.address)


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
    """Both are up; through a rollout every rule evaluates and every panel answers; who is in trouble is told."""
    values = {"$__rate_interval": "8s", **{f"${each.name}": ".*" for each in VARIABLES}}
    with monitored(tmp_path) as (plane, prometheus):
        prometheus.until(lambda: len(prometheus.ask("up == 1")) == 2)
        plane.call(roll(plane))
        prometheus.until(lambda: len(prometheus.ask('lws_groups_ready{namespace="team",name="web"} == 2')) == 2)
        answered = {}
        for panel in PANELS:
            for query, legend in panel.queries:
                for name in sorted(values, key=len, reverse=True):
                    query = query.replace(name, values[name])
                found = prometheus.ask(query)
                answered[panel.title, legend] = len(found)
                assert all(float(each["value"][1]) >= 0 for each in found), panel.title
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


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"token": "rubbish"}, "401"),
        ({"token": ""}, "401"),
        ({"binding": ""}, "403"),
        ({"name": "lws-controller-manager-metrics-service.elsewhere.svc"}, "certificate is valid for"),
    ],
    ids=["unknown", "nobody", "unbound", "other name"],
)
def test_with_other_settings_nothing_is_scraped(tmp_path: Path, broken: dict[str, str], why: str) -> None:
    """The counterpart: without token or right, or for another name, both are down, and Prometheus says why."""
    with monitored(tmp_path, **broken) as (_, prometheus):
        prometheus.until(lambda: _errors(prometheus, why))


def _errors(prometheus: Prometheus, why: str) -> bool:
    targets = prometheus.get("targets")["activeTargets"]
    return [why in each["lastError"] for each in targets] == [True, True]
