"""A real control plane for clients: its kubeconfig, and the drills of its nodes on a socket beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from lws.errors import ConfigurationError
from lws_sandbox.control import MASTERS, DrillServer
from lws_sandbox.drills import Drills
from lws_sandbox.endpoint import Address, server_tls
from lws_sandbox.http import serve
from lws_sandbox.kubeconfig import kubeconfig_file, published
from lws_sandbox.real.cluster import RealCluster
from lws_sandbox.real.flags import LOCAL


@asynccontextmanager
async def on_sockets(cluster: RealCluster, kubeconfig: Path) -> AsyncIterator[Address]:
    """Write a kubeconfig whose context ``sandbox-drills`` leads to the drills; it is gone when the context is left.

    Raises:
        ConfigurationError: the file cannot be written, or the socket not be had.
    """
    keys = cluster.plane.keys
    async with AsyncExitStack() as stack:
        try:
            tls = server_tls(keys.authority, LOCAL, cluster.clock.now())
            endpoint = await stack.enter_async_context(serve(DrillServer(Drills(cluster)), tls=tls))
        except OSError as error:
            raise ConfigurationError(f"the drills cannot be served: {error}") from error
        admin = keys.client("kubernetes-admin", (MASTERS,))
        content = kubeconfig_file(cluster.plane.url, keys.authority.certificate, admin, drills=endpoint.url)
        stack.enter_context(published(kubeconfig, content))
        yield Address(cluster.plane.url, kubeconfig)
