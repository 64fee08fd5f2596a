"""Status, conditions and scaler status (disaggregatedset 8.3, 9)."""

from __future__ import annotations

from typing import Any

from lws.apimachinery.actions import EmitEvent
from lws.apimachinery.manifests import JSON
from lws.planning.disaggregatedset import scalers, sets, status
from lws.planning.disaggregatedset.problems import Problem, attempted, refused
from lws.planning.disaggregatedset.snapshots import Child, Snapshot
from lws.planning.disaggregatedset.status import AVAILABLE, PROGRESSING
from tests.api.disaggregatedset.making import ds, external, role, scaler
from tests.planning.disaggregatedset.world import NOW, OLD, child, snapshot

STAMP = "2026-01-01T00:00:00Z"
EARLIER = "2025-01-01T00:00:00Z"
TWO = ds(role("a", 2), role("b", 2))


def written(found: Snapshot, *problems: Problem, scales: dict[str, int] | None = None) -> JSON:
    """The status that is patched; empty for no patch."""
    patches = status.plan(found, scales or {}, problems, NOW)
    return dict(patches[0].change["status"]) if patches else {}


def ready(*, old: int = 0, **children: Any) -> tuple[Child, ...]:
    """Both children with two ready groups, and an old one of `a` if asked for."""
    found = [child(TWO, name, 2, **children) for name in ("a", "b")]
    return (*found, child(TWO, "a", old, revision=OLD)) if old else tuple(found)


def condition(kind: str, state: str, reason: str, message: str, since: str = STAMP, generation: int = 1) -> JSON:
    """A condition as it is written."""
    return {
        "type": kind,
        "status": state,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
    }


def both(wanted: Any, first: str, second: str) -> list[JSON]:
    """Progressing and Available in the words of one of them."""
    return [
        condition("Progressing", first, wanted.reason, wanted.message),
        condition("Available", second, wanted.reason, wanted.message),
    ]


def test_9_a_fresh_set_is_only_progressing() -> None:
    """The other condition of the pair is not created before it is needed."""
    told = written(snapshot(TWO))
    assert told == {
        "observedGeneration": 1,
        "roleStatuses": [{"name": "a"}, {"name": "b"}],
        "conditions": [condition("Progressing", "True", PROGRESSING.reason, PROGRESSING.message)],
    }


def test_9_the_first_completion() -> None:
    """Available is added at the end; Progressing turns False with its words."""
    before = {"conditions": [condition("Progressing", "True", PROGRESSING.reason, PROGRESSING.message, EARLIER)]}
    told = written(snapshot(ds(role("a", 2), role("b", 2), status=before), *ready()))
    assert told["conditions"] == both(AVAILABLE, "False", "True")
    counts = {"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}
    assert told["roleStatuses"] == [{"name": "a", **counts}, {"name": "b", **counts}]


def test_9_nothing_new_is_not_written() -> None:
    """A status that says it all is left alone, and the time of a transition stays."""
    counts = {"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}
    settled = {
        "observedGeneration": 1,
        "roleStatuses": [{"name": name, **counts} for name in ("a", "b")],
        "conditions": [
            condition("Progressing", "False", AVAILABLE.reason, AVAILABLE.message, EARLIER),
            condition("Available", "True", AVAILABLE.reason, AVAILABLE.message, EARLIER),
            {**condition("Theirs", "True", "Why", "so", EARLIER)},
        ],
    }
    assert written(snapshot(ds(role("a", 2), role("b", 2), status=settled), *ready())) == {}
    moved = ds(role("a", 2), role("b", 2), status=settled, metadata={"generation": 2})
    told = written(snapshot(moved, *ready()))
    assert told["observedGeneration"] == 2
    assert [(each["type"], each["lastTransitionTime"], each["observedGeneration"]) for each in told["conditions"]] == [
        ("Progressing", EARLIER, 2),
        ("Available", EARLIER, 2),
        ("Theirs", EARLIER, 1),
    ]


def test_dd_26_dd_27_available_means_settled() -> None:
    """Not while anything old runs, and not by a status that is older than the spec."""
    assert _kind(written(snapshot(TWO, *ready()))) == "Available"
    assert _kind(written(snapshot(TWO, *ready(observed=7)))) == "Progressing"
    stray = child(ds(role("z", 1), role("b", 2)), "z", 1, revision=OLD)
    assert _kind(written(snapshot(TWO, *ready(), stray))) == "Progressing"


def test_9_zero_counts_as_met() -> None:
    """A set of no groups is Available at once; an External role without a scaler never is."""
    assert _kind(written(snapshot(ds(role("a", 0), role("b", 0))))) == "Available"
    lost = ds(external("a"), role("b", 0))
    assert _kind(written(snapshot(lost, child(lost, "a", 0)))) == "Progressing"
    assert _kind(written(snapshot(lost, child(lost, "a", 0)), scales={"a": 0})) == "Available"


def _kind(told: JSON) -> str:
    (only,) = told["conditions"]
    return str(only["type"])


def test_dd_24_blocked() -> None:
    """It comes with the first problem, says so until it is solved, and is never there before."""
    problem = Problem("ChildRejected", "LeaderWorkerSet x: no")
    told = written(snapshot(TWO), problem)
    assert told["conditions"][1:] == [condition("Blocked", "True", "ChildRejected", "LeaderWorkerSet x: no")]
    solved = written(snapshot(ds(role("a", 2), role("b", 2), status=told)))
    assert [(each["type"], each["status"]) for each in solved["conditions"]] == [
        ("Progressing", "True"),
        ("Blocked", "False"),
    ]


def test_dd_24_what_a_refusal_says() -> None:
    """The object and the first line of the error, at most 1024 bytes of it."""
    assert refused(EmitEvent("Normal", "a", "b", "c"), "no") is None
    action = sets.plan(snapshot(TWO), NOW).parts[1].actions[0]
    found = refused(action, "é" * 2000 + "\nmore")
    assert found is not None
    assert found.event is not None
    assert found.event.note.startswith("LeaderWorkerSet x-0-")
    assert len(found.event.note.encode()) <= 1024
    assert "more" not in found.message
    assert attempted(action).startswith("failed to create LeaderWorkerSet x-0-")


def test_8_3_the_scalers_status() -> None:
    """Groups of every revision, one leader of each in the selector; written only when it differs (DD-16)."""
    made = ds(external("a"), role("b", 2))
    children = (child(made, "a", 2, revision=OLD), child(made, "a", 1), child(made, "b", 2))
    found = snapshot(made, *children)
    (patch,) = scalers.describe(found, scaler("a", 3), NOW)
    told = patch.change["status"]
    assert patch.subresource == "status"
    assert told == {
        "replicas": 3,
        "selector": "disaggregatedset.x-k8s.io/name=x,disaggregatedset.x-k8s.io/role=a,"
        "leaderworkerset.sigs.k8s.io/worker-index=0",
        "observedGeneration": 1,
        "conditions": [condition("Ready", "True", "Bound", "Scaler bound to a live DisaggregatedSet role")],
    }
    assert scalers.describe(found, scaler("a", 3, status=told), NOW) == ()
