"""Who scrapes the operand and how, and who may reach it (operator 5.9)."""

from __future__ import annotations

from typing import Final

from lws.api.operand import names
from lws.api.operand.types import CERT_MANAGER, DISABLED, ENABLED, LeaderWorkerSetOperatorSpec
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PROMETHEUSRULES, SERVICEMONITORS
from lws.planning.operand.facts import Facts

Scraper = tuple[str, str]  # namespace and ServiceAccount

COMPONENT: Final = "prometheus"
OPERATOR_COMPONENT: Final = "operatorprometheus"
OPERATOR_MONITOR: Final = "lws-operator-metrics-monitor"
_SERVICE_CA: Final = {"configMap": {"name": "openshift-service-ca.crt", "key": "service-ca.crt"}}
_ACCOUNTS: Final = ("prometheus-k8s", "prometheus-operator")
_CLIENT_CERTIFICATES: Final = "/etc/prometheus/secrets/metrics-client-certs"


def monitored(spec: LeaderWorkerSetOperatorSpec, facts: Facts) -> bool:
    """Whether the objects of monitoring belong to the installation."""
    mode = spec.monitoring.mode
    return mode == ENABLED or (mode != DISABLED and facts.serves(SERVICEMONITORS))


def operator_monitored(spec: LeaderWorkerSetOperatorSpec, facts: Facts) -> bool:
    """Whether the objects of the operator's own monitoring belong to the installation [OD-26].

    A ServiceMonitor can name a Secret of its own namespace only, and what is applied is in the operand's.
    """
    return monitored(spec, facts) and facts.namespace == facts.operator_namespace


def left_out(kind: str, spec: LeaderWorkerSetOperatorSpec, facts: Facts) -> bool:
    """Whether an object of monitoring is left out: its API is not served, or nobody wants alerts."""
    if kind == PROMETHEUSRULES.kind:
        return not (spec.monitoring.alerts and facts.serves(PROMETHEUSRULES))
    return kind == SERVICEMONITORS.kind and not facts.serves(SERVICEMONITORS)


def scrapers(spec: LeaderWorkerSetOperatorSpec, facts: Facts) -> tuple[Scraper, ...]:
    """Who reads the metrics; where nobody is named, the platform's own Prometheus."""
    if spec.monitoring.scrapers:
        return tuple((each["namespace"], each["serviceAccount"]) for each in spec.monitoring.scrapers)
    namespace = "openshift-monitoring" if facts.openshift else "monitoring"
    return tuple((namespace, account) for account in _ACCOUNTS)


def subjects(found: tuple[Scraper, ...]) -> list[JSON]:
    """Scrapers as subjects of a binding."""
    return [{"kind": "ServiceAccount", "name": account, "namespace": namespace} for namespace, account in found]


def endpoint(endpoint: JSON, facts: Facts) -> JSON:
    """The endpoint of the ServiceMonitor: verified by the authority in force, with OpenShift's client certificate."""
    cert_manager = facts.certificates == CERT_MANAGER
    secret = names.METRICS_SECRET if cert_manager else names.INTERNAL_SECRET
    tls: JSON = {
        **endpoint["tlsConfig"],
        "serverName": f"{names.METRICS_SERVICE}.{facts.namespace}.svc",
        "ca": {"secret": {"name": secret, "key": "ca.crt"}},
    }
    if facts.openshift:
        tls |= {"certFile": f"{_CLIENT_CERTIFICATES}/tls.crt", "keyFile": f"{_CLIENT_CERTIFICATES}/tls.key"}
    return {**endpoint, "tlsConfig": tls}


def operator_endpoint(endpoint: JSON, facts: Facts) -> JSON:
    """The endpoint of the operator's own ServiceMonitor."""
    tls: JSON = {
        **endpoint["tlsConfig"],
        "serverName": f"{names.OPERATOR_METRICS_SERVICE}.{facts.operator_namespace}.svc",
    }
    if facts.openshift:
        certificates = {"certFile": f"{_CLIENT_CERTIFICATES}/tls.crt", "keyFile": f"{_CLIENT_CERTIFICATES}/tls.key"}
        tls |= {"ca": _SERVICE_CA, **certificates}
    return {**endpoint, "tlsConfig": tls}


def ingress(rule: JSON, spec: LeaderWorkerSetOperatorSpec, facts: Facts) -> JSON:
    """A rule of the NetworkPolicy; the one that is not for everybody is for the scrapers' namespaces."""
    if "from" not in rule:
        return rule
    namespaces = sorted({namespace for namespace, _ in scrapers(spec, facts)})
    key = "kubernetes.io/metadata.name"
    return {**rule, "from": [{"namespaceSelector": {"matchLabels": {key: each}}} for each in namespaces]}
