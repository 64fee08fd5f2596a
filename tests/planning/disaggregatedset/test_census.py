"""What metrics tell of a DisaggregatedSet (operations 4, DD-38)."""

from __future__ import annotations

from lws.apimachinery.objects import Condition
from lws.planning.disaggregatedset.census import take_census
from lws.planning.disaggregatedset.snapshots import Child
from tests.api.disaggregatedset.making import ds, external, role, scaler
from tests.planning.disaggregatedset.world import OLD, child, snapshot

BEGIN = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:10:00Z"
LATEST = "2026-01-01T00:20:00Z"
PAIR = ds(role("a", 2), role("b", 4), metadata={"creationTimestamp": BEGIN})


def turned(found: Child, since: str) -> Child:
    """The child, whose condition Available changed then."""
    condition = Condition(type="Available", status="False", last_transition_time=since)
    status = found.lws.status.model_copy(update={"conditions": (condition,)})
    return Child(found.lws.model_copy(update={"status": status}))


def test_a_set_at_rest() -> None:
    """All groups of all slices are counted, and no rollout is told of, whatever its children went through."""
    twice = ds(role("a", 2), role("b", 4), slices=2)
    census = take_census(
        snapshot(twice, *(turned(child(twice, n, c, slice_=k), LATER) for n, c in (("a", 2), ("b", 4)) for k in (0, 1)))
    )
    assert census.desired == census.ready == {"a": 4, "b": 8}
    assert (census.progress, census.awaited, census.last_progress, census.blocked) == (1.0, 0, "", False)


def test_a_rollout_in_progress() -> None:
    """Ready counts old and new groups, progress new ones; it waits for those that are not ready."""
    old = [turned(child(PAIR, name, count, revision=OLD), LATEST) for name, count in (("a", 1), ("b", 3))]
    new = [turned(child(PAIR, "a", 1, created=LATER), BEGIN), child(PAIR, "b", 1, ready=0, created=BEGIN)]
    census = take_census(snapshot(PAIR, *old, *new))
    assert census.desired == {"a": 2, "b": 4}
    assert census.ready == {"a": 2, "b": 3}
    assert census.awaited == 1
    assert census.progress == 1 / 6
    assert census.last_progress == LATER  # the new child came last; what happens to old ones is no progress


def test_a_step_is_progress() -> None:
    """A target child that gets groups, or whose groups get ready, has moved the rollout."""
    old, first = child(PAIR, "a", 1, revision=OLD), child(PAIR, "a", 1)
    assert take_census(snapshot(PAIR, old, turned(first, LATEST))).last_progress == LATEST


def test_a_rollout_without_new_children_is_as_old_as_its_begin() -> None:
    """Before anything of the target exists, the time is when the set ceased to be Available."""
    told = {"type": "Progressing", "status": "True", "lastTransitionTime": LATER, "reason": "R", "message": ""}
    rolling = ds(role("a", 2), role("b", 4), metadata={"creationTimestamp": BEGIN}, status={"conditions": [told]})
    assert take_census(snapshot(rolling, child(rolling, "a", 2, revision=OLD))).last_progress == LATER


def test_progress_counts_no_group_twice() -> None:
    """Surplus groups of one role make up for no missing group of another."""
    census = take_census(snapshot(PAIR, child(PAIR, "a", 8), child(PAIR, "b", 1)))
    assert census.updated == 3
    assert census.progress == 0.5


def test_an_external_role() -> None:
    """Its scaler says what is desired; without one nobody does."""
    found = ds(external("a"), role("b", 1))
    assert take_census(snapshot(found, scalers=(scaler("a", 3),))).desired == {"a": 3, "b": 1}
    assert take_census(snapshot(found)).desired == {"b": 1}


def test_blocked_and_unreadable() -> None:
    """Condition Blocked is told; a set without a readable template has no rollout, though all it has is old."""
    told = {"type": "Blocked", "status": "True", "lastTransitionTime": LATER, "reason": "R", "message": ""}
    stuck = ds(role("a", 2), role("b", 4), status={"conditions": [told]})
    census = take_census(snapshot(stuck, child(stuck, "a", 2, revision=OLD), target="", fault="quantity"))
    assert census.blocked
    assert (census.awaited, census.last_progress) == (0, "")
