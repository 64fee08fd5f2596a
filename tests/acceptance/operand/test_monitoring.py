"""Monitoring, platforms and TLS: A41 to A43."""

from __future__ import annotations

import asyncio

import pytest
import yaml

from lws.api.operand import names
from lws.apimachinery.resources import (
    CLUSTERROLEBINDINGS,
    NAMESPACES,
    NETWORKPOLICIES,
    PROMETHEUSRULES,
    ROLEBINDINGS,
    SERVICEMONITORS,
)
from lws.errors import InvalidError
from tests.acceptance.operand.ground import fixture
from tests.acceptance.operand.site import Site
from tests.acceptance.operand.test_states import mounted_configuration
from tests.virtual import virtual_time

pytestmark = pytest.mark.long

MONITOR = "lws-controller-manager-metrics-monitor"
RULES = "lws-controller-manager-alerts"


@virtual_time
async def test_a41_monitoring_comes_with_its_api() -> None:
    """A41: absent, ServiceMonitors alone, then rules: each kind within 10 s of its own API, and no pod restarts."""
    async with Site(namespace="anywhere") as site:
        await site.installed()
        before = await site.deployment()
        assert await site.is_condition("MonitoringReady", "False", "PrometheusAPIMissing")
        await site.define(fixture("service-monitor"))
        await asyncio.sleep(10)
        monitor = await site.get(SERVICEMONITORS, MONITOR)
        assert monitor is not None
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["tlsConfig"]["serverName"] == "lws-controller-manager-metrics-service.anywhere.svc"
        assert await site.is_condition("MonitoringReady", "True")
        assert await site.is_condition("Degraded", "False")
        await site.define(fixture("prometheus-rule"))
        await asyncio.sleep(10)
        assert await site.get(PROMETHEUSRULES, RULES) is not None
        await site.edit(monitoring={"alerts": False})
        await asyncio.sleep(10)
        assert await site.get(PROMETHEUSRULES, RULES) is None
        await site.edit(monitoring={"mode": "Disabled"})
        await asyncio.sleep(10)
        assert await site.get(SERVICEMONITORS, MONITOR) is None
        assert await site.is_condition("MonitoringReady", "True", "Disabled")
        assert (await site.deployment())["metadata"]["generation"] == before["metadata"]["generation"]


@virtual_time
async def test_a42_openshift_has_its_own_ids_scrapers_and_client_certificates() -> None:
    """A42: no numeric ids, OpenShift's Prometheus and its client certificate, and a namespace that must be labelled."""
    async with Site(definitions=["openshift", "service-monitor"]) as site:
        await site.installed()
        context = (await site.deployment())["spec"]["template"]["spec"]["securityContext"]
        assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        await scraped_by(site, "openshift-monitoring")
        monitor = await site.get(SERVICEMONITORS, MONITOR)
        assert monitor is not None
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["bearerTokenFile"]
        assert endpoint["tlsConfig"]["certFile"] == "/etc/prometheus/secrets/metrics-client-certs/tls.crt"
        ready = await site.condition("MonitoringReady")
        assert ready["reason"] == "NamespaceNotLabelled"
        assert f"oc label namespace {site.namespace}" in ready["message"]
        label = {"metadata": {"labels": {"openshift.io/cluster-monitoring": "true"}}}
        await site.client.patch(NAMESPACES, "", site.namespace, label)
        await site.becomes("MonitoringReady", "True")


@virtual_time
async def test_a42_elsewhere_it_is_the_user_of_the_image_and_the_usual_prometheus() -> None:
    """A42: on any other Kubernetes the pods run as 65532, and the scrapers are those of namespace monitoring."""
    async with Site(definitions=["service-monitor"]) as site:
        await site.installed()
        context = (await site.deployment())["spec"]["template"]["spec"]["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (65532, 65532, 65532)
        await scraped_by(site, "monitoring")
        monitor = await site.get(SERVICEMONITORS, MONITOR)
        assert monitor is not None
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["bearerTokenFile"]
        assert "certFile" not in endpoint["tlsConfig"]
        await site.edit(monitoring={"scrapers": [{"namespace": "mine", "serviceAccount": "agent"}]})
        await asyncio.sleep(10)
        await scraped_by(site, "mine")
        await site.edit(networkPolicy={"mode": "Disabled"})
        await asyncio.sleep(10)
        assert await site.get(NETWORKPOLICIES, names.DEPLOYMENT) is None


async def scraped_by(site: Site, namespace: str) -> None:
    """Check that scrapers of this namespace, and no others, are bound and let through."""
    for resource, name in (
        (ROLEBINDINGS, "lws-prometheus-k8s"),
        (CLUSTERROLEBINDINGS, "lws-prometheus-metrics-reader"),
    ):
        binding = await site.get(resource, name)
        assert binding is not None
        assert {each["namespace"] for each in binding["subjects"]} == {namespace}
    policy = await site.get(NETWORKPOLICIES, names.DEPLOYMENT)
    assert policy is not None
    sources = [source for rule in policy["spec"]["ingress"] for source in rule.get("from") or ()]
    label = {"kubernetes.io/metadata.name": namespace}
    assert sources == [{"namespaceSelector": {"matchLabels": label}}]


@virtual_time
async def test_a43_the_tls_profile_reaches_the_configuration_file() -> None:
    """A43: Modern is TLS 1.3 in the file; ciphers with 1.3, and settings without Custom, are refused by the schema."""
    async with Site() as site:
        await site.installed(tls={"profile": "Modern"})
        assert yaml.safe_load(await mounted_configuration(site))["tls"] == {"minVersion": "VersionTLS13"}
        for tls, text in (
            (
                {"profile": "Custom", "minVersion": "VersionTLS13", "cipherSuites": ["A"]},
                "cipherSuites are those of TLS 1.2",
            ),
            ({"profile": "Modern", "minVersion": "VersionTLS12"}, "minVersion and cipherSuites need profile Custom"),
        ):
            with pytest.raises(InvalidError, match=text):
                await site.edit(tls=tls)
