"""The chart over releases of others: nothing that lives is lost, and what would lose it is refused."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lws.apimachinery.manifests import JSON
from tests.e2e.conftest import ROOT, Cluster
from tests.e2e.sites import NAMESPACE, sandbox_site
from tests.tools import need

CRD = "leaderworkersets.leaderworkerset.x-k8s.io"
SECRET = ("secret", "lws-webhook-server-cert", "-n", NAMESPACE)
SET: JSON = {
    "apiVersion": "leaderworkerset.x-k8s.io/v1",
    "kind": "LeaderWorkerSet",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 1,
        "leaderWorkerTemplate": {
            "size": 2,
            "workerTemplate": {"spec": {"containers": [{"name": "main", "image": "app:1"}]}},
        },
    },
}


@dataclass(frozen=True)
class Helm:
    """Helm against a cluster."""

    cluster: Cluster
    folder: Path

    def run(self, *arguments: str, chart: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Install or upgrade release lws; our chart unless another is given."""
        command = [
            need("helm"),
            arguments[0],
            "lws",
            str(chart or ROOT / "charts/lws"),
            *arguments[1:],
            "-n",
            NAMESPACE,
        ]
        environment = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig), "HELM_CACHE_HOME": str(self.folder)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    def earlier_chart(self) -> Path:
        """A chart as others make them: the definition among its templates, nothing that keeps it, hardly a value."""
        chart = self.folder / "earlier"
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "lws", "version": "0.7.0"}))
        definition = (ROOT / "config/crd/leaderworkerset.x-k8s.io_leaderworkersets.yaml").read_text()
        (chart / "templates/crd.yaml").write_text(definition)
        return chart


@pytest.fixture
def helm(tmp_path: Path) -> Iterator[Helm]:
    """A cluster with nothing of ours."""
    need("helm")
    with ExitStack() as stack:
        site = stack.enter_context(sandbox_site(tmp_path))
        yield Helm(site.cluster, tmp_path)


def _accept_certificates(cluster: Cluster) -> None:
    """Let the server know the kinds of cert-manager."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for kind in ("Issuer", "Certificate"):
        plural = f"{kind.lower()}s"
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        spec = {
            "group": "cert-manager.io",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [version],
        }
        name = f"{plural}.cert-manager.io"
        cluster.kubectl(
            *("apply", "--server-side", "-f", "-"),
            text=json.dumps(
                {
                    "apiVersion": "apiextensions.k8s.io/v1",
                    "kind": "CustomResourceDefinition",
                    "metadata": {"name": name},
                    "spec": spec,
                }
            ),
        )
        cluster.kubectl("wait", "crd", name, "--for=condition=Established")


@pytest.mark.long
def test_an_upgrade_that_would_delete_every_set_is_refused(helm: Helm) -> None:
    """A release that owns the definition cannot leave it out, until the command that the refusal names was run."""
    installed = helm.run("install", "--create-namespace", chart=helm.earlier_chart())
    assert installed.returncode == 0, installed.stderr
    cluster = helm.cluster
    cluster.kubectl("wait", "crd", CRD, "--for=condition=Established")
    cluster.apply(SET)
    uid = cluster.get("lws", "web")["metadata"]["uid"]
    refused = helm.run("upgrade", "--reuse-values", "--set", "crds.install=false")
    assert refused.returncode != 0
    command = f"kubectl annotate crd {CRD} helm.sh/resource-policy=keep"
    assert command in refused.stderr
    assert cluster.get("lws", "web")["metadata"]["uid"] == uid
    cluster.kubectl(*command.split()[1:])
    upgraded = helm.run("upgrade", "--reuse-values", "--set", "crds.install=false")
    assert upgraded.returncode == 0, upgraded.stderr
    assert cluster.get("lws", "web")["metadata"]["uid"] == uid


@pytest.mark.long
def test_the_serving_secret_survives_a_switch_of_certificates_and_back(helm: Helm) -> None:
    """From the controller's own certificates to cert-manager's and back: the Secret keeps its data."""
    cluster = helm.cluster
    _accept_certificates(cluster)
    steps = (("install", "false"), ("upgrade", "true"), ("upgrade", "false"))
    for number, (verb, manager) in enumerate(steps):
        options = ["--create-namespace"] if verb == "install" else []
        done = helm.run(verb, "--set", f"enableCertManager={manager}", *options)
        assert done.returncode == 0, done.stderr
        if not number:
            cluster.kubectl("patch", *SECRET, "--type=merge", "-p", json.dumps({"data": {"tls.crt": "eA=="}}))
            uid = cluster.get(*SECRET)["metadata"]["uid"]
        found = cluster.get(*SECRET)
        assert (found["metadata"]["uid"], found["data"]) == (uid, {"tls.crt": "eA=="})
