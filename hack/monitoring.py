"""Alert rules, the Grafana dashboard and the metrics reference: written once, rendered for kustomize, Helm, docs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import yaml

from lws.client.api import ApiClient
from lws.clock import SystemClock
from lws.informers.registry import InformerRegistry
from lws.operator.domain import DomainMetrics
from lws.operator.truth import export_informers
from lws.telemetry.metrics import Described, Metrics

JSON = dict[str, Any]


@dataclass(frozen=True)
class Alert:
    """One rule: when it fires, and what it tells whoever is woken."""

    name: str
    expression: str
    wait: str
    severity: str
    summary: str
    remedy: str


@dataclass(frozen=True)
class Panel:
    """One graph: its queries with their legends."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


def quantile(share: float, metric: str, window: str, by: str = "") -> str:
    """The query for a quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[{window}])))"


ALERTS = (
    Alert(
        "LWSControllerNotLeading",
        'max(leader_election_master_status{name="b8b2488c.x-k8s.io"}) < 1',
        "5m",
        "critical",
        "No replica of the LeaderWorkerSet controller leads.",
        "Look at the replicas' logs and at lease b8b2488c.x-k8s.io.",
    ),
    Alert(
        "LWSReconcileErrors",
        "sum by (controller) (rate(controller_runtime_reconcile_errors_total[10m])) > 0.1",
        "15m",
        "warning",
        "Reconciles of {{ $labels.controller }} keep failing.",
        "The log names the objects and the causes.",
    ),
    Alert(
        "LWSReconcilePanics",
        "sum by (controller) (increase(controller_runtime_reconcile_panics_total[15m])) > 0",
        "0m",
        "warning",
        "A reconcile of {{ $labels.controller }} failed in a way nobody foresaw.",
        "The log has the traceback; report it.",
    ),
    Alert(
        "LWSQueueStuck",
        "max by (name) (workqueue_longest_running_processor_seconds) > 300",
        "5m",
        "warning",
        "A reconcile of {{ $labels.name }} has been running for more than five minutes.",
        "Look whether the API server answers.",
    ),
    Alert(
        "LWSSetBlocked",
        "max by (namespace, name) (lws_blocked) > 0",
        "5m",
        "warning",
        "LeaderWorkerSet {{ $labels.namespace }}/{{ $labels.name }} is blocked by a foreign object of its name.",
        "Its condition Blocked names the object: rename or remove one of them.",
    ),
    Alert(
        "LWSGroupsNotReady",
        "(max by (namespace, name) (lws_groups_desired) - max by (namespace, name) (lws_groups_ready)) > 0",
        "30m",
        "warning",
        "LeaderWorkerSet {{ $labels.namespace }}/{{ $labels.name }} lacks {{ $value }} ready groups.",
        "kubectl lws explain-stuck says what it waits for.",
    ),
    Alert(
        "LWSGroupsRecreatedOften",
        "sum by (namespace, name) (increase(lws_group_recreations_total[30m])) > 10",
        "0m",
        "warning",
        "Groups of LeaderWorkerSet {{ $labels.namespace }}/{{ $labels.name }} are recreated again and again.",
        "Its pods fail or restart; restartPolicy None stops the storm while you look.",
    ),
    Alert(
        "LWSWebhookErrors",
        'sum by (webhook) (rate(controller_runtime_webhook_requests_total{code!="200"}[10m])) > 0',
        "10m",
        "warning",
        "Admission requests to {{ $labels.webhook }} fail.",
        "The log names the requests.",
    ),
    Alert(
        "LWSCertificateEnds",
        "min by (certificate) (lws_certificate_expiry_timestamp_seconds) - time() < 14 * 86400",
        "1h",
        "critical",
        "The {{ $labels.certificate }} certificate of the LeaderWorkerSet controller ends within two weeks.",
        "It should have been renewed long ago: see readyz?verbose and the log.",
    ),
    Alert(
        "LWSWatchSilent",
        "max by (resource) (lws_informer_last_event_age_seconds) > 900",
        "5m",
        "warning",
        "The watch of {{ $labels.resource }} has heard nothing for a quarter of an hour.",
        "See healthz?verbose and the log.",
    ),
    Alert(
        "LWSEventLoopSlow",
        quantile(0.99, "lws_event_loop_lag_seconds", "10m") + " > 1",
        "10m",
        "warning",
        "The controller's event loop is late by more than a second.",
        "Give it more CPU.",
    ),
)

PANELS = (
    Panel(
        "Groups",
        "short",
        (
            ("sum by (namespace, name) (lws_groups_desired)", "{{namespace}}/{{name}} desired"),
            ("sum by (namespace, name) (lws_groups_ready)", "{{namespace}}/{{name}} ready"),
        ),
    ),
    Panel("Rollout progress", "percentunit", (("lws_rollout_progress_ratio", "{{namespace}}/{{name}}"),)),
    Panel(
        "Time until a group is ready",
        "s",
        (
            (quantile(0.5, "lws_group_ready_seconds", "1h"), "half"),
            (quantile(0.95, "lws_group_ready_seconds", "1h"), "95 %"),
        ),
    ),
    Panel(
        "Duration of rolling updates",
        "s",
        ((quantile(0.95, "lws_rollout_duration_seconds", "6h"), "95 %"),),
    ),
    Panel(
        "Recreated groups",
        "short",
        (
            (
                "sum by (namespace, name, reason) (increase(lws_group_recreations_total[15m]))",
                "{{namespace}}/{{name}} {{reason}}",
            ),
        ),
    ),
    Panel("Blocked sets", "short", (("sum(lws_blocked)", "blocked"),)),
    Panel(
        "Reconciles",
        "ops",
        (
            (
                "sum by (controller, result) (rate(controller_runtime_reconcile_total[5m]))",
                "{{controller}} {{result}}",
            ),
        ),
    ),
    Panel(
        "Time of a reconcile",
        "s",
        (
            (
                quantile(0.99, "controller_runtime_reconcile_time_seconds", "5m", "controller"),
                "{{controller}} 99 %",
            ),
        ),
    ),
    Panel("Queue depth", "short", (("sum by (name, priority) (workqueue_depth)", "{{name}} {{priority}}"),)),
    Panel(
        "Time in the queue",
        "s",
        (
            (
                quantile(0.99, "workqueue_queue_duration_seconds", "5m", "name"),
                "{{name}} 99 %",
            ),
        ),
    ),
    Panel(
        "Requests to the API server",
        "reqps",
        (("sum by (method, code) (rate(rest_client_requests_total[5m]))", "{{method}} {{code}}"),),
    ),
    Panel(
        "Admission",
        "reqps",
        (("sum by (webhook, code) (rate(controller_runtime_webhook_requests_total[5m]))", "{{webhook}} {{code}}"),),
    ),
    Panel("Cached objects", "short", (("sum by (resource) (lws_informer_objects)", "{{resource}}"),)),
    Panel("Silence of watches", "s", (("max by (resource) (lws_informer_last_event_age_seconds)", "{{resource}}"),)),
    Panel(
        "Lag of the event loop",
        "s",
        ((quantile(0.99, "lws_event_loop_lag_seconds", "5m"), "99 %"),),
    ),
    Panel(
        "Days until certificates end",
        "d",
        (("(lws_certificate_expiry_timestamp_seconds - time()) / 86400", "{{certificate}}"),),
    ),
)

HEAD = """\
# Metrics

Generated by `make generate` from the code; do not edit.

Served on port 8443 over TLS under `/metrics`, to callers who may `get` that non-resource URL (role `metrics-reader`).
A histogram is exported as `_bucket`, `_sum` and `_count`. Times are in seconds. Metrics of the process itself
(`process_*`, `python_gc_*`) come on top. The dashboard is `config/prometheus/dashboard.json`.

| Name | Type | Labels | Meaning |
|---|---|---|---|"""
NOTICE = "# Generated by `make generate` from hack/monitoring.py; do not edit.\n"


def queries() -> Iterable[str]:
    """Every query of the alerts and the dashboard."""
    yield from (alert.expression for alert in ALERTS)
    yield from (query for panel in PANELS for query, _ in panel.queries)


def catalogue() -> Sequence[Described]:
    """Every metric that an operator exports, but for those of its process."""
    metrics = Metrics()
    DomainMetrics(metrics, SystemClock())
    nowhere: Any = None
    client = ApiClient(nowhere, user_agent="lws")
    export_informers(metrics, InformerRegistry(client, clock=SystemClock(), random=Random(0)))
    return sorted(metrics.catalogue, key=lambda each: each.name)


def rules() -> str:
    """The ``spec`` of the PrometheusRule."""
    groups = [{"name": "leaderworkerset", "rules": [_rule(alert) for alert in ALERTS]}]
    return NOTICE + yaml.safe_dump({"groups": groups}, sort_keys=False, width=120)


def prometheus_rule() -> str:
    """The PrometheusRule for kustomize."""
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": "lws-controller-manager-alerts",
            "namespace": "lws-system",
            "labels": {"control-plane": "controller-manager"},
        },
        "spec": yaml.safe_load(rules()),
    }
    return NOTICE + yaml.safe_dump(manifest, sort_keys=False, width=120)


def dashboard() -> str:
    """The Grafana dashboard."""
    source = {"type": "prometheus", "uid": "${source}"}
    panels = [_panel(number, panel, source) for number, panel in enumerate(PANELS)]
    variable = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    board = {
        "title": "LeaderWorkerSet",
        "uid": "leaderworkerset",
        "tags": ["kubernetes", "leaderworkerset"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [variable]},
        "panels": panels,
    }
    return json.dumps(board, indent=1) + "\n"


def reference() -> str:
    """The page of the documentation."""
    lines = [HEAD]
    for each in catalogue():
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| `{each.name}` | {each.type} | {labels} | {each.help} |")
    lines += ["", "## Alerts", "", "| Alert | When | For | What to do |", "|---|---|---|---|"]
    for alert in ALERTS:
        lines.append(f"| {alert.name} | `{alert.expression}` | {alert.wait} | {alert.remedy} |")
    return "\n".join([*lines, ""])


def _rule(alert: Alert) -> JSON:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.wait,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "description": alert.remedy},
    }


def _panel(number: int, panel: Panel, source: JSON) -> JSON:
    row, column = divmod(number, 2)
    return {
        "id": number + 1,
        "title": panel.title,
        "type": "timeseries",
        "datasource": source,
        "gridPos": {"h": 8, "w": 12, "x": 12 * column, "y": 8 * row},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": source, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }
