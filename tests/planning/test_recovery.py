"""Failure handling: the decision tables of spec 9.2 and 9.3 (CD-01, CD-02, CD-05)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    Pod,
    PodStatus,
)
from lws.apimachinery.objects import Condition, ObjectMeta
from lws.planning.leaderworkerset import culprit
from lws.planning.leaderworkerset.groups import is_leader, leaders_by_index
from lws.planning.leaderworkerset.recovery import Failed, Outcome, judge, pending
from lws.planning.leaderworkerset.worker_pod import plan_worker_pod
from tests.planning import making
from tests.planning.group import AFTER_START, FAILED, GONE, ON_RESTART, Group, worker


def outcome(group: Group, pod: Pod, pods: Sequence[Pod] | None = None, *, going: bool = False) -> Outcome:
    """The verdict about one pod of the group."""
    listed = group.snapshot().group_pods if pods is None else pods
    failed = Failed(pod.metadata.name, pod)
    return judge(group.lws, failed, group.leader, group.worker_set, pending=pending(listed, 3), going=going)


def test_row_1_no_policy() -> None:
    """Under None, and its old name Default, nothing happens to the group."""
    for policy in ("None", "Default"):
        group = Group(policy)
        assert outcome(group, worker(group.key, **FAILED)) is Outcome.NO_POLICY


def test_row_2_no_failure() -> None:
    """A pod that neither restarted nor is being deleted has not failed, whatever its phase."""
    group = Group()
    assert outcome(group, worker(group.key)) is Outcome.NO_FAILURE
    for phase in ("Failed", "Succeeded", "Unknown"):
        assert outcome(group, worker(group.key, phase=phase, restarts=3)) is Outcome.NO_FAILURE


@pytest.mark.parametrize(("policy", "annotated"), [(AFTER_START, False), (ON_RESTART, True), (AFTER_START, True)])
def test_row_3_pending_group_is_left_alone(policy: str, annotated: bool) -> None:
    """Under AfterStart, or with the annotation whatever its value, a group that has not started is left alone."""
    group = Group(policy, annotated=annotated)
    failed = worker(group.key, **FAILED)
    assert outcome(group, failed, pods=group.workers) is Outcome.PENDING
    assert outcome(group, failed) is Outcome.RECREATE
    plain = Group()
    assert outcome(plain, worker(plain.key, **FAILED), pods=group.workers) is Outcome.RECREATE


def test_row_4_name_without_an_ordinal() -> None:
    """A failed worker whose name has no ordinal is an error that names it."""
    group = Group()
    odd = worker(group.key, name="worker", **FAILED)
    assert outcome(group, odd) is Outcome.NO_ORDINAL
    planned = plan_worker_pod(group.snapshot(), "worker", odd)
    assert planned.plan.error == "parsing pod name for pod worker"
    assert "remove its label" in planned.plan.remedy


def test_row_5_leader_gone() -> None:
    """Without a leader there is nothing to recreate."""
    group = Group()
    group.leader = None
    assert outcome(group, worker(group.key, **FAILED)) is Outcome.LEADER_GONE


def test_row_6_other_revision() -> None:
    """A worker of another revision than its leader's is about to go anyway."""
    group = Group()
    assert outcome(group, worker("other", **FAILED)) is Outcome.OTHER_REVISION


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        (None, Outcome.STALE_MEMBER),
        (making.controller("StatefulSet", "sample-0", "uid-of-former-set"), Outcome.STALE_MEMBER),
        (making.controller("ReplicaSet", "sample-0", "uid-workers-0"), Outcome.STALE_MEMBER),
        (making.controller("Pod", "sample-0", "uid-of-former-leader"), Outcome.STALE_MEMBER),
        (making.controller("Pod", "sample-0", "uid-leader-0"), Outcome.RECREATE),
        (making.controller("StatefulSet", "sample-0", "uid-workers-0"), Outcome.RECREATE),
    ],
)
def test_row_7_belonging_9_4(owner: Any, expected: Outcome) -> None:
    """Only a member of this very leader's group can take it down."""
    group = Group()
    pod = worker(group.key, owner=owner, owned=owner is not None, **FAILED)
    assert outcome(group, pod) is expected


def test_row_7_worker_set_of_an_earlier_leader() -> None:
    """A worker StatefulSet that belongs to a former leader speaks for nobody."""
    group = Group()
    group.worker_set = making.worker_set(0, group.key, size=3, leader_uid="uid-of-former-leader")
    assert outcome(group, worker(group.key, **FAILED)) is Outcome.STALE_MEMBER


def test_row_8_leader_going() -> None:
    """A leader that is being deleted, or whose deletion we asked for, is not deleted once more."""
    group = Group()
    assert outcome(group, worker(group.key, **FAILED), going=True) is Outcome.GOING
    group.leader = making.leader(0, group.key, size=3, **GONE)
    assert outcome(group, worker(group.key, **FAILED)) is Outcome.GOING
    assert outcome(group, group.leader) is Outcome.GOING


def test_row_9_recreates_in_the_foreground() -> None:
    """The leader is deleted in the foreground, with the event that names the failed pod."""
    group = Group()
    group.workers[0] = worker(group.key, **FAILED)
    (deletion,) = group.worker_pass()
    assert (deletion.name, deletion.propagation) == ("sample-0", "Foreground")
    event, _ = deletion.on_success
    assert (event.type, event.reason, event.action) == ("Normal", "RecreateGroup", "Delete")
    assert event.note == "Worker pod sample-0-1 failed, deleted leader pod sample-0 to recreate group 0"
    assert event.related is not None
    assert event.related.uid == "uid-leader-0"


def test_only_a_workers_failure_rests_on_its_worker_set() -> None:
    """The group of a failed worker goes only while its StatefulSet is there, or was when it was deleted itself."""
    group = Group()
    group.workers[0] = worker(group.key, **FAILED)
    (deletion,) = group.worker_pass()
    assert deletion.witness is not None
    assert (deletion.witness.name, deletion.witness.uid) == ("sample-0", "uid-workers-0")
    group = Group()
    group.leader = making.leader(0, group.key, size=3, **FAILED)
    (deletion,) = group.leader_pass()
    assert deletion.witness is None
    group = Group()
    group.worker_set = making.worker_set(0, group.key, size=3, deletion_timestamp=making.STAMP)
    group.workers[0] = worker(group.key, **GONE)
    (deletion,) = group.worker_pass()
    assert deletion.witness is None
    group = Group()
    owner = making.controller("Pod", "sample-0", "uid-leader-0")
    group.workers[0] = worker(group.key, owner_references=(owner,), **FAILED)
    (deletion,) = group.worker_pass()
    assert deletion.witness is None


def test_event_says_worker_even_of_the_leader() -> None:
    """A failed leader is called a worker pod too."""
    group = Group()
    group.leader = making.leader(0, group.key, size=3, restarts=1)
    (deletion,) = group.leader_pass()
    assert deletion.on_success[0].note.startswith("Worker pod sample-0 failed, deleted leader pod sample-0 ")


RECREATE, SKIP, NOTHING = "recreate", "skip", "nothing"
COLUMNS = (("None", False), (ON_RESTART, False), (ON_RESTART, True), (AFTER_START, False))


@pytest.mark.parametrize(
    ("trigger", "pending", "expected"),
    [
        ("worker restarted", False, (NOTHING, RECREATE, RECREATE, RECREATE)),
        ("worker deleted", False, (NOTHING, RECREATE, RECREATE, RECREATE)),
        ("worker deleted", True, (NOTHING, RECREATE, SKIP, SKIP)),
        ("leader restarted", False, (NOTHING, RECREATE, RECREATE, RECREATE)),
        ("leader restarted", True, (NOTHING, RECREATE, SKIP, SKIP)),
        ("leader deleted", False, (NOTHING, NOTHING, NOTHING, NOTHING)),
        ("init restarted", False, (NOTHING, RECREATE, RECREATE, RECREATE)),
        ("init restarted", True, (NOTHING, RECREATE, SKIP, SKIP)),
        ("worker evicted", False, (NOTHING, NOTHING, NOTHING, NOTHING)),
        ("evicted worker deleted", False, (NOTHING, RECREATE, RECREATE, RECREATE)),
        ("evicted worker deleted", True, (NOTHING, RECREATE, SKIP, SKIP)),
    ],
)
@pytest.mark.parametrize("column", range(4))
def test_policies_by_trigger_9_2(trigger: str, pending: bool, expected: tuple[str, ...], column: int) -> None:
    """Every cell of the second table of 9.2."""
    policy, annotated = COLUMNS[column]
    group = Group(policy, annotated=annotated)
    group.workers[1] = worker(group.key, 2, phase="Pending" if pending else "Running")
    changes: dict[str, dict[str, Any]] = {
        "worker restarted": FAILED,
        "worker deleted": GONE,
        "init restarted": {"init_restarts": 1},
        "worker evicted": {"phase": "Failed", "restarts": 1},
        "evicted worker deleted": {"phase": "Failed", **GONE},
    }
    if trigger.startswith("leader"):
        how: dict[str, Any] = FAILED if trigger == "leader restarted" else GONE
        group.leader = making.leader(0, group.key, size=3, **how)
        deletions = group.leader_pass()
    else:
        group.workers[0] = worker(group.key, **changes[trigger])
        deletions = group.worker_pass()
    assert bool(deletions) is (expected[column] == RECREATE)


@pytest.mark.parametrize(
    ("phases", "starting"),
    [
        (("Running", "Running", "Running"), False),
        (("Running", "Running", "Pending"), True),
        (("Pending", "Running", "Running"), True),
        (("Running", "Running"), True),
        (("Running", "Running", "Running", "Running"), False),
        (("Running", "Failed", "Running"), False),
    ],
)
def test_pending_9_3(phases: Sequence[str], starting: bool) -> None:
    """Pending means: fewer pods than the group has, or one of them in phase Pending; one too many changes nothing."""
    group = Group(AFTER_START)
    pods = [worker(group.key, index, phase=phase) for index, phase in enumerate(phases)]
    found = outcome(group, worker(group.key, **FAILED), pods=pods)
    assert found is (Outcome.PENDING if starting else Outcome.RECREATE)


def test_restart_skipped_while_pending_is_seen_by_the_next_event_9_3() -> None:
    """A restart count stays above zero, so the pod's next event after the start takes the group down."""
    group = Group(AFTER_START)
    group.workers = [worker(group.key, **FAILED), worker(group.key, 2, phase="Pending")]
    assert group.worker_pass() == []
    group.workers[1] = worker(group.key, 2)
    assert len(group.worker_pass()) == 1


def test_skipped_deletion_is_forgotten_9_3() -> None:
    """A worker deleted while the group was starting is not held against it once it is gone."""
    group = Group(AFTER_START)
    group.worker_pass()
    group.workers = [worker(group.key, **GONE), worker(group.key, 2, phase="Pending")]
    assert group.worker_pass() == []
    group.workers = [worker(group.key, uid="successor"), worker(group.key, 2)]
    assert group.worker_pass() == []
    assert group.record is not None
    assert group.record.uids[1] == "successor"


def test_cd_01_worker_gone_without_a_trace() -> None:
    """A worker that vanished at once takes its group down, though no look ever saw it being deleted."""
    group = Group()
    assert group.worker_pass() == []
    group.workers = [worker(group.key, 2)]
    (deletion,) = group.worker_pass()
    assert deletion.on_success[0].note.startswith("Worker pod sample-0-1 failed")


def test_cd_01_worker_replaced_under_its_name() -> None:
    """A worker whose successor is seen first takes its group down."""
    group = Group()
    group.worker_pass()
    group.workers[0] = worker(group.key, uid="successor")
    assert len(group.worker_pass()) == 1


def test_cd_01_skipped_trigger_is_consumed() -> None:
    """While the group is starting the successor is adopted, once and for all."""
    group = Group(AFTER_START)
    group.workers[1] = worker(group.key, 2, phase="Pending")
    group.worker_pass()
    group.workers[0] = worker(group.key, uid="successor", phase="Pending")
    assert group.worker_pass() == []
    group.workers = [worker(group.key, uid="successor"), worker(group.key, 2)]
    assert group.worker_pass() == []


@pytest.mark.parametrize("successor", [None, "Pending", "Running"])
@pytest.mark.parametrize("lost", [1, 2])
def test_lost_members_do_not_excuse_themselves(successor: str | None, lost: int) -> None:
    """A complete group that lost workers is recreated, however far their successors are (L1)."""
    group = Group(AFTER_START)
    group.worker_pass()
    group.workers = group.workers[lost:]
    if successor is not None:
        group.workers += [worker(group.key, 1 + at, uid=f"successor-{at}", phase=successor) for at in range(lost)]
    assert len(group.worker_pass()) == 1


def test_member_lost_before_it_ran_is_forgotten() -> None:
    """A group whose lost member was Pending when it was last seen had not started, and is left alone."""
    group = Group(AFTER_START)
    group.workers[0] = worker(group.key, phase="Pending")
    group.worker_pass()
    group.workers = [worker(group.key, 2)]
    assert group.worker_pass() == []
    group.workers = [worker(group.key, uid="successor"), worker(group.key, 2)]
    assert group.worker_pass() == []


def test_lost_member_of_a_group_that_is_starting_is_forgotten() -> None:
    """Where others are missing besides the lost member, the group had not started."""
    group = Group(AFTER_START)
    group.workers = [worker(group.key)]
    group.worker_pass()
    group.workers = []
    assert group.worker_pass() == []


def test_cd_01_nothing_under_none() -> None:
    """Under None a replacement is adopted without a word, and a later change of policy finds nothing to hold."""
    group = Group("None")
    group.worker_pass()
    group.workers[0] = worker(group.key, uid="successor")
    assert group.worker_pass() == []
    group.lws = making.lws(size=3)
    assert group.worker_pass() == []


@pytest.mark.parametrize("fresh", ["leader", "worker set"])
def test_cd_01_new_leader_or_worker_set_starts_afresh(fresh: str) -> None:
    """Members of a new group are not compared with those of the old one."""
    group = Group()
    group.worker_pass()
    group.workers = []
    if fresh == "leader":
        group.leader = making.leader(0, group.key, size=3, uid="uid-new-leader")
        group.worker_set = making.worker_set(0, group.key, size=3, leader_uid="uid-new-leader")
    else:
        group.worker_set = making.worker_set(0, group.key, size=3, uid="uid-new-set")
    assert group.worker_pass() == []


def test_cd_01_background_deletion_of_the_worker_set_restarts_nothing() -> None:
    """Pods of a worker StatefulSet that is gone are not members any more (spec 5.7)."""
    group = Group()
    group.worker_pass()
    group.worker_set = None
    group.workers = [worker(group.key, **GONE), worker(group.key, 2)]
    assert group.worker_pass() == []
    group.workers = []
    assert group.worker_pass() == []
    assert group.leader_pass() == []


def test_cd_01_foreground_deletion_of_the_worker_set_restarts_the_group() -> None:
    """While the set is there, the end of its pods is the group's (spec 5.7)."""
    group = Group()
    group.worker_pass()
    group.worker_set = making.worker_set(0, group.key, size=3, **GONE)
    group.workers = [worker(group.key, **GONE), worker(group.key, 2)]
    assert len(group.worker_pass()) == 1


def test_cd_01_a_member_that_was_released_is_not_gone() -> None:
    """A worker whose StatefulSet lets it go, to be orphaned, is still there."""
    group = Group()
    group.worker_pass()
    group.workers[0] = worker(group.key, owned=False)
    assert group.worker_pass() == []
    assert group.leader_pass() == []


def test_cd_111_worker_relabelled_as_a_leader_is_still_a_worker() -> None:
    """A worker with ``worker-index=0`` written over its label leads nothing (L5); a nested leader still does."""
    pod = worker("key")
    labelled = {**(pod.metadata.labels or {}), labels.WORKER_INDEX: "0"}
    assert not is_leader(worker("key", labels=labelled))
    nested = worker("key", name="sample-0-0", labels=labelled)
    assert is_leader(nested)
    assert is_leader(making.leader(0, "key"))


def test_cd_111_leader_with_another_index_counts_for_no_group() -> None:
    """A leader whose index label was changed by hand is neither its own group nor the other one."""
    right, wrong = making.leader(0, "key"), making.leader(1, "key", labels={labels.GROUP_INDEX: "7"})
    assert leaders_by_index((right, wrong), "sample") == {0: right}


def test_one_recreation_per_incident() -> None:
    """Once the deletion has been asked for, other failures of the group ask for nothing."""
    group = Group()
    group.worker_pass()
    group.workers = []
    assert len(group.worker_pass(1)) == 1
    group.going = "uid-leader-0"
    assert group.worker_pass(2) == []
    assert group.leader_pass() == []


def test_cd_02_deletion_names_the_leader_that_was_judged() -> None:
    """The deletion carries the UID, so that it cannot hit a successor of the same name."""
    group = Group()
    group.workers[0] = worker(group.key, **FAILED)
    (deletion,) = group.worker_pass()
    assert deletion.uid == "uid-leader-0"


def test_cd_05_pending_counts_with_the_size_of_the_group() -> None:
    """During a resize from 3 to 4 a complete old group of 3 is not pending."""
    group = Group(AFTER_START)
    group.lws = making.lws(size=4, section={"restartPolicy": AFTER_START}, metadata={"generation": 4})
    group.workers[0] = worker(group.key, **FAILED)
    assert len(group.worker_pass()) == 1
    group.lws = making.lws(size=2, section={"restartPolicy": AFTER_START}, metadata={"generation": 5})
    group.workers, group.record = [group.workers[0]], None
    assert group.worker_pass() == []


# A record survives a restart: what the objects tell.


CAUSES = {
    "OOMKilled": {"statuses": [(1, "OOMKilled")]},
    "Error": {"statuses": [(1, "Error")]},
    "Evicted": {"disruption": "EvictionByEvictionAPI"},
    "Preempted": {"disruption": "PreemptionByScheduler"},
    "NodeLost": {"disruption": "DeletionByTaintManager"},
    "Deleted": {},
}


@pytest.mark.parametrize("expected", CAUSES)
def test_causes_are_told_by_what_the_pod_says(expected: str) -> None:
    """Whoever ends a pod for the cluster's sake says so in DisruptionTarget; a container's end is in its last state."""
    given: Any = CAUSES[expected]
    ends = [(count, ContainerStateTerminated(reason=reason)) for count, reason in given.get("statuses", ())]
    statuses = tuple(
        ContainerStatus(restart_count=count, last_state=ContainerState(terminated=end)) for count, end in ends
    )
    target = Condition(type="DisruptionTarget", status="True", reason=given.get("disruption", ""))
    conditions = (target,) if "disruption" in given else ()
    ending = None if "statuses" in given else making.STAMP
    pod = Pod(
        metadata=ObjectMeta(name="a", deletion_timestamp=ending),
        status=PodStatus(phase="Running", conditions=conditions, container_statuses=statuses),
    )
    (fault,) = culprit.faults(pod, {}, making.NOW)
    assert fault.cause == expected
