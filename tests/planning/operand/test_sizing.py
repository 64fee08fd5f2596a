"""How much the operand gets (operator 5.2; A46)."""

from __future__ import annotations

from typing import Any

import pytest

from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from lws.planning.operand.sizing import FLOOR, decided, resources
from tests.planning.operand.making import operator

AUTO: dict[str, Any] = {"operand": {"sizing": "Auto"}}


def containers(tier: int) -> JSON:
    """A pod spec of a tier."""
    return {"containers": [{"name": names.CONTAINER, "resources": resources(tier)}]}


def deployment(tier: int, floor: str = "") -> JSON:
    """The operand's Deployment in a tier."""
    annotations = {FLOOR: floor} if floor else {}
    return {"metadata": {"annotations": annotations}, "spec": {"template": {"spec": containers(tier)}}}


def killed(tier: int) -> JSON:
    """A pod of a tier that ran out of memory."""
    ended = {"lastState": {"terminated": {"reason": "OOMKilled"}}}
    return {"spec": containers(tier), "status": {"containerStatuses": [ended]}}


# current tier, pods of sets, whether another rollout is due, pods of the operand, floor before: tier and floor after
CASES: dict[str, tuple[JSON | None, int | None, bool, list[JSON], tuple[int, int]]] = {
    "first installation": (None, 2_000, False, [], (0, 0)),
    "first installation on a large cluster": (None, 10_001, False, [], (2, 0)),
    "a little too many": (deployment(0), 2_200, False, [], (0, 0)),
    "a tenth too many": (deployment(0), 2_203, False, [], (1, 0)),
    "far too many": (deployment(0), 50_000, False, [], (2, 0)),
    "fewer, and no rollout": (deployment(2), 10, False, [], (2, 0)),
    "fewer, with a rollout": (deployment(2), 10, True, [], (0, 0)),
    "a little too many, with a rollout": (deployment(0), 2_100, True, [], (1, 0)),
    "not known": (deployment(1), None, True, [], (1, 0)),
    "killed": (deployment(0), 10, False, [killed(0)], (1, 1)),
    "killed before the last raise": (deployment(1), 10, False, [killed(0)], (1, 1)),
    "killed in the highest": (deployment(2), 10, False, [killed(2)], (2, 2)),
    "fewer, with a floor": (deployment(1, "1"), 10, True, [], (1, 1)),
    "a floor that nobody wrote": (deployment(0, "x"), 10, False, [], (0, 0)),
}


@pytest.mark.parametrize("case", CASES)
def test_a46_the_tier_follows_what_is_needed(case: str) -> None:
    """A46: raised at once by count or lack of memory, lowered with another rollout only, never below the floor."""
    live, count, rolling, pods, expected = CASES[case]
    assert decided(operator(**AUTO).spec, live, pods, count, rolling=rolling) == expected


def test_a_fixed_size_and_explicit_resources_have_no_tier() -> None:
    """Without Auto, and beside resources that the spec gives, nothing is decided."""
    for spec in ({}, {"operand": {"sizing": "Auto", "resources": {"limits": {"memory": "3Gi"}}}}):
        assert decided(operator(**spec).spec, deployment(0), [killed(0)], 50_000, rolling=True) is None
