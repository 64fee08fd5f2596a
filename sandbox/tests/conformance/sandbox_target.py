"""The sandbox as a target of replays: in-process, its webhooks served on loopback."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import re
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import yaml
from aiohttp import web
from sandbox.tests.conformance.scenarios import controllers

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS
from lws.client.transport import Request, Transport
from lws.clock import SystemClock
from lws_sandbox import virtual_time
from lws_sandbox.admission import HttpsCaller
from lws_sandbox.admission.services import ServiceResolver
from lws_sandbox.certificates import Authority
from lws_sandbox.cluster import Sandbox
from lws_sandbox.crd.lifecycle import LAG
from lws_sandbox.user import ANONYMOUS, UserInfo

ROOT = Path(__file__).parents[3]
CRD = ROOT / "config/crd/leaderworkerset.x-k8s.io_leaderworkersets.yaml"
DOWN = "127.0.0.1:1"  # a port on which nobody listens

AUTHENTICATED = "system:authenticated"
CREDENTIAL = {"authentication.kubernetes.io/credential-id": ("X509SHA256=" + "0" * 64,)}
IDENTITIES = {
    "admin": UserInfo("admin", groups=("system:masters", AUTHENTICATED), extra=CREDENTIAL),
    "plain": UserInfo("plain-user", groups=(AUTHENTICATED,), extra=CREDENTIAL),
    "anonymous": ANONYMOUS,
    "stranger": UserInfo(""),
}


@functools.cache
def lws_definition() -> JSON:
    """The CustomResourceDefinition of the LeaderWorkerSet, without the defaults that came after the recordings.

    It is not to be changed.
    """
    parsed: JSON = yaml.load(CRD.read_text(), Loader=yaml.CSafeLoader)
    for version in parsed["spec"]["versions"]:
        fields = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        for newer in ("groupIdentity", "groupReplacementPolicy"):
            del fields[newer]["default"]
    return parsed


async def wait_served(transport: Transport) -> None:
    """Wait until the LeaderWorkerSet is served: a server takes a moment after its definition is there."""
    while (await transport.send(Request("GET", LEADERWORKERSETS.path()))).status != 200:  # noqa: ASYNC110 -- as any client does
        await asyncio.sleep(0.05)


def _recorded_at(scenario: JSON) -> datetime:
    """When the scenario was recorded, so that ages in its tables are the same."""
    stamps = re.findall(r'"creationTimestamp": "([^"]+)"', json.dumps(scenario["steps"][:2]))
    return datetime.fromisoformat(stamps[0]) if stamps else virtual_time.EPOCH


class SandboxTarget:
    """A fresh sandbox with the controllers that the recorded server ran."""

    def __init__(self, sandbox: Sandbox, variables: Mapping[str, str], webhooks: WebhookServer | None) -> None:
        self._sandbox = sandbox
        self.variables = variables
        self.webhooks = webhooks

    def transport(self, identity: str) -> Transport:
        """In-process, as the identity."""
        return self._sandbox.transport(IDENTITIES[identity])


@asynccontextmanager
async def sandbox_target(scenario: JSON, *, real_time: bool = False) -> AsyncIterator[SandboxTarget]:
    """A target made for one scenario."""
    async with AsyncExitStack() as stack:
        webhooks, caller = None, None
        variables = {"server.address": "10.0.0.1:6443"}
        if real_time:
            webhooks = await stack.enter_async_context(serve_webhooks(scenario))
            variables |= webhooks.variables
            resolver = ServiceResolver(lambda namespace, name: sandbox.server.storage.get("services", namespace, name))
            caller = HttpsCaller(resolver)
            stack.push_async_callback(caller.close)
        clock = SystemClock() if real_time else virtual_time.VirtualClock(epoch=_recorded_at(scenario))
        sandbox = Sandbox(clock=clock, random=Random(1), loops=controllers(scenario), webhooks=caller)
        await stack.enter_async_context(sandbox)
        await sandbox.client().create(CUSTOMRESOURCEDEFINITIONS, lws_definition())
        await asyncio.sleep(2 * LAG)
        yield SandboxTarget(sandbox, variables, webhooks)


class WebhookServer:
    """Answers as the scenario says, and remembers the reviews."""

    def __init__(self, handlers: list[JSON]) -> None:
        self._handlers = {handler["path"]: handler for handler in handlers}
        self._calls: list[JSON] = []
        self.variables: dict[str, str] = {}

    def drain(self) -> list[JSON]:
        """The calls since the last time."""
        calls, self._calls = self._calls, []
        return calls

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one review."""
        body = await request.json()
        headers = {name: request.headers[name] for name in ("Accept", "Content-Type", "User-Agent")}
        call = {"path": request.path, "query": dict(request.query), "headers": headers, "body": body}
        self._calls.append(call)
        handler = self._handlers.get(request.path)
        if handler is None:
            return web.Response(status=404)
        if handler.get("delay_seconds"):
            await asyncio.sleep(handler["delay_seconds"])
        if "raw" in handler:
            return web.Response(status=handler.get("status", 200), text=handler["raw"], content_type="application/json")
        response = _fill(handler["response"], body["request"])
        review = handler.get("review") or {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return web.Response(
            status=handler.get("status", 200),
            text=json.dumps({**review, "response": response}),
            content_type="application/json",
        )


@asynccontextmanager
async def serve_webhooks(scenario: JSON) -> AsyncIterator[WebhookServer]:
    """Serve a scenario's webhooks over TLS on loopback."""
    server = WebhookServer(scenario.get("webhooks") or [])
    authority = Authority(SystemClock().now())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_server_context(authority))
    await site.start()
    try:
        address = "{}:{}".format(*runner.addresses[0][:2])
        server.variables = {
            "webhook.url": f"https://{address}",
            "webhook.caBundle": base64.b64encode(authority.certificate).decode(),
            "webhook.down": f"https://{DOWN}",
            "webhook.downAddress": DOWN,
        }
        yield server
    finally:
        await runner.cleanup()


def _server_context(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = authority.server(["127.0.0.1"], SystemClock().now())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tls.pem"
        path.write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(path)
    return context


def _fill(value: Any, request: JSON) -> Any:
    if isinstance(value, dict):
        if set(value) == {"$request"}:
            return request[value["$request"]]
        if set(value) == {"$base64json"}:
            return base64.b64encode(json.dumps(_fill(value["$base64json"], request)).encode()).decode()
        return {key: _fill(item, request) for key, item in value.items()}
    return [_fill(item, request) for item in value] if isinstance(value, list) else value
