"""A server whose admission chain waits for a webhook that does not answer."""

from __future__ import annotations

import asyncio

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import LEASES
from lws.client.transport import Request, Response
from tests.forwarding import Forwarding
from tests.simulation.cluster import Cluster, manifest
from tests.virtual import virtual_time

LATE = 11.0  # the time-out of a webhook, 10 s, and the rest of the way


class LateWrites(Forwarding):
    """A transport by which every write is answered late."""

    async def send(self, request: Request) -> Response:
        """Pass on; a write is admitted only after a while."""
        if request.method != "GET":
            await asyncio.sleep(LATE)
        return await self._inner.send(request)


@pytest.mark.long
@virtual_time
async def test_sets_become_available_though_writes_are_answered_after_11_s() -> None:
    """With every write answered past the renew deadline a set becomes Available, is updated, and nobody else leads."""
    async with Cluster(elect=True) as cluster:
        running = await cluster.start(LateWrites, lease_wrap=lambda transport: transport)
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample", seconds=300)
        spec = {"leaderWorkerTemplate": {"workerTemplate": {"spec": {"containers": [{"name": "main", "image": "b"}]}}}}
        await cluster.client.patch(LEADERWORKERSETS, "default", "sample", {"spec": spec})
        await cluster.available("sample", seconds=600)
        assert running.operator.elector is not None
        assert running.operator.elector.leading
        (lease,) = (await cluster.client.list(LEASES, "lws-system"))["items"]
        assert lease["spec"]["leaseTransitions"] == 0
