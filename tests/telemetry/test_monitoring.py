"""Alerts and dashboard ask only for what the controller exports, and every export is described."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hack import monitoring
from hack.monitoring import ALERTS, PANELS

NAME = re.compile(r"\b[a-z][a-z0-9]*_[a-z0-9_]+\b")
GROUPING = re.compile(r"by \(([^)]*)\)")
MATCHER = re.compile(r"\{([a-z_]+)[!=]")
PROMQL = {"histogram_quantile"}


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


def metrics_of(query: str) -> list[str]:
    """The metrics that a query names."""
    bare = MATCHER.sub("", GROUPING.sub("", query))
    return [name for name in NAME.findall(re.sub(r'"[^"]*"', "", bare)) if name not in PROMQL]


@pytest.mark.parametrize("query", sorted(set(monitoring.queries())))
def test_every_query_is_answered(query: str) -> None:
    """The metrics of a query are exported, and have the labels by which it groups and selects."""
    names = exported()
    used = metrics_of(query)
    assert used
    for name in used:
        assert name in names
    labels = {label.strip() for group in GROUPING.findall(query) for label in group.split(",")}
    labels |= set(MATCHER.findall(query))
    assert labels <= set.union(*(names[name] for name in used))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert.name))
def test_an_alert_tells_only_what_its_query_keeps(alert: monitoring.Alert) -> None:
    """The labels in an alert's sentence are those that its expression groups by."""
    told = set(re.findall(r"\$labels\.([a-z_]+)", alert.summary))
    kept = {label.strip() for group in GROUPING.findall(alert.expression) for label in group.split(",")}
    assert told <= kept


def test_legends_tell_only_what_their_query_keeps() -> None:
    """The labels in a graph's legend are those that its query groups by, or all of them without grouping."""
    names = exported()
    for panel in PANELS:
        for query, legend in panel.queries:
            groups = GROUPING.findall(query)
            kept = {label.strip() for group in groups for label in group.split(",")}
            if not groups:
                kept = set.union(*(names[name] for name in metrics_of(query)))
            assert set(re.findall(r"{{([a-z_]+)}}", legend)) <= kept, panel.title


def test_rules_for_helm_and_kustomize_are_the_same() -> None:
    """The rules that the chart includes are those of the manifest."""
    assert yaml.safe_load(monitoring.prometheus_rule())["spec"] == yaml.safe_load(monitoring.rules())


def test_the_dashboard_shows_every_panel_once() -> None:
    """The dashboard is valid JSON whose panels have different places."""
    board = json.loads(monitoring.dashboard())
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(PANELS) == len(board["panels"])


def test_every_metric_of_an_operator_is_in_the_reference() -> None:
    """Each exported metric has its line in the reference."""
    page = monitoring.reference()
    for each in monitoring.catalogue():
        assert f"| `{each.name}` | {each.type} |" in page
