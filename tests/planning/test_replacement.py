"""When a leader loses its gate (next 4), and what a Deployment says of a set (next 3.9): tables."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import (
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    Pod,
    SchedulingGate,
)
from lws.apimachinery.actions import JsonPatch
from lws.apimachinery.objects import ObjectMeta
from lws.planning.leaderworkerset import hash_budget, hash_status
from lws.planning.leaderworkerset.conditions import AVAILABLE, PROGRESSING, UPDATE_IN_PROGRESS
from lws.planning.leaderworkerset.groups import terminating_groups
from lws.planning.leaderworkerset.replacement import Admission, first_in_rank, judge, plan
from lws.planning.leaderworkerset.snapshots import GroupSnapshot
from tests.planning import making

KEY, OLD = "new", "old"
IDENTITY = {labels.GROUP_IDENTITY: "Hash"}
GATED = (SchedulingGate("example.com/other"), SchedulingGate(labels.REPLACEMENT_GATE))
STAMPS = [f"2026-08-01T10:00:{second:02d}Z" for second in range(20)]


def hash_leader(name: str, key: str = KEY, *, gated: bool = False, age: int = 0, going: bool = False) -> Pod:
    """A leader; the one of the lowest ``age`` is the oldest."""
    stamp = making.STAMP if going else None
    group = {labels.GROUP_INDEX: name * 8, labels.GROUP_KEY: name * 8}
    noted = {**IDENTITY, **({labels.DELETION_COST: labels.GATED_COST} if gated else {})}
    pod = making.leader(0, key, label_map=group, annotations=noted, creation_timestamp=STAMPS[age], uid=f"uid-{name}")
    pod = replace(pod, metadata=replace(pod.metadata, name=name, deletion_timestamp=stamp))
    return replace(pod, spec=replace(pod.spec, scheduling_gates=GATED if gated else ()))


def hash_worker(group: str) -> Pod:
    """A worker of a group, ending."""
    marks = {labels.GROUP_INDEX: group * 8, labels.NAME: making.NAME, labels.WORKER_INDEX: "1"}
    pod = making.worker(0, 1, KEY, deletion_timestamp=making.STAMP)
    return replace(pod, metadata=replace(pod.metadata, name=f"{group}-1", labels=marks, annotations=IDENTITY))


def deployment(key: str = KEY, **status: int) -> Deployment:
    """The leader Deployment."""
    meta = ObjectMeta(name=making.NAME, namespace="default", generation=5, labels={labels.REVISION: key})
    return Deployment(meta, DeploymentSpec(), DeploymentStatus(**{"observed_generation": 5, **status}))


def judged(leaders: list[Pod], name: str, terminating: int = 0, **spec: Any) -> Admission:
    """What becomes of the gated leader of this name."""
    lws = making.lws(**{"replicas": 4, "groupIdentity": "Hash", **spec})
    (leader,) = [pod for pod in leaders if pod.metadata.name == name]
    return judge(lws, deployment(), leader, leaders, terminating)


A, B, C = (hash_leader(name, gated=True, age=age) for name, age in (("a", 1), ("b", 2), ("c", 3)))
OTHERS = [hash_leader(name, age=0) for name in ("p", "q", "r")]


@pytest.mark.parametrize(
    ("case", "leaders", "terminating", "admitted", "spec"),
    [
        ("first creation", [A, B, C], 0, "abc", {"replicas": 3}),
        ("one of four is ending", [A, *OTHERS], 1, "", {}),
        ("two are ending", [A, B, *OTHERS[:2]], 2, "", {}),
        ("one of two is gone", [A, B, *OTHERS[:2]], 1, "a", {}),
        ("surge", [A, hash_leader("x", OLD), hash_leader("y", OLD)], 0, "a", {"replicas": 2}),
        ("surge and replacement", [A, B, hash_leader("x", OLD)], 1, "a", {"replicas": 2}),
        ("immediate", [A, *OTHERS], 1, "a", {"groupReplacementPolicy": "Immediate"}),
        ("no place left", [A, *OTHERS], 0, "", {"replicas": 3}),
        ("one place left", [A, B, *OTHERS], 0, "a", {}),
        ("another revision", [hash_leader("a", OLD, gated=True), *OTHERS], 0, "", {}),
        ("the older of the Deployment's revision first", [hash_leader("a", OLD, gated=True), B, C], 2, "b", {}),
    ],
)
def test_next_4_3_admission(case: str, leaders: list[Pod], terminating: int, admitted: str, spec: Any) -> None:
    """As many as there are places: the older first, and those of the Deployment's revision before others."""
    waiting = [pod.metadata.name for pod in leaders if pod.spec.scheduling_gates]
    found = {name for name in waiting if judged(leaders, name, terminating, **spec).admitted}
    assert found == set(admitted), case


def test_n13_one_old_group_is_gone() -> None:
    """With two gated leaders and one group ending still, the older is admitted and the other is told for how many."""
    leaders = [A, B, *OTHERS[:2]]
    assert [judged(leaders, name, 2) for name in "ab"] == [Admission(False, 2)] * 2
    assert [judged(leaders, name, 1) for name in "ab"] == [Admission(True), Admission(False, 1)]


def test_next_4_2_terminating_groups() -> None:
    """A group with pods and no leader that lives is terminating, however many pods it has."""
    pods = [A, hash_leader("x", going=True), hash_worker("x"), hash_worker("y"), hash_worker("a")]
    assert terminating_groups(pods) == 2
    assert terminating_groups([]) == 0


def test_first_in_rank_decides_for_all() -> None:
    """Whoever waits is looked at in the order in which they are admitted; an ending leader is not."""
    old = hash_leader("o", OLD, gated=True)
    assert first_in_rank([old, C, B, *OTHERS], deployment()) is B
    assert first_in_rank([hash_leader("z", gated=True, going=True), *OTHERS], deployment()) is None


def test_the_gate_is_lifted_alone() -> None:
    """Our gate and the deletion cost that came with it go; other gates and a cost of the author's stay."""
    lws = making.lws(groupIdentity="Hash")
    shot = GroupSnapshot(lws=lws, leader=A, leader_deployment=deployment(), peers=(A,))
    admitted, (lift,) = plan(shot, A)
    assert admitted
    assert isinstance(lift, JsonPatch)
    assert [(each["op"], each["path"]) for each in lift.operations] == [
        ("test", "/spec/schedulingGates/1/name"),
        ("remove", "/spec/schedulingGates/1"),
        ("remove", "/metadata/annotations/controller.kubernetes.io~1pod-deletion-cost"),
    ]
    costly = replace(A, metadata=replace(A.metadata, annotations={**IDENTITY, labels.DELETION_COST: "7"}))
    _, (kept,) = plan(shot, costly)
    assert isinstance(kept, JsonPatch)
    assert len(kept.operations) == 2


def test_nd_03_a_deferral_is_told_once_for_each_number() -> None:
    """The event is one for each leader and number of groups."""
    lws = making.lws(groupIdentity="Hash", replicas=4)
    shots = [
        GroupSnapshot(lws=lws, leader=A, leader_deployment=deployment(), peers=(A, *OTHERS), terminating=count)
        for count in (1, 2)
    ]
    told = [plan(shot, A)[1][0] for shot in shots]
    assert [each.note for each in told] == [  # type: ignore[union-attr]
        f"Leader pod a waits for {count} terminating group(s) to be removed before scheduling" for count in (1, 2)
    ]
    assert len({each.once for each in told}) == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("others", [True, False])
def test_n54_a_gated_leader_with_an_index(others: bool) -> None:
    """One that another release gated waits for the pods of its predecessor, and is lifted then."""
    leader = making.leader(0, KEY)
    leader = replace(leader, spec=replace(leader.spec, scheduling_gates=GATED[1:]))
    mates = (leader, making.worker(0, 1, KEY, deletion_timestamp=making.STAMP)) if others else (leader,)
    admitted, (action,) = plan(GroupSnapshot(lws=making.lws(), leader=leader, group_pods=mates), leader)
    assert admitted is not others
    if others:
        expected = "Leader pod sample-0 waits for previous group 0 pods to be removed before scheduling"
        assert action.note == expected  # type: ignore[union-attr]


FULL: dict[str, Any] = {"replicas": 2, "ready_replicas": 2, "updated_replicas": 2}
TWO = [hash_leader("p"), hash_leader("q")]


@pytest.mark.parametrize(
    ("case", "status", "leaders", "outdated", "wanted"),
    [
        ("all there", FULL, TWO, False, (AVAILABLE,)),
        ("n23: behind its own spec", {**FULL, "observed_generation": 4}, TWO, True, (UPDATE_IN_PROGRESS, PROGRESSING)),
        ("nd-19: behind, nothing to update", {**FULL, "observed_generation": 4}, TWO, False, (PROGRESSING,)),
        ("an old leader lives", FULL, [*TWO, hash_leader("o", OLD)], True, (UPDATE_IN_PROGRESS, PROGRESSING)),
        ("an old leader is ending", FULL, [*TWO, hash_leader("o", OLD, going=True)], True, (AVAILABLE,)),
        ("too few leaders", FULL, TWO[:1], True, (UPDATE_IN_PROGRESS, PROGRESSING)),
        ("surge", {**FULL, "replicas": 3}, TWO, True, (UPDATE_IN_PROGRESS, PROGRESSING)),
        ("one is not ready", {**FULL, "ready_replicas": 1}, TWO, False, (PROGRESSING,)),
    ],
)
def test_next_3_9_conditions(
    case: str, status: dict[str, Any], leaders: list[Pod], outdated: bool, wanted: tuple[str, ...]
) -> None:
    """What is True follows from the Deployment's counters, its generations, and the leaders that there are."""
    found = hash_status.count(deployment(**status), KEY, leaders, 2, changing=False, outdated=outdated)
    assert found.wanted_conditions(2) == wanted, case
    assert found.available is (wanted == (AVAILABLE,))


def test_n23_a_change_in_this_pass_is_not_counted_as_done() -> None:
    """While an apply is on its way the counters are of the earlier template."""
    found = hash_status.count(deployment(**FULL), KEY, TWO, 2, changing=True, outdated=True)
    assert found.wanted_conditions(2) == (UPDATE_IN_PROGRESS, PROGRESSING)
    assert not found.available


@pytest.mark.parametrize(("free", "kept"), [(2, {"bbb": 2, "ccc": 1}), (1, {"bbb": 2}), (0, {})])
def test_n36_a_replacement_takes_over_the_highest_count(free: int, kept: dict[str, int]) -> None:
    """Of equal ones the one of the smallest key; the others stay for as many replacements as there may be."""
    stored = {f"{KEY}/aaa": 2, f"{KEY}/bbb": 2, f"{KEY}/ccc": 1}
    notes = {labels.GROUP_RESTART_COUNTS: json.dumps(stored)}
    lws = making.lws(
        replicas=free + 1,
        groupIdentity="Hash",
        section={"maxGroupRestarts": 3},
        metadata={"annotations": notes},
    )
    (claimed,) = hash_budget.claim(lws, A, [A])
    assert counts_in(claimed) == {f"{KEY}/bbb": 2, f"{KEY}/ccc": 1, f"{KEY}/aaaaaaaa": 2}
    admitted = hash_leader("a", age=1)
    after = making.lws(
        replicas=free + 1,
        groupIdentity="Hash",
        section={"maxGroupRestarts": 3},
        metadata={"annotations": {labels.GROUP_RESTART_COUNTS: json.dumps(counts_in(claimed))}},
    )
    pruned = hash_budget.prune(after, [admitted], KEY, done=False)
    left = counts_in(pruned[0]) if pruned else counts_in(claimed)
    assert left == {f"{KEY}/aaaaaaaa": 2, **{f"{KEY}/{name}": count for name, count in kept.items()}}


def counts_in(action: Any) -> dict[str, int]:
    """The counts that a write stores."""
    found: dict[str, int] = json.loads(action.change["metadata"]["annotations"][labels.GROUP_RESTART_COUNTS])
    return found
