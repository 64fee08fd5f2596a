"""Alerts and dashboard ask only for what the controller exports, and every export is described."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from hack import monitoring
from hack.alerts import EVERY, PLACES, THRESHOLDS, Alert, with_defaults
from hack.dashboard import dashboard, picture
from hack.panels import PANELS, ROWS

ROOT = Path(__file__).parents[2]
TOKEN = re.compile(
    r"""\s+|"[^"]*"|\[[^\]]*\]|[0-9][0-9.]*[smhd]?|[A-Za-z_:][A-Za-z0-9_:]*|[=!]~|[=!<>]=|[-+*/%^<>=(){},]"""
)
WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*$")
FUNCTIONS = {
    *("absent", "count", "histogram_quantile", "increase", "max", "max_over_time", "min", "rate", "sum", "time"),
}
OPERATORS = {"or", "and", "unless", "bool", "offset"}
TARGET = {"cluster", "job", "namespace", "pod", "instance"}  # what Prometheus adds to every series
REJECTIONS = "apiserver_admission_webhook_rejection_count"
GROUPERS = {"by", "without", "on", "ignoring", "group_left", "group_right"}


@dataclass
class Query:
    """What a PromQL expression names: metrics with the labels they are selected by, and the labels it groups by."""

    metrics: dict[str, set[str]] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)


def read(expression: str) -> Query:
    """The names in a PromQL expression; fails on what is no token of the language."""
    tokens, position, query = [], 0, Query()
    while position < len(expression):
        match = TOKEN.match(expression, position)
        assert match, f"{expression!r} has an unknown token at {position}"
        position = match.end()
        if not match.group().isspace():
            tokens.append(match.group())
    at = 0
    while at < len(tokens):
        token, following = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
        if token in GROUPERS:
            end = tokens.index(")", at)
            query.groups |= {word for word in tokens[at + 2 : end] if word != ","}
            at = end
        elif WORD.match(token) and token not in OPERATORS and (following == "(" or following in GROUPERS):
            query.functions.add(token)
        elif WORD.match(token) and token not in OPERATORS:
            selected = query.metrics.setdefault(token, set())
            if following == "{":
                end = tokens.index("}", at)
                selected |= {word for word in tokens[at + 2 : end] if WORD.match(word)}
                at = end
        at += 1
    return query


def exported() -> dict[str, set[str]]:
    """Every name that a scrape shows, with its labels; and what Prometheus and the API server have."""
    names: dict[str, set[str]] = {"up": TARGET, REJECTIONS: {"cluster", "name", "error_type"}}
    for each in monitoring.catalogue():
        if each.type == "histogram":
            names[f"{each.name}_bucket"] = {*each.labels, "le", *TARGET}
            names[f"{each.name}_sum"] = names[f"{each.name}_count"] = {*each.labels, *TARGET}
        else:
            names[each.name] = {*each.labels, *TARGET}
    return names


def test_the_reader_of_queries_sees_names() -> None:
    """Metrics, selecting labels, grouping labels and functions are told apart, and nonsense is refused."""
    query = read('max by (a, b) (rate(x_total{c="y",d!~"z"}[5m])) / sum(up offset 10m or time()) > 0.5')
    assert query == Query({"x_total": {"c", "d"}, "up": set()}, {"a", "b"}, {"max", "rate", "sum", "time"})
    with pytest.raises(AssertionError, match="unknown token at 3"):
        read("up $ 1")


@pytest.mark.parametrize("expression", sorted(set(monitoring.queries())))
def test_every_query_is_answered(expression: str) -> None:
    """The metrics of a query are exported, each with the labels by which it is selected and grouped."""
    names, query = exported(), read(expression)
    assert query.metrics
    assert query.functions <= FUNCTIONS
    for name, labels in query.metrics.items():
        assert name in names
        assert labels | query.groups <= names[name], name


def test_the_queries_checked_are_those_of_the_files() -> None:
    """What is written for Prometheus and Grafana holds the checked queries and no other."""
    files = [f"config/{each}alerts.yaml" for each in ("prometheus/", "prometheus/apiserver/", "operatorprometheus/")]
    groups = [each for file in files for each in yaml.safe_load((ROOT / file).read_text())["spec"]["groups"]]
    written = [rule["expr"] for group in groups for rule in group["rules"]]
    board = json.loads((ROOT / "config/prometheus/dashboard.json").read_text())
    written += [target["expr"] for panel in shown(board) for target in panel["targets"]]
    assert sorted(written) == sorted(monitoring.queries())


@pytest.mark.parametrize("alert", EVERY, ids=lambda alert: str(alert.name))
def test_an_alert_tells_only_what_its_query_keeps(alert: Alert) -> None:
    """The labels in an alert's words are those that its expression groups by, or of the target if it groups by none."""
    told = set(re.findall(r"\$labels\.([a-z_]+)", alert.summary + alert.action))
    assert told <= (read(with_defaults(alert.expression)).groups or TARGET)


@pytest.mark.parametrize("alert", EVERY, ids=lambda alert: str(alert.name))
def test_an_alert_says_what_to_do(alert: Alert) -> None:
    """Its words hold a command, its runbook has a section of its name, and what it is about is named."""
    assert re.search(r"`kubectl [^`]+`", alert.action)
    page = (ROOT / "docs/troubleshooting.md").read_text()
    assert f"\n### {alert.name}\n" in page
    rule = next(each for each in _rules(monitoring.rules()) if each["alert"] == alert.name)
    assert rule["annotations"]["runbook_url"] == f"docs/troubleshooting.md#{alert.name.lower()}"
    assert "@" not in json.dumps(rule)


def test_labels_of_ours_never_collide_with_those_of_targets() -> None:
    """With honorLabels our labels win, so none has a name that Prometheus adds, but for what a series is about.

    These are a set's namespace, and the node that is suspect (resilience 10), which no target of ours is.
    """
    added = {"job", "instance", "pod", "service", "endpoint", "container", "node", "cluster", "prometheus"}
    for each in monitoring.catalogue():
        if each.name == "lws_suspect_node":
            continue
        assert added.isdisjoint(each.labels), each.name
        assert "namespace" not in each.labels or "name" in each.labels, each.name


def _rules(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in spec["groups"] for rule in group["rules"]]


def test_legends_tell_only_what_their_query_keeps() -> None:
    """The labels in a graph's legend are those that its query groups by."""
    for panel in PANELS:
        for query, legend in panel.queries:
            assert set(re.findall(r"{{([a-z_]+)}}", legend)) <= read(query).groups, panel.title


def test_thresholds_of_the_chart_are_those_of_the_rules() -> None:
    """The chart ships every threshold that a rule names, and no other."""
    shipped = yaml.safe_load(monitoring.chart_thresholds())
    named = {name for alert in EVERY for name in re.findall(r"@(\w+)@", alert.expression)} - PLACES.keys()
    assert shipped.keys() == named
    assert shipped == {each.name: each.default for each in THRESHOLDS}


def test_the_dashboard_shows_every_panel_once() -> None:
    """The dashboard is valid JSON whose panels have different places."""
    board = json.loads(dashboard())
    panels = shown(board)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(PANELS) == len(panels)
    identifiers = [panel["id"] for panel in (*panels, *board["panels"])]
    assert len(set(identifiers)) == len(PANELS) + len(ROWS)
    assert [panel["type"] for panel in panels][:2] == ["table", "timeseries"]


def shown(board: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels of the dashboard, those in collapsed rows too."""
    inner = [panel for each in board["panels"] for panel in each.get("panels", ())]
    return [*(each for each in board["panels"] if each["type"] != "row"), *inner]


def test_every_metric_of_an_operator_is_in_the_reference() -> None:
    """Each exported metric has its line in the reference."""
    page = monitoring.reference()
    for each in monitoring.catalogue():
        assert f"| `{each.name}` | {each.type} |" in page


def test_the_picture_shows_every_panel() -> None:
    """The picture is XML and holds the title of each panel and the legend of each of its queries."""
    texts = [each.text for each in ElementTree.fromstring(picture()).iter() if each.tag.endswith("text")]
    for panel in PANELS:
        assert {panel.title, *(legend for _, legend in panel.queries)} <= set(texts)
