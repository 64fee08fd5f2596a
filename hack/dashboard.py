"""The Grafana dashboard: its panels written once, rendered as JSON for Grafana and as a picture for the docs."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from html import escape
from typing import Any

JSON = dict[str, Any]


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


PANELS = (
    Panel(
        "Groups",
        "short",
        (
            ("max by (namespace, name) (lws_groups_desired)", "{{namespace}}/{{name}} desired"),
            ("max by (namespace, name) (lws_groups_ready)", "{{namespace}}/{{name}} ready"),
            ("max by (namespace, name) (lws_groups_updated)", "{{namespace}}/{{name}} updated"),
        ),
    ),
    Panel(
        "Rollout progress",
        "percentunit",
        (("max by (namespace, name) (lws_rollout_progress_ratio)", "{{namespace}}/{{name}}"),),
    ),
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
        (
            (quantile(0.5, "lws_rollout_duration_seconds", "6h"), "half"),
            (quantile(0.95, "lws_rollout_duration_seconds", "6h"), "95 %"),
        ),
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
    Panel("Blocked sets", "short", (("sum(max by (namespace, name) (lws_blocked))", "blocked"),)),
    Panel(
        "Reconciles",
        "ops",
        (("sum by (controller, result) (rate(controller_runtime_reconcile_total[5m]))", "{{controller}} {{result}}"),),
    ),
    Panel(
        "Reconciles that failed",
        "ops",
        (
            ("sum by (controller) (rate(controller_runtime_reconcile_errors_total[5m]))", "{{controller}} errors"),
            ("sum by (controller) (rate(controller_runtime_reconcile_timeouts_total[5m]))", "{{controller}} timeouts"),
            ("sum by (controller) (rate(controller_runtime_reconcile_panics_total[5m]))", "{{controller}} panics"),
        ),
    ),
    Panel(
        "Time of a reconcile",
        "s",
        ((quantile(0.99, "controller_runtime_reconcile_time_seconds", "5m", "controller"), "{{controller}} 99 %"),),
    ),
    Panel("Queue depth", "short", (("sum by (name, priority) (workqueue_depth)", "{{name}} {{priority}}"),)),
    Panel(
        "Time in the queue",
        "s",
        ((quantile(0.99, "workqueue_queue_duration_seconds", "5m", "name"), "{{name}} 99 %"),),
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
    Panel(
        "Time of an admission",
        "s",
        ((quantile(0.99, "controller_runtime_webhook_latency_seconds", "5m", "webhook"), "{{webhook}} 99 %"),),
    ),
    Panel("Cached objects", "short", (("max by (resource) (lws_informer_objects)", "{{resource}}"),)),
    Panel("Silence of watches", "s", (("max by (resource) (lws_informer_last_event_age_seconds)", "{{resource}}"),)),
    Panel("Lag of the event loop", "s", ((quantile(0.99, "lws_event_loop_lag_seconds", "5m"), "99 %"),)),
    Panel(
        "Days until certificates end",
        "d",
        (("(min by (certificate) (lws_certificate_expiry_timestamp_seconds) - time()) / 86400", "{{certificate}}"),),
    ),
    Panel("Leaders", "short", (("sum by (name) (leader_election_master_status)", "{{name}}"),)),
)


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


WIDTH, WRAP = 560, 78
COLOURS = ("#3b6fb6", "#c2702c", "#3f8f5f", "#8a5fb0")
TEXT = "font-family='sans-serif' fill='#222'"
CODE = "font-family='monospace' font-size='10' fill='#555'"


def picture() -> str:
    """The panels of the dashboard as SVG, in their places: title, unit, legends and what each asks."""
    panels = json.loads(dashboard())["panels"]
    heights = [0] * -(-len(panels) // 2)
    for number, panel in enumerate(panels):
        heights[number // 2] = max(heights[number // 2], _height(panel))
    tops = [10 + sum(heights[:row]) for row in range(len(heights) + 1)]
    drawn = [
        _draw(panel, 10 + (number % 2) * WIDTH, tops[number // 2], heights[number // 2])
        for number, panel in enumerate(panels)
    ]
    size = f"{2 * WIDTH + 10} {tops[-1]}"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {size}' role='img' aria-label='Panels'>"
    return "\n".join([head, f"<rect width='100%' height='{tops[-1]}' fill='#f4f5f7'/>", *drawn, "</svg>", ""])


def _wrapped(target: JSON) -> list[str]:
    return textwrap.wrap(target["expr"], WRAP, break_long_words=False)


def _height(panel: JSON) -> int:
    return 50 + sum(20 + 13 * len(_wrapped(target)) for target in panel["targets"])


def _draw(panel: JSON, left: int, top: int, height: int) -> str:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    lines = [
        f"<rect x='{left}' y='{top}' width='{WIDTH - 10}' height='{height - 10}' rx='4' fill='#fff' stroke='#ccd'/>",
        f"<text x='{left + 14}' y='{top + 22}' {TEXT} font-size='14'>{escape(panel['title'])}</text>",
        f"<text x='{left + WIDTH - 24}' y='{top + 22}' {TEXT} font-size='11' text-anchor='end'>{escape(unit)}</text>",
    ]
    y = top + 34
    for number, target in enumerate(panel["targets"]):
        y += 14
        colour = COLOURS[number % len(COLOURS)]
        lines.append(f"<rect x='{left + 14}' y='{y - 5}' width='16' height='3' fill='{colour}'/>")
        lines.append(f"<text x='{left + 38}' y='{y}' {TEXT} font-size='11'>{escape(target['legendFormat'])}</text>")
        for text in _wrapped(target):
            y += 13
            lines.append(f"<text x='{left + 38}' y='{y}' {CODE}>{escape(text)}</text>")
        y += 6
    return "\n".join(lines)
