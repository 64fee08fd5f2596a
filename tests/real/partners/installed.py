"""Our installation as it is rendered, on this machine: what is applied of it, and replicas on sockets of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    MUTATINGWEBHOOKCONFIGURATIONS,
    SERVICES,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Resource,
)
from lws.client.api import ApiClient
from lws.errors import ApiError, NotFoundError
from lws.manager.manager import ControllerManager
from lws.manager.settings import Configuration, Settings
from tests.manifests.render import kustomize
from tests.real.partners.processes import free_port
from tests.real.planes import RealPlane
from tests.simulation.cluster import manifest

HOME: Final = "lws-system"
HOOKS: Final = (MUTATINGWEBHOOKCONFIGURATIONS, VALIDATINGWEBHOOKCONFIGURATIONS)


@dataclass(frozen=True)
class Ports:
    """Where one replica listens on loopback."""

    webhook: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)


async def apply(client: ApiClient, overlay: str, kinds: Collection[Resource]) -> None:
    """Apply what an overlay renders of these kinds."""
    known = {each.kind: each for each in kinds}
    for (kind, _), body in kustomize(overlay).items():
        if kind in known:
            await client.apply(known[kind], body, field_manager="test-install")


async def point_webhooks(client: ApiClient, overlay: str, port: int) -> None:
    """Have the API server ask at a port of this machine, and verify the name of the Service, as in a cluster."""
    local = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
    with suppress(NotFoundError):
        await client.delete(SERVICES, HOME, "lws-webhook-service")
    await client.create(SERVICES, {"metadata": {"name": "lws-webhook-service", "namespace": HOME}, "spec": local})
    for resource in HOOKS:
        (body,) = (each for (kind, _), each in kustomize(overlay).items() if kind == resource.kind)
        live = await client.get(resource, "", body["metadata"]["name"])
        metadata = {**body["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}
        hooks = [_at(each, port) for each in body["webhooks"]]
        await client.update(resource, {**body, "metadata": metadata, "webhooks": hooks})


def _at(webhook: JSON, port: int) -> JSON:
    config = webhook["clientConfig"]
    return {**webhook, "clientConfig": {**config, "service": {**config["service"], "port": port}}}


@asynccontextmanager
async def replica(
    plane: RealPlane, ports: Ports, *, own: bool = True, folder: Path | None = None, elect: bool = False
) -> AsyncIterator[ControllerManager]:
    """A replica in this process; ready when it serves.

    Args:
        plane: its control plane.
        ports: where it listens.
        own: whether it makes its certificates, or takes them from ``folder``.
        folder: what is mounted of a Secret.
        elect: whether it asks for the lease.
    """
    document: dict[str, Any] = {
        "webhook": {"host": "127.0.0.1", "port": ports.webhook, **({} if folder is None else {"certDir": str(folder)})},
        "metrics": {"bindAddress": f"127.0.0.1:{ports.metrics}"},
        "health": {"healthProbeBindAddress": "0"},
        "leaderElection": {"leaderElect": elect},
        "internalCertManagement": {"enable": own},
    }
    settings = Settings(
        configuration=Configuration.model_validate(document),
        namespace=HOME,
        hostname=f"lws-{ports.metrics}",
        watchdog=None,
        development=False,
        disaggregated=True,
    )
    transport = plane.cluster.plane.transport()
    manager = ControllerManager(settings, transport, clock=plane.env.clock, random=Random(7))
    running = asyncio.create_task(manager.run())
    waiting = asyncio.create_task(manager.wait_ready())
    try:
        if not elect:  # a standby is not ready before it leads
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        yield manager
    finally:
        waiting.cancel()
        running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        await transport.close()


async def asked(client: ApiClient, namespace: str = "default") -> JSON:
    """A set as it would be stored."""
    return await client.create(LEADERWORKERSETS, manifest("asked", metadata={"namespace": namespace}), dry_run=True)


async def admitted(client: ApiClient) -> bool:
    """Whether our webhooks answer."""
    try:
        return "networkConfig" in (await asked(client))["spec"]
    except ApiError:
        return False


class Load:
    """Clients that ask for admission all the time, by dry runs, each again after so many seconds."""

    def __init__(self, client: ApiClient, *, clients: int = 3, every: float = 0.02) -> None:
        self._client = client
        self._clients = clients
        self._every = every
        self.answered = 0
        self.failures: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask until the context is left."""
        asking = [asyncio.create_task(self._ask()) for _ in range(self._clients)]
        try:
            yield
        finally:
            for each in asking:
                each.cancel()
            ended = await asyncio.gather(*asking, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended

    async def _ask(self) -> None:
        while True:
            try:
                made = await asked(self._client)
                assert "networkConfig" in made["spec"]  # else nobody was asked
                self.answered += 1
            except ApiError as error:
                self.failures.append(str(error))
            await asyncio.sleep(self._every)
