"""What is counted of a set: reasons, times, accelerators, rollouts."""

from __future__ import annotations

from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import (
    Container,
    ContainerStatus,
    Pod,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetStatus,
)
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import Condition, ObjectMeta, OwnerReference
from lws.planning.leaderworkerset import accelerators
from lws.planning.leaderworkerset.census import MISSING_GROUPS, Census, take_census
from lws.planning.leaderworkerset.snapshots import SetSnapshot

CREATED, TURNED, LATER = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"
GPU = "nvidia.com/gpu"


def pod(index: int, worker: int = 0, *, ready: bool = True, turned: str = TURNED, **spec: Any) -> Pod:
    """A pod of a group of two."""
    conditions = [Condition(type="Ready", status="True" if ready else "False", last_transition_time=turned)]
    if spec.get("unscheduled"):
        conditions = [Condition(type="PodScheduled", status="False", last_transition_time=turned)]
    name = f"web-{index}" if worker == 0 else f"web-{index}-{worker}"
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=name,
            creation_timestamp=CREATED,
            deletion_timestamp=TURNED if spec.get("deleting") else None,
            labels={
                labels.NAME: "web",
                labels.WORKER_INDEX: str(worker),
                labels.GROUP_INDEX: str(index),
                labels.REVISION: spec.get("key", "new"),
            },
            annotations={labels.SIZE: "2"},
        ),
        spec=PodSpec(
            node_name=spec.get("node", "node-1"),
            containers=(Container(name="main", resources=ResourceRequirements(limits={GPU: "8", "cpu": "4"})),),
        ),
        status=PodStatus(
            phase=spec.get("phase", "Running"),
            conditions=tuple(conditions),
            container_statuses=(ContainerStatus(name="main", restart_count=spec.get("restarts", 0)),),
        ),
    )


def workers(index: int, *, ready: bool = True, key: str = "new") -> StatefulSet:
    """The worker StatefulSet of a group."""
    owner = OwnerReference(kind="Pod", name=f"web-{index}", uid=f"web-{index}", controller=True)
    named = {labels.NAME: "web", labels.GROUP_INDEX: str(index), labels.REVISION: key}
    return StatefulSet(
        metadata=ObjectMeta(name=f"web-{index}", namespace="default", labels=named, owner_references=(owner,)),
        spec=StatefulSetSpec(replicas=1),
        status=StatefulSetStatus(available_replicas=int(ready)),
    )


def a_set(replicas: int, *conditions: tuple[str, str, str]) -> LeaderWorkerSet:
    """The set, each pod of which asks for 8 GPUs."""
    container = {"name": "main", "resources": {"limits": {GPU: "8", "cpu": "4"}}}
    template = {"size": 2, "workerTemplate": {"spec": {"containers": [container]}}}
    status = [{"type": kind, "status": value, "lastTransitionTime": at} for kind, value, at in conditions]
    return LeaderWorkerSet.from_json(
        {
            "metadata": {"name": "web", "namespace": "default", "uid": "s", "creationTimestamp": CREATED},
            "spec": {"replicas": replicas, "leaderWorkerTemplate": template},
            "status": {"conditions": status},
        }
    )


def census(lws: LeaderWorkerSet, *groups: tuple[list[Pod], StatefulSet | None]) -> Census:
    """The census of a set that has these groups."""
    leader_set = StatefulSet(metadata=ObjectMeta(name="web", namespace="default", labels={labels.REVISION: "new"}))
    pods = {group[0][0].metadata.name: group[0] for group in groups}
    snapshot = SetSnapshot(
        lws=lws,
        leader_statefulset=leader_set,
        leaders=tuple(found[0] for found in pods.values()),
        statefulsets={each.metadata.name: each for _, each in groups if each is not None},
    )
    return take_census(snapshot, lambda leader: pods[leader.metadata.name], accelerators.of_group(lws))


GOOD = ([pod(0), pod(0, 1)], workers(0))

REASONS = {
    "Terminating": [pod(1, deleting=True), pod(1, 1)],
    "Failed": [pod(1), pod(1, 1, ready=False, restarts=1)],
    "Unschedulable": [pod(1), pod(1, 1, unscheduled=True, phase="Pending", node="")],
    "Incomplete": [pod(1)],
    "Starting": [pod(1), pod(1, 1, ready=False, phase="Pending")],
    "NotReady": [pod(1), pod(1, 1, ready=False)],
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_group_that_is_not_ready_has_one_reason(reason: str) -> None:
    """Of two groups one is ready; the other is counted once, by the first reason that holds."""
    found = census(a_set(2), GOOD, (REASONS[reason], workers(1, ready=False)))
    assert (found.desired, found.ready, found.reasons) == (2, 1, {reason: 1})


def test_groups_without_a_leader_are_missing() -> None:
    """However many are asked for, those that are not there are counted without being looked at."""
    found = census(a_set(1_000_000), GOOD)
    assert found.reasons == {"Missing": 999_999}


def test_surge_groups_are_not_wanted() -> None:
    """A group beyond the replicas counts neither as ready nor as missing."""
    found = census(a_set(1), GOOD, ([pod(1, ready=False), pod(1, 1)], workers(1)))
    assert (found.ready, found.reasons, found.not_ready_since) == (1, {}, "")


def test_since_when_is_that_of_the_group_that_waits_longest() -> None:
    """The earliest pod that is not ready tells it, by its condition, else by its creation."""
    late = ([pod(0, ready=False, turned=LATER), pod(0, 1)], workers(0))
    early = ([pod(1), pod(1, 1, ready=False, turned=TURNED)], workers(1, ready=False))
    assert census(a_set(2), late, early).not_ready_since == TURNED
    new = ([pod(0), pod(0, 1, unscheduled=True, phase="Pending")], workers(0, ready=False))
    assert census(a_set(1), new).not_ready_since == CREATED


def test_missing_groups_are_missing_since_the_set_is_not_available() -> None:
    """By the set's condition; by its creation if it never was; unknown while an update takes groups away by turns."""
    assert census(a_set(2, ("Available", "False", LATER)), GOOD).not_ready_since == LATER
    assert census(a_set(2), GOOD).not_ready_since == CREATED
    updating = census(a_set(2, ("Available", "False", LATER), ("UpdateInProgress", "True", LATER)), GOOD)
    assert (updating.not_ready_since, updating.unknown) == ("", frozenset({MISSING_GROUPS}))
    told = census(a_set(2, ("Available", "True", LATER)), GOOD)
    assert (told.not_ready_since, told.unknown) == ("", frozenset({MISSING_GROUPS}))


def test_a_rollout_moved_when_a_group_came_up() -> None:
    """The latest ready group of the new revision, or the begin of the update; nothing without one."""
    old = ([pod(1, key="old"), pod(1, 1, key="old")], workers(1, key="old"))
    updating = a_set(2, ("UpdateInProgress", "True", CREATED))
    found = census(updating, ([pod(0, turned=LATER), pod(0, 1)], workers(0)), old)
    assert (found.ready, found.updated, found.rollout_progress) == (2, 1, LATER)
    assert census(updating, old).rollout_progress == CREATED
    assert census(a_set(2), GOOD, old).rollout_progress == ""


def test_accelerators_are_asked_for_serving_or_held() -> None:
    """Whole groups ask and serve; pods on nodes hold for groups that are not ready; cpu is none."""
    waiting = ([pod(1), pod(1, 1, unscheduled=True, phase="Pending", node="")], workers(1, ready=False))
    found = census(a_set(3), GOOD, waiting)
    assert (found.requested, found.serving, found.held) == ({GPU: 48}, {GPU: 16}, {GPU: 8})


def test_accelerators_are_read_as_kubernetes_reads_them() -> None:
    """Init containers count by their most, kubernetes.io is no vendor, what cannot be read is nothing, few are told."""
    spec = {
        "containers": [{"resources": {"requests": {"a.com/x": "2", "hugepages-2Mi": "1", "x.kubernetes.io/y": 1}}}],
        "initContainers": [{"resources": {"limits": {"a.com/x": 3}}}],
    }
    assert accelerators.of_template({"spec": spec}) == {"a.com/x": 3}
    broken = {"containers": [{"resources": {"limits": {"a.com/x": "many"}}}]}
    assert accelerators.of_template({"spec": broken}) == {}
    assert len(accelerators.first(f"v.com/{number}" for number in range(100))) == accelerators.LARGEST
