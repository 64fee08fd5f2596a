"""Every alert that we ship is staged, and every remedy of its runbook is carried out by a test."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import yaml
from hack.alerts import EVERY, Alert

from tests.monitoring.test_incidents import INCIDENTS

ROOT: Final = Path(__file__).parents[2]
RULES: Final = (
    "config/prometheus/alerts.yaml",
    "config/prometheus/apiserver/alerts.yaml",
    "config/operatorprometheus/alerts.yaml",
    "charts/lws/files/alerts.yaml",
    "charts/lws/files/api-server-alerts.yaml",
)
SCRAPING: Final = "tests/real/partners/test_scraping.py::test_with_other_settings_nothing_is_scraped"
MANIFESTS: Final = "tests/manifests/test_monitoring.py"
# What a sandbox in one process has no place for: by alert and words of the runbook, the test that carries it out.
ELSEWHERE: Final[Mapping[tuple[str, str], str]] = {
    (
        "LWSSetNotReady",
        "raise `setNotReadySeconds`",
    ): "tests/monitoring/test_rules.py::test_a_raised_threshold_waits_longer",
    ("LWSMetricsMissing", "the ServiceMonitor must name the Secret whose authority signs it"): SCRAPING,
    (
        "LWSMetricsMissing",
        "`kubectl label namespace monitoring metrics=enabled`",
    ): f"{MANIFESTS}::test_the_label_of_a_namespace_lets_its_scrapers_in",
    (
        "LWSMetricsMissing",
        "the ServiceMonitor lacks a label that your Prometheus selects by",
    ): f"{MANIFESTS}::test_values_of_the_chart_arrive",
    (
        "LWSRolloutStuck",
        "install a release of the operator whose image can",
    ): "tests/acceptance/operand/test_rollouts.py::test_a32_an_image_that_cannot_be_pulled_is_rolled_back",
    (
        "LWSAdmissionFailing",
        "a firewall or NetworkPolicy between the API server and port 9443",
    ): "tests/real/partners/test_alerts.py::test_admission_that_fails",
    (
        "LWSCertificateExpiring",
        "if the log names a missing right, apply `config/rbac` again",
    ): "tests/webhook/test_rotation.py::test_what_may_not_be_renewed_is_served_while_it_lasts",
    (
        "LWSCertificateExpiring",
        "`kubectl -n lws-system delete secret lws-webhook-server-cert`",
    ): "tests/webhook/test_on_sandbox.py::test_destroyed_secret_on_the_server",
}
# Commands that change something, wherever a runbook names them.
CHANGING: Final = re.compile(
    r"kubectl (-n \S+ )?(annotate|apply|cordon|delete|edit|label|patch|scale|set|taint|uncordon"
    r"|lws (evacuate|release|restart|rollout))\b.*"
)


def runbook(alert: str) -> str:
    """The section of an alert, its lines unwrapped but for tables and commands."""
    page = (ROOT / "docs/troubleshooting.md").read_text()
    return page.partition(f"\n### {alert}\n")[2].partition("\n### ")[0]


def flat(text: str) -> str:
    """The text in one line."""
    return " ".join(text.split())


def remedies(alert: str) -> list[str]:
    """The words of a runbook whose remedies are carried out."""
    staged = [each.remedy for each in INCIDENTS if each.alert == alert]
    return [flat(words) for words in (*staged, *(words for name, words in ELSEWHERE if name == alert))]


def advice(section: str) -> Iterator[str]:
    """What a runbook says to do: the last cells of its tables, commands that change something, what to apply again."""
    for line in section.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if line.startswith("|") and cells[-2] != "do" and not set(cells[-2]) <= {"-"}:
            yield cells[-2]
    yield from (line for line in section.splitlines() if CHANGING.match(line))
    prose = flat(re.sub(r"```.*?```", "", section, flags=re.DOTALL))
    yield from (found for found in re.findall(r"`([^`]+)`", prose) if CHANGING.match(found))
    yield from re.findall(r"apply `config/[a-z]+` again", prose)


def only_looks(text: str) -> bool:
    """Whether a piece of advice is to look elsewhere, and not to do anything."""
    return re.match(r"see \[LWS|`kubectl (-n \S+ )?logs ", text) is not None


def test_every_alert_that_is_shipped_is_staged() -> None:
    """An alert in what kustomize, chart or operator install has an incident, and windows by unit test."""
    documents = [yaml.safe_load((ROOT / path).read_text()) for path in RULES]
    groups = [group for each in documents for group in each.get("spec", each)["groups"]]
    shipped = {rule["alert"] for group in groups for rule in group["rules"]}
    assert shipped == {alert.name for alert in EVERY}
    assert {each.alert for each in INCIDENTS} == shipped
    assert set(re.findall(r'"(LWS\w+)"', (ROOT / "tests/monitoring/test_rules.py").read_text())) == shipped
    assert len({each.name for each in INCIDENTS}) == len(INCIDENTS)


@pytest.mark.parametrize("alert", EVERY, ids=lambda alert: str(alert.name))
def test_every_remedy_is_carried_out(alert: Alert) -> None:
    """What is staged is in the runbook, and what the runbook says to do is staged, or tested where it says."""
    section = runbook(alert.name)
    carried_out = remedies(alert.name)
    assert [words for words in carried_out if words not in flat(section)] == []
    missing = [
        text
        for text in map(flat, advice(section))
        if not only_looks(text) and not any(text in words or words in text for words in carried_out)
    ]
    assert missing == []


@pytest.mark.parametrize("where", sorted(set(ELSEWHERE.values())))
def test_what_is_tested_elsewhere_is_there(where: str) -> None:
    """The test that a remedy is left to exists."""
    path, _, name = where.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)
