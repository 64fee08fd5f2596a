"""The Grafana dashboard: its panels written once, rendered as JSON for Grafana and as a picture for the docs.

What is wrong now comes first, as a table with a line for each set in trouble. Panels sum over sets; the last row has a
line for each set, for whoever narrows the variables to a few.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from lws.apimachinery.manifests import JSON


@dataclass(frozen=True)
class Panel:
    """One graph or table: its queries with their legends, which are the titles of a table's columns."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    table: bool = False


@dataclass(frozen=True)
class Row:
    """Panels under one heading; a collapsed row asks nothing until it is opened."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True)
class Variable:
    """A choice at the top of the dashboard: of one or several values of a label, all at first."""

    name: str
    query: str


INTERVAL: Final = "$__rate_interval"
SETS: Final = 'cluster=~"$cluster",namespace=~"$namespace",name=~"$set"'
OURS: Final = 'cluster=~"$cluster",job=~"$job"'
SET: Final = "cluster, namespace, name"

VARIABLES: Final = (
    Variable("cluster", "label_values(lws_build_info, cluster)"),
    Variable("job", 'label_values(lws_build_info{cluster=~"$cluster"}, job)'),
    Variable("namespace", 'label_values(lws_groups_desired{cluster=~"$cluster"}, namespace)'),
    Variable("set", 'label_values(lws_groups_desired{cluster=~"$cluster",namespace=~"$namespace"}, name)'),
)


def quantile(share: float, metric: str, by: str = "", window: str = INTERVAL) -> str:
    """The query for a quantile of a histogram; nothing where there was no traffic."""
    labels = f"le, {by}" if by else "le"
    rates = f"sum by ({labels}) (rate({metric}_bucket{{{OURS}}}[{window}]))"
    return f"histogram_quantile({share}, {rates}) >= 0"


def of_sets(metric: str, more: str = "") -> str:
    """A gauge of sets, which every replica exports, once."""
    by = f"{SET}, {more}" if more else SET
    return f"max by ({by}) ({metric}{{{SETS}}})"


def rate(metric: str, by: str) -> str:
    """A counter of the controller, each second."""
    return f"sum by ({by}) (rate({metric}{{{OURS}}}[{INTERVAL}]))"


UPDATING: Final = of_sets("lws_rollout_last_progress_timestamp_seconds")
LEADING: Final = f"leader_election_master_status{{{OURS}}}"
VACANCY: Final = f"lws_leader_vacancy_seconds{{{OURS}}}"
REPLICA: Final = "cluster, job, instance"

WRONG_NOW: Final = Panel(
    "What is wrong now",
    "short",
    (
        (of_sets("lws_groups_not_ready", "reason") + " > 0", "Groups not ready"),
        (
            f"time() - min by ({SET}) (lws_set_not_ready_since_timestamp_seconds{{{SETS}}} > 0)",
            "Not ready for",
        ),
        (of_sets("lws_blocked") + " > 0", "Blocked"),
        (
            f"time() - min by ({SET}, reason) (lws_set_failing_since_timestamp_seconds{{{SETS}}})",
            "Reconciles fail for",
        ),
        (of_sets("lws_group_failures_max") + " > 0", "Failures of one group"),
    ),
    table=True,
)

ROWS: Final = (
    Row(
        "Sets",
        (
            Panel(
                "Groups",
                "short",
                (
                    (f"sum({of_sets('lws_groups_desired')})", "desired"),
                    (f"sum({of_sets('lws_groups_ready')})", "ready"),
                    (f"sum({of_sets('lws_groups_updated')})", "updated"),
                ),
            ),
            Panel(
                "Groups that are not ready",
                "short",
                ((f"sum by (reason) ({of_sets('lws_groups_not_ready', 'reason')})", "{{reason}}"),),
            ),
            Panel(
                "Accelerators",
                "short",
                (
                    (
                        f"sum by (resource, state) ({of_sets('lws_accelerators', 'resource, state')})",
                        "{{resource}} {{state}}",
                    ),
                ),
            ),
            Panel(
                "Rolling updates in progress",
                "percentunit",
                (
                    (
                        f"{of_sets('lws_rollout_progress_ratio')} and {UPDATING} > 0",
                        "{{namespace}}/{{name}}",
                    ),
                ),
            ),
            Panel(
                "Rolling updates that stand still",
                "s",
                (
                    (
                        f"time() - ({UPDATING} > 0)",
                        "{{namespace}}/{{name}}",
                    ),
                ),
            ),
            Panel(
                "Recreated groups",
                "short",
                ((f"sum by (reason) (increase(lws_group_recreations_total{{{SETS}}}[{INTERVAL}]))", "{{reason}}"),),
            ),
            Panel(
                "Time lost in recreations",
                "s",
                (
                    (
                        f"sum by (reason) (increase(lws_group_recreation_seconds_total{{{OURS}}}[{INTERVAL}]))",
                        "{{reason}}",
                    ),
                ),
            ),
            Panel(
                "Time until a group is ready",
                "s",
                (
                    (quantile(0.5, "lws_group_ready_seconds", window="1h"), "half"),
                    (quantile(0.95, "lws_group_ready_seconds", window="1h"), "95 %"),
                ),
            ),
            Panel(
                "Duration of rolling updates",
                "s",
                (
                    (quantile(0.5, "lws_rollout_duration_seconds", window="6h"), "half"),
                    (quantile(0.95, "lws_rollout_duration_seconds", window="6h"), "95 %"),
                ),
            ),
        ),
    ),
    Row(
        "Controller",
        (
            Panel(
                "Replicas",
                "short",
                (
                    (f"sum by (cluster, job) (up{{{OURS}}})", "scraped {{job}}"),
                    (f"sum by (cluster, job) (leader_election_master_status{{{OURS}}})", "leading {{job}}"),
                ),
            ),
            Panel(
                "Last change of leader",
                "s",
                (
                    (
                        f"time() - max by (cluster, job) (lws_leader_acquired_timestamp_seconds{{{OURS}}} > 0)",
                        "ago {{job}}",
                    ),
                    (
                        f"max by (cluster, job) ({VACANCY} and on ({REPLICA}) {LEADING} == 1)",
                        "nobody led for {{job}}",
                    ),
                ),
            ),
            Panel(
                "Reconciles",
                "ops",
                ((rate("controller_runtime_reconcile_total", "controller, result"), "{{controller}} {{result}}"),),
            ),
            Panel(
                "Reconciles that failed, by reason",
                "ops",
                ((rate("lws_reconcile_failures_total", "controller, reason") + " > 0", "{{controller}} {{reason}}"),),
            ),
            Panel(
                "Time of a reconcile",
                "s",
                ((quantile(0.99, "controller_runtime_reconcile_time_seconds", "controller"), "{{controller}} 99 %"),),
            ),
            Panel(
                "Queue depth",
                "short",
                ((f"sum by (name, priority) (workqueue_depth{{{OURS}}})", "{{name}} {{priority}}"),),
            ),
            Panel(
                "Time in the queue",
                "s",
                (
                    (quantile(0.99, "workqueue_queue_duration_seconds", "name"), "{{name}} 99 %"),
                    (f"max by (name) (lws_workqueue_longest_wait_seconds{{{OURS}}})", "{{name}} waits"),
                ),
            ),
            Panel(
                "Lag of the event loop",
                "s",
                ((quantile(0.99, "lws_event_loop_lag_seconds", "pod"), "{{pod}} 99 %"),),
            ),
            Panel(
                "Builds",
                "short",
                ((f"count by (version, commit) (lws_build_info{{{OURS}}})", "{{version}} {{commit}}"),),
            ),
        ),
    ),
    Row(
        "API server and admission",
        (
            Panel(
                "Requests to the API server",
                "reqps",
                ((rate("rest_client_requests_total", "method, code"), "{{method}} {{code}}"),),
            ),
            Panel(
                "Silence of watches",
                "s",
                ((f"max by (resource) (lws_informer_last_event_age_seconds{{{OURS}}})", "{{resource}}"),),
            ),
            Panel(
                "Cached objects",
                "short",
                ((f"max by (resource) (lws_informer_objects{{{OURS}}})", "{{resource}}"),),
            ),
            Panel(
                "Admission",
                "reqps",
                ((rate("controller_runtime_webhook_requests_total", "webhook, code"), "{{webhook}} {{code}}"),),
            ),
            Panel(
                "Time of an admission",
                "s",
                ((quantile(0.99, "controller_runtime_webhook_latency_seconds", "webhook"), "{{webhook}} 99 %"),),
            ),
            Panel(
                "Denied objects, by field",
                "short",
                ((f"sum by (rule) (increase(lws_admission_denials_total{{{OURS}}}[{INTERVAL}]))", "{{rule}}"),),
            ),
            Panel(
                "Days until certificates end",
                "d",
                (
                    (
                        f"(min by (certificate) (lws_certificate_expiry_timestamp_seconds{{{OURS}}}) - time()) / 86400",
                        "{{certificate}}",
                    ),
                ),
            ),
        ),
    ),
    Row(
        "Each set",
        (
            Panel(
                "Ready groups of each set",
                "short",
                ((of_sets("lws_groups_ready"), "{{namespace}}/{{name}}"),),
            ),
            Panel(
                "Missing groups of each set",
                "short",
                (
                    (
                        f"{of_sets('lws_groups_desired')} - {of_sets('lws_groups_ready')}",
                        "{{namespace}}/{{name}}",
                    ),
                ),
            ),
        ),
        collapsed=True,
    ),
)

PANELS: Final = (WRONG_NOW, *(panel for row in ROWS for panel in row.panels))

_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_HEIGHT, _WIDTH = 8, 12


def dashboard() -> str:
    """The Grafana dashboard."""
    board = {
        "title": "LeaderWorkerSet",
        "uid": "leaderworkerset",
        "tags": ["kubernetes", "leaderworkerset"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source_variable(), *map(_variable, VARIABLES)]},
        "panels": list(_panels()),
    }
    return json.dumps(board, indent=1) + "\n"


def _source_variable() -> JSON:
    return {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _variable(variable: Variable) -> JSON:
    return {
        "name": variable.name,
        "type": "query",
        "datasource": _SOURCE,
        "query": variable.query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panels() -> Iterator[JSON]:
    yield {**_panel(1, WRONG_NOW), "gridPos": {"h": 10, "w": 24, "x": 0, "y": 0}}
    number, top = 2, 10
    for row in ROWS:
        places = range(len(row.panels))
        heights = [top + 1 + _HEIGHT * (place // 2) for place in places]
        panels = [
            {
                **_panel(number + 1 + place, panel),
                "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": _WIDTH * (place % 2), "y": heights[place]},
            }
            for place, panel in enumerate(row.panels)
        ]
        heading = {"id": number, "type": "row", "title": row.title, "collapsed": row.collapsed}
        yield {
            **heading,
            "gridPos": {"h": 1, "w": 24, "x": 0, "y": top},
            "panels": panels if row.collapsed else [],
        }
        if not row.collapsed:
            yield from panels
        number += 1 + len(panels)
        top = heights[-1] + _HEIGHT


def _panel(number: int, panel: Panel) -> JSON:
    made = {
        "id": number,
        "title": panel.title,
        "type": "table" if panel.table else "timeseries",
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend,
                **({"format": "table", "instant": True} if panel.table else {}),
            }
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }
    if panel.table:
        made |= _as_table(panel)
    return made


def _as_table(panel: Panel) -> JSON:
    """One line for each set and reason, the values of each query in a column of its own."""
    columns = {f"Value #{chr(ord('A') + index)}": legend for index, (_, legend) in enumerate(panel.queries)}
    spans = [
        {"matcher": {"id": "byName", "options": legend}, "properties": [{"id": "unit", "value": "s"}]}
        for _, legend in panel.queries
        if legend.endswith(" for")
    ]
    return {
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": spans},
        "transformations": [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": columns}},
        ],
    }


WIDTH, WRAP = 560, 78
COLOURS = ("#3b6fb6", "#c2702c", "#3f8f5f", "#8a5fb0", "#555")
TEXT = "font-family='sans-serif' fill='#222'"
CODE = "font-family='monospace' font-size='10' fill='#555'"


def picture() -> str:
    """The panels of the dashboard as SVG, in their order: title, unit, legends and what each asks."""
    heights = [0] * -(-len(PANELS) // 2)
    for number, panel in enumerate(PANELS):
        heights[number // 2] = max(heights[number // 2], _height(panel))
    tops = [10 + sum(heights[:row]) for row in range(len(heights) + 1)]
    drawn = [
        _draw(panel, 10 + (number % 2) * WIDTH, tops[number // 2], heights[number // 2])
        for number, panel in enumerate(PANELS)
    ]
    size = f"{2 * WIDTH + 10} {tops[-1]}"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {size}' role='img' aria-label='Panels'>"
    return "\n".join([head, f"<rect width='100%' height='{tops[-1]}' fill='#f4f5f7'/>", *drawn, "</svg>", ""])


def _wrapped(query: str) -> list[str]:
    return textwrap.wrap(query, WRAP, break_long_words=False)


def _height(panel: Panel) -> int:
    return 50 + sum(20 + 13 * len(_wrapped(query)) for query, _ in panel.queries)


def _draw(panel: Panel, left: int, top: int, height: int) -> str:
    right = left + WIDTH - 24
    lines = [
        f"<rect x='{left}' y='{top}' width='{WIDTH - 10}' height='{height - 10}' rx='4' fill='#fff' stroke='#ccd'/>",
        f"<text x='{left + 14}' y='{top + 22}' {TEXT} font-size='14'>{escape(panel.title)}</text>",
        f"<text x='{right}' y='{top + 22}' {TEXT} font-size='11' text-anchor='end'>{escape(panel.unit)}</text>",
    ]
    y = top + 34
    for number, (query, legend) in enumerate(panel.queries):
        y += 14
        colour = COLOURS[number % len(COLOURS)]
        lines.append(f"<rect x='{left + 14}' y='{y - 5}' width='16' height='3' fill='{colour}'/>")
        lines.append(f"<text x='{left + 38}' y='{y}' {TEXT} font-size='11'>{escape(legend)}</text>")
        for text in _wrapped(query):
            y += 13
            lines.append(f"<text x='{left + 38}' y='{y}' {CODE}>{escape(text)}</text>")
        y += 6
    return "\n".join(lines)
