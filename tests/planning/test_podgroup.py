"""PodGroups of Volcano, and what they request (spec 11, CD-34)."""

from __future__ import annotations

from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset import podgroup
from lws.planning.leaderworkerset.metadata import owned_by_pod
from lws.planning.leaderworkerset.podgroup import Gang
from lws.planning.leaderworkerset.requests import min_resources, pod_requests
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.schedulers.volcano import Volcano
from tests.planning import making


def container(restart: str = "", limits: JSON | None = None, requests: JSON | None = None, **more: str) -> JSON:
    """A container with these requests."""
    out: JSON = {"name": "main", "resources": {"requests": {**(requests or {}), **more}}}
    if limits:
        out["resources"]["limits"] = limits
    return out | ({"restartPolicy": restart} if restart else {})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"containers": [container(cpu="100m"), container(cpu="200m", memory="1Gi")]},
            {"cpu": "300m", "memory": "1Gi"},
        ),
        ({"containers": [container(cpu="1")], "initContainers": [container(cpu="3")]}, {"cpu": "3"}),
        ({"containers": [container(cpu="1")], "initContainers": [container(cpu="2", restart="Always")]}, {"cpu": "3"}),
        (
            {
                "containers": [container(cpu="1")],
                "initContainers": [container(cpu="2", restart="Always"), container(cpu="5")],
            },
            {"cpu": "7"},
        ),
        (
            {
                "containers": [container(cpu="1")],
                "initContainers": [container(cpu="5"), container(cpu="2", restart="Always")],
            },
            {"cpu": "5"},
        ),
        (
            {"containers": [container(cpu="1", gpu="4")], "resources": {"requests": {"cpu": "9", "gpu": "1"}}},
            {"cpu": "9", "gpu": "4"},
        ),
        (
            {
                "containers": [container(requests={"hugepages-2Mi": "2Mi"})],
                "resources": {"requests": {"hugepages-2Mi": "8Mi"}},
            },
            {"hugepages-2Mi": "8Mi"},
        ),
        (
            {"containers": [container(cpu="1")], "overhead": {"cpu": "250m", "memory": "64Mi"}},
            {"cpu": "1250m", "memory": "64Mi"},
        ),
    ],
)
def test_requests_of_a_pod_11(spec: dict[str, Any], expected: dict[str, str]) -> None:
    """Containers add up, init containers take turns, sidecars stay, and pod-level requests replace theirs."""
    assert canonical(spec) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [container(limits={"cpu": "3"})]}, {"cpu": "3"}),
        ({"containers": [container(limits={"cpu": "3", "gpu": "8"}, cpu="1")]}, {"cpu": "1", "gpu": "8"}),
        ({"containers": [container()], "initContainers": [container(limits={"cpu": "2"})]}, {"cpu": "2"}),
        ({"containers": [container()], "resources": {"limits": {"cpu": "4", "gpu": "1"}}}, {"cpu": "4"}),
        ({"containers": [container(cpu="1")], "resources": {"limits": {"cpu": "4"}}}, {"cpu": "1"}),
        (
            {"containers": [container(cpu="1")], "resources": {"limits": {"cpu": "4"}, "requests": {"cpu": "2"}}},
            {"cpu": "2"},
        ),
    ],
)
def test_g9_limits_count_where_nothing_is_requested(spec: JSON, expected: dict[str, str]) -> None:
    """A limit without a request counts as one, of containers and of the pod, as the API server defaults it (CD-34)."""
    assert canonical(spec) == expected


def canonical(spec: JSON) -> dict[str, str]:
    """What a pod requests, in words."""
    return {name: amount.canonical() for name, amount in pod_requests(spec).items()}


def test_min_resources_example_11() -> None:
    """Without a leader template, a worker request of 100m and size 3 make 300m."""
    section = {"workerTemplate": {"spec": {"containers": [container(cpu="100m")]}}}
    assert min_resources(section, 3) == {"cpu": "300m"}


def test_min_resources_with_a_leader_template_11() -> None:
    """The leader's own template counts once, the workers' size - 1 times."""
    section = {
        "leaderTemplate": {"spec": {"containers": [container(memory="512Mi")]}},
        "workerTemplate": {"spec": {"containers": [container(cpu="500m", memory="256Mi")]}},
    }
    assert min_resources(section, 3) == {"cpu": "1", "memory": "1Gi"}
    assert min_resources(section, 1) == {"memory": "512Mi"}


ANNOTATIONS = {
    labels.QUEUE_NAME: "gold",
    "volcano.sh/task-topology": "x",
    "other": "y",
}


WHOLE = Gang("sample-0-k1", whole=True, size=3, min_member=3)


def manifest(gang: Gang = WHOLE, live: Any = None, **spec: Any) -> dict[str, Any]:
    """The PodGroup of group 0 of a set of this size."""
    revised = making.lws(size=gang.size, metadata={"annotations": ANNOTATIONS}, **spec)
    marks, owners = podgroup.marks(revised, "0", "k1"), owned_by_pod(making.leader(0, "k1"))
    return Volcano().manifest(live or revised, Contents().sections(revised), gang, marks, owners)


def test_manifest_11() -> None:
    """Name, labels, annotations, owner, members, queue."""
    found = manifest()
    assert found["apiVersion"] == "scheduling.volcano.sh/v1beta1"
    meta = found["metadata"]
    assert (meta["name"], meta["namespace"]) == ("sample-0-k1", "default")
    assert meta["labels"] == {labels.NAME: "sample", labels.GROUP_INDEX: "0", labels.REVISION: "k1"}
    assert meta["annotations"] == {"volcano.sh/task-topology": "x"}
    assert meta["ownerReferences"][0]["uid"] == "uid-leader-0"
    assert found["spec"] == {"minMember": 3, "minResources": {}, "queue": "gold"}


REQUESTS = {"containers": [container(cpu="1")]}


def test_resources_are_those_of_all_members_11() -> None:
    """The queue is asked for the whole group, also while its leader goes first; for a leader alone if it is (CD-60)."""
    section = {"workerTemplate": {"spec": REQUESTS}}
    first = Gang("sample-0-k1", whole=True, size=3, min_member=1)
    assert manifest(first, section=section)["spec"] == {"minMember": 1, "minResources": {"cpu": "3"}, "queue": "gold"}
    alone = Gang("sample-0-k1", whole=False, size=3, min_member=1)
    assert manifest(alone, section=section)["spec"]["minResources"] == {"cpu": "1"}


@pytest.mark.parametrize(
    ("leader", "worker", "expected"),
    [
        ({"priorityClassName": "high"}, {"priorityClassName": "low"}, "high"),
        ({}, {"priorityClassName": "low"}, "low"),
        (None, {"priorityClassName": "low"}, "low"),
        ({"priorityClassName": "high"}, {}, "high"),
        ({}, {}, None),
    ],
)
def test_g5_the_gang_has_the_priority_of_its_pods(leader: JSON | None, worker: JSON, expected: str | None) -> None:
    """Volcano orders gangs by the PodGroup's priority class: the leader's, else the workers' (CD-34)."""
    section = {"workerTemplate": {"spec": REQUESTS | worker}}
    if leader is not None:
        section["leaderTemplate"] = {"spec": REQUESTS | leader}
    assert manifest(section=section)["spec"].get("priorityClassName") == expected
