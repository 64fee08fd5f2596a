"""Webhooks registered by URL, for a controller outside the cluster."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import MUTATINGWEBHOOKCONFIGURATIONS, VALIDATINGWEBHOOKCONFIGURATIONS
from lws.errors import ConfigurationError, ServerError
from lws.webhook.handlers import AdmissionHandlers
from lws.webhook.registration import LocalRegistration
from tests.manifests.render import ROOT
from tests.runtime.fake import FakeServer
from tests.virtual import virtual_time

PATHS = (
    MUTATINGWEBHOOKCONFIGURATIONS.path("", "lws-mutating-webhook-configuration"),
    VALIDATINGWEBHOOKCONFIGURATIONS.path("", "lws-validating-webhook-configuration"),
)


def registration(server: FakeServer, host: str = "192.0.2.1") -> LocalRegistration:
    """A controller on this host."""
    return LocalRegistration(server.client(), AdmissionHandlers().endpoints, host=host, port=9443)


def hooks(server: FakeServer) -> dict[str, JSON]:
    """What is registered, by name."""
    return {hook["name"]: hook for path in PATHS for hook in server.objects.get(path, {}).get("webhooks", ())}


@virtual_time
async def test_the_webhooks_are_those_of_an_installation() -> None:
    """But for how they are reached, they are the webhooks of config/webhook."""
    server = FakeServer()
    await registration(server).register(b"bundle")
    installed: dict[str, JSON] = {}
    for document in yaml.safe_load_all((ROOT / "config/webhook/manifests.yaml").read_text()):
        installed |= {hook["name"]: hook for hook in document["webhooks"]}
    found = hooks(server)
    assert found.keys() == installed.keys()
    for name, hook in installed.items():
        path = hook.pop("clientConfig")["service"]["path"]
        client = found[name].pop("clientConfig")
        assert client == {"url": f"https://192.0.2.1:9443{path}", "caBundle": base64.b64encode(b"bundle").decode()}
        assert found[name] == hook


@virtual_time
async def test_what_was_registered_is_deleted_at_the_end() -> None:
    """A stop in order leaves nothing behind that would reject pods; what a crash left is taken over."""
    server = FakeServer()
    crashed = registration(server, "198.51.100.1")
    await crashed.register(b"old")
    running = registration(server, "2001:db8::1")
    await running.register(b"new")
    assert {hook["clientConfig"]["url"].split("/")[2] for hook in hooks(server).values()} == {"[2001:db8::1]:9443"}
    await running.withdraw()
    assert hooks(server) == {}
    await crashed.withdraw()


@virtual_time
async def test_an_installation_is_left_alone() -> None:
    """A configuration that leads to a Service is somebody's controller: one sentence, and nothing is written."""
    server = FakeServer()
    installed = {"metadata": {"name": "lws-mutating-webhook-configuration", "resourceVersion": "1", "uid": "u"}}
    server.objects[PATHS[0]] = {**installed, "webhooks": [{"clientConfig": {"service": {"name": "s"}}}]}
    with pytest.raises(ConfigurationError, match="leads to a controller in this cluster already"):
        await registration(server).register(b"bundle")
    assert server.writes == []


@virtual_time
async def test_a_withdrawal_that_fails_is_told() -> None:
    """Who cannot delete the webhooks at the end stops all the same."""
    server = FakeServer()
    running = registration(server)
    await running.register(b"bundle")

    def refuse(request: Any) -> None:
        if request.method == "DELETE":
            raise ServerError(500, "InternalError", "no")

    server.before = refuse
    with capture_logs() as logs:
        await running.withdraw()
    assert [line["configuration"] for line in logs if line["log_level"] == "warning"] == [
        "lws-mutating-webhook-configuration",
        "lws-validating-webhook-configuration",
    ]
