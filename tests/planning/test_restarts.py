"""Restarts that are over count no more, and what is told of those that count (L4, L13, S4)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from msgspec.structs import replace

from lws.api.leaderworkerset.objects import ContainerState, ContainerStateTerminated, ContainerStatus, Pod
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset.leader_pod import plan_leader_pod
from lws.planning.leaderworkerset.worker_pod import plan_worker_pod
from tests.planning import making
from tests.planning.group import ON_RESTART, Group, worker
from tests.planning.test_members import AVAILABLE, WRITTEN

BEFORE, AFTER = "2026-08-01T10:29:59Z", "2026-08-01T10:30:01Z"


def crashed(pod: Pod, finished_at: str = AFTER, count: int = 1, **ended: Any) -> Pod:
    """The pod, its container restarted after it had ended so."""
    last = ContainerState(terminated=ContainerStateTerminated(finished_at=finished_at, **({"exit_code": 1} | ended)))
    container = ContainerStatus(name="main", restart_count=count, last_state=last)
    return replace(pod, status=replace(pod.status, container_statuses=(container,)))


def look(group: Group, settled: dict[str, int] | None) -> tuple[bool, dict[str, int]]:
    """One pass over the first worker: whether the group goes, and what is remembered of restarts."""
    snapshot = _with(group, settled)
    planned = plan_worker_pod(snapshot, "sample-0-1", group.workers[0])
    assert planned.settled is not None
    return bool(making.deleted(planned.plan)), dict(planned.settled)


def _with(group: Group, settled: dict[str, int] | None) -> Any:
    return dataclasses.replace(group.snapshot(), settled=settled)


def under(policy: str, generation: int = 3) -> LeaderWorkerSet:
    """The set of the group under another policy."""
    return making.lws(size=3, section={"restartPolicy": policy}, metadata={"generation": generation})


def test_restarts_under_none_are_over_when_the_policy_comes_back() -> None:
    """Crashes that the policy of their time left alone take no group down later; the next one does."""
    group = Group("None")
    group.workers[0] = crashed(worker(group.key), count=4)
    gone, settled = look(group, {})
    assert (gone, settled) == (False, {"uid-worker-0-1": 4})
    group.lws = under(ON_RESTART, 4)
    assert look(group, settled) == (False, {"uid-worker-0-1": 4})
    group.workers[0] = crashed(worker(group.key), count=5)
    assert look(group, settled)[0]


@pytest.mark.parametrize(("finished", "goes"), [(BEFORE, False), (WRITTEN, True), (AFTER, True)])
def test_first_look_counts_restarts_after_the_last_available_status(finished: str, goes: bool) -> None:
    """After a start only restarts that are newer than the last status with Available count."""
    group = Group(status=AVAILABLE)
    group.lws = group.lws.model_copy(update={"status_written": WRITTEN})
    group.workers[0] = crashed(worker(group.key), finished)
    assert look(group, None)[0] is goes
    assert look(group, {})[0], "a restart that is seen at a later look counts whatever its time"


def test_first_look_without_proof_counts_every_restart() -> None:
    """Where nothing proves that the group was whole since, a restart is a failure (spec 9.1)."""
    group = Group()
    group.workers[0] = crashed(worker(group.key), BEFORE)
    assert look(group, None)[0]


def test_leaders_restarts_are_judged_alike() -> None:
    """What holds for workers holds for the leader's own containers."""
    group = Group("None")
    group.leader = crashed(making.leader(0, group.key, size=3))
    planned = plan_leader_pod(_with(group, {}))
    assert planned.settled == {"uid-leader-0": 1}
    group.lws = under(ON_RESTART, 4)
    assert making.deleted(plan_leader_pod(_with(group, dict(planned.settled))).plan) == []
    assert len(making.deleted(plan_leader_pod(_with(group, {})).plan)) == 1


def test_nothing_is_kept_of_pods_that_are_gone() -> None:
    """Memory is bounded by the pods of the group."""
    group = Group("None")
    assert look(group, {"uid-of-an-earlier-pod": 3})[1] == {}


def status_entry(manager: str = "lws", time: str = WRITTEN, *, own: bool = True) -> JSON:
    """A record of the server about who wrote the status."""
    fields: JSON = {
        "f:status": {"f:conditions": {'k:{"type":"Available"}': {".": {}, **({"f:status": {}} if own else {})}}}
    }
    return {"manager": manager, "operation": "Update", "subresource": "status", "time": time, "fieldsV1": fields}


@pytest.mark.parametrize(
    ("entries", "written"),
    [
        ([status_entry()], WRITTEN),
        ([status_entry(), status_entry("kubectl-edit", AFTER)], WRITTEN),
        ([status_entry("kubectl-edit")], ""),
        ([status_entry(own=False), status_entry("kubectl-edit", AFTER)], ""),
        ([{**status_entry(), "subresource": ""}], ""),
        ([{"manager": "lws", "subresource": "status", "time": WRITTEN}], ""),
        ([], ""),
    ],
)
def test_only_a_controllers_own_status_proves_anything(entries: list[JSON], written: str) -> None:
    """What others wrote into the status is no evidence, least of all an Available that they turned (L13)."""
    found = LeaderWorkerSet.from_json({"metadata": {"name": "sample", "managedFields": entries}, "spec": {}})
    assert found.status_written == written


def test_status_of_an_earlier_generation_proves_nothing() -> None:
    """Once the spec was edited, the status spoke of other groups (L13)."""
    group = Group(status={**AVAILABLE, "observedGeneration": 2})
    group.lws = group.lws.model_copy(update={"status_written": WRITTEN})
    group.workers[0] = crashed(worker(group.key), BEFORE)
    assert look(group, None)[0]


def test_event_names_what_failed() -> None:
    """Beside the reference's event, one tells of container, node, exit code and reason (S4)."""
    group = Group()
    group.workers[0] = crashed(worker(group.key), exit_code=137, reason="OOMKilled")
    (deletion,) = group.worker_pass()
    first, told = deletion.on_success
    assert first.reason == "RecreateGroup"
    assert (told.type, told.reason, told.action) == ("Warning", "GroupFailed", "Delete")
    ended = "container main of pod sample-0-1 on node node-1 exited with 137 (OOMKilled)"
    assert told.note == f"Group 0 failed: {ended}; recreation 1"
    assert told.related is not None
    assert told.related.uid == "uid-worker-0-1"
