"""A sandbox on sockets: loopback, TLS, client certificates, and a kubeconfig file for real kubectl."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from lws.errors import ConfigurationError
from lws_sandbox.certificates import Authority
from lws_sandbox.cluster import Sandbox
from lws_sandbox.control import ControlledServer
from lws_sandbox.drills import Drills
from lws_sandbox.http import serve, server_context
from lws_sandbox.kubeconfig import kubeconfig_file, published, write_private

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
        kubeconfig: is written, readable by its owner only; see `lws_sandbox.kubeconfig.published`.
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
            tls = server_tls(sandbox.authority, host, now)
            endpoint = await stack.enter_async_context(serve(control, host=host, port=port, tls=tls))
        except OSError as error:
            raise ConfigurationError(
                f"the sandbox cannot be served on {host}:{port}: {error.strerror or error}; free the port, or give "
                "another --host or --port"
            ) from error
        content = kubeconfig_file(endpoint.url, sandbox.authority.certificate, admin)
        stack.enter_context(published(kubeconfig, content))
        yield Address(endpoint.url, kubeconfig)


def server_tls(authority: Authority, host: str, now: datetime) -> ssl.SSLContext:
    """The server's own certificate, and those of clients verified when they send one."""
    pair = authority.server((*_NAMES, host), now)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("tls.crt", "tls.key", "ca.crt")]
        for path, content in zip(paths, (pair.certificate, pair.key, authority.certificate), strict=True):
            write_private(path, content)
        return server_context(*map(str, paths))
