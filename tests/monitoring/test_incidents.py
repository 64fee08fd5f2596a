"""Incidents staged in virtual time: the alert fires for what it is about, its remedy is carried out, it resolves."""

from __future__ import annotations

from pathlib import Path

import pytest

from lws_sandbox import virtual_time as vt
from tests.monitoring.incidents import controller, operand, sets
from tests.monitoring.incidents.staging import Incident
from tests.monitoring.promtool import check

INCIDENTS = (*sets.INCIDENTS, *controller.INCIDENTS, *operand.INCIDENTS)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: str(incident.name))
def test_an_incident_fires_and_its_remedy_resolves_it(tmp_path: Path, incident: Incident) -> None:
    """What is wrong is named, a set by its own namespace and name; after the remedy nothing fires any more."""
    story = vt.run(incident.play())
    told = [(time, labels) for time, alert, labels in story.firing if alert == incident.alert]
    fired = [time for time, labels in told if labels]
    assert fired
    assert all("namespace" in each or "name" in each for _, labels in told for each in labels)
    assert any(not labels and time > max(fired) for time, labels in told)
    check(tmp_path, story)
