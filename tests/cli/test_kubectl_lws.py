"""``kubectl lws`` says what is, and why it is not yet what it should be."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from lws.api.leaderworkerset import labels
from lws.cli.kubectl import render, rollout
from lws.cli.kubectl.explain import explain
from lws.cli.kubectl.picture import Picture
from lws.errors import ConfigurationError
from tests.cli.kubectl_pictures import JSON, group, healthy, leader_set, pod, revision, the_set, worker_set

PENDING = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        }
    ],
}
BACKING_OFF = {
    "phase": "Running",
    "containerStatuses": [
        {"name": "vllm", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}}
    ],
}


def with_group_0(leader: JSON | None, worker: JSON | None, *, workers_exist: bool = True, **spec: Any) -> Picture:
    """Group 0 as given, group 1 healthy."""
    picture = healthy(**spec)
    members = tuple(member for member in (leader, worker) if member is not None)
    sets = dict(picture.worker_sets)
    if workers_exist:
        sets["s-0"] = worker_set(0, available=0)
    else:
        del sets["s-0"]
    return replace(picture, pods=(*members, *group(1)), worker_sets=sets)


def text(renderable: Any) -> str:
    """What a terminal of 200 columns would show."""
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_a_healthy_set_waits_for_nothing() -> None:
    """A set whose groups are all ready and of the current revision waits for nothing."""
    assert explain(healthy()) == ()
    assert render.done(healthy())


WAITS = {
    "leader unscheduled": (
        with_group_0(pod("s-0", group=0, worker=0, status=PENDING, spec={"nodeName": ""}), None, workers_exist=False),
        "Group 0: leader pod s-0 finds no node: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
    ),
    "leader crashing": (
        with_group_0(pod("s-0", group=0, worker=0, status=BACKING_OFF), None),
        "Group 0: leader pod s-0 waits in CrashLoopBackOff after 4 restarts (container vllm): back-off.",
    ),
    "leader missing": (
        with_group_0(None, None, workers_exist=False),
        "Group 0: leader pod s-0 does not exist.",
    ),
    "leader ending": (
        with_group_0(
            pod(
                "s-0", group=0, worker=0, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/y"]}
            ),
            None,
        ),
        "Group 0: leader pod s-0 is ending since 2026-01-01T00:00:00Z, held by finalizers x/y.",
    ),
    "worker crashing": (
        with_group_0(pod("s-0", group=0, worker=0), pod("s-0-1", group=0, worker=1, status=BACKING_OFF)),
        "Group 0: s-0-1 waits in CrashLoopBackOff after 4 restarts (container vllm): back-off.",
    ),
    "workers missing": (
        with_group_0(pod("s-0", group=0, worker=0), None),
        "Group 0: 1 of 1 worker pods do not exist.",
    ),
    "leader first": (
        with_group_0(
            pod("s-0", group=0, worker=0, status={"phase": "Running"}),
            None,
            workers_exist=False,
            startupPolicy="LeaderReady",
        ),
        "Group 0: leader pod s-0 runs on node-1 and is not ready.",
    ),
    "old workers ending": (
        with_group_0(
            pod("s-0", group=0, worker=0),
            pod("s-0-1", group=0, worker=1, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
            workers_exist=False,
        ),
        "Group 0: its workers start when pods of the earlier group have ended: s-0-1.",
    ),
}


@pytest.mark.parametrize("case", WAITS)
def test_explain_names_the_pod_and_the_reason(case: str) -> None:
    """What a group waits for is said with the pod's name and the cluster's own reason."""
    picture, sentence = WAITS[case]
    assert sentence in explain(picture)


def test_explain_names_what_holds_the_whole_set() -> None:
    """A block, an unseen edit and a missing leader StatefulSet come first, with the newest warning's words."""
    condition = {
        "type": "Blocked",
        "status": "True",
        "reason": "StatefulSetNotOwned",
        "message": "StatefulSet s is not ours",
    }
    event = {"involvedObject": {"name": "s"}, "message": "quota exceeded.", "lastTimestamp": "2026-01-01T00:00:00Z"}
    picture = Picture(lws=the_set(generation=2, conditions=[condition]), events=(event,))
    assert explain(picture) == (
        "It is blocked: StatefulSet s is not ours",
        (
            "The controller has not acted on the last edit yet (generation 2, seen 1): is the controller running, and "
            "does it log errors?"
        ),
        "The leader StatefulSet s does not exist: quota exceeded.",
    )


def test_explain_names_pods_that_were_admitted_without_the_webhook() -> None:
    """Pods without identity are no members of any group, though StatefulSets count them as available."""
    picture = healthy()
    worker = picture.pods[1]
    found = {key: value for key, value in worker["metadata"]["labels"].items() if key != labels.WORKER_INDEX}
    nameless = {**worker, "metadata": {**worker["metadata"], "labels": found}}
    (said,) = explain(replace(picture, pods=(picture.pods[0], nameless, *picture.pods[2:])))
    assert said.startswith(f"Pods such as {worker['metadata']['name']} (1 in all) were admitted without the webhook")


def test_explain_tells_a_held_update_from_a_moving_one() -> None:
    """Groups below the user's partition are held; the others wait for their turn within the budget."""
    picture = updating(partition=2)
    assert (
        "Groups 0-1 keep their revision because of rollingUpdateConfiguration.partition 2; lower it, or "
        "`kubectl lws rollout resume s`." in explain(picture)
    )
    assert "The rolling update has groups 2 still to replace, 1 may be down and 0 extra at once." in explain(picture)


def updating(partition: int = 0, **spec: Any) -> Picture:
    """Four groups, the last of the current revision, the others of the old one; the update stands at 3."""
    strategy = {"type": "RollingUpdate", "rollingUpdateConfiguration": {"partition": partition}}
    picture = healthy(4, rolloutStrategy=strategy, **spec)
    pods = tuple(m for index in range(4) for m in group(index, key="new" if index == 3 else "old"))
    sets = {f"s-{index}": worker_set(index, key="new" if index == 3 else "old") for index in range(4)}
    revisions = (revision(1, "old", "app:1"), revision(2, "new", "app:2"))
    return replace(picture, pods=pods, worker_sets=sets, leader_set=leader_set(4, 3), revisions=revisions)


def test_tree_shows_groups_pods_nodes_and_revisions() -> None:
    """The tree names every group, pod, node and revision, and marks what is old or missing."""
    picture = updating()
    drawn = text(render.tree(replace(picture, pods=picture.pods[:-1])))
    for part in ("ns/s", "group 0", "old", "s-0-1", "node-1", "s-3-1  missing", "new"):
        assert part in drawn


def test_history_shows_which_groups_have_which_revision() -> None:
    """Every stored revision is listed with its images and its groups; the current one is marked."""
    lines = text(render.history(updating())).splitlines()
    assert any("old" in line and "app:1" in line and "0, 1, 2" in line for line in lines)
    assert any("new (current)" in line and "app:2" in line and line.rstrip().endswith("3") for line in lines)


def test_pause_stops_where_the_update_stands_and_resume_puts_the_partition_back() -> None:
    """Pausing raises the partition to the leader StatefulSet's and remembers the earlier one; resuming restores it."""
    patch = rollout.pause(updating(partition=1))
    assert patch["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"] == {"partition": 3}
    assert patch["metadata"] == {"resourceVersion": "7", "annotations": {rollout.PAUSED: "1"}}
    resumed = rollout.resume(updating(partition=3, annotations={rollout.PAUSED: "1"}))
    assert resumed["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"] == {"partition": 1}
    assert resumed["metadata"]["annotations"] == {rollout.PAUSED: None}


def test_pausing_at_rest_holds_every_group() -> None:
    """With no update under way a pause keeps every group from the next one."""
    patch = rollout.pause(healthy())
    assert patch["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"] == {"partition": 2}


def test_pausing_twice_is_refused() -> None:
    """A second pause would forget the partition of the first."""
    with pytest.raises(ConfigurationError, match="paused already"):
        rollout.pause(healthy(annotations={rollout.PAUSED: "0"}))


def test_undo_puts_the_earlier_template_back_if_nobody_edits_meanwhile() -> None:
    """Undo writes the newest other revision's template, guarded by the resourceVersion, without the patch marker."""
    patch = rollout.undo(updating())
    assert patch[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert patch[1]["path"] == "/spec/leaderWorkerTemplate"
    assert patch[1]["value"] == {"size": 2, "workerTemplate": {"spec": {"containers": [{"image": "app:1"}]}}}


def test_undo_without_an_earlier_revision_says_what_to_do() -> None:
    """When no other revision is stored any more, the remedy is named."""
    picture = replace(updating(), revisions=(revision(2, "new", "app:2"),))
    with pytest.raises(ConfigurationError, match="apply the earlier manifest instead"):
        rollout.undo(picture)
    with pytest.raises(ConfigurationError, match="revision 9"):
        rollout.undo(picture, 9)


def test_current_revision_is_read_from_the_leader_statefulset() -> None:
    """Whether a group is up to date is judged by the leader StatefulSet's key."""
    assert updating().key == "new"
    assert [item.state.updated for item in updating().groups()] == [False, False, False, True]
