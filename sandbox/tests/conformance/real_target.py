"""A real control plane as a target of replays: one for all scenarios, swept after each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

from sandbox.tests.conformance.replay import Replay
from sandbox.tests.conformance.sandbox_target import WebhookServer, lws_definition, serve_webhooks, wait_served
from sandbox.tests.conformance.scenarios import calls_webhooks, controllers

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CUSTOMRESOURCEDEFINITIONS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Resource,
)
from lws.client.api import ApiClient
from lws.client.connection import HttpTransport, Identity, StaticCredentials, Tls
from lws.client.transport import Transport
from lws.clock import SystemClock
from lws.errors import AlreadyExistsError, NotFoundError
from lws_sandbox.certificates import Authority
from lws_sandbox.real.binaries import SCHEDULER, Binaries
from lws_sandbox.real.control_plane import ControlPlane, control_plane

PATIENCE: Final = 20.0  # seconds until what was deleted has to be gone


class RealPlane:
    """Control planes as scenarios need them, one at a time; to be closed.

    Args:
        binaries: to start.
    """

    def __init__(self, binaries: Binaries) -> None:
        # No scheduler ran beside the recorded servers.
        self._binaries = Binaries(binaries.folder, binaries.names - {SCHEDULER})
        self._stack = AsyncExitStack()
        self._controllers: tuple[str, ...] | None = None
        self._identities: Mapping[str, HttpTransport] = {}
        self._address = ""

    async def close(self) -> None:
        """Stop what runs; what is replayed next starts anew."""
        self._controllers = None
        await self._stack.aclose()

    async def replay(self, scenario: JSON) -> list[str]:
        """What the real server answers differently from the recording."""
        await self._provide(controllers(scenario))
        async with AsyncExitStack() as stack:
            webhooks = await stack.enter_async_context(serve_webhooks(scenario)) if calls_webhooks(scenario) else None
            stack.push_async_callback(
                sweep, ApiClient(self._identities["admin"], user_agent="sweep", field_manager=None)
            )
            variables = {"server.address": self._address} | (webhooks.variables if webhooks else {})
            return await Replay(scenario, RealTarget(self._identities, variables, webhooks), alone=False).run()

    async def _provide(self, wanted: tuple[str, ...]) -> None:
        if wanted == self._controllers:
            return
        await self.close()
        running = control_plane(self._binaries, controllers=wanted, disabled_plugins=("ServiceAccount",))
        plane = await self._stack.enter_async_context(running)
        self._identities = await self._stack.enter_async_context(_identities(plane))
        self._address, self._controllers = plane.url.removeprefix("https://"), wanted
        admin = self._identities["admin"]
        with suppress(AlreadyExistsError):
            await ApiClient(admin, user_agent="exchange/1.0", field_manager=None).create(
                CUSTOMRESOURCEDEFINITIONS, lws_definition()
            )
        await wait_served(admin)


class RealTarget:
    """One scenario's view of the server."""

    def __init__(
        self, identities: Mapping[str, HttpTransport], variables: Mapping[str, str], webhooks: WebhookServer | None
    ) -> None:
        self._identities = identities
        self.variables = variables
        self.webhooks = webhooks

    def transport(self, identity: str) -> Transport:
        """Over HTTPS, as the identity."""
        return self._identities[identity]


@asynccontextmanager
async def _identities(plane: ControlPlane) -> AsyncIterator[Mapping[str, HttpTransport]]:
    """Every user that recordings know; the stranger's certificate is of an authority that the server does not know."""
    stranger = Authority(SystemClock().now()).client("admin", ("system:masters",), SystemClock().now())
    for path, content in (("stranger.crt", stranger.certificate), ("stranger.key", stranger.key)):
        (plane.keys.folder / path).write_bytes(content)
    strange = (str(plane.keys.certificate("stranger")), str(plane.keys.key("stranger")))
    found = {
        "admin": plane.transport("admin"),
        "plain": plane.transport("plain-user", ()),
        "anonymous": HttpTransport(plane.url, StaticCredentials(Identity(tls=Tls(str(plane.keys.ca))))),
        "stranger": HttpTransport(plane.url, StaticCredentials(Identity(tls=Tls(str(plane.keys.ca), *strange)))),
    }
    try:
        yield found
    finally:
        for transport in found.values():
            await transport.close()


async def sweep(client: ApiClient) -> None:
    """Take away what a scenario leaves that the next one would meet: webhooks, and definitions of other kinds.

    Namespaces stay: every scenario has its own.
    """
    for resource in (MUTATINGWEBHOOKCONFIGURATIONS, VALIDATINGWEBHOOKCONFIGURATIONS):
        await _delete_all(client, resource, frozenset())
    await _delete_all(client, CUSTOMRESOURCEDEFINITIONS, frozenset((lws_definition()["metadata"]["name"],)))


async def _delete_all(client: ApiClient, resource: Resource, kept: frozenset[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            listed = await client.list(resource)
            names = {item["metadata"]["name"] for item in listed["items"]} - kept
            if not names:
                return
            for name in names:
                with suppress(NotFoundError):
                    await client.delete(resource, "", name)
            await asyncio.sleep(0.05)
