"""What a release would change, in words (operator 5.7; A34 to A36)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lws.apimachinery.resources import DEPLOYMENTS
from lws.planning.operand.preview import Preview, Restart, changed, entry, lines, unheld

LIVE: dict[str, Any] = {
    "metadata": {"name": "x", "namespace": "ns", "resourceVersion": "1", "generation": 3, "labels": {"a.b/c": "1"}},
    "spec": {"containers": [{"name": "a", "image": "one"}, {"name": "b", "image": "two"}], "args": ["x", "y"]},
    "status": {"replicas": 1},
}


def edited(*path: Any, value: Any) -> dict[str, Any]:
    """The live object with another value at a path."""
    found = copy.deepcopy(LIVE)
    node: Any = found
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return found


CASES = {
    "an image": (edited("spec", "containers", 1, "image", value="three"), ["spec.containers[b].image"]),
    "a label": (edited("metadata", "labels", "a.b/c", value="2"), ["metadata.labels[a.b/c]"]),
    "a list without names": (edited("spec", "args", value=["x"]), ["spec.args"]),
    "an entry less": (edited("spec", "containers", value=LIVE["spec"]["containers"][:1]), ["spec.containers[b]"]),
    "the server's own": (edited("metadata", "resourceVersion", value="2"), []),
    "the status": (edited("status", value={}), []),
}


@pytest.mark.parametrize("case", CASES)
def test_paths_name_what_differs(case: str) -> None:
    """A path names list entries by their names, and leaves out what the server alone writes."""
    after, paths = CASES[case]
    assert changed(LIVE, after) == paths


def test_what_the_live_object_has_more_is_no_difference_to_what_is_wanted() -> None:
    """Where the server cannot be asked only what is wanted and missing counts."""
    wanted = {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "b", "image": "three"}]}}
    assert unheld(wanted, LIVE) == ["spec.containers[b].image"]


def test_restarts_are_told_with_their_sets_and_cut() -> None:
    """Text and status name the sets that restart; of many the status has twenty and says how many are left out."""
    restarts = tuple(Restart("ns", f"set-{number:02}", 2, "why") for number in range(25))
    preview = Preview((entry("update", DEPLOYMENTS, LIVE, ["spec.args"]),), restarts)
    status = preview.status()
    assert (status["groupsRestarted"], len(status["sets"]), status["setsTruncated"]) == (50, 20, 5)
    assert preview.restarts_told().startswith("PlanRestartsGroups: 50 groups restart: ns/set-00 (2: why)")
    assert preview.restarts_told().endswith("and 20 more sets")
    assert [*lines(preview)][:3] == [
        "update deployments.apps ns/x",
        "    spec.args",
        "restart 2 groups of ns/set-00: why",
    ]
    assert Preview(restarts=None).status() == {}
