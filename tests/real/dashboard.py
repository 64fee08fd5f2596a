"""Asks a running Prometheus what Grafana would: every query of the dashboard, for each value of each variable."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Protocol

from hack.panels import PANELS, VARIABLES

from tests.monitoring.test_dashboard import filled

NOWHERE: Final = "nowhere"
LABELS: Final = {"cluster": "cluster", "job": "job", "namespace": "namespace", "set": "name"}
VALUES: Final = re.compile(r"label_values\((.*), (\w+)\)")
Answer = frozenset[tuple[str, str]]


class Asked(Protocol):
    """A Prometheus."""

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer."""
        ...


def choices(prometheus: Asked) -> Mapping[str, list[str]]:
    """The values of each variable, by its own query, with all of the others chosen."""
    found = {}
    for variable in VARIABLES:
        match = VALUES.fullmatch(filled(variable.query))
        assert match, variable.query
        selector, label = match.groups()
        found[variable.name] = prometheus.get(f"label/{label}/values", **{"match[]": selector})
    return found


def check_panels(prometheus: Asked, *, interval: str) -> Counter[tuple[str, str]]:
    """How many series each query has, by panel and legend.

    Asserts of each query, all of them asked for one moment: no answer is negative; with a value of a variable chosen
    that it names, it answers with those of its series that bear the value, and all values together leave out none;
    with a value that is not there it has no answer.
    """
    at = f"{time.time():.3f}"
    values = choices(prometheus)

    def ask(query: str, **chosen: str) -> dict[Answer, float]:
        written = filled(query, __rate_interval=interval, **chosen)
        found = prometheus.get("query", query=written, time=at)["result"]
        return {frozenset(each["metric"].items()): float(each["value"][1]) for each in found}

    counted: Counter[tuple[str, str]] = Counter()
    for panel in PANELS:
        for query, legend in panel.queries:
            every = ask(query)
            counted[panel.title, legend] = len(every)
            assert all(value >= 0 for value in every.values()), (panel.title, every)
            for name in (each.name for each in VARIABLES if re.search(rf"\${each.name}\b", query)):
                where = (panel.title, legend, name)
                assert ask(query, **{name: NOWHERE}) == {}, where
                parts = {value: ask(query, **{name: value.replace(".", r"\\.")}) for value in values[name]}
                for value, part in parts.items():
                    named = [dict(labels).get(LABELS[name], value) for labels in part]
                    assert named == [value] * len(part), where
                assert {labels for part in parts.values() for labels in part} == every.keys(), where
    return counted
