"""Reading objects: selectors, times, conditions."""

from __future__ import annotations

import pytest
from sandbox.tests.controllers.builders import NOW, at

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import format_time, matches_labels, parse_time, set_condition

LABELS = {"app": "web", "tier": "front"}
SELECTORS = [
    (None, False),
    ({}, True),
    ({"matchLabels": {"app": "web"}}, True),
    ({"matchLabels": {"app": "web", "tier": "back"}}, False),
    ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "web"]}]}, True),
    ({"matchExpressions": [{"key": "zone", "operator": "In", "values": [""]}]}, False),
    ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}, True),
    ({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}, True),
    ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
    ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "zone", "operator": "Exists"}]}, False),
]


@pytest.mark.parametrize(("selector", "picked"), SELECTORS)
def test_selectors_pick_labels(selector: JSON | None, picked: bool) -> None:
    """A label selector picks by equality and by expressions; an absent one picks nothing."""
    assert matches_labels(selector, LABELS) == picked


@pytest.mark.parametrize("text", ["2026-01-01T12:00:00Z", "2026-01-01T12:00:00.000000Z", "2026-01-01T13:00:00+01:00"])
def test_times_are_read_in_all_their_forms(text: str) -> None:
    """Whole seconds, fractions and offsets name the same moment, written back in UTC."""
    moment = parse_time(text)
    assert moment == NOW
    assert format_time(NOW) == "2026-01-01T12:00:00Z"


def test_conditions_keep_their_time_while_their_status_stays() -> None:
    """A new reason alone does not move a condition's transition time; a new status does."""
    first = set_condition([], {"type": "A", "status": "True", "reason": "X"}, NOW)
    assert first[0]["lastTransitionTime"] == at(0)
    same = set_condition(
        [{**first[0], "lastTransitionTime": at(-9)}], {"type": "A", "status": "True", "reason": "Y"}, NOW
    )
    assert (same[0]["reason"], same[0]["lastTransitionTime"]) == ("Y", at(-9))
    moved = set_condition(same, {"type": "A", "status": "False"}, NOW)
    assert moved[0]["lastTransitionTime"] == at(0)
