"""Our certificates by the real cert-manager: issued, injected, renewed under load, exchanged for our own and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import SECRETS
from lws.client.api import ApiClient
from lws.errors import ApiError, NotFoundError
from tests.real.partners import certmanager
from tests.real.partners.certmanager import (
    CERTIFICATES,
    ISSUERS,
    SECRET,
    SERVING,
    bundles,
    is_ready,
    mount,
    renew,
    secret,
)
from tests.real.partners.installed import HOME, Load, Ports, admitted, apply, point_webhooks, replica
from tests.real.partners.processes import beside, until
from tests.real.planes import RealPlane
from tests.simulation.cluster import manifest

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
LAG: Final = 3.0  # seconds that the kubelet takes; a real one takes up to ninety


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    """A control plane with cert-manager."""
    with beside(certmanager.certmanager, tmp_path_factory.mktemp("certmanager")) as running:
        yield running


async def issued(client: ApiClient) -> bool:
    """Whether the certificate of the webhook is there."""
    return is_ready(await client.get(CERTIFICATES, HOME, SERVING)) and bool(await secret(client))


@asynccontextmanager
async def installed(plane: RealPlane, folder: Path) -> AsyncIterator[ApiClient]:
    """The overlay applied, its certificates issued and mounted, and a replica that serves them."""
    client, ports = plane.env.client("test"), Ports()
    await certmanager.install(client, ports.webhook)

    await until(lambda: issued(client), "the certificate")
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
            authority = (await secret(client))["ca.crt"]
            assert all(authority.strip() in each for each in await bundles(client))
            assert is_ready(await client.get(CERTIFICATES, HOME, "lws-metrics-cert"))
            body = manifest("wrong", replicas=-1, metadata={"namespace": "default"})
            with pytest.raises(ApiError, match="greater than or equal to 0"):
                await client.create(LEADERWORKERSETS, body, dry_run=True)

    plane.call(scenario())


async def renewed(plane: RealPlane, folder: Path) -> list[str]:
    """Renew twice under load; what was refused meanwhile."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(installed(plane, folder))
        before = await secret(client)
        load = Load(client)
        await stack.enter_async_context(load.running())
        for _ in range(2):
            await renew(client)
            await asyncio.sleep(LAG + 6.0)  # the mount, and the controller's next look at it
        assert (await secret(client))["tls.crt"] != before["tls.crt"]
        assert load.answered > 100
        return load.failures


def test_a_renewal_costs_no_admission(plane: RealPlane, tmp_path: Path) -> None:
    """Three clients ask all through two renewals; none is refused, though the mounted files are seconds behind."""

    async def scenario() -> None:
        assert await renewed(plane, tmp_path) == []

    plane.call(scenario())


def test_without_merging_it_does(tmp_path: Path) -> None:
    """The counterpart: where a new authority takes the former's place, calls fail until the files are there."""

    async def scenario(plane: RealPlane) -> None:
        (folder := tmp_path / "mounted").mkdir()
        assert any("unknown authority" in each for each in await renewed(plane, folder))

    with beside(partial(certmanager.certmanager, merge=False), tmp_path) as plane:
        plane.call(scenario(plane))


def test_w7_certificates_change_hands_and_back(plane: RealPlane, tmp_path: Path) -> None:
    """Own certificates, cert-manager's, own again, under load: none is refused, and the Secret stays."""

    async def scenario() -> None:
        client, own, theirs, again = plane.env.client("test"), Ports(), Ports(), Ports()
        for resource, name in ((CERTIFICATES, SERVING), (CERTIFICATES, "lws-metrics-cert"), (SECRETS, SECRET)):
            with suppress(NotFoundError):
                await client.delete(resource, HOME, name)
        await apply(client, "default", (SECRETS,))
        await point_webhooks(client, "default", own.webhook)
        load = Load(client)
        async with AsyncExitStack() as stack:
            async with replica(plane, own):
                await until(lambda: admitted(client), "admission by own certificates")
                await stack.enter_async_context(load.running())
                await apply(client, "overlays/cert-manager", (CERTIFICATES, ISSUERS))
                await certmanager.inject(client, wanted=True)
                await until(lambda: issued(client), "the certificate")
                mounting = asyncio.create_task(mount(client, tmp_path, lag=LAG))
                stack.callback(mounting.cancel)
                await asyncio.sleep(LAG)
                await stack.enter_async_context(replica(plane, theirs, own=False, folder=tmp_path))
                await certmanager.redirect(client, theirs.webhook)
                await asyncio.sleep(LAG)
            async with replica(plane, again):
                await certmanager.inject(client, wanted=False)
                await client.delete(CERTIFICATES, HOME, SERVING)
                await asyncio.sleep(LAG)
                await certmanager.redirect(client, again.webhook)
                await asyncio.sleep(LAG)
                assert await secret(client)
                assert load.failures == []
                assert load.answered > 100

    plane.call(scenario())
