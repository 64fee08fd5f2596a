"""Rolling updates: every row of spec 7.7, and what holds of all of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import Condition
from lws.apimachinery.resources import PODS
from lws.errors import TerminalError
from lws.planning.leaderworkerset.groups import GroupState
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.rollout import Budget, Decision, LeaderNumbers, count_unready, decide
from lws.planning.leaderworkerset.sets import plan_leaderworkerset
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from tests.planning import making
from tests.planning.scenarios import ROWS, Row

LETTERS = {
    "U": GroupState(True, True, True),
    "u": GroupState(True, False, True),
    "o": GroupState(True, True, False),
    "x": GroupState(True, False, False),
    ".": GroupState(),
}


def groups_of(letters: str) -> dict[int, GroupState]:
    """The groups that these letters tell of, by index; absent ones are left out."""
    return {index: LETTERS[letter] for index, letter in enumerate(letters) if letter != "."}


def rolling(row: Row) -> dict[str, int | str]:
    """The user's configuration of a row."""
    return {"maxUnavailable": row.max_unavailable, "maxSurge": row.max_surge, "partition": row.partition}


def numbers(text: str) -> tuple[int, int]:
    """Partition and replicas as the table writes them."""
    partition, replicas = text.split("/")
    return int(partition), int(replicas)


def working(decision: Decision) -> str:
    """The working numbers as the table writes them."""
    found = (decision.unready, decision.step, decision.tail, decision.floor, decision.below)
    return "-" if decision.unready is None else "/".join("-" if number is None else str(number) for number in found)


def recorded_before(row: Row) -> int:
    """The replicas that the leader StatefulSet has on record: those of the pass before."""
    at = ROWS.index(row)
    return ROWS[at - 1].replicas if at and ROWS[at - 1].scenario == row.scenario else _first(row)


def _first(row: Row) -> int:
    before, _, after = row.trigger.partition("R ")[2].partition("→")
    return int(before) if after else row.replicas


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_scenarios_7_7(row: Row) -> None:
    """Every row of S1 to S21 gives its case, its working numbers, its partition and its replicas."""
    budget = Budget.of(making.lws(replicas=row.replicas, rolling=rolling(row)))
    partition, replicas = numbers(row.before)
    states = groups_of(row.groups[:replicas])
    now = LeaderNumbers(replicas, partition, recorded_before(row))
    decision = decide(budget, now, states, armed=row.case.startswith("2"), surging=True)
    assert (decision.case, working(decision)) == (row.case, row.working)
    assert (decision.partition, decision.replicas) == numbers(row.after)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_scenarios_7_7_through_the_whole_planner(row: Row) -> None:
    """The same rows, from objects to the manifest that is applied."""
    after = making.lws(replicas=row.replicas, rolling=rolling(row), image="app:2")
    snapshot = _snapshot(row, after)
    plan = plan_leaderworkerset(snapshot, making.NOW)
    apply = making.applied(plan)
    assert apply is not None
    spec = apply.manifest["spec"]
    assert (spec["updateStrategy"]["rollingUpdate"]["partition"], spec["replicas"]) == numbers(row.after)
    assert (making.created(plan, "ControllerRevision") is not None) is row.case.startswith("2")


def _snapshot(row: Row, after: LeaderWorkerSet) -> SetSnapshot:
    """The cluster as the row's groups tell it: old groups of image 1, updated ones of image 2."""
    before = making.lws(replicas=row.replicas, image="app:1")
    old, new = making.key_of(before), making.key_of(after)
    armed = row.case.startswith("2")
    partition, replicas = numbers(row.before)
    groups = [(i, letter) for i, letter in enumerate(row.groups[:replicas]) if letter != "."]
    keys = {"U": new, "u": new, "o": old, "x": old}
    sets = [making.worker_set(i, keys[letter], ready=letter in "Uo") for i, letter in groups]
    return SetSnapshot(
        lws=after,
        leader_statefulset=making.leader_set(
            old if armed else new, replicas=replicas, partition=partition, recorded=recorded_before(row)
        ),
        statefulsets={each.metadata.name: each for each in sets},
        leaders=tuple(making.leader(i, keys[letter]) for i, letter in groups),
        revisions=(making.revision(before, 1), *(() if armed else (making.revision(after, 2),))),
        service=making.service(),
    )


@pytest.mark.parametrize(
    ("replicas", "unavailable", "surge", "expected"),
    [
        (10, "25%", "25%", (2, 3)),
        (4, "30%", "30%", (1, 2)),
        (3, "25%", "25%", (0, 1)),
        (1, "50%", "50%", (0, 1)),
        (0, "25%", "25%", (0, 0)),
        (2, 1, 4, (1, 2)),
    ],
)
def test_rounding_7_1(replicas: int, unavailable: int | str, surge: int | str, expected: tuple[int, int]) -> None:
    """MaxUnavailable is rounded down, maxSurge up and to no more than the replicas."""
    owner = making.lws(replicas=replicas, rolling={"maxUnavailable": unavailable, "maxSurge": surge})
    budget = Budget.of(owner)
    assert (budget.max_unavailable, budget.max_surge) == expected
    assert budget.statefulset_max_unavailable == max(1, sum(expected))


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "unready", "wanted"),
    [
        (1, 1, 0, 1, 2),
        (4, 2, 1, 2, 5),
        (2, 2, 1, 2, 3),
        (1, 1, 0, 0, 1),
        (1, 1, 1, 1, 1),
        (3, 0, 0, 1, 3),
        (4, 2, 1, 3, 6),
    ],
)
def test_wanted_replicas_7_3(replicas: int, surge: int, unavailable: int, unready: int, wanted: int) -> None:
    """Surge covers the groups that are down beyond the budget, and all of it is used when more are down than it has."""
    assert Budget(replicas, unavailable, surge).wanted_replicas(unready) == wanted


def test_scale_down_at_rest_with_surge_7_7() -> None:
    """From 4 to 2 groups at rest, nothing is kept as surge."""
    states = groups_of("UUUU")
    decision = decide(Budget(2, 1, 2), LeaderNumbers(4, 0, 4), states, armed=False, surging=False)
    assert (decision.case, decision.partition, decision.replicas) == ("4", 0, 2)


def test_user_partition_raised_at_rest_7_7() -> None:
    """Raising the user's partition at rest lifts the partition and moves no pod."""
    decision = decide(Budget(4, 1, 0, 4), LeaderNumbers(4, 0, 4), groups_of("UUUU"), armed=False, surging=False)
    assert (decision.case, decision.partition, decision.replicas) == ("3a", 4, 4)


def test_going_back_in_mid_rollout_7_7() -> None:
    """Going back to the former template arms a rollout again, and only the group that had moved is replaced."""
    budget = Budget(6, 1, 0, 4)
    groups = groups_of("UUUUUo")
    armed = decide(budget, LeaderNumbers(6, 4, 6), groups, armed=True, surging=True)
    assert (armed.case, armed.partition, armed.replicas) == ("2b", 6, 6)
    released = decide(budget, LeaderNumbers(6, 6, 6), groups, armed=False, surging=True)
    assert (released.partition, released.replicas) == (5, 6)


def test_unready_groups_above_use_the_budget_7_7() -> None:
    """With groups 3 and 2 down and a budget of 1, an update releases group 3 only."""
    groups = groups_of("ooxx")
    assert decide(Budget(4, 1), LeaderNumbers(4, 0, 4), groups, armed=True, surging=True).partition == 4
    assert decide(Budget(4, 1), LeaderNumbers(4, 4, 4), groups, armed=False, surging=True).partition == 3


def test_a_text_that_is_no_percentage_rests_the_set() -> None:
    """A value that no admission would let in is a terminal error that names its field."""
    with pytest.raises(TerminalError, match="rollingUpdateConfiguration"):
        Budget.of(making.lws(rolling={"maxUnavailable": "half"}))


def _walked(budget: Budget, now: LeaderNumbers, letters: str, wanted: int) -> int:
    """The partition of case 5 as spec 7.5 tells it, step by step over every index."""
    states = [LETTERS[letter] for letter in letters]
    tail = next((count for count, state in enumerate(reversed(states)) if not state.good), len(states))
    step = budget.allowed_unavailable + budget.max_surge - (budget.burst - now.replicas)
    floor = max(0, now.replicas - tail - step)
    partition = floor + sum(1 for state in states[:floor] if not state.ready)
    for index in range(min(partition, now.replicas - 1), floor - 1, -1):
        if states[index].ready and not states[index].updated:
            break
        partition = index

    def left(at: int) -> int:
        return sum(
            state.ready and not (index >= at and not state.updated) for index, state in enumerate(states[:wanted])
        )

    while partition < now.replicas and left(partition) < min(left(now.replicas), budget.least_ready):
        partition += 1
    return max(min(partition, now.partition), budget.partition)


groups_strategy = st.text("UuoxU.", min_size=0, max_size=14)


@settings(max_examples=400, deadline=None)
@given(
    groups=groups_strategy,
    replicas=st.integers(0, 12),
    unavailable=st.integers(0, 6),
    surge=st.integers(0, 6),
    user=st.integers(0, 14),
    partition=st.integers(0, 14),
    armed=st.booleans(),
    surging=st.booleans(),
)
def test_decisions_stay_in_bounds(
    groups: str,
    replicas: int,
    unavailable: int,
    surge: int,
    user: int,
    partition: int,
    armed: bool,
    surging: bool,
) -> None:
    """Partition and replicas keep their bounds, and without an edit the partition only falls."""
    budget = Budget(replicas, unavailable, min(surge, replicas), user)
    now = LeaderNumbers(len(groups), max(partition, user), replicas)
    decision = decide(budget, now, groups_of(groups), armed=armed, surging=surging)
    assert decision.partition >= user
    assert replicas <= decision.replicas <= budget.burst
    if decision.case == "5":
        assert decision.partition == _walked(budget, now, groups, decision.replicas)
    if not surging:
        assert decision.replicas == replicas
    if not armed:
        assert decision.partition <= max(now.partition, user)


@settings(max_examples=400, deadline=None)
@given(
    groups=st.text("Uuox", min_size=1, max_size=12),
    unavailable=st.integers(0, 4),
    surge=st.integers(0, 4),
)
def test_a_step_takes_no_more_ready_groups_than_the_budget(groups: str, unavailable: int, surge: int) -> None:
    """Ready groups that are released, plus the failures below them, never exceed the step (spec 7.5)."""
    replicas = len(groups)
    budget = Budget(replicas, unavailable, min(surge, replicas))
    states = groups_of(groups)
    decision = decide(budget, LeaderNumbers(replicas, replicas, replicas), states, armed=False, surging=True)
    if decision.case != "5":
        return
    taken = sum(1 for index, state in states.items() if index >= decision.partition and state.outdated)
    assert decision.step is not None
    assert decision.below is not None
    assert decision.floor is not None
    assert taken == 0 or taken + decision.below <= decision.step
    assert decision.partition >= decision.floor


@pytest.mark.parametrize(
    ("groups", "budget", "before", "after"),
    [
        ("oxoxoo", Budget(6, 3), "6/6", "5/6"),  # the reference: 4/6, and two of six are ready
        ("xxo..", Budget(3, 2, 2), "3/5", "3/5"),
        ("xxoUU", Budget(3, 2, 2), "3/5", "0/5"),
        ("ooUuuUU", Budget(4, 2, 3), "0/7", "0/6"),  # the reference: 0/5, and the surge that is left is not ready
        ("ooUUuu", Budget(4, 2, 2), "2/6", "2/4"),  # S6
    ],
)
def test_cd_82_down_is_down_wherever_it_is(groups: str, budget: Budget, before: str, after: str) -> None:
    """No step leaves fewer than R - U groups ready, surge included, if it finds as many."""
    partition, replicas = numbers(before)
    now = LeaderNumbers(replicas, partition, budget.replicas)
    decision = decide(budget, now, groups_of(groups), armed=False, surging=True)
    assert (decision.partition, decision.replicas) == numbers(after)


def test_a_rollout_ends_whatever_the_order() -> None:
    """Released groups becoming ready in any order, the partition reaches 0 and all groups are updated."""
    for released_first in (True, False):
        states = groups_of("ooooo")
        now = LeaderNumbers(5, 5, 5)
        budget = Budget(5, 2)
        for _ in range(20):
            decision = decide(budget, now, states, armed=False, surging=True)
            now = LeaderNumbers(5, decision.partition, 5)
            order = range(5) if released_first else range(4, -1, -1)
            moving = next((i for i in order if i >= now.partition and not states[i].good), None)
            if moving is None:
                break
            states[moving] = LETTERS["U"]
        assert now.partition == 0
        assert count_unready(states, 5) == 0


def test_contents_are_computed_once() -> None:
    """The memo gives the value of the first computation for the same object and a new one for a new generation.

    It keeps nothing of the former generation, nor of a set that is gone.
    """
    contents = Contents()
    first = making.lws(image="app:1")
    assert contents.data(first) is contents.data(making.lws(image="app:2"))
    edited = making.lws(image="app:2", metadata={"generation": 4})
    assert contents.data(edited) != contents.data(first)
    assert len(contents) == 1
    contents.sections(first)
    assert len(contents) == 2
    contents.data(making.lws(metadata={"uid": "successor", "generation": 4}))
    assert len(contents) == 1
    contents.forget(*edited.metadata.key)
    assert len(contents) == 0


def test_cd_45_second_edit_arms_at_all_groups() -> None:
    """An edit in mid-rollout releases nothing by itself, surge groups included; so maxUnavailable 0 is kept."""
    budget = Budget(4, 0, 1)
    armed = decide(budget, LeaderNumbers(5, 3, 4), groups_of("oooxo"), armed=True, surging=True)
    assert (armed.partition, armed.replicas) == (5, 5)
    waits = decide(budget, LeaderNumbers(5, 5, 4), groups_of("oooxo"), armed=False, surging=True)
    assert waits.partition == 5
    goes_on = decide(budget, LeaderNumbers(5, 5, 4), groups_of("ooooo"), armed=False, surging=True)
    assert goes_on.partition == 4


@pytest.mark.parametrize(("partition", "replicas"), [(2, 4), (3, 3), (9, 3)])
def test_cd_43_no_surge_while_every_group_is_held_back(partition: int, replicas: int) -> None:
    """With the user's partition at the replicas or above no wanted group is updated, so no surge group is made."""
    budget = Budget(3, 0, 1, partition)
    for armed in (True, False):
        now = LeaderNumbers(3, max(3, partition), 3)
        assert decide(budget, now, groups_of("ooo"), armed=armed, surging=True).replicas == replicas


W = GroupState(True, False, False, waiting=True)  # outdated, and without a node
V = GroupState(True, False, True, waiting=True)  # updated, and without a node


def test_cd_36_groups_without_a_node_cost_nothing() -> None:
    """Outdated groups that wait for room are passed, and running ones go within the budget all the same."""
    groups = {**groups_of("oooo"), 1: W, 3: W}
    decision = decide(Budget(4, 1), LeaderNumbers(4, 4, 4), groups, armed=False, surging=True)
    assert (decision.partition, decision.below) == (1, 0)
    lower = {**groups_of("oooo"), 0: W, 1: W}
    decision = decide(Budget(4, 1), LeaderNumbers(4, 4, 4), lower, armed=False, surging=True)
    assert decision.partition == 3


def test_cd_36_updated_groups_without_a_node_cost_as_ever() -> None:
    """No running group goes earlier than before: what the rollout itself took down is charged until it is back."""
    groups = {**groups_of("oooo"), 3: V}
    assert decide(Budget(4, 1), LeaderNumbers(4, 3, 4), groups, armed=False, surging=True).partition == 3
    surge = {**groups_of("oooo"), 4: V}
    assert decide(Budget(4, 0, 1), LeaderNumbers(5, 4, 4), surge, armed=False, surging=True).partition == 4


@pytest.mark.parametrize(("partition", "observed", "deleted"), [(1, 2, [3, 2, 1]), (4, 2, []), (1, 1, [])])
def test_cd_36_held_back_leaders_are_replaced_by_us(partition: int, observed: int, deleted: list[int]) -> None:
    """Released outdated leaders at or below one that waits for room are deleted by UID, once the partition was seen."""
    old, new = making.lws(replicas=4, image="app:1"), making.lws(replicas=4, image="app:2")
    keys = making.key_of(old), making.key_of(new)
    held = Condition(type="PodScheduled", status="False", reason="Unschedulable")
    pods = [making.leader(index, keys[0], ready=index in (0, 2)) for index in range(4)]
    for at in (1, 3):
        pods[at] = replace(pods[at], status=replace(pods[at].status, conditions=(held,)))
    leader_set = making.leader_set(keys[1], replicas=4, partition=partition, generation=2)
    snapshot = SetSnapshot(
        lws=new,
        leader_statefulset=replace(leader_set, status=replace(leader_set.status, observed_generation=observed)),
        statefulsets={f"sample-{index}": making.worker_set(index, keys[0]) for index in range(4)},
        leaders=tuple(pods),
        revisions=(making.revision(old, 1), making.revision(new, 2)),
        service=making.service(),
    )
    found = [each for each in making.deleted(plan_leaderworkerset(snapshot, making.NOW)) if each.resource == PODS]
    assert [each.name for each in found] == [f"sample-{index}" for index in deleted]
    assert [each.uid for each in found] == [f"uid-leader-{index}" for index in deleted]
