"""The files by which clients find a sandbox."""

from __future__ import annotations

import base64
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from lws.errors import ConfigurationError
from lws.yamltext import load
from lws_sandbox.certificates import Pair
from lws_sandbox.paths import DRILLS_CONTEXT

NAME: Final = "sandbox"
PATIENCE: Final = 1.0  # seconds for a sandbox that may still be there to take a connection


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


@contextmanager
def published(path: Path, content: bytes) -> Iterator[None]:
    """Have a kubeconfig of `kubeconfig_file` at this path until the context is left.

    A file that an earlier sandbox left behind is replaced; at the end the file goes, if it still is this sandbox's.

    Raises:
        ConfigurationError: it cannot be written, is no sandbox's, or is of a sandbox that still answers.
    """
    try:
        check_unused(path)
        write_private(path, content)
    except OSError as error:
        problem = error.strerror or error
        raise ConfigurationError(
            f"kubeconfig {path} cannot be written: {problem}; give another file as --kubeconfig"
        ) from error
    ours = _server(path)
    try:
        yield
    finally:
        with suppress(OSError):
            if _server(path) == ours:
                path.unlink()


def check_unused(path: Path) -> None:
    """Whether a kubeconfig may be written to this path.

    Raises:
        ConfigurationError: the file is no sandbox's, or leads to a sandbox that still answers.
        OSError: it cannot be read.
    """
    if not path.exists() or not path.stat().st_size:
        return
    server = urlsplit(_server(path) or "")
    if not server.hostname or not server.port:
        raise ConfigurationError(f"{path} is not a sandbox's and is left alone; give another file as --kubeconfig")
    with suppress(OSError), socket.create_connection((server.hostname, server.port), PATIENCE):
        raise ConfigurationError(
            f"{path} leads to a sandbox that answers at {server.geturl()}; stop that one, or pass another file as "
            "--kubeconfig"
        )


def _server(path: Path) -> str | None:
    """Where the sandbox of this file is; None if it is no sandbox's."""
    try:
        document = load(path.read_text())
        servers = {each["name"]: each["cluster"]["server"] for each in document["clusters"]}
    except (ValueError, TypeError, LookupError):
        return None
    return str(servers[NAME]) if NAME in servers and servers.keys() <= {NAME, DRILLS_CONTEXT} else None


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink()
        raise


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
