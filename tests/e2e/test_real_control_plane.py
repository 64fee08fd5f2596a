"""``lws-sandbox start --control-plane real``: it comes up, works, takes drills and goes without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lws_sandbox.real.binaries import REMEDY, VARIABLE
from tests.e2e.conftest import LIMIT, SHAPE, Cluster
from tests.tools import need

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} is not set: {REMEDY}"),
]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, subprocess.Popen[str], str]]:
    """The command, up, with the line that it said."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "shape.yaml").write_text(SHAPE)
    command = [sys.executable, "-m", "lws_sandbox.cli.main", "start", "--control-plane", "real"]
    command += ["--kubeconfig", str(folder / "kubeconfig"), "--shape", str(folder / "shape.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            assert process.stdout.readline().startswith("export KUBECONFIG="), said
            yield Cluster(folder / "kubeconfig", need("kubectl")), process, said
        finally:
            process.terminate()
            process.wait(LIMIT)


def test_a_deployment_comes_up_on_our_nodes(started: tuple[Cluster, subprocess.Popen[str], str]) -> None:
    """Real processes are named, and pods become Ready whoever schedules and controls them."""
    cluster, _, said = started
    assert said.startswith("8 nodes at https://127.0.0.1:")
    assert "with real etcd, kube-apiserver" in said
    cluster.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=3")
    cluster.kubectl("rollout", "status", "deployment", "web", "--timeout=50s")
    assert {pod["status"]["phase"] for pod in cluster.get("pods", "-l", "app=web")["items"]} == {"Running"}


def test_a_claim_is_bound(started: tuple[Cluster, subprocess.Popen[str], str]) -> None:
    """Volumes are ours, since no real provisioner is there."""
    cluster, _, _ = started
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "disk", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    cluster.apply(claim)
    cluster.kubectl("wait", "pvc/disk", "--for=jsonpath={.status.phase}=Bound", "--timeout=50s")


def test_drills_reach_the_nodes_but_not_the_server(started: tuple[Cluster, subprocess.Popen[str], str]) -> None:
    """The same command cordons a node; faults of a real API server are not ours to make."""
    cluster, _, _ = started
    done = cluster.command("node", "cordon", "node-3")
    assert (done.returncode, done.stdout) == (0, "node: node-3\nstate: cordoned\n")
    assert cluster.get("node", "node-3")["spec"]["unschedulable"]
    refused = cluster.command("api", "slow", "2s")
    assert refused.returncode == 1
    assert "the control plane is a real one" in refused.stderr


def test_it_goes_without_a_trace(started: tuple[Cluster, subprocess.Popen[str], str]) -> None:
    """SIGTERM ends it with 0; the kubeconfig and every process are gone."""
    cluster, process, _ = started
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT) == 0
    assert not cluster.kubeconfig.exists()
    assert len(children) >= 2
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
