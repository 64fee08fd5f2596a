"""What is told of a set that is not Available, or cannot become so by itself (CD-29, CD-40, CD-48, CD-49, CD-52)."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.apimachinery.actions import EmitEvent, Plan
from lws.apimachinery.objects import Condition
from lws.planning.leaderworkerset.sets import plan_leaderworkerset, plan_refused
from lws.planning.leaderworkerset.statuspacing import Beat, Counters, Pacing
from tests.planning import making
from tests.planning.world import World

REFUSED = "StatefulSet.apps is invalid: spec: Forbidden: 100% of it"


def available(plan: Plan) -> tuple[str, str, str]:
    """Status, reason and message of Available as the plan writes it."""
    found = making.condition(making.status_of(plan), "Available")
    assert found is not None
    return found["status"], found["reason"], found["message"]


def warnings(plan: Plan) -> dict[str, EmitEvent]:
    """The warning events of the plan, by reason."""
    return {each.reason: each for each in plan.actions if isinstance(each, EmitEvent) and each.type == "Warning"}


def unscheduled(pod: Pod, reason: str = "SchedulingGated") -> Pod:
    """The same pod, Pending without a node."""
    held = Condition(type="PodScheduled", status="False", reason=reason)
    return msgspec.structs.replace(pod, status=msgspec.structs.replace(pod.status, phase="Pending", conditions=(held,)))


def test_cd_29_available_false_says_how_many_groups_are_ready() -> None:
    """A lost group is told of in numbers, and the words of True come back with it."""
    world = World.at_rest(replicas=2)
    key = making.key_of(world.lws)
    world.leaders[1] = making.leader(1, key, ready=False)
    plan = world.plan()
    assert available(plan) == ("False", "GroupsProgressing", "1 of 2 groups ready")
    world.write_status(making.status_of(plan) or {})
    world.leaders[1] = making.leader(1, key)
    assert available(world.plan()) == ("True", "AllGroupsReady", "All replicas are ready")


def test_cd_29_in_an_update() -> None:
    """In an update it says how many groups are updated, too."""
    world = World.at_rest(replicas=3, rolling={"partition": 1})
    world.edit(replicas=3, image="app:2", rolling={"partition": 1})
    assert available(world.plan()) == ("False", "GroupsUpdating", "3 of 3 groups ready, 0 of 2 updated")


def test_cd_29_other_words_alone_are_no_write() -> None:
    """What the message says of an Available that stays False is brought up to date by writes for other reasons only."""
    world = World.at_rest(replicas=2)
    key = making.key_of(world.lws)
    world.leaders[1] = making.leader(1, key, ready=False)
    written = making.status_of(world.plan())
    assert written is not None
    for each in written["conditions"]:
        if each["type"] == "Available":
            each |= {"reason": "AllGroupsReady", "message": "All replicas are ready"}  # as the reference leaves it
    world.write_status(written)
    assert making.status_of(world.plan()) is None
    world.leaders[0] = making.leader(0, key, ready=False)
    assert available(world.plan())[1:] == ("GroupsProgressing", "0 of 2 groups ready")


def test_cd_29_condition_that_was_never_true_does_not_appear() -> None:
    """A set that comes up has no Available before it is (spec 8.3)."""
    assert making.condition(making.status_of(World(making.lws()).plan()), "Available") is None


@pytest.mark.parametrize(
    ("length", "size", "replicas", "told"),
    [
        (50, 2, 10, ""),
        (50, 2, 11, "groups from index 10 on"),
        (51, 2, 1, "its groups"),
        (51, 1, 5, ""),
        (53, 1, 1, "its groups"),
    ],
)
def test_cd_40_name_that_is_too_long_is_told_once(length: int, size: int, replicas: int, told: str) -> None:
    """Whatever scaled it, a set whose name leaves no room for an index says which groups can never be whole."""
    name = "a" * length
    world = World(making.lws(replicas=replicas, size=size, metadata={"name": name}))
    found = warnings(world.plan()).get("NameTooLong")
    assert (found is not None) is bool(told)
    if found is not None:
        assert f"too long for {told} to get all their pods" in found.note
        assert "52 characters" in found.note
        assert found.once


def test_cd_40_surge_counts_while_there_is_one() -> None:
    """A rollout with surge needs room for the index of its last surge group, and Available says so."""
    name = {"name": "a" * 50, "generation": 3}
    world = World(making.lws(replicas=10, rolling={"maxSurge": 1}, metadata=name))
    assert "NameTooLong" not in warnings(world.plan())
    old = making.lws(replicas=10, image="app:0", metadata=name)
    mark = {labels.NAME: "a" * 50}
    earlier = making.revision(old, 1, labels={**mark, labels.REVISION: making.key_of(old)})
    world.revisions = [
        earlier,
        making.revision(world.lws, 2, labels={**mark, labels.REVISION: making.key_of(world.lws)}),
    ]
    assert "NameTooLong" in warnings(world.plan())


def waiting_world() -> World:
    """Group 0 is down, one may be; an update is armed that would repair it."""
    world = World.at_rest(replicas=4)
    old = making.key_of(world.lws)
    world.edit(replicas=4, image="app:2")
    key = making.key_of(world.lws)
    world.revisions.append(making.revision(world.lws, 2))
    world.statefulset = making.leader_set(key, replicas=4, partition=4, generation=2)
    world.leaders[0] = making.leader(0, old, ready=False)
    return world


def test_cd_48_rollout_that_waits_for_a_broken_group_says_so() -> None:
    """A group that is down below the partition and uses the budget up is named, with what may be done."""
    plan = waiting_world().plan()
    told = warnings(plan)["RolloutWaiting"]
    assert told.note.startswith("A rolling update waits for group 0 below partition 4: not ready")
    assert "raise maxUnavailable" in told.note
    assert available(plan) == (
        "False",
        "RolloutWaiting",
        "3 of 4 groups ready, 0 of 4 updated; the update waits for group 0, as maxUnavailable is used up",
    )


def test_cd_48_rollout_that_goes_on_is_not_told_of() -> None:
    """With a larger budget, or while a released group is on its way, nothing waits."""
    world = waiting_world()
    world.edit(replicas=4, image="app:2", rolling={"maxUnavailable": 2})
    assert "RolloutWaiting" not in warnings(world.plan())
    world = waiting_world()
    key = making.key_of(world.lws)
    world.leaders[3] = making.leader(3, key, ready=False)
    world.statefulset = making.leader_set(key, replicas=4, partition=3, generation=2)
    assert "RolloutWaiting" not in warnings(world.plan())


def test_cd_49_pods_that_no_webhook_saw_are_told_of_once() -> None:
    """One warning for the set names a pod, the variables that it lacks, and what to do."""
    world = World.at_rest(replicas=2)
    assert warnings(world.plan()) == {}
    bare: dict[str, str | None] = {labels.GROUP_KEY: None, labels.GROUP_INDEX: None}
    world.leaders = [making.leader(index, making.key_of(world.lws), label_map=bare) for index in range(2)]
    (told,) = warnings(world.plan()).values()
    assert told.reason == "Unadmitted"
    assert "Pod sample-0 was admitted without the webhook" in told.note
    assert "LWS_WORKER_INDEX" in told.note
    assert told.once == "uid-lws/Unadmitted"


@pytest.mark.parametrize(("reason", "wait"), [("SchedulingGated", 1.0), ("Unschedulable", 1.0), ("", 5.0)])
def test_counters_of_a_creation_wait_long_only_while_pods_move(reason: str, wait: float) -> None:
    """Where what is missing is held by a gate or finds no node, ready groups are told of soon (Q4, CD-80)."""
    world = World.at_rest(replicas=3)
    key = making.key_of(world.lws)
    coming_up = making.status_of(World(making.lws(replicas=3)).plan())
    assert coming_up is not None
    world.write_status({**coming_up, "replicas": 3})
    late = making.leader(0, key, ready=False)
    world.leaders[0] = unscheduled(late, reason) if reason else late
    beat = Beat(Counters(3, 2, 3), changed_at=99.5, differs_at=99.0, written_at=98.0)
    plan = plan_leaderworkerset(replace(world.snapshot(), pacing=Pacing(100.0, beat)), making.NOW)
    assert plan.requeue_after == wait - 0.5


def test_refused_apply_is_told_in_the_status() -> None:
    """After a refusal the status has the counters and conditions of now, and Blocked the server's words (S7)."""
    world = World.at_rest(replicas=2)
    world.edit(replicas=5)
    world.leaders[0] = making.leader(0, making.key_of(world.lws), ready=False)
    plan = plan_refused(world.snapshot(), making.NOW, REFUSED, final=True)
    written = making.status_of(plan)
    assert written is not None
    assert (written["readyReplicas"], written["observedGeneration"]) == (1, 4)
    blocked = making.condition(written, "Blocked")
    assert blocked is not None
    assert (blocked["status"], blocked["reason"], blocked["message"]) == ("True", "FailedUpdate", REFUSED)
    assert available(plan)[1:] == (
        "FailedUpdate",
        "1 of 5 groups ready; the leader StatefulSet is refused, see condition Blocked",
    )
    world.write_status(written)
    again = plan_refused(world.snapshot(), making.NOW, f"{REFUSED} once more", final=True)
    assert making.status_of(again) is None
    passing = plan_refused(world.snapshot(), making.NOW, "etcd is away", final=False)
    assert making.status_of(passing) is None
    resolved = making.condition(making.status_of(world.plan()), "Blocked")
    assert resolved is not None
    assert (resolved["status"], resolved["reason"]) == ("False", "StatefulSetApplied")


def test_no_percent_sign_reaches_the_condition_that_clients_format() -> None:
    """KServe takes the message of Available as a format string."""
    world = World.at_rest(replicas=2)
    world.edit(replicas=3)
    assert "%" not in available(plan_refused(world.snapshot(), making.NOW, "50% gone", final=True))[2]
