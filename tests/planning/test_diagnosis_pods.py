"""The diagnosis of single pods: containers, nodes, gates, placement, ending."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset.diagnosis.facts import Holder
from lws.planning.leaderworkerset.diagnosis.objects import PodReport, Workload
from tests.planning.diagnosis_facts import (
    event,
    group,
    healthy,
    node,
    pod,
    said,
    set_facts,
    terminated,
    unscheduled,
    waiting,
    with_group_0,
)

NO_GPU = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
ENDING: JSON = {"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}
OOM = {"exitCode": 137, "reason": "OOMKilled"}
QUOTA = 'create Pod s-0 in StatefulSet s failed error: pods "s-0" is forbidden: exceeded quota: small'
STARTING = waiting("ContainerCreating") | {"phase": "Pending"}


def leader(**parts: Any) -> PodReport:
    """The leader of group 0."""
    return pod("s-0", group=0, worker=0, **parts)


def worker(**parts: Any) -> PodReport:
    """The worker of group 0."""
    return pod("s-0-1", group=0, worker=1, **parts)


def init(name: str, code: int | None) -> JSON:
    """The status of a pod whose init container ended with a code, or still runs."""
    state: JSON = {"running": {}} if code is None else {"terminated": {"exitCode": code, "reason": "Error"}}
    return {
        "phase": "Pending",
        "initContainerStatuses": [{"name": name, "restartCount": 2 if code else 0, "state": state}],
        "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}],
    }


def test_a_healthy_set_waits_for_nothing() -> None:
    """A set whose groups are all ready and of the current revision has no finding."""
    assert said(healthy()) == ()


def test_a_status_without_a_generation_is_not_unseen() -> None:
    """The CRDs of v0.7.0 have no observedGeneration: the controller is not blamed (W9)."""
    assert said(healthy(lws=set_facts(observed_generation=None))) == ()


PODS: dict[str, tuple[PodReport, str]] = {
    "unschedulable": (
        leader(status=unscheduled(NO_GPU), spec={"nodeName": ""}),
        f"Group 0: leader pod s-0 finds no node: {NO_GPU}",
    ),
    "crash loop of an older kubelet": (
        leader(status=waiting("CrashLoopBackOff", "back-off 5m0s", last={"exitCode": 9}, restartCount=4)),
        "Group 0: leader pod s-0 on node-1 has failing container main: it exited with code 9, restarted 4 times.",
    ),
    "crash loop of kubelet 1.36": (
        leader(status=terminated(9, restarts=1, message="no model")),
        (
            "Group 0: leader pod s-0 on node-1 has failing container main: it exited with code 9: no model, restarted "
            "1 time."
        ),
    ),
    "out of memory": (
        leader(status=terminated(137, "OOMKilled", restarts=2)),
        (
            "Group 0: leader pod s-0 on node-1 has failing container main: it exited with code 137 (OOMKilled), "
            "restarted 2 times."
        ),
    ),
    "init container fails": (
        leader(status=init("prep", 3)),
        "Group 0: leader pod s-0 on node-1 has failing init container prep: it exited with code 3, restarted 2 times.",
    ),
    "init container runs": (
        leader(status=init("prep", None)),
        "Group 0: leader pod s-0 on node-1 is still running its init container prep.",
    ),
    "image cannot be pulled": (
        leader(status=waiting("ImagePullBackOff", 'Back-off pulling image "nowhere"', image="nowhere")),
        (
            "Group 0: leader pod s-0 on node-1 cannot pull image 'nowhere' for container main (ImagePullBackOff): "
            'Back-off pulling image "nowhere". Fix the image name, or add an imagePullSecret.'
        ),
    ),
    "container cannot be configured": (
        leader(status=waiting("CreateContainerConfigError", 'configmap "c" not found')),
        (
            "Group 0: leader pod s-0 on node-1 cannot start container main: CreateContainerConfigError: "
            'configmap "c" not found.'
        ),
    ),
    "evicted": (
        leader(status={"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}),
        "Group 0: leader pod s-0 on node-1 has failed: Evicted: The node was low on memory.",
    ),
    "runs, and crashed before": (
        leader(
            status={
                "phase": "Running",
                "containerStatuses": [
                    {
                        "name": "main",
                        "restartCount": 3,
                        "state": {"running": {}},
                        "lastState": {"terminated": OOM},
                    }
                ],
            }
        ),
        (
            "Group 0: leader pod s-0 on node-1 is running but not ready (container main): main last exited with code "
            "137 (OOMKilled), restarted 3 times."
        ),
    ),
    "no scheduler": (
        leader(status={"phase": "Pending"}, spec={"nodeName": "", "schedulerName": "volcano"}),
        "Group 0: leader pod s-0 has not been considered by scheduler volcano yet. Check that scheduler volcano runs.",
    ),
    "ending": (
        leader(metadata={**ENDING, "finalizers": ["x/y"]}),
        (
            "Group 0: leader pod s-0 on node-1 has been terminating since 2026-01-01T00:00:00Z (grace period 30 s), "
            "held by finalizers x/y. The controller that set a finalizer must remove it: check that it runs."
        ),
    ),
    "some gate": (
        leader(spec={"nodeName": "", "schedulingGates": [{"name": "a/b"}, {"name": "c/d"}]}, status={}),
        "Group 0: leader pod s-0 is held by scheduling gates a/b, c/d. The controller that set a gate must remove it.",
    ),
}


@pytest.mark.parametrize("case", PODS)
def test_a_pod_that_is_not_ready_says_why(case: str) -> None:
    """Each state that a kubelet or scheduler reports is one sentence with container, code and cause."""
    found, sentence = PODS[case]
    assert said(with_group_0(group(0, found, None, workers=None)))[0] == sentence


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "c" : configmap "c" not found'),
        ("FailedCreatePodSandBox", "failed to set up the network"),
    ],
)
def test_a_pod_whose_containers_do_not_start_quotes_its_event(reason: str, message: str) -> None:
    """What keeps a pod from starting stands in an event of the pod only; old scheduling warnings do not."""
    warnings = (
        event("Pod", "s-0", reason, message),
        event("Pod", "s-0", "FailedScheduling", NO_GPU, time="2026-01-01T00:00:09Z"),
        event("Pod", "s-1", reason, "of another pod", time="2026-01-01T00:00:09Z"),
    )
    facts = with_group_0(group(0, leader(status=STARTING), None, workers=None), events=warnings)
    assert said(facts)[0] == f"Group 0: leader pod s-0 on node-1 cannot start ({reason}): {message}."


@pytest.mark.parametrize(("moment", "blamed"), [("2026-01-01T00:00:05.5Z", True), ("2025-12-31T23:59:59Z", False)])
def test_containers_that_cannot_start_again_quote_the_newer_event(moment: str, blamed: bool) -> None:
    """After a reboot of the node the old exit code is no cause: what keeps the pod from starting is newer."""
    warning = event("Pod", "s-0", "FailedCreatePodSandBox", "no network", time=moment)
    status = terminated(143, finishedAt="2026-01-01T00:00:05Z")
    facts = with_group_0(group(0, leader(status=status), None, workers=None), events=(warning,))
    assert ("cannot start (FailedCreatePodSandBox): no network" in said(facts)[0]) is blamed


def test_a_failing_probe_is_quoted() -> None:
    """A running pod that is not ready says which probe fails."""
    unready = {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]}
    warning = event("Pod", "s-0-1", "Unhealthy", "Readiness probe failed: 503")
    facts = with_group_0(group(0, leader(), worker(status=unready)), events=(warning,))
    assert said(facts) == (
        "Group 0: worker pod s-0-1 on node-1 is running but not ready (container main): Readiness probe failed: 503.",
    )


def test_a_sidecar_that_ended_is_a_failure_and_a_finished_init_container_is_none() -> None:
    """Init containers are to end, sidecars are not."""
    status = init("one", 0)
    status["containerStatuses"][0]["state"] = {"running": {}}
    spec = {"initContainers": [{"name": "one", "restartPolicy": "Always"}]}
    (sentence,) = said(with_group_0(group(0, leader(status=status, spec=spec), None, workers=None)))[:1]
    assert "has failing sidecar container one" in sentence
    (sentence,) = said(with_group_0(group(0, leader(status=status), None, workers=None)))[:1]
    assert "is running but not ready (container main)" in sentence


def test_a_lost_node_is_named_with_its_remedies() -> None:
    """A pod on a node that is not ready, or gone, says so before anything that follows from it."""
    unready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
    facts = with_group_0(group(0, leader(), worker(status=unready)), nodes=node(ready="Unknown"))
    assert said(facts) == (
        (
            "Group 0: worker pod s-0-1 is on node node-1, which is not ready since 2026-01-01T00:00:00Z. If the "
            "machine is gone, delete Node node-1; if it is shut down for good, `kubectl taint node node-1 "
            "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`."
        ),
    )
    (sentence,) = said(replace(facts, nodes={"node-1": None}))
    assert "is on node node-1, which no longer exists" in sentence


def test_an_ending_leader_is_explained_by_its_dependents() -> None:
    """A leader held by foreground deletion is not the cause: the worker on the lost node is (L11)."""
    held = leader(metadata={**ENDING, "finalizers": ["foregroundDeletion"]})
    stuck = worker(metadata=ENDING, status={"phase": "Running"})
    stuck = msgspec.structs.replace(stuck, spec=msgspec.structs.replace(stuck.spec, node_name="node-9"))
    facts = with_group_0(group(0, held, stuck), nodes=node("node-9", ready="Unknown"))
    first, second = said(facts)
    assert first.startswith("Group 0: worker pod s-0-1 is on node node-9, which is not ready")
    assert second == "Group 0: leader pod s-0 is terminating and waits for its workers: s-0-1."
    assert "finalizers" not in first + second


def test_a_garbage_collector_that_is_refused_is_told() -> None:
    """A leader whose StatefulSet is not collected quotes what was last refused, else says where to look (Q6)."""
    held = leader(metadata={**ENDING, "finalizers": ["foregroundDeletion"]})
    facts = with_group_0(group(0, held, None))
    (sentence,) = said(facts)
    assert "waits for StatefulSet s-0 to be garbage-collected. If this lasts, an admission webhook may" in sentence
    warning = event("StatefulSet", "s", "FailedUpdate", 'failed calling webhook "vstatefulset.kb.io"')
    (sentence,) = said(replace(facts, events=(warning,)))
    assert sentence.endswith(
        'waits for StatefulSet s-0 to be garbage-collected: failed calling webhook "vstatefulset.kb.io".'
    )


def gated(**more: str) -> PodReport:
    """A leader that Kueue holds."""
    gates = [{"name": "kueue.x-k8s.io/admission"}]
    names = {"kueue.x-k8s.io/queue-name": "q", "kueue.x-k8s.io/pod-group-name": "w", **more}
    status = unscheduled("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated")
    return leader(spec={"nodeName": "", "schedulingGates": gates}, status=status, labels=names)


def workload(kind: str, status: str, message: str, reason: str = "") -> Workload:
    """A Workload with one condition."""
    condition = {"type": kind, "status": status, "message": message, "reason": reason}
    return msgspec.convert({"metadata": {"name": "w"}, "status": {"conditions": [condition]}}, Workload)


KUEUE: list[tuple[dict[str, Workload | None], str]] = [
    ({}, "Kueue has not admitted it. `kubectl describe workload w` has the cause."),
    ({"w": None}, "Kueue has no Workload w for it. Check that Kueue runs"),
    (
        {"w": workload("QuotaReserved", "False", "insufficient unused quota for nvidia.com/gpu, 3 more needed")},
        "Workload w: insufficient unused quota for nvidia.com/gpu, 3 more needed.",
    ),
    (
        {"w": workload("Finished", "True", "", "OutOfSync")},
        "its Workload w is Finished (OutOfSync). Delete it, and Kueue makes one that fits: `kubectl delete",
    ),
    ({"w": workload("Other", "True", "")}, "Workload w is waiting in the queue."),
]


@pytest.mark.parametrize(("workloads", "words"), KUEUE)
def test_kueues_gates_quote_the_workload(workloads: dict[str, Workload | None], words: str) -> None:
    """A pod held by Kueue is held by gates, and its Workload says why; a missing or Finished one is the cause (Q3)."""
    (sentence, *_) = said(with_group_0(group(0, gated(), None, workers=None), workloads=workloads))
    begin = "Group 0: leader pod s-0 is held by scheduling gates kueue.x-k8s.io/admission (LocalQueue q)"
    assert sentence.startswith(begin)
    assert words in sentence
    assert "finds no node" not in sentence


def test_a_surge_group_without_a_workload_says_the_way_out() -> None:
    """Kueue makes none for a percentage of surge: a budget that ends is named (Q1, CD-90)."""
    late = pod(
        "s-2",
        group=2,
        worker=0,
        spec={"nodeName": "", "schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]},
        status={},
        labels={"kueue.x-k8s.io/pod-group-name": "w2"},
    )
    facts = healthy(groups=(group(0), group(1), group(2, late, None, workers=None)), workloads={"w2": None})
    assert any(
        "takes a percentage in maxSurge for 0: write a number, such as 1." in sentence for sentence in said(facts)
    )


def test_exclusive_topology_names_annotation_and_holders() -> None:
    """A leader that finds no domain says which annotation wants one, and which groups of which sets hold them."""
    meta = {"annotations": {labels.EXCLUSIVE_TOPOLOGY: "zone"}}
    holders = (
        Holder("zone-a", "ns", "other", "3"),
        Holder("zone-a", "ns", "other", "3"),
        Holder("zone-b", "ns", "s", "1"),
        Holder("zone-c", "ns", "s", "0"),
    )
    alone = leader(status=unscheduled(NO_GPU), spec={"nodeName": ""})
    facts = with_group_0(
        group(0, alone, None, workers=None),
        lws=set_facts(metadata=meta),
        holders=holders,
        domains=frozenset({"zone-a", "zone-b", "zone-c"}),
    )
    (sentence,) = said(facts)
    assert sentence.endswith(
        f"{NO_GPU} Annotation {labels.EXCLUSIVE_TOPOLOGY} requires a zone of its own for each group; taken: zone-a by "
        "group 3 of ns/other, zone-b by group 1 of ns/s; zone-c has no other group, but the pod does not fit there."
    )
    (sentence,) = said(replace(facts, domains=frozenset()))
    assert sentence.endswith("no node has that label: fix the annotation, or label the nodes.")


def test_a_leader_learns_that_its_priority_frees_no_domain() -> None:
    """A leader that outranks a group in its way learns that no scheduler takes that group out for it (B30)."""
    meta = {"annotations": {labels.EXCLUSIVE_TOPOLOGY: "zone"}}
    holders = (Holder("zone-a", "ns", "low", "0", 10), Holder("zone-b", "ns", "high", "0", 1000))
    waiting = leader(status=unscheduled(NO_GPU), spec={"nodeName": "", "priority": 1000})
    facts = with_group_0(
        group(0, waiting, None, workers=None),
        lws=set_facts(metadata=meta),
        holders=holders,
        domains=frozenset({"zone-a", "zone-b"}),
    )
    (sentence,) = said(facts)
    assert sentence.endswith(
        "zone-b by group 0 of ns/high. Priority 1000 does not help it: the scheduler preempts on one node only, so "
        "groups of lower priority stay in zone-a. Scale down or delete their sets."
    )
    for priority in (1000, None):
        others = tuple(replace(one, priority=priority) for one in holders)
        assert "does not help" not in said(replace(facts, holders=others))[0]
