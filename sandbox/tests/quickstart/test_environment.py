"""The controller beside a cluster: how its webhooks are reached, and when its rules are in force."""

from __future__ import annotations

import asyncio
import base64
import ssl
from datetime import UTC, datetime
from random import Random

import aiohttp
import pytest

from lws.apimachinery.resources import MUTATINGWEBHOOKCONFIGURATIONS, VALIDATINGWEBHOOKCONFIGURATIONS
from lws.errors import ConfigurationError
from lws_sandbox import virtual_time as vt
from lws_sandbox.certificates import Authority
from lws_sandbox.cluster import Sandbox
from lws_sandbox.nodes import preset
from lws_sandbox.quickstart import environment as environment
from lws_sandbox.quickstart.environment import controller, sandbox_env, wait_effective
from lws_sandbox.quickstart.installation import WEBHOOK_SERVICE, by_url, install, manifests
from lws_sandbox.quickstart.reviews import reviews
from lws_sandbox.quickstart.run import main
from lws_sandbox.real.binaries import REMEDY, VARIABLE
from tests.virtual import virtual_time

CONFIGURATIONS = (MUTATINGWEBHOOKCONFIGURATIONS, VALIDATINGWEBHOOKCONFIGURATIONS)


def _sandbox() -> Sandbox:
    return Sandbox(shape=preset("small"), clock=vt.VirtualClock(), random=Random(7))


def test_webhooks_are_reached_through_the_service_or_at_an_address() -> None:
    """All paths are the same either way; an address comes with the authority that vouches for it."""
    served = [hook for kind, one in manifests() if kind in CONFIGURATIONS for hook in one["webhooks"]]
    reach = by_url("https://127.0.0.1:9443/", b"pem")
    addressed = [hook for kind, one in manifests(reach) if kind in CONFIGURATIONS for hook in one["webhooks"]]
    assert len(served) == len(addressed) == 5
    for by_service, by_address in zip(served, addressed, strict=True):
        service = by_service["clientConfig"]["service"]
        assert service["name"] == WEBHOOK_SERVICE
        assert by_address["clientConfig"] == {
            "url": f"https://127.0.0.1:9443{service['path']}",
            "caBundle": base64.b64encode(b"pem").decode(),
        }
        assert {**by_service, "clientConfig": None} == {**by_address, "clientConfig": None}


async def test_reviews_go_to_whom_was_named_last() -> None:
    """Over TLS that the authority vouches for: 503 while there is nobody, then status and body of the answerer."""
    now = datetime.now(UTC)
    authority = Authority(now)
    trust = ssl.create_default_context(cadata=authority.certificate.decode())
    async with reviews(authority, now) as server, aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/path?timeout=10s", data=b"review", ssl=trust) as answer:
            assert answer.status == 503
        server.set_handler(lambda path, body, kind: (418, f"{path} {body.decode()} {kind}".encode()))
        headers = {"content-type": "application/json"}
        async with session.post(f"{server.url}/path?timeout=10s", data=b"review", headers=headers, ssl=trust) as answer:
            assert (answer.status, await answer.read()) == (418, b"/path review application/json")


@virtual_time
async def test_the_controller_is_there_when_its_rules_are_in_force() -> None:
    """Nothing is left of the probe, and the rules are found in force again."""
    async with _sandbox() as sandbox:
        env = sandbox_env(sandbox)
        async with controller(env):
            before = sandbox.server.storage.revision
            await wait_effective(env.client("test"))
            assert sandbox.server.storage.revision == before


@virtual_time
async def test_rules_that_are_not_in_force_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Webhooks that nobody answers end the wait with the server's own words."""
    monkeypatch.setattr(environment, "EFFECTIVE_TIMEOUT", 2.0)
    async with _sandbox() as sandbox:
        env = sandbox_env(sandbox)
        with pytest.raises(ConfigurationError, match=r"does not act on .* 404 page not found"):
            await wait_effective(env.client("test"))
        await install(env.client("test"), env.reach)
        await asyncio.sleep(1)
        with pytest.raises(ConfigurationError, match=r'failed calling webhook "mleaderworkerset\.kb\.io"'):
            await wait_effective(env.client("test"))


def test_a_real_control_plane_needs_its_binaries(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without them the command ends with one sentence that says how to get them."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert main(["--control-plane", "real", "--kubeconfig", f"{tmp_path}/kubeconfig"]) == 1
    assert capsys.readouterr().err == f"run: {VARIABLE} is not set: {REMEDY}\n"
