"""Status: counters, conditions and their transitions (spec 8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import StatefulSet
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset import status
from lws.planning.leaderworkerset.conditions import set_true
from lws.planning.leaderworkerset.counts import Counts, count
from lws.planning.leaderworkerset.rollout import Budget
from lws.planning.leaderworkerset.sets import plan_leaderworkerset
from lws.planning.leaderworkerset.statuspacing import Beat, Counters, Pacing
from tests.planning import making
from tests.planning.world import World

LATER = "2026-08-01T12:00:00Z"
BEFORE = "2026-08-01T09:00:00Z"
TEXTS = {
    "Available": ("AllGroupsReady", "All replicas are ready"),
    "Progressing": ("GroupsProgressing", "Replicas are progressing"),
    "UpdateInProgress": ("GroupsUpdating", "Rolling Upgrade is in progress"),
}


def condition(kind: str, value: str = "True", generation: int = 3) -> Condition:
    """A condition as it was set some time ago."""
    reason, message = TEXTS[kind]
    return Condition(
        type=kind,
        status=value,
        reason=reason,
        message=message,
        last_transition_time=BEFORE,
        observed_generation=generation,
    )


@pytest.mark.parametrize(
    ("counts", "replicas", "wanted"),
    [
        (Counts(current=2, moved=1, done=1, serving=2), 2, ("UpdateInProgress", "Progressing")),
        (Counts(current=2, moved=2, done=2, serving=2), 2, ("Available",)),
        (Counts(current=2, moved=2, done=1, serving=1), 2, ("Progressing",)),
        (Counts(), 0, ("Available",)),
        (Counts(), 2, ("Progressing",)),
        (Counts(current=1, moved=1, done=1, serving=1), 2, ("Progressing",)),
        (Counts(current=2, moved=2, done=2, serving=4), 4, ("Available",)),
        (Counts(current=2, moved=2, done=2, serving=3), 4, ("Progressing",)),
    ],
)
def test_conditions_8_2(counts: Counts, replicas: int, wanted: tuple[str, ...]) -> None:
    """Each row of 8.2, and the cases its text names: no replicas, groups below the user's partition."""
    assert counts.wanted_conditions(replicas) == wanted


@pytest.mark.parametrize(
    ("name", "before", "wanted", "true", "false"),
    [
        ("created", [], ["Progressing"], ["Progressing"], []),
        ("all ready", ["Progressing"], ["Available"], ["Available"], ["Progressing"]),
        ("group lost", ["Available"], ["Progressing"], ["Progressing"], ["Available"]),
        (
            "template edited",
            ["Available"],
            ["UpdateInProgress", "Progressing"],
            ["UpdateInProgress", "Progressing"],
            ["Available"],
        ),
        (
            "all updated, one unready",
            ["UpdateInProgress", "Progressing"],
            ["Progressing"],
            ["UpdateInProgress", "Progressing"],
            [],
        ),
        (
            "update done",
            ["UpdateInProgress", "Progressing"],
            ["Available"],
            ["Available"],
            ["UpdateInProgress", "Progressing"],
        ),
    ],
)
def test_transitions_8_3(name: str, before: list[str], wanted: list[str], true: list[str], false: list[str]) -> None:
    """Each row of the table of 8.3: what is True afterwards, and what was turned False."""
    after = set_true([condition(kind) for kind in before], wanted, 3, making.NOW)
    assert sorted(each.type for each in after.values if each.status == "True") == sorted(true)
    assert sorted(each.type for each in after.values if each.status == "False") == sorted(false)
    assert after.turned is (name != "all updated, one unready")


def test_excluded_condition_keeps_reason_and_message_8_3() -> None:
    """Available=False still reads AllGroupsReady and "All replicas are ready", with a new transition time."""
    after = set_true([condition("Available", generation=2)], ["Progressing"], 3, making.NOW)
    old = after.values[0]
    assert (old.status, old.reason, old.message) == ("False", *TEXTS["Available"])
    assert (old.last_transition_time, old.observed_generation) == (LATER, 3)


def test_same_condition_and_generation_is_untouched_8_3() -> None:
    """Setting what is set changes nothing."""
    before = [condition("Available")]
    after = set_true(before, ["Available"], 3, making.NOW)
    assert list(after.values) == before
    assert not after.turned


def test_condition_that_was_false_turns_true_again_8_3() -> None:
    """A condition that is False becomes True with a new transition time, and that counts as a turn."""
    after = set_true([condition("Available", "False")], ["Available"], 3, making.NOW)
    (found,) = after.values
    assert (found.status, found.last_transition_time, after.turned) == ("True", LATER, True)


def test_every_condition_observes_the_generation_8_3() -> None:
    """Conditions that are False get the new generation too."""
    before = [condition("Available", generation=2), condition("Progressing", "False", generation=2)]
    after = set_true(before, ["Available"], 3, making.NOW)
    assert {each.observed_generation for each in after.values} == {3}


def test_cd_16_transition_time_moves_only_with_status() -> None:
    """A mere change of generation leaves the time of the last transition alone."""
    after = set_true([condition("Available", generation=2)], ["Available"], 3, making.NOW)
    assert after.values[0].last_transition_time == BEFORE


def test_cd_16_both_conditions_of_an_update_are_set_in_one_write() -> None:
    """UpdateInProgress and Progressing come together, in the first pass after the edit."""
    world = World.at_rest(replicas=2)
    world.edit(replicas=2, image="app:2")
    written = making.status_of(world.plan())
    for kind in ("UpdateInProgress", "Progressing"):
        found = making.condition(written, kind)
        assert found is not None
        assert found["status"] == "True"
    available = making.condition(written, "Available")
    assert available is not None
    assert (available["status"], available["reason"]) == ("False", "GroupsUpdating")


def test_cd_10_event_only_when_a_condition_turned() -> None:
    """A write for a new generation alone records no event, and the event belongs to the write's success."""
    world = World.at_rest(replicas=2)
    world.edit(replicas=2, startupPolicy="LeaderReady")
    plan = world.plan()
    written = making.status_of(plan)
    assert written is not None
    assert written["observedGeneration"] == 4
    assert making.notes(plan) == []
    world.edit(replicas=3)
    assert "Replicas are progressing, with 2 groups ready of total 3 groups" in making.notes(world.plan())


def test_cd_06_group_without_worker_set_counts_for_conditions() -> None:
    """An update does not look finished while the worker StatefulSet of an old group is missing."""
    world = World.at_rest(replicas=2)
    old = making.key_of(world.lws)
    world.edit(replicas=2, image="app:2")
    new = making.key_of(world.lws)
    world.revisions.append(making.revision(world.lws, 2))
    world.statefulset = making.leader_set(new, replicas=2, partition=1)
    world.leaders = [making.leader(0, old), making.leader(1, new)]
    world.workers = {"sample-1": making.worker_set(1, new)}
    plan = world.plan()
    written = making.status_of(plan)
    updating = making.condition(written, "UpdateInProgress")
    assert updating is not None
    assert updating["status"] == "True"
    assert written is not None
    assert (written["readyReplicas"], written["updatedReplicas"]) == (1, 1)


def test_cd_06_size_of_the_group_not_of_the_set() -> None:
    """After size 3 to 1, old groups still need their worker StatefulSet to be ready."""
    before = making.lws(replicas=1, size=3)
    after = making.lws(replicas=1, size=1, metadata={"generation": 4})
    old = making.key_of(before)
    budget = Budget(1)
    revisions = [making.revision(before), making.revision(after, 2)]
    leaders = [making.leader(0, old, size=3)]
    found = count(after, budget, making.key_of(after), leaders, {}, revisions)
    assert (found.ready, found.current, found.moved) == (0, 1, 0)
    sets = {"sample-0": making.worker_set(0, old, size=3)}
    assert count(after, budget, making.key_of(after), leaders, sets, revisions).ready == 1


def test_cd_22_worker_set_of_an_earlier_leader_does_not_count() -> None:
    """A worker StatefulSet whose controller is not the present leader makes its group neither ready nor updated."""
    world = World.at_rest(replicas=1)
    key = making.key_of(world.lws)
    world.workers = {"sample-0": making.worker_set(0, key, leader_uid="uid-of-former-leader")}
    written = making.status_of(world.plan())
    assert written is not None
    assert "readyReplicas" not in written
    assert "updatedReplicas" not in written


@pytest.mark.parametrize("ending", [True, False])
def test_cd_30_set_without_a_pod_of_its_own_is_progressing(ending: bool) -> None:
    """A set made again under a name counts no pod of its predecessor, ready though they are, ending or not yet."""
    world = World.at_rest(replicas=2)
    key, stamp = making.key_of(world.lws), making.STAMP if ending else None
    world.lws = making.lws(replicas=2)
    world.statefulset = making.leader_set(key, replicas=2, uid="uid-of-the-new-set")
    world.leaders = [making.leader(index, key, deletion_timestamp=stamp) for index in range(2)]
    written = making.status_of(world.plan())
    assert written is not None
    assert [each["type"] for each in written["conditions"]] == ["Progressing", "Degraded"]
    assert "readyReplicas" not in written
    assert "updatedReplicas" not in written


def test_cd_30_ending_leader_counts_as_gone() -> None:
    """A leader that ends, ready though it is, is neither ready nor updated, and makes no update of a crash."""
    world = World.at_rest(replicas=2)
    key = making.key_of(world.lws)
    world.leaders[0] = making.leader(0, key, deletion_timestamp=making.STAMP)
    written = making.status_of(world.plan())
    assert written is not None
    assert (written["readyReplicas"], written["updatedReplicas"]) == (1, 1)
    states = {each["type"]: each["status"] for each in written["conditions"]}
    assert states == {"Available": "False", "Degraded": "False", "Progressing": "True"}


def test_cd_30_orphan_that_will_be_adopted_counts() -> None:
    """A leader without a controller is about to be taken up, and counts all the time."""
    world = World.at_rest(replicas=2)
    world.leaders[0] = making.leader(0, making.key_of(world.lws), owner_references=())
    assert making.status_of(world.plan()) is None


@pytest.mark.parametrize(("size", "ready"), [(2, False), (4, True), (7, False)])
def test_cd_39_hand_scaled_workers_are_not_ready(size: int, ready: bool) -> None:
    """A worker StatefulSet that somebody scaled is not what the group wants, available though its pods are."""
    world = World.at_rest(replicas=1, size=4)
    world.workers = {"sample-0": making.worker_set(0, making.key_of(world.lws), size=size, template_size=4)}
    written = making.status_of(world.plan())
    assert (written is None) is ready
    if written is not None:
        assert "readyReplicas" not in written


def test_cd_39_worker_set_of_an_older_release_is_judged_by_its_own_template() -> None:
    """Its replicas may fit its own size and not the group's; it is kept and counts."""
    world = World.at_rest(replicas=1, size=4)
    world.workers = {"sample-0": making.worker_set(0, making.key_of(world.lws), size=3)}
    assert making.status_of(world.plan()) is None


def test_cd_24_leader_without_a_numeric_index_falls_back_to_its_name() -> None:
    """A missing, foolish or negative group index gives the ordinal of the name; a foreign name is ignored."""
    owner = making.lws(replicas=2)
    key = making.key_of(owner)
    leaders = [
        making.leader(0, key, label_map={labels.GROUP_INDEX: None}),
        making.leader(1, key, label_map={labels.GROUP_INDEX: "-1"}),
        making.leader(7, key, label_map={labels.GROUP_INDEX: "x"}, name="stranger"),
    ]
    sets = {f"sample-{i}": making.worker_set(i, key) for i in range(2)}
    found = count(owner, Budget(2), key, leaders, sets, [making.revision(owner)])
    assert (found.ready, found.updated, found.serving) == (2, 2, 2)


@dataclass
class Step:
    """One moment of a rollout: groups as letters, and the counters that upstream asserts."""

    groups: str
    ready: int
    updated: int


@pytest.mark.parametrize(
    "step",
    [
        Step("oooo", 4, 0),
        Step("oooU", 4, 1),
        Step("oUoU", 4, 2),
        Step("oUou", 3, 2),
        Step("UUUU", 4, 4),
    ],
    ids=lambda step: step.groups,
)
def test_s1_status_counts(step: Step) -> None:
    """ReadyReplicas and updatedReplicas of S1, step by step."""
    assert _counters(step.groups, replicas=4, rolling={}) == (step.ready, step.updated, False)


@pytest.mark.parametrize(
    ("groups", "partition", "expected"),
    [("ooUU", 2, (4, 2, True)), ("UUUU", 0, (4, 4, True)), ("UUU", 0, (3, 3, True))],
)
def test_s19_status_counts(groups: str, partition: int, expected: tuple[int, int, bool]) -> None:
    """Surge groups count in both counters; the end of a partitioned step is Available."""
    found = _counters(groups, replicas=3, rolling={"maxSurge": 1, "partition": partition}, image="app:2")
    assert found == expected


QUEUED = {"labels": {labels.KUEUE_QUEUE: "q"}}


@pytest.mark.parametrize(
    ("groups", "renewed"),
    [("oooo", 0), ("ooooU", 0), ("ooooUU", 0), ("oooUUU", 1), ("oouUUU", 1), ("uUUUUU", 3), ("UUUUU", 4), ("UUUU", 4)],
)
def test_cd_35_kueue_is_told_of_wanted_groups_that_are_done(groups: str, renewed: int) -> None:
    """Of a set that Kueue queues, surge groups and groups on their way are not told as updated; of others they are."""
    counts = _count(groups, replicas=4, rolling={"maxSurge": 2})
    assert (counts.renewed, counts.updated) == (renewed, groups.lower().count("u"))
    for metadata, told in ({}, counts.updated), (QUEUED, renewed):
        owner = making.lws(replicas=4, rolling={"maxSurge": 2}, image="app:2", metadata=metadata)
        (write,) = status.plan_status(owner, Budget.of(owner), 4, counts, making.NOW).actions
        assert write.status.get("updatedReplicas", 0) == told


@pytest.mark.parametrize(
    ("metadata", "leaders", "wanted", "told"),
    [({}, 5, 6, 5), (QUEUED, 5, 6, 6), (QUEUED, 4, 4, 4), (QUEUED, 6, 4, 6), (QUEUED, 7, 7, 7), (QUEUED, 1, None, 1)],
)
def test_cd_35_a_leader_on_its_way_back_is_no_end_of_surge(
    metadata: dict[str, Any], leaders: int, wanted: int | None, told: int
) -> None:
    """``replicas`` of a set that Kueue queues only falls when fewer groups are wanted."""
    owner = making.lws(replicas=4, metadata=metadata, status={"replicas": 6})
    body = {"metadata": {"name": "sample", "uid": "s"}, "spec": {"replicas": wanted}, "status": {"replicas": leaders}}
    assert status.replicas_of(owner, msgspec.convert(body, StatefulSet)) == told
    assert status.replicas_of(owner, None) == 0


def _counters(groups: str, replicas: int, rolling: dict[str, Any], image: str = "") -> tuple[int, int, bool]:
    found = _count(groups, replicas, rolling)
    return found.ready, found.updated, bool(image) and found.wanted_conditions(replicas) == ("Available",)


def _count(groups: str, replicas: int, rolling: dict[str, Any]) -> Counts:
    before = making.lws(replicas=replicas, rolling=rolling, image="app:1")
    after = making.lws(replicas=replicas, rolling=rolling, image="app:2")
    keys = {"U": making.key_of(after), "u": making.key_of(after), "o": making.key_of(before)}
    leaders = [making.leader(i, keys[letter]) for i, letter in enumerate(groups)]
    sets = {f"sample-{i}": making.worker_set(i, keys[letter], ready=letter in "oU") for i, letter in enumerate(groups)}
    revisions = [making.revision(before, 1), making.revision(after, 2)]
    return count(after, Budget.of(after), keys["U"], leaders, sets, revisions)


def test_first_status_2_3() -> None:
    """The first status has the selector for autoscalers, the generation and no zero counters."""
    plan = World(making.lws(replicas=2)).plan()
    written = making.status_of(plan)
    assert written is not None
    assert written["hpaPodSelector"] == (
        "leaderworkerset.sigs.k8s.io/name=sample,leaderworkerset.sigs.k8s.io/worker-index=0"
    )
    assert written["observedGeneration"] == 3
    assert "replicas" not in written
    progressing = making.condition(written, "Progressing")
    assert progressing == {
        "type": "Progressing",
        "status": "True",
        "reason": "GroupsProgressing",
        "message": "Replicas are progressing",
        "lastTransitionTime": LATER,
        "observedGeneration": 3,
    }
    assert making.condition(written, "UpdateInProgress") is None


def test_selector_is_written_once_2_3() -> None:
    """A selector that is there stays, whatever it says."""
    world = World(making.lws(replicas=1, status={"hpaPodSelector": "custom=yes"}))
    written = making.status_of(world.plan())
    assert written is not None
    assert written["hpaPodSelector"] == "custom=yes"


def test_counters_alone_wait_for_others() -> None:
    """Shortly after a write, a mere change of counters is put off; a turn of a condition never is (CD-80)."""
    world = World.at_rest(replicas=3)
    key = making.key_of(world.lws)
    world.leaders[0] = making.leader(0, key, ready=False)
    lost = making.status_of(world.plan())
    assert lost is not None
    world.write_status(lost)
    world.leaders[1] = making.leader(1, key, ready=False)
    beat = Beat(Counters(3, 1, 3), changed_at=98.0, differs_at=98.0, written_at=98.0)
    soon = plan_leaderworkerset(replace(world.snapshot(), pacing=Pacing(100.0, beat)), making.NOW)
    assert (soon.actions, soon.requeue_after) == ((), 3.0)
    later = plan_leaderworkerset(replace(world.snapshot(), pacing=Pacing(103.0, beat)), making.NOW)
    assert making.status_of(later) is not None
    world.leaders = [making.leader(index, key) for index in range(3)]
    back = making.status_of(plan_leaderworkerset(replace(world.snapshot(), pacing=Pacing(98.1, beat)), making.NOW))
    assert making.condition(back, "Available") is not None


def test_update_done_8_4() -> None:
    """Done means all wanted groups updated and ready, and nothing held back; also with no replicas."""
    assert Counts(done=2).update_done(Budget(2))
    assert not Counts(done=1).update_done(Budget(2))
    assert not Counts(done=2).update_done(Budget(2, partition=1))
    assert Counts().update_done(Budget(0))
