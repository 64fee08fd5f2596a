"""Admission as a service of an operator: how it ends."""

from __future__ import annotations

import asyncio
from random import Random
from typing import cast

import pytest

from lws.client.api import ApiClient
from lws.manager.admission import Admission
from lws.manager.metrics import Metrics
from lws.manager.settings import Settings
from lws.webhook.server import WebhookServer
from lws_sandbox.virtual_time import VirtualClock
from tests.runtime.fake import FakeServer
from tests.virtual import virtual_time


class Port:
    """Stands in for the server: notes when it is opened and closed."""

    def __init__(self) -> None:
        self.opened_at: float | None = None
        self.closed_at: float | None = None

    async def start(self) -> None:
        """Open."""
        self.opened_at = asyncio.get_running_loop().time()

    def leave(self) -> None:
        """Answers end their connections from now on."""

    async def stop(self) -> None:
        """Close."""
        self.closed_at = asyncio.get_running_loop().time()


def admission(client: ApiClient, port: Port, notice: float) -> Admission:
    """Admission outside a cluster, whose port is not opened."""
    settings = Settings(development=True, notice=notice)
    made = Admission(settings, client, clock=VirtualClock(), random=Random(1), metrics=Metrics())
    made.server = cast("WebhookServer", port)
    return made


@pytest.mark.parametrize("cancellations", [1, 2])
@virtual_time
async def test_reviews_are_taken_for_a_while_after_the_stop(cancellations: int) -> None:
    """Whom a Service still sends here is answered for the notice; a second cancellation ends it at once."""
    port = Port()
    service = admission(FakeServer().client(), port, notice=3.0).services(sockets=True)[-1]
    ready = asyncio.Event()
    running = asyncio.ensure_future(service.run(ready.set))
    await ready.wait()
    for _ in range(cancellations):
        running.cancel()
        await asyncio.sleep(1)
        assert cancellations == 2 or port.closed_at is None
    with pytest.raises(asyncio.CancelledError):
        await running
    assert port.opened_at is not None
    assert port.closed_at == port.opened_at + (3 if cancellations == 1 else 1)
    assert service.stop_seconds > 3.0 + 10.0
