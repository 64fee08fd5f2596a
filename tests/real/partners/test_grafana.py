"""The dashboard, held to the schema that Grafana publishes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.tools import need

pytestmark = pytest.mark.real
DASHBOARD: Final = Path(__file__).parents[3] / "config/prometheus/dashboard.json"


def faults(dashboard: Any) -> str:
    """What Grafana's types have against a dashboard."""
    command = [need("grafana-dashboard")]
    done = subprocess.run(command, input=json.dumps(dashboard), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == int(bool(done.stdout)), done.stderr
    return done.stdout


def test_the_dashboard_is_one_of_grafana() -> None:
    """Grafana's types know every member of the dashboard, its panels and their queries, with these values."""
    assert faults(json.loads(DASHBOARD.read_text())) == ""


@pytest.mark.parametrize(
    ("where", "mistake", "words"),
    [
        ((), {"schemaVersion": "39"}, "schemaVersion"),
        (("panels", 0), {"gridpos": {}}, "unexpected field"),
        (("panels", 0, "targets", 0), {"expression": "up"}, "expression"),
        (("panels", 0, "gridPos"), {"w": "wide"}, "gridPos"),
    ],
)
def test_a_mistake_in_a_dashboard_is_told(where: tuple[str | int, ...], mistake: dict[str, Any], words: str) -> None:
    """A member that Grafana does not know, or a value of another type, is named."""
    dashboard: Any = json.loads(DASHBOARD.read_text())
    place = dashboard
    for step in where:
        place = place[step]
    place.update(mistake)
    assert words in faults(dashboard)
