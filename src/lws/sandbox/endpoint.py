"""A sandbox on sockets: loopback, TLS, client certificates, and a kubeconfig file for real kubectl."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml

from lws.errors import ConfigurationError
from lws.sandbox.certificates import Authority, Pair
from lws.sandbox.cluster import Sandbox
from lws.sandbox.control import ControlledServer
from lws.sandbox.drills import Drills
from lws.sandbox.http import serve, server_context

NAME: Final = "sandbox"
_NAMES: Final = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "10.0.0.1",
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a sandbox is to be found: its URL, and the file by which kubectl finds it."""

    url: str
    kubeconfig: Path


@asynccontextmanager
async def on_sockets(
    sandbox: Sandbox, kubeconfig: Path, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Address]:
    """Serve a running sandbox until the context is left; then the file is gone again.

    Args:
        sandbox: which is entered already.
        kubeconfig: is written, readable by its owner only; an older file of that name is replaced.
        host: address to listen on.
        port: to listen on; 0 takes a free one.

    Raises:
        ConfigurationError: the address cannot be had, or the file cannot be written.
    """
    now = sandbox.clock.now()
    control = ControlledServer(sandbox.server, Drills(sandbox))
    admin = sandbox.authority.client("kubernetes-admin", ("system:masters",), now)
    async with AsyncExitStack() as stack:
        try:
            tls = _tls(sandbox.authority, host, now)
            endpoint = await stack.enter_async_context(serve(control, host=host, port=port, tls=tls))
            _write_private(kubeconfig, kubeconfig_text(endpoint.url, sandbox.authority.certificate, admin))
        except OSError as error:
            raise ConfigurationError(f"the sandbox cannot be served on {host}:{port}: {error}") from error
        stack.callback(kubeconfig.unlink, missing_ok=True)
        yield Address(endpoint.url, kubeconfig)


def _tls(authority: Authority, host: str, now: datetime) -> ssl.SSLContext:
    """The server's own certificate, and those of clients verified when they send one."""
    pair = authority.server((*_NAMES, host), now)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("tls.crt", "tls.key", "ca.crt")]
        for path, content in zip(paths, (pair.certificate, pair.key, authority.certificate), strict=True):
            _write_private(path, content.decode())
        return server_context(*map(str, paths))


def kubeconfig_text(url: str, ca: bytes, user: Pair) -> str:
    """A kubeconfig with everything in it."""
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [{"name": NAME, "cluster": {"server": url, "certificate-authority-data": _encoded(ca)}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": "default"}}],
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
    return yaml.safe_dump(document, sort_keys=False)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(temporary).replace(path)
