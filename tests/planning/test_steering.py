"""Which groups of a rollout are late, and how many (resilience 5, 1.6)."""

from __future__ import annotations

import pytest
from msgspec import structs

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod, SchedulingGate
from lws.api.leaderworkerset.policies import SetPolicies
from lws.api.leaderworkerset.status import RolloutStatus
from lws.planning.leaderworkerset.groups import GroupState
from lws.planning.leaderworkerset.rollout import Budget
from lws.planning.leaderworkerset.steering import Course, held, steer
from tests.planning import making
from tests.planning.making import NOW

OLD, GOOD, BROKEN = GroupState(True, True), GroupState(True, True, True), GroupState(True, updated=True)


def keyed(digits: str, revision: str, created: str = making.STAMP) -> Pod:
    """A leader that is known by a key."""
    found = making.leader(0, revision, label_map={labels.GROUP_INDEX: digits * 40, labels.GROUP_KEY: digits * 40})
    return structs.replace(found, metadata=structs.replace(found.metadata, creation_timestamp=created))


def test_groups_by_index_are_named_lowest_first() -> None:
    """Of many the first three and how many more; what the user's partition holds back is not late."""
    states = {0: OLD, 1: OLD, 2: OLD, 3: GOOD, 4: BROKEN}
    course = Course("new", Budget(6, partition=1), {}, states)
    assert (course.lacking, course.late) == (4, "groups 1, 2, 4 and 1 more")
    assert Course("new", Budget(6, partition=6), {}, states).lacking == 0


def test_the_cost_follows_the_groups_that_there_are() -> None:
    """A number of groups that somebody wrote costs no time in proportion to it."""
    course = Course("new", Budget(2**31 - 1), {}, {0: OLD})
    assert course.late == f"groups 0, 1, 2 and {2**31 - 4} more"


def test_groups_by_key_are_named_new_ones_first_then_the_oldest() -> None:
    """By the first eight digits; a broken group of the new revision is what to look at, and comes before old ones."""
    leaders = {1: keyed("a", "old"), 2: keyed("b", "old", making.EARLIER), 3: keyed("c", "new"), 4: keyed("d", "new")}
    course = Course("new", Budget(4), leaders, {1: OLD, 2: OLD, 3: BROKEN, 4: GOOD}, hashed=True)
    assert (course.lacking, course.late) == (3, "groups cccccccc, bbbbbbbb, aaaaaaaa")


@pytest.mark.parametrize(("gate", "counts"), [("example.com/hold", False), (labels.REPLACEMENT_GATE, True)])
def test_only_others_gates_stop_the_clock(gate: str, counts: bool) -> None:
    """While somebody else holds the next groups by a gate no time counts; while our own gate does, it counts."""
    leader = keyed("c", "new")
    spec = structs.replace(leader.spec, scheduling_gates=(SchedulingGate(name=gate),))
    course = Course("new", Budget(1), {3: structs.replace(leader, spec=spec)}, {3: BROKEN}, hashed=True)
    known = RolloutStatus(revision="new", progress_time=making.EARLIER)
    found = steer(making.lws(), SetPolicies(progress_deadline=600.0), known, course, NOW)
    assert found.stalled is counts
    assert held(found, SetPolicies(on_stall="Hold")) is counts
    assert not held(found, SetPolicies(on_stall="Ignore"))
