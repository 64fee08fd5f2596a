"""Namespaces, budgets, autoscalers and silent nodes: what their loops decide."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox.tests.controllers.builders import NOW, at, ending, named, node, pod, statefulset, stored_pod

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, PODS, STATEFULSETS
from lws_sandbox.controllers.autoscaling import Metrics
from lws_sandbox.controllers.autoscaling_plan import Sample, decide
from lws_sandbox.controllers.disruption_plan import budget_status, underway
from lws_sandbox.controllers.namespace_plan import Remainder, deletion_order, namespace_conditions
from lws_sandbox.controllers.node_health import eviction_in, is_silent, silent_conditions, wanted_taints


def _by_type(conditions: list[JSON]) -> dict[str, tuple[str, str, str]]:
    return {item["type"]: (item["status"], item["reason"], item["message"]) for item in conditions}


def test_an_empty_namespace_has_nothing_left_to_tell() -> None:
    """When all is gone the five conditions say so, in the words of the real controller."""
    found = _by_type(namespace_conditions([], Remainder(), NOW))
    assert found == {
        "NamespaceDeletionDiscoveryFailure": ("False", "ResourcesDiscovered", "All resources successfully discovered"),
        "NamespaceDeletionGroupVersionParsingFailure": (
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        "NamespaceDeletionContentFailure": (
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        "NamespaceContentRemaining": ("False", "ContentRemoved", "All content successfully removed"),
        "NamespaceFinalizersRemaining": (
            "False",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    }


def test_what_remains_is_counted() -> None:
    """Objects are counted by resource, finalizers over all of them."""
    left = Remainder()
    left.add(CONFIGMAPS, [named("a", finalizers=["x/y"]), named("b", finalizers=["x/y"])])
    left.add(STATEFULSETS, [statefulset()])
    found = _by_type(namespace_conditions([], left, NOW))
    words = (
        "Some resources are remaining: configmaps. has 2 resource instances, statefulsets.apps has 1 resource instances"
    )
    assert found["NamespaceContentRemaining"] == ("True", "SomeResourcesRemain", words)
    words = "Some content in the namespace has finalizers remaining: x/y in 2 resource instances"
    assert found["NamespaceFinalizersRemaining"] == ("True", "SomeFinalizersRemain", words)


def test_pods_go_before_everything_else() -> None:
    """The sweep of a namespace begins with its pods."""
    assert deletion_order([STATEFULSETS, CONFIGMAPS, PODS])[0] == PODS


BUDGETS = [
    ({"minAvailable": 2}, 3, 3, 3, (1, 2, 3)),
    ({"minAvailable": 3}, 3, 3, 3, (0, 3, 3)),
    ({"minAvailable": "50%"}, 3, 3, 3, (1, 2, 3)),
    ({"maxUnavailable": 1}, 3, 3, 3, (1, 2, 3)),
    ({"maxUnavailable": "34%"}, 3, 3, 3, (2, 1, 3)),
    ({"maxUnavailable": 1}, 3, 2, 3, (0, 2, 3)),
    ({"minAvailable": 0}, 2, 0, 2, (0, 0, 2)),
]


@pytest.mark.parametrize(("spec", "count", "ready", "expected", "told"), BUDGETS)
def test_budgets_allow_what_is_left_over(spec: JSON, count: int, ready: int, expected: int, told: Any) -> None:
    """Healthy pods beyond the desired ones may go; percentages are of what the controllers want, rounded up."""
    owner = statefulset()
    pods = [stored_pod(owner, ordinal, "r", ready=ordinal < ready) for ordinal in range(count)]
    budget = {"metadata": {"name": "b", "generation": 3}, "spec": spec}
    status = budget_status(budget, pods, expected, {}, NOW)
    assert (status["disruptionsAllowed"], status["desiredHealthy"], status["expectedPods"]) == told
    assert status["observedGeneration"] == 3
    reason = status["conditions"][0]["reason"]
    assert reason == ("SufficientPods" if told[0] else "InsufficientPods")


def test_granted_evictions_count_until_their_pod_ends() -> None:
    """A pod whose eviction was granted is not healthy; the grant lasts two minutes, or until the pod ends."""
    owner = statefulset()
    pods = [stored_pod(owner, 0, "r"), stored_pod(owner, 1, "r"), ending(stored_pod(owner, 2, "r"))]
    granted = {"a-0": at(-10), "a-1": at(-200), "a-2": at(-10), "a-9": at(-10)}
    budget = {"metadata": {"name": "b"}, "spec": {"minAvailable": 0}, "status": {"disruptedPods": granted}}
    still = underway(budget, pods, NOW)
    assert still == {"a-0": at(-10)}
    assert budget_status(budget, pods, 3, still, NOW)["currentHealthy"] == 1


def _autoscaler(target: int = 50, low: int = 1, high: int = 10, **behavior: Any) -> JSON:
    source = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}
    spec: JSON = {"minReplicas": low, "maxReplicas": high, "metrics": [{"type": "Resource", "resource": source}]}
    return {**spec, "behavior": behavior} if behavior else spec


SCALES = [
    ("on target", 50, 4, 4, "DesiredWithinRange"),
    ("within a tenth", 54, 4, 4, "DesiredWithinRange"),
    ("above", 75, 4, 6, "DesiredWithinRange"),
    ("rounded up", 56, 4, 5, "DesiredWithinRange"),
    ("far above: doubled at most, or four more", 500, 2, 6, "ScaleUpLimit"),
    ("far above: the limit", 500, 8, 10, "TooManyReplicas"),
    ("below", 25, 4, 2, "DesiredWithinRange"),
    ("far below: the limit", 1, 4, 1, "DesiredWithinRange"),
]


@pytest.mark.parametrize(("case", "value", "current", "wanted", "reason"), SCALES, ids=[row[0] for row in SCALES])
def test_autoscalers_follow_their_metric(case: str, value: float, current: int, wanted: int, reason: str) -> None:
    """The scale is the current one by the ratio of value to target, rounded up, within step and limits."""
    decision = decide(_autoscaler(), current, {"cpu": value}, [], 1000.0)
    assert (decision.replicas, decision.limited[1]) == (wanted, reason)


def test_autoscalers_do_not_shrink_in_haste() -> None:
    """A higher recommendation of the last five minutes holds the scale up; afterwards it does not."""
    history = [Sample(800.0, 6)]
    assert decide(_autoscaler(), 6, {"cpu": 10.0}, history, 1000.0).replicas == 6
    assert decide(_autoscaler(), 6, {"cpu": 10.0}, history, 1200.0).replicas == 2
    quick = _autoscaler(scaleDown={"stabilizationWindowSeconds": 0})
    assert decide(quick, 6, {"cpu": 10.0}, history, 1000.0).replicas == 2


def test_autoscalers_without_values_leave_the_scale_alone() -> None:
    """No value of a metric, no change."""
    decision = decide(_autoscaler(), 3, {}, [], 0.0)
    assert (decision.replicas, decision.metric) == (3, "")


def test_metrics_are_set_for_one_or_for_all() -> None:
    """A value for one autoscaler beats the one for all."""
    metrics = Metrics()
    metrics.set("cpu", 10.0)
    metrics.set("cpu", 90.0, namespace="ns", name="web")
    assert (metrics.of("ns", "web"), metrics.of("ns", "db")) == ({"cpu": 90.0}, {"cpu": 10.0})


def _healthy(status: str = "True") -> JSON:
    made = node("n")
    made["metadata"]["creationTimestamp"] = at(-1000)
    made["status"]["conditions"] = [{"type": "Ready", "status": status, "lastTransitionTime": at(-1000)}]
    return made


def test_nodes_fall_silent_when_their_lease_is_old() -> None:
    """A node is silent when its lease was not renewed within the grace; without a lease its age counts."""
    lease = {"spec": {"renewTime": "2026-01-01T11:59:20.000000Z"}}
    assert not is_silent(lease, _healthy(), NOW, grace=50)
    assert is_silent(lease, _healthy(), NOW, grace=30)
    assert is_silent(None, _healthy(), NOW)


def test_silent_nodes_are_of_unknown_health() -> None:
    """The conditions of a silent node become Unknown once, with the real controller's words."""
    conditions = silent_conditions(_healthy(), NOW)
    assert conditions is not None
    assert (conditions[0]["status"], conditions[0]["message"]) == ("Unknown", "Kubelet stopped posting node status.")
    made = _healthy()
    made["status"]["conditions"] = conditions
    assert silent_conditions(made, NOW) is None


TAINTS = [
    ("True", False, []),
    ("Unknown", False, ["unreachable:NoSchedule", "unreachable:NoExecute"]),
    ("False", False, ["not-ready:NoSchedule", "not-ready:NoExecute"]),
    ("True", True, ["unschedulable:NoSchedule"]),
]


@pytest.mark.parametrize(("ready", "cordoned", "keys"), TAINTS)
def test_taints_follow_health_and_cordon(ready: str, cordoned: bool, keys: list[str]) -> None:
    """Managed taints come and go with the node's condition and spec; those of others stay."""
    made = _healthy(ready)
    foreign = {"key": "mine", "effect": "NoSchedule"}
    stale = {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}
    made["spec"] = {"unschedulable": cordoned, "taints": [foreign, stale]}
    taints = wanted_taints(made, NOW)
    assert taints[:2] == [foreign, stale]
    names = [f"{taint['key'].removeprefix('node.kubernetes.io/')}:{taint['effect']}" for taint in taints[2:]]
    assert names == keys


EVICTIONS: list[tuple[list[JSON], float | None]] = [
    ([], 0.0),
    ([{"operator": "Exists"}], None),
    ([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300}], 280.0),
    ([{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 10}], 0.0),
    ([{"key": "other", "operator": "Exists"}], 0.0),
]


@pytest.mark.parametrize(("tolerations", "wait"), EVICTIONS)
def test_pods_leave_silent_nodes_when_their_patience_ends(tolerations: list[JSON], wait: float | None) -> None:
    """A pod stays as long as it tolerates the taint, counted from when the taint was added."""
    taint = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": at(-20)}
    assert eviction_in(pod("p", tolerations=tolerations), [taint], NOW) == wait
