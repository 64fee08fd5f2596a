"""ReplicaSets and Deployments, round by round."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from sandbox.tests.controllers.builders import NOW, ending, pod, statefulset, stored_pod

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.deployment_scaling import DESIRED, MAXIMUM, replicas_of
from lws_sandbox.controllers.objects import annotations_of, name_of
from lws_sandbox.controllers.workload_plan import (
    REVISION,
    new_replicaset,
    plan_deployment,
    plan_replicaset,
    resized,
    with_failure,
)


def _deployment(replicas: int = 4, image: str = "app:1", **spec: Any) -> JSON:
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "main", "image": image}]}}
    return {
        "metadata": {"name": "d", "namespace": "ns", "uid": "d-uid", "generation": 1},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "d"}},
            "template": template,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            **spec,
        },
    }


def _set(image: str, replicas: int, available: int | None = None, revision: str = "1") -> JSON:
    made = new_replicaset(_deployment(image=image), replicas, revision)
    counted = replicas if available is None else available
    made["metadata"]["uid"] = f"uid-{image}"
    made["status"] = {"replicas": replicas, "readyReplicas": counted, "availableReplicas": counted}
    return made


def test_a_replicaset_makes_up_for_what_is_missing() -> None:
    """Pods that have ended or are ending do not count."""
    owner = statefulset()
    owner["spec"] = {**owner["spec"], "replicas": 3}
    pods = [stored_pod(owner, 0, "r"), ending(stored_pod(owner, 1, "r")), stored_pod(owner, 2, "r", phase="Failed")]
    plan = plan_replicaset(owner, pods, NOW)
    assert (plan.create, plan.delete) == (2, ())
    assert (plan.status["replicas"], plan.status["terminatingReplicas"]) == (1, 1)


def test_a_replicaset_lets_the_least_useful_pods_go() -> None:
    """Of too many pods those without a node go first, then those that are not ready."""
    owner = statefulset(replicas=1)
    ready = {**stored_pod(owner, 0, "r")}
    ready["spec"] = {**ready["spec"], "nodeName": "n"}
    unready = copy.deepcopy(stored_pod(owner, 1, "r", ready=False))
    unready["spec"]["nodeName"] = "n"
    plan = plan_replicaset(owner, [ready, unready, pod("waiting")], NOW)
    assert [name_of(item) for item in plan.delete] == ["waiting", "a-1"]


def test_a_new_deployment_gets_its_replicaset() -> None:
    """The first set has all replicas, a hash in name, labels and selector, and revision 1."""
    plan = plan_deployment(_deployment(), [], NOW)
    assert plan.create is not None
    digest = plan.create["metadata"]["labels"]["pod-template-hash"]
    assert name_of(plan.create) == f"d-{digest}"
    assert plan.create["spec"]["selector"]["matchLabels"]["pod-template-hash"] == digest
    assert (replicas_of(plan.create), annotations_of(plan.create)[REVISION]) == (4, "1")


@pytest.mark.parametrize(("spec", "maximum"), [({}, "5"), ({"strategy": {"type": "Recreate"}}, "4")])
def test_a_replicaset_notes_the_deployments_size(spec: JSON, maximum: str) -> None:
    """Wanted and greatest number of pods stand on each set that is made or resized."""
    deployment = _deployment(4, "app:1", **spec)
    made = new_replicaset(deployment, 4, "1")
    assert (annotations_of(made)[DESIRED], annotations_of(made)[MAXIMUM]) == ("4", maximum)
    later = resized(_deployment(8), made, 6)
    assert (replicas_of(later), annotations_of(later)[DESIRED], annotations_of(later)[MAXIMUM]) == (6, "8", "10")
    assert replicas_of(made) == 4


ROLLOUTS = [
    ("one more than wanted to begin with", [("app:1", 4, None)], ("create", 1)),
    ("old ones go as far as the budget allows", [("app:2", 1, 0), ("app:1", 4, 4)], [("app:1", 3)]),
    ("a new one is ready", [("app:2", 1, 1), ("app:1", 3, 3)], [("app:2", 2)]),
    ("waits for readiness", [("app:2", 2, 1), ("app:1", 3, 3)], [("app:1", 2)]),
    ("broken old ones go first", [("app:2", 1, 0), ("app:1", 4, 3)], [("app:1", 3)]),
    ("done", [("app:2", 4, 4), ("app:1", 0, 0)], []),
]


@pytest.mark.parametrize(("case", "sets", "steps"), ROLLOUTS, ids=[case for case, _, _ in ROLLOUTS])
def test_deployments_roll_within_surge_and_budget(case: str, sets: Any, steps: Any) -> None:
    """New replicas come as far as the surge allows, old ones go as far as availability allows."""
    replicasets = [_set(image, count, available) for image, count, available in sets]
    plan = plan_deployment(_deployment(image="app:2"), replicasets, NOW)
    if isinstance(steps, tuple):
        assert plan.create is not None
        assert ("create", replicas_of(plan.create)) == steps
    else:
        images = [item["spec"]["template"]["spec"]["containers"][0]["image"] for item, _ in plan.scale]
        assert list(zip(images, [count for _, count in plan.scale], strict=True)) == steps


SCALINGS = [
    ("in mid-rollout each grows by its share", 8, [("app:2", 1, 1), ("app:1", 4, 4)], [("app:1", 8), ("app:2", 2)]),
    ("in mid-rollout each shrinks by its share", 2, [("app:2", 2, 1), ("app:1", 3, 3)], [("app:1", 2), ("app:2", 1)]),
    ("to nothing all go", 0, [("app:2", 1, 1), ("app:1", 3, 3)], [("app:1", 0), ("app:2", 0)]),
    ("a single set takes it all", 7, [("app:2", 4, 4), ("app:1", 0, 0)], [("app:2", 7)]),
    ("an old set alone is scaled before a new one comes", 6, [("app:1", 4, 4)], [("app:1", 6)]),
]


@pytest.mark.parametrize(("case", "wanted", "sets", "sizes"), SCALINGS, ids=[case for case, *_ in SCALINGS])
def test_deployments_scale_in_proportion(case: str, wanted: int, sets: Any, sizes: Any) -> None:
    """A scaling is followed before a rollout goes on: what sets noted of the size tells that there was one."""
    replicasets = [_set(image, count, available) for image, count, available in sets]
    plan = plan_deployment(_deployment(wanted, image="app:2"), replicasets, NOW)
    assert plan.create is None
    images = [item["spec"]["template"]["spec"]["containers"][0]["image"] for item, _ in plan.scale]
    assert list(zip(images, [count for _, count in plan.scale], strict=True)) == sizes


def test_a_paused_deployment_is_scaled_and_not_rolled() -> None:
    """A pause holds the template back, not the number of replicas."""
    paused = _deployment(6, image="app:2", paused=True)
    plan = plan_deployment(paused, [_set("app:1", 4)], NOW)
    assert (plan.create, [count for _, count in plan.scale]) == (None, [6])
    assert plan_deployment(_deployment(4, "app:2", paused=True), [_set("app:1", 4)], NOW).scale == ()


def test_available_pods_go_beside_broken_ones() -> None:
    """What broken pods have used of the budget does not hold back available ones beyond the minimum."""
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}}
    sets = [_set("app:2", 0, 0), _set("app:1", 4, 3)]
    plan = plan_deployment(_deployment(4, "app:2", strategy=rolling), sets, NOW)
    assert [count for _, count in plan.scale] == [2]


def test_recreate_waits_for_the_end_of_the_old() -> None:
    """With Recreate nothing new comes before the last old pod is gone."""
    recreate = _deployment(image="app:2", strategy={"type": "Recreate"})
    plan = plan_deployment(recreate, [_set("app:2", 0), _set("app:1", 4)], NOW)
    assert [count for _, count in plan.scale] == [0]
    gone = _set("app:1", 0)
    plan = plan_deployment(recreate, [_set("app:2", 0), gone], NOW)
    assert [count for _, count in plan.scale] == [4]


def test_conditions_tell_how_far_it_is() -> None:
    """Available and Progressing say what the counts mean."""
    half = plan_deployment(_deployment(), [_set("app:1", 4, 2)], NOW).status["conditions"]
    full = plan_deployment(_deployment(), [_set("app:1", 4, 4)], NOW).status["conditions"]
    reasons = [[item["reason"] for item in conditions] for conditions in (half, full)]
    assert reasons == [
        ["MinimumReplicasUnavailable", "ReplicaSetUpdated"],
        ["MinimumReplicasAvailable", "NewReplicaSetAvailable"],
    ]


def test_pods_that_are_refused_are_told_of_until_they_are_not() -> None:
    """A replica set has the first error of a row, its deployment the newest set's, and neither once pods are made."""
    told = with_failure([], "no", missing=True, now=NOW)
    assert [(each["reason"], each["message"]) for each in told] == [("FailedCreate", "no")]
    assert with_failure(told, "again", missing=True, now=NOW) == told
    assert with_failure([], "no", missing=False, now=NOW)[0]["reason"] == "FailedDelete"
    assert with_failure(told, "", missing=True, now=NOW) == []
    deployment, newest = _deployment(), {**_set("app:1", 4, 2)}
    newest["status"] = {**newest["status"], "conditions": told}
    failing = plan_deployment(deployment, [newest], NOW).status["conditions"]
    assert [each["message"] for each in failing if each["type"] == "ReplicaFailure"] == ["no"]
    mended = plan_deployment({**deployment, "status": {"conditions": failing}}, [_set("app:1", 4, 4)], NOW).status
    assert "ReplicaFailure" not in {each["type"] for each in mended["conditions"]}


def test_old_replicasets_are_kept_as_history() -> None:
    """Empty sets beyond the history limit go, the oldest first."""
    old = [_set(f"old:{number}", 0, revision=str(number)) for number in (3, 1, 2)]
    plan = plan_deployment(_deployment(revisionHistoryLimit=1), [_set("app:1", 4, revision="4"), *old], NOW)
    assert [annotations_of(item)[REVISION] for item in plan.delete] == ["1", "2"]
