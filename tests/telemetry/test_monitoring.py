"""Alerts and dashboard ask only for what the controller exports, and every export is described."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from hack import monitoring
from hack.dashboard import PANELS, dashboard, picture
from hack.monitoring import ALERTS

ROOT = Path(__file__).parents[2]
TOKEN = re.compile(
    r"""\s+|"[^"]*"|\[[^\]]*\]|[0-9][0-9.]*[smhd]?|[A-Za-z_:][A-Za-z0-9_:]*|[=!]~|[=!<>]=|[-+*/%^<>=(){},]"""
)
WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*$")
FUNCTIONS = {"sum", "max", "min", "rate", "increase", "time", "vector", "histogram_quantile"}
OPERATORS = {"or", "and", "unless", "bool"}
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
        elif WORD.match(token) and (following == "(" or following in GROUPERS):
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
    """Every name that a scrape shows, with its labels."""
    names: dict[str, set[str]] = {}
    for each in monitoring.catalogue():
        if each.type == "histogram":
            names[f"{each.name}_bucket"] = {*each.labels, "le"}
            names[f"{each.name}_sum"] = names[f"{each.name}_count"] = set(each.labels)
        else:
            names[each.name] = set(each.labels)
    return names


def test_the_reader_of_queries_sees_names() -> None:
    """Metrics, selecting labels, grouping labels and functions are told apart, and nonsense is refused."""
    query = read('max by (a, b) (rate(x_total{c="y",d!~"z"}[5m])) / sum(up or vector(0)) > 0.5')
    assert query == Query({"x_total": {"c", "d"}, "up": set()}, {"a", "b"}, {"max", "rate", "sum", "vector"})
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
    groups = yaml.safe_load((ROOT / "config/prometheus/alerts.yaml").read_text())["spec"]["groups"]
    board = json.loads((ROOT / "config/prometheus/dashboard.json").read_text())
    written = [rule["expr"] for group in groups for rule in group["rules"]]
    written += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert sorted(written) == sorted(monitoring.queries())


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert.name))
def test_an_alert_tells_only_what_its_query_keeps(alert: monitoring.Alert) -> None:
    """The labels in an alert's sentence are those that its expression groups by."""
    assert set(re.findall(r"\$labels\.([a-z_]+)", alert.summary)) <= read(alert.expression).groups


def test_legends_tell_only_what_their_query_keeps() -> None:
    """The labels in a graph's legend are those that its query groups by."""
    for panel in PANELS:
        for query, legend in panel.queries:
            assert set(re.findall(r"{{([a-z_]+)}}", legend)) <= read(query).groups, panel.title


def test_rules_for_helm_and_kustomize_are_the_same() -> None:
    """The rules that the chart includes are those of the manifest."""
    assert yaml.safe_load(monitoring.prometheus_rule())["spec"] == yaml.safe_load(monitoring.rules())


def test_the_dashboard_shows_every_panel_once() -> None:
    """The dashboard is valid JSON whose panels have different places."""
    board = json.loads(dashboard())
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(PANELS) == len(board["panels"])


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
