"""What can go wrong, made to go wrong by command, and the controller's way out of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.e2e.conftest import Cluster

MINUTE = timedelta(minutes=1)


def _set(cluster: Cluster, namespace: str, **spec: Any) -> None:
    container = {"name": "main", "image": "app:1"}
    manifest = {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "leaderWorkerTemplate": {"size": 2, "workerTemplate": {"spec": {"containers": [container], **spec}}},
        },
    }
    cluster.kubectl("apply", "-n", namespace, "-f", "-", text=json.dumps(manifest))
    cluster.kubectl("wait", "lws/web", "-n", namespace, "--for=condition=Available", "--timeout=30s")


def _uid(cluster: Cluster, namespace: str, pod: str) -> str:
    return str(cluster.get("pod", pod, "-n", namespace)["metadata"]["uid"])


def _back(cluster: Cluster, namespace: str, pod: str, before: str) -> None:
    """Wait until another pod of the name is Ready; every look is a request, so nothing sleeps here."""
    for _ in range(200):
        cluster.try_kubectl("wait", f"pod/{pod}", "-n", namespace, "--for=condition=Ready", "--timeout=5s")
        found = cluster.get("pods", "-n", namespace, f"--field-selector=metadata.name={pod}")["items"]
        if found and found[0]["metadata"]["uid"] != before:
            cluster.kubectl("wait", f"pod/{pod}", "-n", namespace, "--for=condition=Ready", "--timeout=30s")
            return
    raise AssertionError(f"{pod} was not replaced")


def test_a_crash_recreates_the_group(cluster: Cluster, namespace: str) -> None:
    """A container that restarts makes the whole group start anew."""
    _set(cluster, namespace)
    leader = _uid(cluster, namespace, "web-0")
    assert cluster.drill("pod.crash", name="web-0-1", namespace=namespace)["state"] == "crashed"
    _back(cluster, namespace, "web-0", leader)


def test_a_hung_pod_is_not_ready_until_it_resumes(cluster: Cluster, namespace: str) -> None:
    """A hung pod takes its group out of Available; a resumed one brings it back."""
    _set(cluster, namespace)
    cluster.drill("pod.hang", name="web-0-1", namespace=namespace)
    cluster.kubectl("wait", "pod/web-0-1", "-n", namespace, "--for=condition=Ready=false", "--timeout=30s")
    cluster.drill("pod.resume", name="web-0-1", namespace=namespace)
    cluster.kubectl("wait", "pod/web-0-1", "-n", namespace, "--for=condition=Ready", "--timeout=30s")


@pytest.mark.long
def test_a_failed_pod_and_a_deleted_one_recreate_the_group(cluster: Cluster, namespace: str) -> None:
    """A pod that its node gives up, or that somebody deletes, makes the group start anew."""
    _set(cluster, namespace)
    before = _uid(cluster, namespace, "web-0")
    cluster.drill("pod.delete", name="web-0-1", namespace=namespace)
    _back(cluster, namespace, "web-0", before)
    before = _uid(cluster, namespace, "web-0-1")
    cluster.drill("pod.fail", name="web-0-1", namespace=namespace)
    _back(cluster, namespace, "web-0-1", before)


def test_nodes_get_labels_by_drill(cluster: Cluster) -> None:
    """Labels come and go by command."""
    assert cluster.command("node", "label", "tpu-0", "drill=yes").returncode == 0
    assert cluster.get("node", "tpu-0")["metadata"]["labels"]["drill"] == "yes"
    cluster.drill("node.label", name="tpu-0", labels={"drill": None})
    assert "drill" not in cluster.get("node", "tpu-0")["metadata"]["labels"]


def test_the_api_can_be_slow_and_fail_and_heal(cluster: Cluster) -> None:
    """Errors and delays come by command, and end by command; history can be forgotten at any time."""
    assert cluster.drill("api.error", code=500, verbs=["create"], resources=["podtemplates"]) == {"faults": 1}
    manifest = json.dumps({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": {}})
    told = cluster.refused("create", "-n", "default", "-f", "-", "--validate=false", text=manifest)
    assert "Internal error occurred: drill" in told
    assert cluster.drill("api.slow", seconds=0.01, verbs=["watch"]) == {"faults": 2}
    assert cluster.drill("api.heal") == {"faults": 0}
    assert cluster.drill("api.compact")["compacted"] > 0
    assert cluster.drill("api.break")["watches"] > 0
    cluster.kubectl("get", "nodes")


def test_time_moves_by_command(cluster: Cluster) -> None:
    """The sandbox's clock goes forward at once, and can run faster."""
    before = cluster.drill("clock.show")["now"]
    done = cluster.command("clock", "forward", "1m")
    assert done.returncode == 0
    assert datetime.fromisoformat(cluster.drill("clock.show")["now"]) - datetime.fromisoformat(before) >= MINUTE
    assert cluster.drill("clock.speed", factor=2)["speed"] == 2.0
    assert cluster.drill("clock.speed", factor=1)["speed"] == 1.0


def test_drills_that_cannot_be_say_so(cluster: Cluster) -> None:
    """An unknown pod or node ends the command with exit code 1 and one sentence."""
    done = cluster.command("pod", "crash", "nobody")
    assert (done.returncode, done.stderr.strip()) == (1, "lws-sandbox: pod default/nobody runs on no working node")
    asked = json.dumps({"drill": "node.fail", "arguments": {"name": "nowhere"}})
    told = cluster.refused("create", "--raw", "/sandbox/v1/drills", "-f", "-", text=asked)
    assert "there is no node 'nowhere'" in told


def test_a_failed_node_is_noticed_and_comes_back(cluster: Cluster) -> None:
    """A node that falls silent becomes NotReady when its time is up, and Ready when it is back."""
    cluster.drill("node.fail", name="tpu-2")
    cluster.drill("clock.forward", seconds=45)
    cluster.kubectl("wait", "node/tpu-2", "--for=condition=Ready=unknown", "--timeout=30s")
    keys = [taint["key"] for taint in cluster.get("node", "tpu-2")["spec"].get("taints", ())]
    assert "node.kubernetes.io/unreachable" in keys
    cluster.drill("node.recover", name="tpu-2")
    cluster.kubectl("wait", "node/tpu-2", "--for=condition=Ready", "--timeout=30s")
