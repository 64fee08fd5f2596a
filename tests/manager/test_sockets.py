"""The operator on real ports: probes, metrics, and a webhook that the published bundle trusts."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
import yaml

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import (
    CUSTOMRESOURCEDEFINITIONS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    SECRETS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from lws.client.api import ApiClient
from lws.clock import SystemClock
from lws.errors import AlreadyExistsError, NotFoundError
from lws.manager.manager import ControllerManager
from lws.manager.settings import Configuration, Settings
from lws_sandbox.cluster import Sandbox
from tests.manager.test_servers import free_port, get

ROOT = Path(__file__).parents[2]
MUTATING = "lws-mutating-webhook-configuration"
REVIEW: dict[str, Any] = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "u1",
        "kind": {"group": "leaderworkerset.x-k8s.io", "version": "v1", "kind": "LeaderWorkerSet"},
        "resource": {"group": "leaderworkerset.x-k8s.io", "version": "v1", "resource": "leaderworkersets"},
        "operation": "CREATE",
        "object": {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "metadata": {"name": "a", "namespace": "default"},
            "spec": {"leaderWorkerTemplate": {"workerTemplate": {"spec": {"containers": []}}}},
        },
    },
}


async def install(client: ApiClient) -> None:
    """The definition, the namespace and the webhook configurations."""
    definition = (ROOT / "config/crd/leaderworkerset.x-k8s.io_leaderworkersets.yaml").read_text()
    await client.create(
        CUSTOMRESOURCEDEFINITIONS, yaml.load(definition, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    )
    with suppress(AlreadyExistsError):
        await client.create(NAMESPACES, {"metadata": {"name": "lws-system"}})
    for document in yaml.safe_load_all((ROOT / "config/webhook/manifests.yaml").read_text()):
        mutating = document["kind"] == MUTATINGWEBHOOKCONFIGURATIONS.kind
        document["metadata"]["name"] = "lws-" + document["metadata"]["name"]
        await client.create(MUTATINGWEBHOOKCONFIGURATIONS if mutating else VALIDATINGWEBHOOKCONFIGURATIONS, document)
    async with asyncio.timeout(10):
        while True:
            try:
                await client.list(LEADERWORKERSETS)
                return
            except NotFoundError:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def operating(**settings: Any) -> AsyncIterator[tuple[ControllerManager, ApiClient, dict[str, int]]]:
    """An operator on free ports beside a sandbox without control loops."""
    ports = {name: free_port() for name in ("webhook", "metrics", "health")}
    configuration = Configuration.model_validate(
        {
            "webhook": {"host": "127.0.0.1", "port": ports["webhook"], "certDir": "/nonexistent"},
            "metrics": {"bindAddress": f"127.0.0.1:{ports['metrics']}"},
            "health": {"healthProbeBindAddress": f"127.0.0.1:{ports['health']}"},
        }
    )
    async with Sandbox(loops=()) as sandbox:
        client = sandbox.client()
        await install(client)
        operator = ControllerManager(
            Settings(configuration=configuration, **settings),
            sandbox.transport(),
            clock=SystemClock(),
            random=Random(1),
        )
        task = asyncio.create_task(operator.run())
        ready = asyncio.create_task(operator.wait_ready())
        async with asyncio.timeout(30):
            await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield operator, client, ports
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def review(port: int, context: ssl.SSLContext | bool, name: str | None = None) -> dict[str, Any]:
    """The webhook's answer to a review."""
    url = f"https://127.0.0.1:{port}/mutate-leaderworkerset-x-k8s-io-v1-leaderworkerset"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=REVIEW, ssl=context, server_hostname=name) as answer,
    ):
        assert answer.status == 200
        found: dict[str, Any] = await answer.json()
        return found


async def scraped_with_trust(port: int, authority: str) -> None:
    """Have the metrics port verified by the authority beside the webhook's certificate, as a ServiceMonitor does."""
    context = ssl.create_default_context(cadata=authority)
    name = "lws-controller-manager-metrics-service.lws-system.svc"
    async with asyncio.timeout(10), aiohttp.ClientSession() as session:
        while True:
            try:
                url = f"https://127.0.0.1:{port}/metrics"
                async with session.get(url, ssl=context, server_hostname=name) as answer:
                    assert answer.status == 401
                    return
            except aiohttp.ClientConnectorCertificateError:
                await asyncio.sleep(0.1)  # it is signed a moment after the Secret is there


async def test_in_a_cluster_the_published_bundle_trusts_the_webhook() -> None:
    """With its own certificates the operator writes Secret and bundles, and its webhook is trusted by them."""
    async with operating() as (operator, client, ports):
        secret = await client.get(SECRETS, "lws-system", "lws-webhook-server-cert")
        assert {"ca.crt", "ca.key", "tls.crt", "tls.key"} <= set(secret["data"])
        configuration = await client.get(MUTATINGWEBHOOKCONFIGURATIONS, "", MUTATING)
        bundle = base64.b64decode(configuration["webhooks"][0]["clientConfig"]["caBundle"]).decode()
        context = ssl.create_default_context(cadata=bundle)
        answer = await review(ports["webhook"], context, "lws-webhook-service.lws-system.svc")
        assert answer["response"]["allowed"] is True
        assert answer["response"]["patchType"] == "JSONPatch"
        await scraped_with_trust(ports["metrics"], base64.b64decode(secret["data"]["ca.crt"]).decode())
        base = f"http://127.0.0.1:{ports['health']}"
        status, text = await get(f"{base}/readyz?verbose")
        assert (status, text) == (200, operator.readyz.report(verbose=True).text)
        for check in ("shutdown", "caches", "watches", "webhook", "certificate"):
            assert f"[+]{check} ok" in text
        status, text = await get(f"{base}/healthz?verbose")
        assert status == 200
        assert "[+]informers ok" in text
        assert (await get(f"https://127.0.0.1:{ports['metrics']}/metrics", ssl=False))[0] == 401
        exported = operator.metrics.exposition().decode()
        assert 'lws_certificate_expiry_timestamp_seconds{certificate="serving"}' in exported
        path = "/mutate-leaderworkerset-x-k8s-io-v1-leaderworkerset"
        assert f'controller_runtime_webhook_requests_total{{code="200",webhook="{path}"}} 1.0' in exported


async def test_outside_a_cluster_the_webhook_answers_with_a_certificate_of_its_own() -> None:
    """In development no Secret is read or written, and the webhook answers all the same."""
    async with operating(development=True) as (operator, client, ports):
        with pytest.raises(NotFoundError):
            await client.get(SECRETS, "lws-system", "lws-webhook-server-cert")
        answer = await review(ports["webhook"], False)
        assert answer["response"]["uid"] == "u1"
        assert operator.readyz.report().status == 200


async def test_without_admission_nothing_listens() -> None:
    """With admission off there is no webhook port, and readiness does not ask for one."""
    async with operating(webhooks=False) as (operator, _, ports):
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", ports["webhook"])
        assert operator.readyz.report().status == 200
        assert "webhook" not in operator.readyz.report(verbose=True).text
