"""One pass over a leader pod (spec 5.5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import LabelSelector
from lws.apimachinery.actions import Create, EmitEvent, Patch, Plan, Relabel
from lws.planning.leaderworkerset import worker_statefulset
from lws.planning.leaderworkerset.leader_pod import plan_leader_pod
from lws.planning.leaderworkerset.schedulers import PROVIDERS
from lws.planning.leaderworkerset.snapshots import GroupSnapshot
from lws.planning.leaderworkerset.worker_pod import plan_worker_pod
from tests.planning import making

GANG = PROVIDERS["volcano"](("volcano",))
UNIQUE = {"networkConfig": {"subdomainPolicy": "UniquePerReplica"}}


def snapshot(
    *, leader: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **spec: Any
) -> GroupSnapshot:
    """A leader that has just started, with nothing made for it yet."""
    size = spec.setdefault("size", 3)
    lws = making.lws(metadata=metadata, **spec)
    pod = making.leader(0, making.key_of(lws), **{"size": size, **(leader or {})})
    return GroupSnapshot(
        lws=lws,
        leader=pod,
        leader_statefulset=making.leader_set(making.key_of(lws)),
        group_pods=(pod,),
        revisions=(making.revision(lws),),
    )


def plan(shot: GroupSnapshot, *, gang: bool = False) -> Plan:
    """The plan of one pass."""
    return plan_leader_pod(shot, GANG if gang else None).plan


def kinds(found: Plan) -> list[str]:
    """What is created, in order."""
    return [action.resource.kind for action in found.actions if isinstance(action, Create)]


def test_worker_set_is_created_5_5() -> None:
    """A leader gets its worker StatefulSet, with event 11 about it and event 12 for a failure."""
    (create,) = plan(snapshot()).actions
    assert isinstance(create, Create)
    assert (create.resource.kind, create.manifest["metadata"]["name"]) == ("StatefulSet", "sample-0")
    event, failure = create.on_success[0], create.on_failure[0]
    assert (event.note, event.reason) == ("Created worker statefulset for leader pod sample-0", "GroupsProgressing")
    assert failure.note == "Failed to create worker statefulset for leader pod sample-0: {error}"
    assert event.related is not None
    assert event.related.uid == "uid-leader-0"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (labels.NAME, "leaderworkerset.sigs.k8s.io/name label is unexpected missing"),
        (labels.WORKER_INDEX, "leaderworkerset.sigs.k8s.io/worker-index label is unexpected missing"),
    ],
)
def test_missing_labels_5_5_step_1(label: str, message: str) -> None:
    """A pod without the labels that tell what it is rests with an error, and operators are told what to do."""
    shot = snapshot(leader={"label_map": {label: None}})
    assert shot.leader is not None
    found = plan_worker_pod(shot, "sample-0", shot.leader).plan
    assert (found.error, found.terminal, bool(found.remedy)) == (message, True, True)


def test_set_gone_5_5_step_2() -> None:
    """Without its set, or while that goes with its leader StatefulSet, nothing is made for a leader."""
    shot = snapshot()
    assert not plan(replace(shot, lws=None))
    going = snapshot(metadata={"deletionTimestamp": making.STAMP})
    assert not plan(replace(going, leader_statefulset=None))
    leader_set = making.leader_set(making.key_of(making.lws(size=3)), deletion_timestamp=making.STAMP)
    assert not plan(replace(going, leader_statefulset=leader_set))


def test_cd_46_set_that_is_held_is_served() -> None:
    """While a finalizer holds a deleted set and its leader StatefulSet stays, a replaced leader gets its workers."""
    held = snapshot(metadata={"deletionTimestamp": making.STAMP})
    assert kinds(plan(held)) == ["StatefulSet"]


@pytest.mark.parametrize(
    ("changes", "adopted"),
    [
        ({}, True),
        ({"group-key": "other"}, False),
        ({"template-revision-hash": "other"}, False),
        ({"deleting": making.STAMP}, False),
    ],
)
def test_cd_47_orphaned_worker_set_is_adopted(changes: dict[str, str], adopted: bool) -> None:
    """A StatefulSet that selects what the leader's own would, of its revision and nobody's, gets its owner back."""
    shot = snapshot()
    assert shot.leader is not None
    assert shot.lws is not None
    key = making.key_of(shot.lws)
    keeper = making.controller("Backup", "keeper", "uid-keeper")
    keeper = msgspec.structs.replace(keeper, controller=False)
    found = making.worker_set(0, changes.get("template-revision-hash", key), size=3, owner_references=(keeper,))
    chosen = {**worker_statefulset.selector(shot.lws, shot.leader)}
    if "group-key" in changes:
        chosen[labels.GROUP_KEY] = changes["group-key"]
    found = msgspec.structs.replace(
        found,
        metadata=msgspec.structs.replace(found.metadata, deletion_timestamp=changes.get("deleting")),
        spec=msgspec.structs.replace(found.spec, selector=LabelSelector(match_labels=chosen)),
    )
    (action,) = plan(replace(shot, worker_statefulset=found)).actions
    assert isinstance(action, Patch if adopted else EmitEvent)
    if isinstance(action, Patch):
        assert (action.uid, action.resource.kind) == ("uid-workers-0", "StatefulSet")
        kept, owner = action.change["metadata"]["ownerReferences"]
        assert kept == {"apiVersion": "v1", "kind": "Backup", "name": "keeper", "uid": "uid-keeper"}
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("Pod", "uid-leader-0", True)
    else:
        assert "delete it, and its workers are made anew" in action.note


def test_mistaken_annotation_5_5_step_5() -> None:
    """A leader that carries a leader's name ends in event 13, once, and nothing else."""
    shot = snapshot(leader={"annotations": {labels.LEADER_NAME: "sample-0"}})
    (event,) = plan(shot).actions
    assert isinstance(event, EmitEvent)
    assert event.note == (
        "leader pod default/sample-0 contains mistake annotation 'leaderworkerset.sigs.k8s.io/leader-name': "
        "requires Kubernetes ≥v1.27 or v1.26 with StatefulSetStartOrdinal feature"
    )
    assert (event.type, event.reason, event.action, event.once) == (
        "Warning",
        "FailedCreate",
        "Create",
        "uid-leader-0",
    )


@pytest.mark.parametrize("policy", ["None", "RecreateGroupOnPodRestart"])
def test_nothing_is_made_for_a_dying_leader_5_5_step_6(policy: str) -> None:
    """While a leader is being deleted, or its deletion was asked for, nothing is created."""
    section = {"restartPolicy": policy}
    assert not plan(snapshot(leader={"deletion_timestamp": making.STAMP}, section=section, **UNIQUE))
    assert not plan(replace(snapshot(section=section), going="uid-leader-0"))


def test_leader_of_a_former_leader_set_is_left_alone() -> None:
    """A pod of a leader StatefulSet before the present one is about to be collected."""
    shot = snapshot()
    former = making.leader_set("k", uid="uid-new-leader-set")
    assert not plan(replace(shot, leader_statefulset=former))


def test_per_replica_service_5_4() -> None:
    """Under unique subdomains the leader owns a Service of its own name that selects its group."""
    first = plan(snapshot(**UNIQUE)).actions[0]
    assert isinstance(first, Create)
    meta = first.manifest["metadata"]
    assert (meta["name"], meta["labels"]) == ("sample-0", {labels.NAME: "sample"})
    assert meta["ownerReferences"][0]["kind"] == "Pod"
    assert first.manifest["spec"]["selector"] == {labels.NAME: "sample", labels.GROUP_INDEX: "0"}


def test_per_replica_service_is_never_changed_5_4() -> None:
    """A Service that is there is accepted."""
    existing = making.service("sample-0", {labels.NAME: "sample", labels.GROUP_INDEX: "0"})
    assert kinds(plan(replace(snapshot(**UNIQUE), service=existing))) == ["StatefulSet"]


def test_cd_20_service_of_a_rebuilt_group_after_a_policy_change() -> None:
    """A leader that was made under unique subdomains gets its Service though the set says shared now."""
    shot = snapshot(leader={"annotations": {labels.SUBDOMAIN_POLICY: "UniquePerReplica"}})
    assert kinds(plan(shot)) == ["Service", "StatefulSet"]
    assert kinds(plan(snapshot())) == ["StatefulSet"]


def test_size_1_has_no_worker_set_5_5_step_9() -> None:
    """A group of one has no worker StatefulSet at all."""
    assert not plan(snapshot(size=1))


def test_cd_04_size_is_that_of_the_group() -> None:
    """After size 3 to 1 a rebuilt old group gets its two workers, after 1 to 3 an old group of one gets none."""
    shot = snapshot(size=3)
    edited = making.lws(size=1, metadata={"generation": 4})
    create = plan(replace(shot, lws=edited)).actions[0]
    assert isinstance(create, Create)
    assert create.manifest["spec"]["replicas"] == 2
    single = snapshot(size=1)
    assert not plan(replace(single, lws=making.lws(size=3, metadata={"generation": 4})))


def test_cd_04_size_from_the_revision_without_the_annotation() -> None:
    """A leader without a size annotation has the size of its revision."""
    shot = snapshot(size=3, leader={"size": None})
    create = plan(replace(shot, lws=making.lws(size=1, metadata={"generation": 4}))).actions[0]
    assert isinstance(create, Create)
    assert create.manifest["spec"]["replicas"] == 2


@pytest.mark.parametrize(("ready", "phase", "made"), [(False, "Running", False), (True, "Pending", True)])
def test_leader_ready_5_5_step_10(ready: bool, phase: str, made: bool) -> None:
    """Under LeaderReady workers wait for the Ready condition of their leader; its phase is not looked at."""
    shot = snapshot(leader={"ready": ready, "phase": phase}, startupPolicy="LeaderReady")
    assert bool(plan(shot)) is made


def test_revision_missing_5_5_step_11() -> None:
    """Without the revision of the leader's key, look again in a second."""
    found = plan(replace(snapshot(), revisions=()))
    assert (found.actions, found.requeue_after) == ((), 1.0)


EXCLUSIVE = {"annotations": {labels.EXCLUSIVE_TOPOLOGY: "rack"}}


def test_exclusive_placement_10_1() -> None:
    """The workers are bound to the topology domain of their leader's node."""
    shot = replace(snapshot(metadata=EXCLUSIVE), node=making.node(rack="r1"))
    (create,) = plan(shot).actions
    assert isinstance(create, Create)
    assert create.manifest["spec"]["template"]["spec"]["nodeSelector"] == {"rack": "r1"}


def test_exclusive_placement_waits_for_the_binding_10_1() -> None:
    """A leader without a node is waited for without an error."""
    found = plan(snapshot(metadata=EXCLUSIVE, leader={"node": ""}))
    assert (found.actions, found.error) == ((), None)


def test_cd_21_errors_name_node_and_label() -> None:
    """A missing node or label is an error to be tried again; its text says which, and what to do is told beside it."""
    shot = snapshot(metadata=EXCLUSIVE)
    assert plan(shot).error == 'getting node "node-1": nodes "node-1" not found'
    assert "delete the leader pod sample-0" in plan(shot).remedy
    found = plan(replace(shot, node=making.node(zone="z")))
    assert (found.error, found.terminal) == ('node "node-1" does not have topology label: rack', False)
    assert "label the node with rack" in found.remedy


def test_cd_21_empty_topology_counts_as_absent() -> None:
    """An empty annotation asks for nothing."""
    shot = snapshot(metadata={"annotations": {labels.EXCLUSIVE_TOPOLOGY: ""}}, leader={"node": ""})
    assert kinds(plan(shot)) == ["StatefulSet"]


def test_existing_worker_set_is_accepted_5_5_step_13() -> None:
    """A worker StatefulSet that is there is left as it is, whatever its content."""
    shot = replace(snapshot(), worker_statefulset=making.worker_set(0, "other", size=9))
    assert not plan(shot)


@pytest.mark.parametrize(
    ("owner", "foreign"),
    [
        (making.controller("Pod", "sample-0", "uid-of-former-leader"), False),
        (making.controller("ReplicaSet", "other", "uid-other"), True),
        (None, True),
    ],
)
def test_cd_26_foreign_worker_set_is_told_once(owner: Any, foreign: bool) -> None:
    """A StatefulSet under the workers' name that no leader of ours owns is complained about, never written."""
    owners = () if owner is None else (owner,)
    shot = replace(snapshot(), worker_statefulset=making.worker_set(0, "k", owner_references=owners))
    found = plan(shot).actions
    assert bool(found) is foreign
    for event in found:
        assert isinstance(event, EmitEvent)
        assert (event.type, event.reason, event.once) == ("Warning", "FailedCreate", "uid-workers-0")
        assert event.note.startswith("Failed to create worker statefulset for leader pod sample-0: statefulset ")


def test_cd_28_worker_set_waits_for_its_names() -> None:
    """While a pod of its names ends, or its owner is gone, no worker StatefulSet is created, and no timer runs.

    Of an owner that no cache shows the server is asked, for it may only have lost its label (K5).
    """
    shot = snapshot()
    former = making.controller("StatefulSet", "sample-0", "uid-of-former-set")
    for ending in (making.STAMP, None):
        pod = making.worker(0, 2, "old", owner=former, deletion_timestamp=ending)
        found = plan(replace(shot, workers={"sample-0-2": pod}))
        asked = () if ending else ("uid-of-former-set",)
        assert tuple(each.uid for each in found.actions if isinstance(each, Relabel)) == asked
        assert (len(found.actions), found.requeue_after, found.error) == (len(asked), None, None)
    assert kinds(plan(shot)) == ["StatefulSet"]


def test_cd_28_living_foreign_pod_blocks_its_own_name_only() -> None:
    """Workers made by hand, controlled by the leader itself, are told of once; the others are made."""
    by_hand = making.worker(0, 2, "old", owner=making.controller("Pod", "sample-0", "uid-leader-0"))
    found = plan(replace(snapshot(), workers={"sample-0-2": by_hand}))
    told, made = found.actions
    assert isinstance(told, EmitEvent)
    assert (told.type, told.reason, told.once) == ("Warning", "FailedCreate", by_hand.metadata.uid)
    assert "pod default/sample-0-2 exists and is not of this group" in told.note
    assert isinstance(made, Create)


def test_cd_28_names_beyond_the_group_do_not_matter() -> None:
    """A pod of a larger former group stands in nobody's way."""
    pod = making.worker(0, 7, "old")
    assert kinds(plan(replace(snapshot(), workers={"sample-0-7": pod}))) == ["StatefulSet"]


def ganged(size: int = 3, mark: str | None = None, scheduler: str = "volcano") -> GroupSnapshot:
    """The same with the gang scheduler in the template and, unless another one is given, our mark on the leader."""
    section = {"workerTemplate": making.template(schedulerName="volcano")}
    key = making.key_of(making.lws(size=size, section=section))
    marks = {labels.POD_GROUP_NAME: f"sample-0-{key}" if mark is None else mark}
    return snapshot(size=size, section=section, leader={"annotations": marks, "scheduler": scheduler})


def test_pod_group_comes_before_the_worker_set_11() -> None:
    """With gang scheduling the PodGroup is created first, and also for a group of one."""
    assert kinds(plan(ganged(), gang=True)) == ["PodGroup", "StatefulSet"]
    assert kinds(plan(ganged(size=1), gang=True)) == ["PodGroup"]
    assert kinds(plan(ganged())) == ["StatefulSet"]


def mark_of_workers(found: Plan) -> str | None:
    """The PodGroup that the worker template names."""
    (made,) = (each for each in found.actions if isinstance(each, Create) and each.resource.kind == "StatefulSet")
    mark: str | None = made.manifest["spec"]["template"]["metadata"]["annotations"].get(labels.POD_GROUP_NAME)
    return mark


def test_g2_workers_are_members_because_their_leader_is() -> None:
    """The worker template names the PodGroup of its leader, so a replaced worker comes back into the same (CD-33)."""
    shot = ganged()
    assert shot.leader is not None
    assert mark_of_workers(plan(shot, gang=True)) == shot.leader.metadata.annotation(labels.POD_GROUP_NAME)
    assert mark_of_workers(plan(shot)) is None


@pytest.mark.parametrize("mark", ["", "podgroup-uid-leader-0", "sample-1-key"])
def test_g2_no_pod_group_under_a_mark_that_is_not_ours(mark: str) -> None:
    """A leader from before gang scheduling, or marked by Volcano, has no gang, and its workers none (CD-23, CD-33)."""
    found = plan(ganged(mark=mark), gang=True)
    assert (kinds(found), mark_of_workers(found)) == (["StatefulSet"], None)


def test_g3_no_pod_group_for_a_leader_of_another_scheduler() -> None:
    """Though a webhook of the reference has marked it, a leader that Volcano does not place holds no queue (CD-31)."""
    found = plan(ganged(scheduler="default-scheduler"), gang=True)
    assert (kinds(found), mark_of_workers(found)) == (["StatefulSet"], None)
