"""Leaders that we replace where the StatefulSet controller goes one by one (CD-81)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lws.api.leaderworkerset.objects import Pod, StatefulSet
from lws.planning.leaderworkerset.groups import GroupState, states
from lws.planning.leaderworkerset.pace import max_unavailable
from lws.planning.leaderworkerset.release import Released, released_leaders
from lws.planning.leaderworkerset.rollout import Budget, LeaderNumbers, decide
from tests.planning import making

OLD, NEW = "old", "new"


@dataclass
class Plane:
    """Leaders, the StatefulSet controller of a cluster, and our planner, each as far as a rollout needs it.

    Args:
        letters: the groups: o is ready and old, x old and not ready.
        budget: the user's numbers.
        heeds: whether maxUnavailable is honoured.
    """

    letters: str
    budget: Budget
    heeds: bool
    one_by_one: bool = False
    replicas: int = 0
    partition: int = 0
    told: int | None = None
    pods: dict[int, tuple[str, bool]] = field(default_factory=dict)
    lowest: int = 10**9
    ours: int = 0

    def __post_init__(self) -> None:
        self.replicas = self.partition = len(self.letters)
        self.pods = {index: (OLD, letter == "o") for index, letter in enumerate(self.letters)}
        self._apply()

    def settle(self) -> str:
        """Let both controllers act until nothing changes; the groups as letters."""
        for _ in range(100):
            if not self._apply() | self._replace():
                break
            self._watch()
        else:
            raise AssertionError("the rollout goes round in circles")
        return "".join(
            {(OLD, True): "o", (OLD, False): "x", (NEW, True): "U", (NEW, False): "u"}[self.pods[index]]
            for index in range(self.replicas)
        )

    def become_ready(self, which: int) -> bool:
        """One more of the unready groups of the new revision is ready; whether there was one."""
        waiting = [index for index, pod in sorted(self.pods.items()) if pod == (NEW, False)]
        if waiting:
            self.pods[waiting[which % len(waiting)]] = (NEW, True)
        return bool(waiting)

    def _watch(self) -> None:
        self.lowest = min(self.lowest, sum(ready for _, ready in self.pods.values()))

    def _objects(self) -> tuple[StatefulSet, tuple[Pod, ...], dict[int, GroupState]]:
        leaders = tuple(making.leader(index, key, ready=ready, size=1) for index, (key, ready) in self.pods.items())
        found = making.leader_set(NEW, replicas=self.replicas, partition=self.partition, recorded=self.budget.replicas)
        assert found.spec.update_strategy is not None
        assert found.spec.update_strategy.rolling_update is not None
        rolling = replace(found.spec.update_strategy.rolling_update, max_unavailable=self.told)
        strategy = replace(found.spec.update_strategy, rolling_update=rolling)
        seen = replace(found.status, observed_generation=found.metadata.generation)
        statefulset = replace(found, spec=replace(found.spec, update_strategy=strategy), status=seen)
        return statefulset, leaders, states(NEW, making.lws(size=1), leaders, {}, ())

    def _apply(self) -> bool:
        """What our planner makes of partition and replicas."""
        statefulset, leaders, groups = self._objects()
        now = LeaderNumbers.of(statefulset)
        decision = decide(self.budget, now, groups, armed=False, surging=True)
        before = (self.partition, self.replicas, self.told)
        by_index = {index: leaders[at] for at, index in enumerate(self.pods)}
        wanted = max_unavailable(self.budget, now, decision, by_index, NEW)
        self.partition, self.replicas = decision.partition, decision.replicas
        self.told = wanted if self.heeds or self.one_by_one else None
        for index in range(self.replicas):
            self.pods.setdefault(index, (NEW, False))
        self.pods = {index: pod for index, pod in self.pods.items() if index < self.replicas}
        return before != (self.partition, self.replicas, self.told)

    def _replace(self) -> bool:
        """Leaders that either controller deletes, made anew at once."""
        statefulset, leaders, groups = self._objects()
        ours = self.release(statefulset, leaders, groups).deletes
        self.ours += len(ours)
        gone = {*self._by_the_statefulset_controller(), *(int(each.name.rpartition("-")[2]) for each in ours)}
        for index in gone:
            self.pods[index] = (NEW if index >= self.partition else OLD, False)
        return bool(gone)

    def release(self, statefulset: StatefulSet, leaders: tuple[Pod, ...], groups: dict[int, GroupState]) -> Released:
        """What our planner makes of the released leaders."""
        owner = making.lws(size=1)
        return released_leaders(owner, statefulset, NEW, self.budget, groups, leaders, one_by_one=self.one_by_one)

    def _by_the_statefulset_controller(self) -> list[int]:
        unavailable = sum(not ready for _, ready in self.pods.values())
        found = []
        for index in range(self.replicas - 1, self.partition - 1, -1):
            key, ready = self.pods[index]
            if key == OLD:
                found.append(index)
            elif not ready and not self.heeds:
                break
        return found[: max(0, (self.told or 0) - unavailable)] if self.heeds else found[:1]


BUDGETS = st.tuples(st.integers(1, 8), st.integers(0, 8), st.integers(0, 4)).map(
    lambda numbers: Budget(numbers[0], numbers[1], min(numbers[0], numbers[2]))
)


@given(budget=BUDGETS, broken=st.sets(st.integers(0, 7), max_size=2), order=st.lists(st.integers(0, 7), max_size=20))
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("one_by_one", [False, True], ids=["dropped", "ignored"])
def test_cd_81_both_ways_go_through_the_same_states(
    one_by_one: bool, budget: Budget, broken: set[int], order: list[int]
) -> None:
    """Whether maxUnavailable is honoured, dropped or ignored, a rollout is the same sequence of group states."""
    letters = "".join("x" if index in broken else "o" for index in range(budget.replicas))
    heeding, other = Plane(letters, budget, True), Plane(letters, budget, False, one_by_one)
    moving = True
    for which in [*order, *range(100)]:
        assert heeding.settle() == other.settle()
        assert (heeding.partition, heeding.replicas) == (other.partition, other.replicas)
        moving = heeding.become_ready(which)
        assert moving == other.become_ready(which)
        if not moving:
            break
    assert not moving
    assert heeding.settle() == "U" * budget.replicas or broken
    assert heeding.ours == 0
    least = min(letters.count("o"), budget.replicas - budget.allowed_unavailable)
    assert min(heeding.lowest, other.lowest) >= least
    if budget.statefulset_max_unavailable == 1 and not broken:
        assert other.ours == 0


def released(
    letters: str, partition: int, *, told: int | None, one_by_one: bool = False, unavailable: int = 2
) -> Released:
    """The release of such groups in a set of as many replicas."""
    plane = Plane("o" * len(letters), Budget(len(letters), unavailable), True)
    keys = {"o": (OLD, True), "x": (OLD, False), "U": (NEW, True), "u": (NEW, False)}
    plane.pods = {index: keys[letter] for index, letter in enumerate(letters) if letter != "."}
    plane.partition, plane.told, plane.one_by_one = partition, told, one_by_one
    return plane.release(*plane._objects())


@pytest.mark.parametrize(
    ("letters", "partition", "told", "deleted", "owed"),
    [
        ("oooo", 2, 2, [], True),  # the StatefulSet controller is left alone, but looked at
        ("oooo", 3, 1, [], None),  # it takes that one in any case
        ("oooo", 2, None, [2], False),  # the field was dropped: it takes 3, we take 2
        ("oouu", 0, None, [], False),  # the budget is used up
        ("oouU", 0, None, [1], False),  # it stands before group 2
        ("xouU", 0, None, [0], False),  # what is down costs nothing
        ("oooU", 1, 3, [], True),
        ("oooU", 2, 2, [], None),  # between two steps nothing can be told
        ("oouu", 0, 2, [], False),  # as many are down as it was granted
        ("oooo", 4, None, [], False),  # nothing is released
        ("oo.U", 0, None, [1], False),
    ],
)
def test_cd_81_what_is_ours_to_replace(
    letters: str, partition: int, told: int | None, deleted: list[int], owed: bool | None
) -> None:
    """Highest first, within U, without the leader that the StatefulSet controller takes itself."""
    found = released(letters, partition, told=told)
    assert [each.name for each in found.deletes] == [f"sample-{index}" for index in deleted]
    assert [each.uid for each in found.deletes] == [f"uid-leader-{index}" for index in deleted]
    assert found.owed is owed


def test_cd_81_what_is_ignored_is_taken_over_once_it_was_seen() -> None:
    """Where the field is kept and not heeded, leaders are ours as soon as that is believed."""
    assert [each.name for each in released("oooo", 2, told=2, one_by_one=True).deletes] == ["sample-2"]
