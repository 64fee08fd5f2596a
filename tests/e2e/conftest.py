"""A sandbox with the controller in a process of its own, as a user starts it, and real kubectl to look at it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from tests.tools import need

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "01-vllm-two-groups.yaml"
UP = "everything is Ready"
SHAPE = """
nodes:
- {count: 4, name: "node-{i}", labels: {topology.kubernetes.io/zone: "zone-{i%2}"}, capacity: {nvidia.com/gpu: 8}}
- {count: 4, name: "tpu-{i}", capacity: {google.com/tpu: 8}}
delays: {start: 0.05, init: 0.05, ready: 0.05, stop: 0.05}
"""
LIMIT = 60


@dataclass(frozen=True)
class Cluster:
    """A running sandbox, and commands against it."""

    kubeconfig: Path
    kubectl_path: str

    def try_kubectl(self, *arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl, whatever comes of it."""
        return subprocess.run(
            [self.kubectl_path, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env=self._environment(environment),
            check=False,
        )

    def kubectl(self, *arguments: str, text: str = "", **environment: str) -> str:
        """Run kubectl, which must succeed; returns what it printed."""
        done = self.try_kubectl(*arguments, text=text, **environment)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *arguments: str, text: str = "") -> str:
        """Run kubectl, which must fail; returns its complaint."""
        done = self.try_kubectl(*arguments, text=text)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} succeeded: {done.stdout}"
        return done.stderr

    def get(self, *arguments: str) -> JSON:
        """An object or a list, as JSON."""
        found: JSON = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def drill(self, name: str, /, **arguments: Any) -> JSON:
        """Do a drill over the control path; returns what it has to tell."""
        asked = json.dumps({"drill": name, "arguments": arguments})
        told: JSON = json.loads(self.kubectl("create", "--raw", "/sandbox/v1/drills", "-f", "-", text=asked))
        return told

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``lws-sandbox``, whatever comes of it."""
        command = [sys.executable, "-m", "lws_sandbox.cli.main", *arguments, "--kubeconfig", str(self.kubeconfig)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, env=self._environment({}), check=False
        )

    def apply(self, manifest: JSON, *arguments: str) -> str:
        """Apply one manifest."""
        return self.kubectl("apply", "-f", "-", *arguments, text=json.dumps(manifest))

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), **more}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The command that `make run` runs, with its example Ready; one for all tests of a worker."""
    kubectl = need("kubectl")
    folder = tmp_path_factory.mktemp("run")
    kubeconfig = folder / "kubeconfig"
    shape = folder / "shape.yaml"
    shape.write_text(SHAPE)
    command = [sys.executable, "-m", "lws_sandbox.quickstart", str(EXAMPLE)]
    command += ["--kubeconfig", str(kubeconfig), "--shape", str(shape)]
    environment = {key: value for key, value in os.environ.items() if key != "ONCE"}
    with (
        (folder / "errors").open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as process,
    ):
        assert process.stdout is not None
        try:
            seen = []
            for line in process.stdout:
                seen.append(line)
                if line.startswith(UP):
                    break
            else:
                pytest.fail(f"it ended: {''.join(seen)}{(folder / 'errors').read_text()}")
            threading.Thread(target=process.stdout.read, daemon=True).start()  # a full pipe would stop it
            yield Cluster(kubeconfig, kubectl)
        finally:
            process.terminate()
            process.wait(LIMIT)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    """A namespace for one test."""
    name = (
        str(request.node.name)
        .replace("_", "-")
        .replace("[", "-")
        .replace("]", "")
        .removeprefix("test-")[:60]
        .rstrip("-")
    )
    cluster.kubectl("create", "namespace", name)
    return name
