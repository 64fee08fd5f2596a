"""One pass over a LeaderWorkerSet (spec 5.2, 12, 13)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import StatefulSet
from lws.apimachinery.actions import Applied, Apply, Create, Delete, EmitEvent, UpdateStatus
from tests.planning import making
from tests.planning.world import World


def test_first_pass_5_2() -> None:
    """Revision, leader StatefulSet, Service, status: in this order, with events 1, 4 and 10."""
    world = World(making.lws(replicas=3), service=None)
    plan = world.plan()
    key = making.key_of(world.lws)
    assert [type(action) for action in plan.actions] == [Create, Apply, Create, UpdateStatus]
    assert making.notes(plan) == [
        f"Creating revision with key {key} for a newly created LeaderWorkerSet",
        "Created leader statefulset sample",
        "Replicas are progressing, with 0 groups ready of total 3 groups",
    ]
    apply = making.applied(plan)
    assert apply is not None
    assert (apply.look_first, apply.expected) == (True, None)
    assert apply.manifest["spec"]["replicas"] == 3


def test_set_that_is_going_is_left_alone_5_2() -> None:
    """Once deletion has begun, nothing is touched."""
    world = World(making.lws(metadata={"deletionTimestamp": making.STAMP}))
    assert not world.plan()


def test_leader_set_that_is_going_is_waited_for_5_2() -> None:
    """A leader StatefulSet being deleted is looked at again after 5 seconds."""
    world = World.at_rest()
    world.statefulset = making.leader_set(making.key_of(world.lws), deletion_timestamp=making.STAMP)
    plan = world.plan()
    assert (plan.actions, plan.requeue_after) == ((), 5.0)


@settings(max_examples=120, deadline=None)
@given(
    replicas=st.integers(0, 6),
    size=st.integers(1, 4),
    user_partition=st.integers(0, 8),
    surge=st.sampled_from([0, 1, "50%"]),
    unavailable=st.sampled_from([1, 2, "30%"]),
)
def test_plan_is_empty_when_the_world_is_as_desired(
    replicas: int, size: int, user_partition: int, surge: int | str, unavailable: int | str
) -> None:
    """At rest there is nothing to do, whatever the shape of the set."""
    rolling = {"partition": user_partition, "maxSurge": surge, "maxUnavailable": unavailable}
    world = World.at_rest(replicas=replicas, size=size, rolling=rolling)
    assert world.plan().actions == ()


@settings(max_examples=60, deadline=None)
@given(
    replicas=st.integers(1, 6),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 3),
    user_partition=st.integers(0, 3),
    order=st.randoms(use_true_random=False),
)
def test_rollouts_end_as_desired(replicas: int, surge: int, unavailable: int, user_partition: int, order: Any) -> None:
    """From an edit on, whatever the order, bounds hold at every write and all released groups end up updated."""
    rolling = {"partition": user_partition, "maxSurge": surge, "maxUnavailable": unavailable}
    world = World.at_rest(replicas=replicas, rolling=rolling)
    world.edit(replicas=replicas, rolling=rolling, image="app:2")
    key = making.key_of(world.lws)
    last: int | None = None
    for _ in range(200):
        plan = world.plan()
        apply = making.applied(plan)
        if apply is not None:
            spec = apply.manifest["spec"]
            partition = spec["updateStrategy"]["rollingUpdate"]["partition"]
            assert partition >= user_partition
            assert last is None or partition <= last
            assert spec["replicas"] <= replicas + min(surge, replicas)
            last = partition
        if not _carry_out(world, plan.actions) and not _one_group_moves(world, key, order):
            break
    updated = [pod.metadata.label(labels.REVISION) == key for pod in world.leaders]
    assert all(updated[user_partition:])
    assert world.plan().actions == ()


def _carry_out(world: World, actions: tuple[Any, ...]) -> bool:
    """What the API server and the StatefulSet controller make of a plan, short of replacing groups."""
    for action in actions:
        match action:
            case Create():
                world.revisions.append(making.revision(world.lws, action.manifest["revision"]))
            case Apply():
                _scale(world, action)
            case UpdateStatus():
                world.write_status(dict(action.status))
            case Delete():
                world.revisions = [each for each in world.revisions if each.metadata.name != action.name]
    return bool(actions)


def _scale(world: World, apply: Apply) -> None:
    manifest = apply.manifest
    replicas = manifest["spec"]["replicas"]
    key = manifest["metadata"]["labels"][labels.REVISION]
    partition = manifest["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
    assert world.statefulset is not None
    world.statefulset = making.leader_set(
        key,
        replicas=replicas,
        partition=partition,
        annotations=manifest["metadata"]["annotations"],
        generation=world.statefulset.metadata.generation + 1,
    )
    world.applied = Applied.left(apply.digest, world.statefulset.metadata)
    for index in range(len(world.leaders), replicas):
        world.leaders.append(making.leader(index, key))
        world.workers[f"sample-{index}"] = making.worker_set(index, key, ready=False)
    for pod in world.leaders[replicas:]:
        world.workers.pop(pod.metadata.name, None)
    del world.leaders[replicas:]


def _one_group_moves(world: World, key: str, order: Any) -> bool:
    """A released group of another revision is replaced, or an unready one becomes ready."""
    assert world.statefulset is not None
    strategy = world.statefulset.spec.update_strategy
    assert strategy is not None
    assert strategy.rolling_update is not None
    partition = strategy.rolling_update.partition or 0
    moving = [
        index
        for index, pod in enumerate(world.leaders)
        if world.workers[pod.metadata.name].status.available_replicas == 0
        or (index >= partition and pod.metadata.label(labels.REVISION) != key)
    ]
    if not moving:
        return False
    index = order.choice(moving)
    if index >= partition and world.leaders[index].metadata.label(labels.REVISION) != key:
        world.leaders[index] = making.leader(index, key)
        world.workers[f"sample-{index}"] = making.worker_set(index, key, ready=False)
    else:
        pod_key = world.leaders[index].metadata.label(labels.REVISION)
        world.workers[f"sample-{index}"] = making.worker_set(index, pod_key)
    return True


def blocked_by(statefulset: StatefulSet, status: dict[str, Any] | None = None) -> World:
    """A set whose name is taken by this StatefulSet."""
    return World(making.lws(status=status), statefulset=statefulset)


FOREIGN = making.leader_set("k", owner_references=(making.controller("Deployment", "other", "uid-other"),))


def test_cd_03_foreign_leader_set_is_never_written() -> None:
    """Someone else's StatefulSet stays as it is: a condition, one Warning, nothing else."""
    plan = blocked_by(FOREIGN).plan()
    (update,) = plan.actions
    assert isinstance(update, UpdateStatus)
    blocked = making.condition(dict(update.status), "Blocked")
    assert blocked is not None
    assert (blocked["status"], blocked["reason"]) == ("True", "StatefulSetNotOwned")
    assert "default/sample" in blocked["message"]
    (event,) = update.on_success
    assert (event.type, event.reason, event.action) == ("Warning", "FailedCreate", "Create")
    assert event.note.startswith("Failed to create leader statefulset sample: statefulset default/sample exists")


def test_cd_03_warning_says_update_if_we_once_owned_one() -> None:
    """A set that had a leader StatefulSet of its own reads FailedUpdate."""
    progressing = {"type": "Progressing", "status": "True", "reason": "GroupsProgressing", "message": "m"}
    plan = blocked_by(FOREIGN, {"conditions": [progressing]}).plan()
    (update,) = plan.actions
    assert isinstance(update, UpdateStatus)
    assert (update.on_success[0].reason, update.on_success[0].action) == ("FailedUpdate", "Update")
    assert making.condition(dict(update.status), "Progressing") is not None


def test_cd_03_blocked_is_said_once_and_resolved() -> None:
    """While it lasts nothing more is written; once the name is free, Blocked turns False."""
    world = blocked_by(FOREIGN)
    first = making.status_of(world.plan())
    assert first is not None
    world.write_status(first)
    again = world.plan()
    assert (again.actions, again.requeue_after) == ((), 60.0)
    world.statefulset = None
    found = making.condition(making.status_of(world.plan()), "Blocked")
    assert found is not None
    assert (found["status"], found["reason"]) == ("False", "StatefulSetOwned")


def test_cd_03_set_of_an_earlier_namesake_is_waited_for() -> None:
    """A StatefulSet of a deleted set of this name is about to be collected: wait 5 seconds, write nothing."""
    former = making.leader_set("k", owner_references=(making.controller("LeaderWorkerSet", "sample", "uid-former"),))
    plan = blocked_by(former).plan()
    assert (plan.actions, plan.requeue_after) == ((), 5.0)


@pytest.mark.parametrize("adoptable", [True, False])
def test_cd_03_orphaned_set_is_adopted(adoptable: bool) -> None:
    """A set without a controller is adopted if our label and selector are on it, and left alone otherwise."""
    label_map = {labels.NAME: "sample" if adoptable else "other", labels.REVISION: "k"}
    world = blocked_by(making.leader_set("k", owner_references=(), labels=label_map))
    apply = making.applied(world.plan())
    assert (apply is not None) is adoptable
    if apply is not None:
        assert apply.manifest["metadata"]["ownerReferences"][0]["uid"] == "uid-lws"


def test_cd_09_absent_fields_are_defaulted() -> None:
    """A set and a StatefulSet with every optional field absent are planned for like defaulted ones."""
    bare = making.lws(replicas=None, size=None, rolloutStrategy=None, networkConfig=None)
    world = World(bare)
    spec = _applied_spec(world)
    assert (spec["replicas"], spec["updateStrategy"]["rollingUpdate"]) == (1, {"partition": 0, "maxUnavailable": 1})
    assert spec["template"]["metadata"]["annotations"] == {labels.SIZE: "1"}
    key = making.key_of(bare)
    world.revisions = [making.revision(bare)]
    world.statefulset = making.leader_set(key, replicas=None, partition=None, annotations={})
    world.leaders = [making.leader(0, key, size=1)]
    assert _applied_spec(world)["replicas"] == 1


def test_cd_09_subgroup_policy_without_a_size_is_none() -> None:
    """A subgroup policy without its size leaves no annotation."""
    section = {"subGroupPolicy": {"subGroupPolicyType": "LeaderWorker"}}
    annotations = _applied_spec(World(making.lws(section=section)))["template"]["metadata"]["annotations"]
    assert annotations == {labels.SIZE: "2"}


def _applied_spec(world: World) -> dict[str, Any]:
    apply = making.applied(world.plan())
    assert apply is not None
    spec: dict[str, Any] = apply.manifest["spec"]
    return spec


def test_cd_13_rollout_moves_although_the_budget_rounds_to_nothing() -> None:
    """With 25 % of 3 and no surge, one group at a time is replaced."""
    rolling = {"maxUnavailable": "25%", "maxSurge": 0}
    world = World.at_rest(replicas=3, rolling=rolling)
    old = world.revisions[0]
    world.edit(replicas=3, rolling=rolling, image="app:2")
    key = making.key_of(world.lws)
    world.revisions = [old, making.revision(world.lws, 2)]
    world.statefulset = making.leader_set(key, replicas=3, partition=3)
    assert _applied_spec(world)["updateStrategy"]["rollingUpdate"] == {"partition": 2, "maxUnavailable": 1}


def test_cd_14_first_creation_keeps_no_surge() -> None:
    """With a user partition and surge, groups that are not ready yet bring no surge groups at first creation."""
    world = World.at_rest(replicas=3, rolling={"partition": 2, "maxSurge": 2})
    key = making.key_of(world.lws)
    world.leaders = [making.leader(index, key, ready=False) for index in range(3)]
    world.statefulset = making.leader_set(key, replicas=3, partition=2)
    assert making.applied(world.plan()) is None
    world.edit(replicas=2, rolling={"partition": 2, "maxSurge": 2})
    assert _applied_spec(world)["replicas"] == 2


def test_cd_14_update_under_way_keeps_surge() -> None:
    """While a revision of another key exists, surge stands in for groups that are not ready."""
    rolling = {"maxSurge": 1, "maxUnavailable": 0}
    world = World.at_rest(replicas=2, rolling=rolling)
    world.edit(replicas=2, rolling=rolling, image="app:2")
    assert _applied_spec(world)["replicas"] == 3


@pytest.mark.parametrize(
    ("user", "now", "expected"),
    [
        (2, 6, "Updating replicas 2 to 5 (inclusive)"),
        (5, 6, "Updating replica 5"),
        (4, 0, None),
    ],
)
def test_cd_15_event_7_only_when_the_partition_falls(user: int, now: int, expected: str | None) -> None:
    """Lowering the partition tells which replicas are released; raising it tells nothing."""
    world = World.at_rest(replicas=6, rolling={"partition": user, "maxUnavailable": 6})
    key = making.key_of(world.lws)
    world.statefulset = making.leader_set(key, replicas=6, partition=now, generation=2)
    if expected is not None:
        world.leaders = [making.leader(index, "old", ready=False) for index in range(6)]
    apply = making.applied(world.plan())
    assert apply is not None
    assert [event.note for event in apply.on_success] == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("before", "after", "note"),
    [
        (3, 2, "deleting surge replica sample-2"),
        (6, 2, "deleting surge replicas from sample-2 to sample-5"),
    ],
)
def test_event_8_comes_before_the_write(before: int, after: int, note: str) -> None:
    """A fall of the replicas is announced before it is written."""
    world = World.at_rest(replicas=before)
    world.edit(replicas=after)
    first, second = world.plan().actions[:2]
    assert isinstance(first, EmitEvent)
    assert isinstance(second, Apply)
    assert (first.note, first.reason, first.action) == (note, "GroupsProgressing", "Delete")


def test_events_5_and_6_carry_the_cause() -> None:
    """A failed apply is a FailedCreate without a StatefulSet, a FailedUpdate with one."""
    create = making.applied(World(making.lws()).plan())
    assert create is not None
    assert create.on_failure[0].note == "Failed to create leader statefulset sample: {error}"
    world = World.at_rest()
    world.edit(replicas=5)
    update = making.applied(world.plan())
    assert update is not None
    assert update.on_failure[0].note == "Failed to update leader statefulset sample: {error}"
    assert (update.on_failure[0].reason, update.on_failure[0].action) == ("FailedUpdate", "Update")


def test_shared_service_5_4() -> None:
    """The shared Service is created once, with the set's name and one label, and only under the shared policy."""
    world = World.at_rest()
    world.service = None
    create = making.created(world.plan(), "Service")
    assert create is not None
    assert create.manifest == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "sample",
            "namespace": "default",
            "labels": {labels.NAME: "sample"},
            "ownerReferences": create.manifest["metadata"]["ownerReferences"],
        },
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {labels.NAME: "sample"}},
    }
    assert create.manifest["metadata"]["ownerReferences"][0]["uid"] == "uid-lws"
    assert create.on_failure[0].note == "Failed to create headless service for error: {error}"
    unique = World.at_rest(networkConfig={"subdomainPolicy": "UniquePerReplica"})
    unique.service = None
    assert making.created(unique.plan(), "Service") is None


def test_cd_26_foreign_service_is_told_once_and_not_written() -> None:
    """A Service that serves other pods under our name is complained about, one time for its UID."""
    world = World.at_rest()
    world.service = making.service(selector={"app": "other"})
    (event,) = world.plan().actions
    assert isinstance(event, EmitEvent)
    assert (event.type, event.reason, event.once) == ("Warning", "FailedCreate", "uid-service-sample")
    assert event.note.startswith("Failed to create headless service for error: service default/sample exists")
