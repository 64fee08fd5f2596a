"""Renders what we install with the real tools, once a process."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

ROOT = Path(__file__).parents[2]
JSON: TypeAlias = dict[str, Any]
Objects: TypeAlias = dict[tuple[str, str], JSON]
OVERLAYS = ("default", *sorted(f"overlays/{path.name}" for path in (ROOT / "config/overlays").iterdir()))
# What Helm is told so that it renders what the overlay does.
CHART_VALUES = {
    "default": (),
    "overlays/cert-manager": ("enableCertManager=true",),
    "overlays/network-policy": ("enableNetworkPolicy=true",),
    "overlays/prometheus": ("enablePrometheus=true",),
    "overlays/volcano": ("gangSchedulingManagement.schedulerProvider=volcano",),
}


def tool(name: str) -> str:
    """The tool's path; a missing tool fails in CI and skips elsewhere."""
    found = shutil.which(name) or shutil.which(name, path=str(ROOT / ".venv/bin"))
    if found:
        return found
    message = f"{name} is not here; `hack/{name}.sh` or your package manager brings it"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def _objects(text: str) -> Objects:
    documents = [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


@functools.cache
def kustomize(overlay: str) -> Objects:
    """What `kubectl kustomize` renders, by kind and name."""
    command = [tool("kubectl"), "kustomize", str(ROOT / "config" / overlay)]
    return _objects(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@functools.cache
def chart(*values: str, release: str = "lws") -> Objects:
    """What `helm template` renders for a release in lws-system, by kind and name."""
    command = [
        tool("helm"),
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
