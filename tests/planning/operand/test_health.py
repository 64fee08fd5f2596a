"""Why pods of the operand are missing, in words that end with the remedy (operator 5.4; A46)."""

from __future__ import annotations

import pytest

from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from lws.planning.operand.health import failing
from tests.planning.operand.making import operator

DEPLOYMENT: JSON = {
    "metadata": {"name": names.DEPLOYMENT, "generation": 1},
    "spec": {"replicas": 2},
    "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
}
QUOTA = 'pods "x" is forbidden: exceeded quota: none, requested: pods=1, used: pods=2, limited: pods=2'


def container(**status: JSON) -> JSON:
    """A pod whose container is in this state."""
    return {"metadata": {"name": "pod-1"}, "spec": {}, "status": {"containerStatuses": [{"image": "i:1", **status}]}}


def waiting(reason: str, message: str = "") -> JSON:
    """A container's state while it waits."""
    return {"state": {"waiting": {"reason": reason, "message": message}}}


REFUSED: JSON = {
    "metadata": {"name": "rs"},
    "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": QUOTA}]},
}
UNSCHEDULABLE: JSON = {
    "metadata": {"name": "pod-1"},
    "status": {
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]
    },
}
ENDED: JSON = {"lastState": {"terminated": {"exitCode": 7, "message": "no such flag"}}}
CASES: dict[str, tuple[list[JSON], list[JSON], str]] = {
    "a quota": ([REFUSED], [], f"pods are refused: {QUOTA}; change what refuses them"),
    "no node": ([], [UNSCHEDULABLE], "pod pod-1 cannot be scheduled: 0/3 nodes; add nodes, or room on them"),
    "no image": (
        [],
        [container(**waiting("ErrImagePull"))],
        "ImagePullBackOff: image i:1 cannot be pulled; correct the image, or spec.operand.imagePullSecrets",
    ),
    "crashes": (
        [],
        [container(**waiting("CrashLoopBackOff"), **ENDED)],
        "CrashLoopBackOff: pod pod-1 exits with code 7: no such flag; read its log",
    ),
    "memory": (
        [],
        [container(lastState={"terminated": {"reason": "OOMKilled"}})],
        (
            "OOMKilled: pod pod-1 ran out of memory; set spec.operand.sizing to Auto, or raise"
            " spec.operand.resources.limits.memory"
        ),
    ),
    "a missing Secret": (
        [],
        [container(**waiting("CreateContainerConfigError", "secret x not found"))],
        "CreateContainerConfigError: pod pod-1: secret x not found; create what is missing",
    ),
    "unknown": ([], [], "1 of 2 pods are available; look at the pods of lws-controller-manager"),
}


@pytest.mark.parametrize("case", CASES)
def test_a46_each_cause_is_named_with_its_remedy(case: str) -> None:
    """A46: what keeps pods away is told as the cluster tells it, with what to do about it."""
    replica_sets, pods, expected = CASES[case]
    cause = failing(DEPLOYMENT, replica_sets, pods, operator().spec)
    assert cause is not None
    assert cause.message == expected


def test_a_placement_of_the_object_is_named() -> None:
    """Where the object itself restricts nodes that is the remedy."""
    cause = failing(DEPLOYMENT, [], [UNSCHEDULABLE], operator(nodePlacement={"nodeSelector": {"a": "b"}}).spec)
    assert cause is not None
    assert cause.message.endswith("change spec.nodePlacement, or the nodes")
