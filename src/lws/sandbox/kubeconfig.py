"""The files by which clients find a sandbox."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

from lws.sandbox.certificates import Pair
from lws.sandbox.paths import DRILLS_CONTEXT

NAME: Final = "sandbox"


def kubeconfig_file(url: str, ca: bytes, user: Pair, *, drills: str = "") -> bytes:
    """A kubeconfig with everything in it, and a context for drills where these are served beside the API."""
    servers = {NAME: url} | ({DRILLS_CONTEXT: drills} if drills else {})
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority-data": _encoded(ca)}}
            for name, server in servers.items()
        ],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": NAME, "namespace": "default"}} for name in servers
        ],
        "users": [
            {
                "name": NAME,
                "user": {
                    "client-certificate-data": _encoded(user.certificate),
                    "client-key-data": _encoded(user.key),
                },
            }
        ],
    }
    return yaml.safe_dump(document, sort_keys=False).encode()


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(temporary).replace(path)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
