"""Runs rules and queries through Prometheus' own engine: `promtool test rules`, over series that a test writes down.

Times are in seconds from the first sample. A series is a list of samples, one each `INTERVAL`; None is a scrape where
it was not there, as after the end of its process.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from hack import monitoring

from lws.apimachinery.manifests import JSON
from tests.tools import need

INTERVAL: Final = 30
Samples: TypeAlias = Sequence[float | None]
Series: TypeAlias = Mapping[str, Samples]


@dataclass(frozen=True)
class Question:
    """An expression, when it is asked, and the expected samples: value by labels.

    Labels are written as PromQL writes a series, ``{namespace="a"}``.
    """

    expression: str
    at: float
    answer: Mapping[str, float]


@dataclass
class Story:
    """Series, and what is asked of them.

    Attributes:
        series: samples by series.
        firing: at which time which alert fires, and with which labels; the empty list for none.
        questions: expressions with their answers.
        interval: seconds between samples.
    """

    series: Series
    firing: list[tuple[float, str, list[Mapping[str, str]]]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    interval: int = INTERVAL

    def silent(self, *times: float, alerts: Sequence[str]) -> Story:
        """None of these alerts fires at these times."""
        self.firing += [(time, alert, []) for time in times for alert in alerts]
        return self

    def fires(self, alert: str, *times: float, **labels: str) -> Story:
        """This alert fires at these times, once, with these labels beside its severity."""
        self.firing += [(time, alert, [labels]) for time in times]
        return self

    def asks(self, expression: str, at: float, answer: Mapping[str, float]) -> Story:
        """This expression has this answer at that time."""
        self.questions.append(Question(expression, at, answer))
        return self


def check(tmp_path: Path, *stories: Story, rules: JSON | None = None) -> None:
    """Assert that everything in the stories is as told, by the rules as shipped, or these."""
    promtool = need("promtool")
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(_without_words(rules or monitoring.rules())))
    tests = tmp_path / "tests.yaml"
    document = {
        "rule_files": [file.name],
        "evaluation_interval": "30s",
        "fuzzy_compare": True,  # to the last bits
        "tests": [_test(story) for story in stories],
    }
    tests.write_text(yaml.safe_dump(document, sort_keys=False, width=10_000))
    done = subprocess.run([promtool, "test", "rules", str(tests)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _test(story: Story) -> dict[str, Any]:
    severities = {each["alert"]: each["labels"] for group in monitoring.rules()["groups"] for each in group["rules"]}
    return {
        "interval": f"{story.interval}s",
        "input_series": [{"series": name, "values": _written(values)} for name, values in story.series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{time:g}s",
                "alertname": alert,
                "exp_alerts": [{"exp_labels": {**severities[alert], **labels}} for labels in expected],
            }
            for time, alert, expected in story.firing
        ],
        "promql_expr_test": [
            {
                "expr": each.expression,
                "eval_time": f"{each.at:g}s",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in each.answer.items()],
            }
            for each in story.questions
        ],
    }


def _written(values: Samples) -> str:
    """A gap is marked stale at its begin, as Prometheus marks a target that does not answer or has lost a series."""
    words, there = [], False
    for value in values:
        words.append(("stale" if there else "_") if value is None else repr(float(value)))
        there = value is not None
    return " ".join(words)


def _without_words(spec: dict[str, Any]) -> dict[str, Any]:
    """Rules without their annotations, which would have to be repeated in every expectation."""
    for group in spec["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]
    return spec


def steady(value: float, seconds: float) -> list[float | None]:
    """The same value for so long."""
    return [value] * round(seconds / INTERVAL)


def gone(seconds: float) -> list[float | None]:
    """Nothing for so long."""
    return [None] * round(seconds / INTERVAL)


def counting(begin: float, step: float, seconds: float) -> list[float | None]:
    """A counter that grows by a step with each sample."""
    return [begin + step * number for number in range(round(seconds / INTERVAL))]
