"""Scraping and alerts as the chart and kustomize install them: what a Prometheus in a cluster goes by."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from hack.alerts import PLACES

from lws.apimachinery.manifests import JSON
from tests.manifests.render import ROOT, Objects, chart, kustomize
from tests.tools import need

MONITOR = "lws-controller-manager-metrics-monitor"
RULES = "lws-controller-manager-alerts"
ON = "enablePrometheus=true"


def expressions(objects: Objects, name: str = RULES) -> dict[str, str]:
    """The expression of each alert."""
    spec = objects["PrometheusRule", name]["spec"]
    return {rule["alert"]: rule["expr"] for group in spec["groups"] for rule in group["rules"]}


def endpoint(objects: Objects) -> JSON:
    """How the ServiceMonitor scrapes."""
    (found,) = objects["ServiceMonitor", MONITOR]["spec"]["endpoints"]
    scraped: JSON = found
    return scraped


RENDERINGS = {
    "chart": lambda: chart(ON),
    "chart, cert-manager": lambda: chart(ON, "enableCertManager=true"),
    "kustomize": lambda: kustomize("overlays/prometheus"),
    "kustomize, cert-manager": lambda: kustomize("overlays/prometheus-cert-manager"),
}


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_labels_of_sets_are_honoured(rendering: str) -> None:
    """The namespace of a set is not overwritten by that of the controller's pod."""
    assert endpoint(RENDERINGS[rendering]())["honorLabels"] is True


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_what_verifies_metrics_is_what_is_served(rendering: str) -> None:
    """With cert-manager the port serves that of its own Secret, else one that the webhook's authority signs."""
    secret = endpoint(RENDERINGS[rendering]())["tlsConfig"]["ca"]["secret"]["name"]
    assert secret == ("lws-metrics-server-cert" if "cert-manager" in rendering else "lws-webhook-server-cert")


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_rules_select_what_is_scraped(rendering: str) -> None:
    """The job in the rules is the Service that the ServiceMonitor selects, in its namespace; nothing is left open."""
    objects = RENDERINGS[rendering]()
    selected = objects["ServiceMonitor", MONITOR]["spec"]["selector"]["matchLabels"].items()
    services = [
        obj["metadata"]["name"]
        for (kind, _), obj in objects.items()
        if kind == "Service" and selected <= obj["metadata"]["labels"].items()
    ]
    assert services == [PLACES["job"]]
    for expression in expressions(objects).values():
        assert set(re.findall(r'job="([^"]*)"', expression)) == set(services)
        assert set(re.findall(r'namespace="([^"]*)"', expression)) <= {"lws-system"}
        assert "@" not in expression


def test_another_release_has_rules_of_its_own() -> None:
    """Two installations in one Prometheus: the rules of each ask for its own job and namespace."""
    other = chart(ON, release="other")
    (name,) = (name for kind, name in other if kind == "PrometheusRule")
    found = expressions(other, name)
    assert 'job="other-lws-controller-manager-metrics-service"' in found["LWSMetricsMissing"]
    ours = f'"{PLACES["job"]}"'
    assert not any(ours in expression for expression in found.values())


def test_values_of_the_chart_arrive() -> None:
    """Labels by which a Prometheus selects, thresholds, runbooks, and the alert on admission only where asked for."""
    objects = chart(
        ON,
        "prometheus.labels.release=monitoring",
        "prometheus.thresholds.setNotReadySeconds=3600",
        "prometheus.thresholds.eventLoopLagSeconds=0.5",
        "prometheus.runbooks=https://wiki.example.com/lws",
        "prometheus.apiServerAlerts=true",
    )
    for key in (("ServiceMonitor", MONITOR), ("PrometheusRule", RULES), ("PrometheusRule", "lws-api-server-alerts")):
        assert objects[key]["metadata"]["labels"]["release"] == "monitoring"
    found = expressions(objects)
    assert found["LWSSetNotReady"].endswith("> 3600")
    assert found["LWSEventLoopSlow"].endswith("> 0.5")
    assert found["LWSGroupCrashLooping"].endswith(">= 3")
    rule = objects["PrometheusRule", RULES]["spec"]["groups"][0]["rules"][0]
    assert rule["annotations"]["runbook_url"] == "https://wiki.example.com/lws#lwssetnotready"
    assert "LWSAdmissionFailing" in expressions(objects, "lws-api-server-alerts")
    assert ("PrometheusRule", "lws-api-server-alerts") not in chart(ON)


def test_the_label_of_a_namespace_lets_its_scrapers_in() -> None:
    """Both renderings of the NetworkPolicy open the port for metrics to namespaces with the label, and to no other."""
    for objects in (kustomize("overlays/network-policy"), chart("enableNetworkPolicy=true")):
        policy = objects["NetworkPolicy", "lws-controller-manager"]["spec"]
        sources = [each.get("from") for each in policy["ingress"] if {"port": 8443, "protocol": "TCP"} in each["ports"]]
        assert sources == [[{"namespaceSelector": {"matchLabels": {"metrics": "enabled"}}}]]


@pytest.mark.long
def test_thresholds_are_changed_in_a_copied_component(tmp_path: Path) -> None:
    """As shipped the component changes nothing; a number changed in the copy changes that alert alone."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    component = tmp_path / "thresholds" / "kustomization.yaml"
    component.parent.mkdir()
    shipped = (ROOT / "config/prometheus/thresholds/kustomization.yaml").read_text()
    own = {
        "resources": ["config/default"],
        "components": ["config/prometheus", "config/prometheus/apiserver", "thresholds"],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    component.write_text(shipped)
    before = _rendered(tmp_path)
    assert before == expressions(kustomize("overlays/prometheus"))
    component.write_text(shipped.replace("> 1800", "> 3600"))
    after = _rendered(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"LWSSetNotReady"}
    assert after["LWSSetNotReady"].endswith("> 3600")


def _rendered(folder: Path) -> dict[str, str]:
    command = [need("kubectl"), "kustomize", str(folder)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    documents = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(text)}
    assert ("PrometheusRule", "lws-api-server-alerts") in documents
    return expressions(documents)
