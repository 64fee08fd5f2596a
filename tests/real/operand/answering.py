"""An operand for a real control plane: what its pretended pods would serve is served by this process.

Pods get the address of this machine, so the endpoints of the webhook's Service lead here; API servers that route to
endpoints, as ``--enable-aggregator-routing`` has them do, then reach it as they reach the real one.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Final

import pytest
from aiohttp import web

from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import DEPLOYMENTS, SECRETS
from lws.client.api import ApiClient
from lws.client.transport import Transport
from lws.clock import SystemClock
from lws.errors import LwsError, NotFoundError
from lws.manager.manager import ControllerManager
from lws.manager.settings import Configuration, Settings
from lws.planning.operand.switching import mode_of
from lws.webhook.certificate import ServingCertificate
from lws.webhook.rotation import CertificateRotator
from lws_sandbox.real.binaries import API_SERVER
from lws_sandbox.real.cluster import RealCluster

PORT: Final = 9443  # of the operand's webhook
FLAGS: Final = {API_SERVER: ["--enable-aggregator-routing=true"]}
LOOK: Final = 0.3


def machine() -> str:
    """The address of this machine that is none of its loopback, which endpoints may not have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])
    pytest.skip("this machine has no address but loopback")


class Answering:
    """Serves the webhook with the certificates that the operand's Deployment asks for.

    Args:
        client: asks for certificates.
        transport: of the controller that answers.
        namespace: of the operand.
        host: where it listens.
        port: likewise.
    """

    def __init__(self, client: ApiClient, transport: Transport, namespace: str, host: str, port: int = PORT) -> None:
        self._client = client
        self._namespace = namespace
        self._address = (host, port)
        self.listening = asyncio.Event()
        self._serving = ServingCertificate()
        clock, random = SystemClock(), Random(5)
        self._rotator = CertificateRotator(self._client, self._serving, clock=clock, random=random, namespace=namespace)
        configuration = Configuration.model_validate({"leaderElection": {"leaderElect": False}})
        settings = Settings(configuration=configuration, namespace=namespace, resync=None, watchdog=None)
        self.controller = ControllerManager(settings, transport, clock=clock, random=random, sockets=False)

    async def run(self) -> None:
        """Answer until cancelled."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._review)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, *self._address, ssl_context=self._serving.context).start()
        except OSError as error:
            pytest.skip(f"port {self._address[1]} is taken: {error}")
        self.listening.set()
        try:
            while True:
                with suppress(LwsError):
                    await self._certificate()
                await asyncio.sleep(LOOK)
        finally:
            await runner.cleanup()

    async def _certificate(self) -> None:
        try:
            deployment = await self._client.get(DEPLOYMENTS, self._namespace, names.DEPLOYMENT)
        except NotFoundError:
            return
        if mode_of(deployment["spec"]["template"]["spec"]) == "Internal":
            await self._rotator.step()
            return
        secret: JSON = await self._client.get(SECRETS, self._namespace, names.SERVING_SECRET)
        pair = [base64.b64decode(secret["data"][member]) for member in ("tls.crt", "tls.key")]
        if self._serving.certificate != pair[0]:
            self._serving.load(pair[0], pair[1])

    async def _review(self, request: web.Request) -> web.Response:
        body = await request.read()
        status, answer = self.controller.handle_review(request.path, body, request.content_type)
        return web.Response(status=status, body=answer, content_type="application/json")


@asynccontextmanager
async def answering(cluster: RealCluster, namespace: str) -> AsyncIterator[Answering]:
    """Answer for the pods of this namespace, which get the address of this machine."""
    address = machine()
    cluster.loops.fleet.new_pod_ip = lambda node: address  # type: ignore[method-assign]
    operand = Answering(cluster.admin("operand"), cluster.transport, namespace, address)
    task = asyncio.create_task(operand.run(), name="operand")
    try:
        yield operand
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
