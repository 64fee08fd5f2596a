"""Renders what we install with the real tools, once a process."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import TypeAlias

import yaml

from lws.apimachinery.manifests import JSON
from tests.tools import need

ROOT = Path(__file__).parents[2]
Objects: TypeAlias = dict[tuple[str, str], JSON]
OVERLAYS = ("default", *sorted(f"overlays/{path.name}" for path in (ROOT / "config/overlays").iterdir()))
DISAGGREGATED = "enableDisaggregatedSet=true"
# What Helm is told so that it renders what the overlay does.
CHART_VALUES = {
    "default": (DISAGGREGATED,),
    "overlays/cert-manager": (DISAGGREGATED, "enableCertManager=true"),
    "overlays/disruption": (DISAGGREGATED, "disruption=true"),
    "overlays/forensics": (DISAGGREGATED, "forensics=true"),
    "overlays/network-policy": (DISAGGREGATED, "enableNetworkPolicy=true"),
    "overlays/prometheus": (DISAGGREGATED, "enablePrometheus=true"),
    "overlays/prometheus-cert-manager": (DISAGGREGATED, "enablePrometheus=true", "enableCertManager=true"),
    "overlays/volcano": (DISAGGREGATED, "gangSchedulingManagement.schedulerProvider=volcano"),
    "overlays/workloads": (
        DISAGGREGATED,
        "gangSchedulingManagement.schedulerProvider=kubernetes",
        "featureGates.WorkloadAwareScheduling=true",
    ),
}


def _objects(text: str) -> Objects:
    documents = [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


@functools.cache
def kustomize(overlay: str) -> Objects:
    """What `kubectl kustomize` renders, by kind and name."""
    command = [need("kubectl"), "kustomize", str(ROOT / "config" / overlay)]
    return _objects(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@functools.cache
def chart(*values: str, release: str = "lws", helm: str = "helm") -> Objects:
    """What `helm template` renders for a release in lws-system, by kind and name."""
    command = [
        need(helm),
        "template",
        release,
        str(ROOT / "charts/lws"),
        "-n",
        "lws-system",
        "--kube-version",
        "1.33.0",
    ]
    for value in values:
        command += ["--set", value]
    return _objects(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def pod_spec(objects: Objects) -> JSON:
    """The controller's pod spec."""
    spec: JSON = objects["Deployment", "lws-controller-manager"]["spec"]["template"]["spec"]
    return spec
