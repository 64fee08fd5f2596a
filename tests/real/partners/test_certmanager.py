"""Our certificates by the real cert-manager: issued, injected, renewed under load, exchanged for our own and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.client.api import ApiClient
from lws.errors import ApiError
from tests.real.partners import certmanager
from tests.real.partners.certmanager import CERTIFICATES, SERVING, bundles, is_ready, mount, renew, secret
from tests.real.partners.installed import HOME, Ports, admitted, asked, replica
from tests.real.partners.processes import beside, until
from tests.real.planes import RealPlane
from tests.simulation.cluster import manifest

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
LAG: Final = 3.0  # seconds that the kubelet takes; a real one takes up to ninety
CLIENTS: Final = 3


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    """A control plane with cert-manager."""
    with beside(certmanager.certmanager, tmp_path_factory.mktemp("certmanager")) as running:
        yield running


class Load:
    """Clients that ask for admission all the time, by dry runs."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self.answered = 0
        self.failures: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask until the context is left."""
        asking = [asyncio.create_task(self._ask()) for _ in range(CLIENTS)]
        try:
            yield
        finally:
            for each in asking:
                each.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self) -> None:
        while True:
            try:
                await asked(self._client)
                self.answered += 1
            except ApiError as error:
                self.failures.append(str(error))
            await asyncio.sleep(0.02)


@asynccontextmanager
async def installed(plane: RealPlane, folder: Path) -> AsyncIterator[ApiClient]:
    """The overlay applied, its certificates issued and mounted, and a replica that serves them."""
    client, ports = plane.env.client("test"), Ports()
    await certmanager.install(client, ports.webhook)

    async def issued() -> bool:
        return is_ready(await client.get(CERTIFICATES, HOME, SERVING)) and bool(await secret(client))

    await until(issued, "the certificate")
    mounting = asyncio.create_task(mount(client, folder, lag=LAG))
    try:
        await until(lambda: asyncio.to_thread((folder / "tls.key").exists), "the mounted files")
        async with replica(plane, ports, own=False, folder=folder):
            await until(lambda: admitted(client), "admission")
            yield client
    finally:
        mounting.cancel()
        await asyncio.gather(mounting, return_exceptions=True)


def test_certificates_are_issued_and_injected(plane: RealPlane, tmp_path: Path) -> None:
    """What the overlay asks for is issued, its authority is in both configurations, and admission goes through it."""

    async def scenario() -> None:
        async with installed(plane, tmp_path) as client:
            assert await bundles(client) == {(await secret(client))["ca.crt"]}
            metrics = await client.get(CERTIFICATES, HOME, "lws-metrics-cert")
            assert is_ready(metrics)
            body = manifest("wrong", replicas=-1, metadata={"namespace": "default"})
            with pytest.raises(ApiError, match="greater than or equal to 0"):
                await client.create(LEADERWORKERSETS, body, dry_run=True)

    plane.call(scenario())


def test_a_renewal_costs_no_admission(plane: RealPlane, tmp_path: Path) -> None:
    """Three clients ask all through two renewals; none is refused, though the mounted files are seconds behind."""

    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(installed(plane, tmp_path))
            before = await secret(client)
            load = Load(client)
            await stack.enter_async_context(load.running())
            for _ in range(2):
                await renew(client)
                await asyncio.sleep(LAG + 6.0)  # the mount, and the controller's next look at it
            assert (await secret(client))["tls.crt"] != before["tls.crt"]
            assert load.failures == []
            assert load.answered > 100

    plane.call(scenario())
