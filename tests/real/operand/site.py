"""A real cluster with an operator in this process, whose pods may be answered for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from random import Random

from lws.api.operand.crd import LEADERWORKERSETOPERATOR, OPERATORS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES, SERVICEACCOUNTS
from lws.client.credentials import Identity, StaticCredentials, Tls
from lws.client.http import HttpTransport
from lws.client.transport import Transport
from lws.errors import NotFoundError, TooManyRequestsError
from lws.planning.operand.assets import assets
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.drills import Drills
from lws_sandbox.nodes import preset
from lws_sandbox.real.cluster import RealCluster, real_cluster
from tests.acceptance.operand.ground import FREE, NAMESPACE, Ground
from tests.real.conftest import need_binaries
from tests.real.operand.answering import FLAGS, Answering, answering

PATIENCE = 90.0


class RealSite(Ground):
    """A real cluster with an operator in this process."""

    def __init__(self, cluster: RealCluster) -> None:
        super().__init__(cluster.admin("test"), cluster.clock, Random(3), NAMESPACE, assets())
        self.drills = Drills(cluster)
        self.operand: Answering | None = None
        self.cluster = cluster
        self._controller: asyncio.Task[None] | None = None
        self._transports: list[Transport] = []

    def transport(self) -> Transport:
        """The one way to the server."""
        return self.cluster.transport

    async def transport_of(self, account: str) -> Transport:
        """A way to the server as a ServiceAccount of the operator's namespace, until the end."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        answer = await self.client.create(
            SERVICEACCOUNTS, body, namespace=self.namespace, name=account, subresource="token"
        )
        token = answer["status"]["token"]
        plane = self.cluster.plane
        identity = Identity((("authorization", f"Bearer {token}"),), Tls(str(plane.keys.ca)))
        transport = HttpTransport(plane.url, StaticCredentials(identity))
        self._transports.append(transport)
        return transport

    async def run_operand(self) -> None:
        """Run the controller whose webhook answers; returns when it works."""
        assert self.operand is not None
        self._controller = asyncio.create_task(self.operand.controller.run(), name="controller")
        await asyncio.wait_for(self.operand.controller.wait_ready(), PATIENCE)

    async def prepare(self, definitions: Iterable[JSON]) -> None:
        """Install the operator's definition and namespace, and what other projects define."""
        await self.define([LEADERWORKERSETOPERATOR.manifest(), *definitions])
        await self.client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})

        async def served() -> bool:
            try:
                await self.client.list(OPERATORS)
            except (NotFoundError, TooManyRequestsError):  # the second while its storage is being set up
                return False
            return True

        await self.until(served)

    async def stop(self) -> None:
        """Stop everything of ours."""
        for running in [*self.operators]:
            await running.stop()
        if self._controller is not None:
            self._controller.cancel()
            await asyncio.gather(self._controller, return_exceptions=True)
        for each in self._transports:
            await each.close()

    def written(self, since: int) -> list[str]:
        """What the operator wrote, and the server took, but for leases, events and dry runs."""
        counted = (each for each in self.writes[since:] if each.resource not in FREE and not each.dry_run)
        return [str(each) for each in counted if 200 <= each.status < 300]

    async def until(
        self, holds: Callable[[], Awaitable[bool]], *, seconds: float = PATIENCE, every: float = 0.25
    ) -> None:
        """Wait until a condition holds."""
        try:
            await super().until(holds, seconds=min(seconds, 4 * PATIENCE), every=every)
        except TimeoutError:
            raise AssertionError(await self.said()) from None


@asynccontextmanager
async def site(*, answers: bool = False, definitions: Sequence[JSON] = ()) -> AsyncIterator[RealSite]:
    """A real cluster that knows the operator's object.

    Args:
        answers: whether this process answers for the operand's webhook.
        definitions: what other projects have installed.
    """
    shape = replace(preset("small"), delays=Delays(start=0.05, init=0.05, ready=0.1, stop=0.05))
    more: Mapping[str, Sequence[str]] = FLAGS if answers else {}
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            real_cluster(need_binaries(), shape=shape, random=Random(1), more=more)
        )
        made = RealSite(cluster)
        await made.prepare(definitions)
        if answers:
            made.operand = await stack.enter_async_context(answering(cluster, NAMESPACE))
        try:
            yield made
        finally:
            await made.stop()
