"""When a pod is let go from its lost node, by rule (resilience 6.2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Node, NodeStatus, Pod
from lws.api.leaderworkerset.policies import Release, SetPolicies
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Condition, ObjectMeta
from lws.planning.leaderworkerset import lostnodes, nodes
from lws.planning.leaderworkerset.lostnodes import NOTHING, look
from lws.planning.leaderworkerset.nodes import NodesSeen, Reread
from lws.planning.leaderworkerset.recovery import Failed
from lws.planning.leaderworkerset.snapshots import GroupSnapshot
from tests.planning.making import leader, lws, worker

NODE: Final = "node-1"
NOW: Final = datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC)
ENDING: Final[dict[str, Any]] = {"deletion_timestamp": "2026-01-02T15:00:00Z"}


def ago(seconds: float) -> datetime:
    """A moment before now."""
    return NOW - timedelta(seconds=seconds)


def node(status: str, turned: datetime = NOW) -> Node:
    """A node whose Ready condition says this since then."""
    ready = Condition(type="Ready", status=status, last_transition_time=turned.isoformat())
    return Node(metadata=ObjectMeta(name=NODE), status=NodeStatus(conditions=(ready,)))


def snapshot(pod: Pod, *, silent_for: float = 120.0, seen: NodesSeen | None = None, **parts: Any) -> GroupSnapshot:
    """A group of a set that asks for a release after two minutes."""
    found = NodesSeen({pod.spec.node_name: ago(silent_for)}, 1, 5) if seen is None else seen
    policies = SetPolicies(release_lost_nodes_after=parts.pop("release", Release(120.0)))
    arguments: dict[str, Any] = {"lws": lws(), "leader": leader(0, "k"), "silent": found, "policies": policies, **parts}
    return GroupSnapshot(now=NOW, **arguments)


def on_lost(*, deleting: bool = True) -> Pod:
    """A worker on the lost node."""
    return worker(0, 1, "k", **(ENDING if deleting else {}))


def read(pod: Pod, **changes: Any) -> dict[str, Reread]:
    """What a fresh read told of it: all as it was."""
    return {pod.metadata.uid: Reread(**{"same": True, **changes})}


def test_nothing_is_looked_at_for_a_set_that_does_not_ask() -> None:
    """Without lost nodes, and without the annotation, there is nothing to be done and nothing to wait for."""
    assert look(GroupSnapshot(lws(), leader(0, "k")), on_lost()) is NOTHING


def test_before_its_time_nothing_is_done() -> None:
    """A pod whose node was silent for 119 of 120 s is looked at again in a second."""
    found = look(snapshot(on_lost(), silent_for=119.0), on_lost())
    assert (found.again, found.ask, found.release, found.lost) == (1.0, None, None, False)


def test_pod_and_node_are_read_afresh_first() -> None:
    """When its time has come the pod is asked for, and nothing else is done."""
    found = look(snapshot(on_lost()), on_lost())
    assert found.ask is not None
    assert (found.release, found.lost) == (None, False)


def test_a_pod_that_ends_is_ended_at_once_and_no_other() -> None:
    """The release has grace 0 and the UID of the pod that was judged."""
    pod = on_lost()
    release = look(snapshot(pod, reread=read(pod)), pod).release
    assert release is not None
    assert (release.name, release.uid, release.grace) == (pod.metadata.name, pod.metadata.uid, 0)


def test_a_pod_that_nobody_deletes_has_failed() -> None:
    """Under a recreating policy it counts as failed; it is not ended before its group is."""
    pod = on_lost(deleting=False)
    found = look(snapshot(pod, reread=read(pod)), pod)
    assert found.lost
    assert found.release is None
    assert Failed(pod.metadata.name, pod, lost=True).failure


def test_under_policy_none_others_delete() -> None:
    """Under policy None a pod that nobody deletes is left alone."""
    pod = on_lost(deleting=False)
    tolerant = lws(section={"restartPolicy": "None"})
    assert look(snapshot(pod, lws=tolerant, reread=read(pod)), pod) is NOTHING


def test_what_changed_meanwhile_is_left_alone() -> None:
    """If the fresh read tells of another pod, or of a node that lives, it is looked at again later."""
    pod = on_lost()
    found = look(snapshot(pod, reread=read(pod, same=False)), pod)
    assert (found.release, found.lost, found.again) == (None, False, lostnodes.RECHECK)


@pytest.mark.parametrize("any_claim", [False, True])
def test_a_claim_holds_a_pod_unless_the_set_says_otherwise(any_claim: bool) -> None:
    """A pod that may write to a claim stays and is told of, unless any claim may be let go."""
    pod = on_lost()
    found = look(snapshot(pod, release=Release(120.0, any_claim), reread=read(pod, claims=("data",))), pod)
    assert (found.release is not None) is any_claim
    assert [event.note for event in found.told] == (
        []
        if any_claim
        else [
            f"Pod {pod.metadata.name} is not released from lost node node-1: it mounts claim data for writing; "
            + lostnodes.CLAIMS_REMEDY
        ]
    )


def test_what_a_pod_mounts_is_asked_again_only_if_it_does_not_matter() -> None:
    """A claim that is remembered settles it; where claims do not matter pod and node are read once more."""
    pod = on_lost()
    known = read(pod, same=False, claims=("data",), fresh=False)
    assert look(snapshot(pod, reread=known), pod).ask is None
    assert look(snapshot(pod, release=Release(120.0, any_claim=True), reread=known), pod).ask is pod


@pytest.mark.parametrize(
    ("lost", "total", "doubtful"),
    [(2, 2, False), (2, 3, False), (3, 3, True), (3, 5, True), (3, 6, False), (4, 6, True), (5, 11, False)],
)
def test_most_nodes_lost_forbids_everything(lost: int, total: int, doubtful: bool) -> None:
    """While more than half of the nodes, and at least three, are lost nothing is ended; it is looked at again."""
    pod = on_lost()
    found = look(snapshot(pod, seen=NodesSeen({NODE: ago(300)}, lost, total), reread=read(pod)), pod)
    assert (found.release is None) is doubtful
    assert bool(found.told) is doubtful
    assert (found.again == lostnodes.RECHECK) is doubtful


def test_what_an_exhausted_group_left_is_kept() -> None:
    """Pods that a restart budget holds back, and those of an exhausted group, are never let go (next 5)."""
    pod = on_lost()
    marked = leader(0, "k", annotations={labels.RESTART_BUDGET_EXHAUSTED: "true"})
    assert look(snapshot(pod, leader=marked, reread=read(pod)), pod) is NOTHING
    held = worker(0, 1, "k", **ENDING, finalizers=(labels.RESTART_BUDGET_CLEANUP,))
    assert look(snapshot(held, reread=read(held)), held) is NOTHING


@pytest.mark.parametrize(("status", "expected"), [("True", False), ("False", False), ("Unknown", True)])
def test_only_silence_counts(status: str, expected: bool) -> None:
    """A kubelet that reports, whatever it reports, is left to act itself; one that is gone is silent."""
    assert nodes.silent(node(status)) is expected
    assert nodes.silent(None)


def test_time_counts_from_the_later_of_condition_and_first_sight() -> None:
    """A restart makes the time later and never earlier; so does a condition that turned after the first sight."""
    assert nodes.silent_since(node("Unknown", ago(300)), ago(10)) == ago(10)
    assert nodes.silent_since(node("Unknown", ago(10)), ago(300)) == ago(10)
    assert nodes.silent_since(None, ago(10)) == ago(10)


MOUNT = {"name": "data", "mountPath": "/data"}
CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "shared"}}
READ_ONLY_CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "shared", "readOnly": True}}


@pytest.mark.parametrize(
    ("spec", "claims"),
    [
        ({"containers": [{"volumeMounts": [MOUNT]}], "volumes": [CLAIM]}, ("shared",)),
        ({"containers": [{"volumeMounts": [{**MOUNT, "readOnly": True}]}], "volumes": [CLAIM]}, ()),
        ({"containers": [{"volumeMounts": [MOUNT]}], "volumes": [READ_ONLY_CLAIM]}, ()),
        ({"containers": [{}], "volumes": [CLAIM]}, ()),
        ({"initContainers": [{"volumeMounts": [MOUNT]}], "volumes": [CLAIM]}, ("shared",)),
        ({"containers": [{"volumeDevices": [{"name": "data", "devicePath": "/d"}]}], "volumes": [CLAIM]}, ("shared",)),
        ({"containers": [{"volumeMounts": [MOUNT]}], "volumes": [{"name": "data", "emptyDir": {}}]}, ()),
        ({"containers": [{"volumeMounts": [MOUNT]}], "volumes": [{"name": "data", "ephemeral": {}}]}, ()),
    ],
)
def test_which_claims_a_pod_may_write_to(spec: JSON, claims: tuple[str, ...]) -> None:
    """Only a claim that some container mounts without readOnly counts, and none that goes with the pod."""
    pod = on_lost()
    live = {"metadata": {"uid": pod.metadata.uid}, "spec": spec}
    assert nodes.reread(pod, live, None) == Reread(same=True, claims=claims)


def test_a_fresh_read_tells_of_another_pod_or_a_living_node() -> None:
    """A pod with another UID, or one that is gone, and a node that reports again, are not what was judged."""
    pod = on_lost()
    live = {"metadata": {"uid": pod.metadata.uid}}
    ready: JSON = {"metadata": {"name": NODE}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert not nodes.reread(pod, {"metadata": {"uid": "other"}}, None).same
    assert not nodes.reread(pod, None, None).same
    assert not nodes.reread(pod, live, ready).same
    ready["status"]["conditions"][0]["status"] = "Unknown"
    assert nodes.reread(pod, live, ready).same
