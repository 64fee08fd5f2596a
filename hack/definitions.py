"""CustomResourceDefinitions of other projects, out of the Go modules that hack/control-plane/definitions requires.

Go gets a module once, into its own cache, and checks it against our go.sum; nothing of it is in the tree.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

MODULE: Final = Path(__file__).resolve().parent / "control-plane" / "definitions"
FOLDERS: Final = {
    "github.com/cert-manager/cert-manager": "deploy/crds",
    "github.com/prometheus-operator/prometheus-operator": "example/prometheus-operator-crd",
}


class _Loader(yaml.CSafeLoader):
    """Reads ``=`` as the text that it is."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))  # type: ignore[arg-type]


class DefinitionsError(Exception):
    """They cannot be had; the message says why."""


@functools.cache
def definitions(*groups: str) -> tuple[dict[str, Any], ...]:
    """The definitions of these API groups, such as ``cert-manager.io``.

    Raises:
        DefinitionsError: Go is missing, has no way to the modules, or they are not those of go.sum.
    """
    found = [
        manifest
        for module, folder in FOLDERS.items()
        for path in sorted((_folder(module) / folder).glob("*.yaml"))
        for manifest in yaml.load_all(path.read_text(encoding="utf-8"), Loader=_Loader)
        if manifest and manifest["spec"]["group"] in groups
    ]
    if missing := sorted({*groups} - {each["spec"]["group"] for each in found}):
        raise DefinitionsError(f"no module defines {missing[0]}")
    return tuple(found)


@functools.cache
def _folder(module: str) -> Path:
    if (go := shutil.which("go")) is None:
        raise DefinitionsError("Go is not installed")
    required = re.search(rf"^\t{re.escape(module)} (\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE)
    if required is None:
        raise DefinitionsError(f"hack/control-plane/definitions/go.mod does not require {module}")
    command = [go, "mod", "download", "-json", f"{module}@{required[1]}"]
    done = subprocess.run(command, cwd=MODULE, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout or "{}")
    if done.returncode or answer.get("Error"):
        raise DefinitionsError(f"{module} cannot be had: {answer.get('Error') or done.stderr.strip()}")
    if f"{module} {required[1]} {answer['Sum']}" not in (MODULE / "go.sum").read_text().splitlines():
        raise DefinitionsError(f"{module} {required[1]} is not the one of hack/control-plane/definitions/go.sum")
    return Path(answer["Dir"])
