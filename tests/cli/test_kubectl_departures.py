"""Which groups come off nodes that are to be emptied, as `kubectl lws evacuate` and the page say it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lws.api.leaderworkerset.objects import Node, Pod
from lws.api.leaderworkerset.policykeys import DISRUPTION_BUDGET, EVACUATE
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.departures import STAYS, Chosen, departures
from tests.planning.diagnosis_facts import pod

MOVING = {EVACUATE: "true"}
ROLLING = {"conditions": [{"type": "UpdateInProgress", "status": "True"}]}


def node(name: str, *, cordoned: bool = True, annotations: JSON | None = None) -> Node:
    """A node, cordoned unless told otherwise."""
    meta = {"name": name, "annotations": annotations or {}}
    return msgspec.convert({"metadata": meta, "spec": {"unschedulable": cordoned}}, Node)


def on(where: str, group: int, worker: int = 0, **spec: Any) -> Pod:
    """A pod of a group on a node."""
    name = f"s-{group}-{worker}" if worker else f"s-{group}"
    return pod(name, group=group, worker=worker, spec={"nodeName": where, **spec})


def told(pods: list[Pod], annotations: JSON, status: JSON, *nodes: Node, cordoned: bool = False) -> list[str]:
    """What is said of the pods' set."""
    chosen = Chosen(annotations, status)
    named = {one.metadata.name: one for one in nodes or (node("n"),)}
    return [one.text for one in departures(named, pods, lambda _: chosen, cordoned=cordoned)]


@pytest.mark.parametrize(
    ("annotations", "status", "waits"),
    [
        (MOVING, {}, "its turn has not come"),
        (
            MOVING,
            {"evacuation": {"group": "0", "leaderUID": "uid-s-0"}},
            "group 0 is moved once an extra group is ready",
        ),
        (MOVING, {"evacuation": {"group": "0", "leaderUID": "gone"}}, "group 0 is made anew elsewhere"),
        (
            MOVING | {DISRUPTION_BUDGET: "1"},
            {"evacuation": {"group": "0", "withoutExtra": True}},
            "an extra group finds no room: the disruption budget applies",
        ),
        (MOVING, ROLLING, "a rollout is finished first"),
        ({DISRUPTION_BUDGET: "1"}, ROLLING, "a rollout is finished first"),
        (MOVING, {"evacuation": "odd", "conditions": "odd"}, "its turn has not come"),
    ],
)
def test_what_a_move_waits_for_is_said(annotations: JSON, status: JSON, waits: str) -> None:
    """The step that is under way, the rollout before it, or that other sets come first; odd statuses hurt nothing."""
    (said,) = told([on("n", 0), on("n", 1)], annotations, status)
    assert said.startswith("ns/s: groups 0, 1: moved")
    assert said.endswith(f" (now {waits})")


def test_what_nothing_moves_waits_for_nothing() -> None:
    """Groups that stay, or that a person moves, are named with that, whatever the status says."""
    under_way = {"evacuation": {"group": "0"}, **ROLLING}
    assert told([on("n", 0)], {}, under_way) == [f"ns/s: group 0: {STAYS}"]
    assert told([on("n", 0)], {DISRUPTION_BUDGET: "0"}, under_way)[0].endswith("the disruption budget is 0")


def test_groups_go_lowest_first_and_keyed_ones_oldest_first() -> None:
    """The order is the controller's own, and each group is named with the nodes that it leaves."""
    pods = [on("b", 10), on("a", 2), on("b", 2, 1)]
    named = {name: node(name) for name in ("a", "b")}
    (found,) = departures(named, pods, lambda _: Chosen(MOVING, {}))
    assert dict(found.groups) == {"2": ("a", "b"), "10": ("b",)}
    assert list(found.groups) == ["2", "10"]
    keyed = []
    for key, made in (("a" * 40, "2026-01-02T00:00:00Z"), ("b" * 40, "2026-01-01T00:00:00Z")):
        meta = {"creationTimestamp": made}
        label = {"leaderworkerset.sigs.k8s.io/group-index": key}
        keyed.append(pod(f"s-{key}", group=0, worker=0, metadata=meta, labels=label, spec={"nodeName": "n"}))
    (found,) = departures({"n": node("n")}, keyed, lambda _: Chosen(MOVING, {}))
    assert list(found.groups) == ["b" * 8, "a" * 8]


def test_a_pod_that_may_stay_is_not_moved() -> None:
    """One that tolerates a cordon, or is on a node that is only looked at, stays; ended and ending ones count not."""
    tolerant = on("n", 0, tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}])
    assert told([tolerant], MOVING, {}) == [f"ns/s: group 0: {STAYS}"]
    looked_at = node("n", annotations={EVACUATE: "false"})
    assert told([on("n", 0)], MOVING, {}, looked_at) == [f"ns/s: group 0: {STAYS}"]
    ended = pod("s-0", group=0, worker=0, spec={"nodeName": "n"}, status={"phase": "Failed"})
    ending = pod(
        "s-1", group=1, worker=0, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}, spec={"nodeName": "n"}
    )
    assert told([ended, ending, on("elsewhere", 2)], MOVING, {}) == []


def test_a_node_may_be_taken_for_cordoned() -> None:
    """Before the cordon the groups are named as they would be moved, and no turn of theirs can have come."""
    plain = node("n", cordoned=False)
    assert told([on("n", 0)], MOVING, {}, plain) == [f"ns/s: group 0: {STAYS}"]
    (said,) = told([on("n", 0)], MOVING, {}, plain, cordoned=True)
    assert said.endswith("each after another group stands in")
