"""What the page's documents say, as pure functions of facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import EVACUATE
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.departures import Chosen, departures
from lws.cli.kubectl.ui import details, overview, places, rollouts
from lws.cli.kubectl.ui.foresight import patched
from lws.cli.kubectl.ui.kinds import LONGEST, MEMBERS, WARNINGS, Place, SetRecord
from lws.cli.kubectl.ui.states import State, by_group
from lws.cli.kubectl.ui.strips import MINUTES, Strips
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GroupFacts
from lws.planning.leaderworkerset.diagnosis.words import sentences
from tests.planning.diagnosis_facts import (
    event,
    group,
    healthy,
    pod,
    revision,
    terminated,
    unscheduled,
    waiting,
    with_group_0,
)

ENDING: JSON = {"deletionTimestamp": "2026-01-01T00:01:00Z", "deletionGracePeriodSeconds": 30}
RUNS: JSON = {
    "phase": "Running",
    "conditions": [{"type": "Ready", "status": "False"}],
    "containerStatuses": [{"name": "main", "ready": False, "state": {"running": {}}}],
}


def of(status: JSON, **parts: Any) -> GroupFacts:
    """Group 0 with a worker in this state."""
    return group(0, worker=pod("s-0-1", group=0, worker=1, status=status, **parts))


def up(name: str, worker: int) -> Any:
    """A pod whose container runs, ready."""
    running = {"name": "main", "ready": True, "state": {"running": {}}}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [running]}
    return pod(name, group=0, worker=worker, status=status)


GROUPS = [
    (group(0), State.READY),
    (of({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}), State.STARTING),
    (of(RUNS, metadata=ENDING), State.RESTARTING),
    (of({"phase": "Pending"}, spec={"nodeName": "", "schedulingGates": [{"name": "g"}]}), State.QUEUED),
    (of(terminated(9, restarts=3)), State.BACKING_OFF),
    (group(0, leader=up("s-0", 0), worker=pod("s-0-1", group=0, worker=1, status=RUNS)), State.DEGRADED),
    (of(waiting("ImagePullBackOff", "no such image")), State.STUCK),
    (of(unscheduled("0/4 nodes are available"), spec={"nodeName": ""}), State.STUCK),
    (of({"phase": "Pending"}, spec={"nodeName": ""}), State.STARTING),
]


@pytest.mark.parametrize(("first", "state"), GROUPS, ids=[state.name.lower() for _, state in GROUPS])
def test_every_state_of_a_group_is_told_apart(first: GroupFacts, state: State) -> None:
    """Each kind of trouble has one state, and a healthy group is ready."""
    assert by_group(with_group_0(first), {})[0][0] is state


def test_what_the_status_says_of_a_group_counts_unless_it_is_ready() -> None:
    """A back-off or an exhausted budget that the controller tells is shown, and never over a group that is ready."""
    status = {"restarts": [{"index": "0", "restarts": 3, "nextRetryTime": "2026-01-01T00:00:10Z"}, {"index": "odd"}]}
    starting = with_group_0(of({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}))
    assert by_group(starting, status)[0][0] is State.BACKING_OFF
    assert by_group(healthy(), status)[0][0] is State.READY
    failed = {"groups": [{"index": "0", "state": "Failed"}, "noise", {"state": "Failed"}]}
    assert by_group(starting, failed)[0][0] is State.STUCK
    assert by_group(starting, {"groups": "noise", "restarts": 7})[0][0] is State.STARTING


def test_a_row_says_what_explain_stuck_says() -> None:
    """The reason of a row is the first sentence of the diagnosis; its cells are groups, a capital for an old one."""
    facts = with_group_0(of(terminated(9, restarts=3)))
    row = overview.row(facts, {})
    assert row["why"] == sentences(diagnose(facts))[0]
    assert (row["cells"], row["ready"], row["want"], row["severity"]) == ("br", 1, 2, 4)
    old = healthy(groups=(group(0, key="old"), group(1)))
    assert overview.row(old, {})["cells"] == "Rr"
    assert overview.row(healthy(), {})["severity"] == 0


def test_details_name_every_pod_and_what_is_missing() -> None:
    """Groups, pods and missing pods are there, and sentences equal those of the command."""
    facts = with_group_0(group(0, worker=None))
    shown = details.document(facts, record(), "")
    assert shown["set"]["says"] == list(sentences(diagnose(facts)))
    assert shown["group/0"]["missing"] == ["s-0-1"]
    assert {key for key in shown if key.startswith("pod/")} == {"pod/s-0", "pod/s-1", "pod/s-1-1"}
    assert ["restartPolicy", "RecreateGroupOnPodRestart"] in [each[:2] for each in shown["set"]["policies"]]


def test_failures_and_retries_of_the_status_are_shown() -> None:
    """The failure record, newest first, with what it names and nothing else."""
    failures = [{"time": "2026-01-01T00:00:01Z", "group": "0"}, {"time": "2026-01-01T00:00:02Z", "group": "1", "x": {}}]
    status = {"failures": failures, "restarts": [{"index": "0", "restarts": 2}]}
    shown = details.document(healthy(), record(status=status), "")
    assert shown["failure/0"] == {"time": "2026-01-01T00:00:02Z", "group": "1"}
    assert (shown["group/0"]["restarts"], shown["group/1"]["restarts"]) == (2, 0)


def test_a_flood_of_warnings_is_cut_to_the_newest() -> None:
    """Ten thousand events become fifty, newest first."""
    many = tuple(event("Pod", "s-0", "Odd", "m", time=f"2026-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z")
                 for n in range(10_000))  # fmt: skip
    newest = details.newest(many)
    assert len(newest) == details.EVENTS
    assert newest[0].time == "2026-01-01T02:46:39Z"


def test_no_text_of_the_cluster_is_without_a_limit() -> None:
    """Messages of a mebibyte are cut when they arrive, before anything keeps them."""
    huge = "x" * 2**20
    status = {
        "message": huge,
        "conditions": [{"type": "Ready", "message": huge}, {"type": "Odd", "message": huge}],
        "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "R", "message": huge}}}],
    }
    kept = MEMBERS.finish(msgspec.convert({"metadata": {"name": "p"}, "status": status}, MEMBERS.struct))
    assert len(msgspec.json.encode(kept)) < 4 * LONGEST
    told = WARNINGS.finish(msgspec.convert({"metadata": {"name": "e"}, "message": huge}, WARNINGS.struct))
    assert len(told.message) == LONGEST


def test_a_rollout_shows_old_and_new_and_what_each_revision_changed() -> None:
    """Groups by revision, the budget, and the history with differences."""
    facts = healthy(groups=(group(0, key="old"), group(1)))
    shown = rollouts.document(facts, record(), [revision(1, "old", "a:1"), revision(2, "new", "a:2")])
    assert [shown[f"group/{index}"]["new"] for index in range(2)] == [False, True]
    assert "-      - image: a:1" in shown["revision/2"]["change"]
    assert (shown["revision/1"]["groups"], shown["revision/2"]["current"]) == ([0], True)
    assert shown["rollout"]["says"] == list(sentences(diagnose(facts)))


def test_a_plan_is_of_the_set_as_the_action_would_leave_it() -> None:
    """Merge patches and JSON patches are applied to a copy; the live object stays."""
    live: JSON = {
        "metadata": {"annotations": {"old": "1"}},
        "spec": {"replicas": 2, "leaderWorkerTemplate": {"size": 1}},
    }
    merge = {"metadata": {"annotations": {"old": None, "new": "2"}}, "spec": {"rolloutStrategy": {"partition": 1}}}
    merged = patched(live, merge)
    assert merged["metadata"]["annotations"] == {"new": "2"}
    assert merged["spec"]["rolloutStrategy"] == {"partition": 1}
    steps: list[JSON] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/spec/leaderWorkerTemplate", "value": {"size": 2}},
    ]
    assert patched(live, steps)["spec"]["leaderWorkerTemplate"] == {"size": 2}
    assert live["spec"]["leaderWorkerTemplate"] == {"size": 1}
    assert live["metadata"]["annotations"] == {"old": "1"}


def record(**parts: Any) -> SetRecord:
    """A LeaderWorkerSet as it is cached."""
    template = {"size": 2, "workerTemplate": {"spec": {"containers": [{"name": "main", "image": "a:2"}]}}}
    meta = {"name": "s", "namespace": "ns", "uid": "u", **parts.pop("metadata", {})}
    return SetRecord({"metadata": meta, "spec": {"leaderWorkerTemplate": template}, **parts})


def place(name: str, zone: str, **parts: Any) -> Place:
    """A node of a zone, ready unless told otherwise."""
    status = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"nvidia.com/gpu": "8", "cpu": "4"}}
    meta = {"name": name, "labels": {"zone": zone} if zone else {}}
    return msgspec.convert({"metadata": meta, "spec": parts, "status": status}, Place)


def test_places_say_where_an_exclusive_group_could_go_and_why_not_elsewhere() -> None:
    """A domain is free, taken by whom, or unfit for a reason; nodes without the label are a domain of their own."""
    exclusive = record(metadata={"annotations": {labels.EXCLUSIVE_TOPOLOGY: "zone"}})
    asks = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": 8}}}
    exclusive.spec["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"] = [asks]
    nodes = [
        place("a", "free"), place("a2", "free"), place("b", "taken"), place("c", "off", unschedulable=True),
        place("d", "small"), place("e", ""),
        place("f", "odd", taints=[{"key": "t", "effect": "NoSchedule"}]),
    ]  # fmt: skip
    holder = pod("s-1", group=1, worker=0, spec={"nodeName": "b"})
    shown = places.document(nodes, [holder], [exclusive], "")
    assert shown["meta"]["keys"][0] == {"key": "zone", "exclusive": True, "domains": 5}
    verdicts = {each["domain"]: (each["state"], each["why"]) for each in shown["fit/ns/s"]["domains"]}
    assert verdicts == {
        "": ("unfit", "these nodes do not have the label"),
        "free": ("free", "no other group is here"),
        "odd": ("unfit", "taints that it does not tolerate: t"),
        "off": ("unfit", "every node is cordoned or not ready"),
        "small": ("unfit", "8 nvidia.com/gpu free, a group asks for 16"),
        "taken": ("held", "held by group 1 of ns/s"),
    }
    assert shown["node/c"]["cordoned"]
    assert shown["node/b"]["groups"] == [["ns", "s", "1", 1, 1]]


def test_places_say_which_groups_leave_which_nodes_as_the_command_does() -> None:
    """Nodes to be emptied are marked with why, and what comes off them is in the words of `kubectl lws evacuate`."""
    moving = record(metadata={"annotations": {EVACUATE: "true"}}, status={"evacuation": {"group": "1"}})
    nodes = [
        place("a", "z", unschedulable=True),
        place("b", "z", taints=[{"key": "drain", "effect": "NoSchedule"}]),
        place("c", "z"),
    ]
    pods = [
        pod("s-0", group=0, worker=0, spec={"nodeName": "a"}),
        pod("s-1", group=1, worker=0, spec={"nodeName": "c"}),
        pod("s-1-1", group=1, worker=1, spec={"nodeName": "b"}),
    ]
    shown = places.document(nodes, pods, [moving], "zone")
    assert [shown[f"node/{name}"]["emptied"] for name in "abc"] == ["cordoned", "taint drain", ""]
    found = departures(
        {node.metadata.name: node for node in nodes[:2]}, pods, lambda _: Chosen({EVACUATE: "true"}, moving.status)
    )
    assert shown["leaving/0"] == {
        "ns": "ns",
        "name": "s",
        "groups": [["0", ["a"]], ["1", ["b"]]],
        "moved": True,
        "text": found[0].text,
    }
    assert not any(key.startswith("leaving/") for key in places.document(nodes[2:], pods, [moving], "zone"))


def test_the_strip_keeps_the_fewest_ready_groups_of_each_minute() -> None:
    """A dip is seen in its minute only, minutes without news repeat the last one, and before the start is nothing."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    strips, key = Strips(start), ("ns", "s")
    for seconds, ready in ((0, 4), (70, 1), (80, 4)):
        strips.note(key, start + timedelta(seconds=seconds), ready, 4)
    bins = strips.of(key, start + timedelta(minutes=3))["bins"]
    assert bins[-4:] == [[4, 4], [1, 4], [4, 4], [4, 4]]
    assert bins[:-4] == [None] * (MINUTES - 4)
    for minute in range(3, 400):
        strips.note(key, start + timedelta(minutes=minute), minute % 5, 4)
    assert len(strips._seen[key]) <= MINUTES + 2
    strips.drop(key)
    assert strips.of(key, start)["bins"] == [None] * MINUTES


def test_hostile_facts_do_not_break_a_view() -> None:
    """Names with markup and odd values travel as text, as they are."""
    evil = "<img src=x onerror=alert(1)>"
    facts: Facts = replace(healthy(), events=(event("Pod", evil, evil, evil),))
    shown = details.document(facts, record(status={"failures": [{"reason": evil, "time": 7}, 3], "restarts": None}), "")
    (warning,) = (value for key, value in shown.items() if key.startswith("event/"))
    assert warning["message"] == evil
    assert shown["failure/0"]["reason"] == evil
