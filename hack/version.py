"""The version. It stands in ``src/lws/__init__.py``; every other mention of it is written by ``make generate``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import lws

ROOT: Final = Path(__file__).parent.parent
# File -> what to replace in it, and by what.
MENTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "charts/lws/Chart.yaml": {r"^version: .*$": "version: {}", r"^appVersion: .*$": "appVersion: v{}"},
    "config/manager/kustomization.yaml": {r"^  newTag: .*$": "  newTag: v{}"},
    "config/operator/manager/kustomization.yaml": {r"^  newTag: .*$": "  newTag: v{}"},
    "docs/install.md": {r"lws-controller:v[\w.]+": "lws-controller:v{}"},
    "hack/krew/lws.yaml": {r"^  version: .*$": "  version: v{}", r"/v[\w.]+/kubectl-lws": "/v{}/kubectl-lws"},
}


def render(name: str, version: str = lws.__version__) -> str:
    """The file's text with this version.

    Raises:
        ValueError: the file lacks one of its mentions.
    """
    text = (ROOT / name).read_text(encoding="utf-8")
    for pattern, form in MENTIONS[name].items():
        text, count = re.subn(pattern, form.format(version), text, flags=re.MULTILINE)
        if not count:
            raise ValueError(f"{name} has no line {pattern!r} to put the version in")
    return text


FILES: Final[Mapping[str, Callable[[], str]]] = {name: partial(render, name) for name in MENTIONS}
