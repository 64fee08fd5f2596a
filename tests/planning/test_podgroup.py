"""PodGroups of Volcano (spec 11)."""

from __future__ import annotations

from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.planning.leaderworkerset.podgroup import min_resources, pod_requests
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.schedulers.volcano import Volcano
from tests.planning import making

JSON = dict[str, Any]


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
        ({"containers": [container(limits={"cpu": "8"})]}, {}),
    ],
)
def test_requests_of_a_pod_11(spec: dict[str, Any], expected: dict[str, str]) -> None:
    """Containers add up, init containers take turns, sidecars stay, pod-level requests replace, limits do not count."""
    assert {name: amount.canonical() for name, amount in pod_requests(spec).items()} == expected


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


def manifest(size: int = 3, live: Any = None, **spec: Any) -> dict[str, Any]:
    """The PodGroup of group 0 of a set of this size."""
    revised = making.lws(size=size, metadata={"annotations": ANNOTATIONS}, **spec)
    pod = making.leader(0, "k1", annotations={labels.POD_GROUP_NAME: "sample-0-k1"})
    return Volcano().manifest(live or revised, revised, Contents().sections(revised), pod)


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


def test_leader_ready_needs_one_member_11() -> None:
    """Under LeaderReady the leader may start alone, with the resources of the whole group."""
    assert manifest(startupPolicy="LeaderReady")["spec"]["minMember"] == 1


def test_cd_07_numbers_come_from_the_leaders_revision() -> None:
    """While the live set has another size already, the PodGroup matches the pods that it gangs."""
    live = making.lws(size=9, metadata={"generation": 4})
    assert manifest(size=3, live=live)["spec"]["minMember"] == 3
