"""Admission and rotation against the sandbox's API server, in virtual time: what a user of kubectl sees."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from lws.api.leaderworkerset import labels as keys
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, CUSTOMRESOURCEDEFINITIONS, NAMESPACES, PODS, SECRETS
from lws.client.api import ApiClient
from lws.errors import ApiError, ForbiddenError, ServerError
from lws.webhook import AdmissionHandlers, ServingCertificate
from lws.webhook.keychain import distrust
from lws.webhook.rotation import CONFIGURATIONS, CertificateRotator
from lws_sandbox.admission.configuration import Target
from lws_sandbox.cluster import Sandbox
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time
from tests.webhook.reviews import lws, pod

ROOT = Path(__file__).parents[2]
NAMESPACE, SERVICE, SECRET = "lws-system", "lws-webhook-service", "lws-webhook-server-cert"
pytestmark = pytest.mark.usefixtures("keys")


@functools.cache
def _text(path: str) -> str:
    return json.dumps(list(yaml.load_all((ROOT / path).read_text(), Loader=yaml.CSafeLoader)))


def manifests(path: str) -> list[JSON]:
    """The documents of a file of the project."""
    found: list[JSON] = json.loads(_text(path))
    return found


class Installation:
    """The product's webhook on a sandbox without control loops: manifests applied, certificates rotating."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.client: ApiClient = sandbox.client()
        self.serving = ServingCertificate()
        self.rotator = CertificateRotator(
            self.client, self.serving, clock=sandbox.clock, random=Random(3), namespace=NAMESPACE
        )
        self._handlers = AdmissionHandlers()

    async def install(self) -> None:
        """Apply the webhook configurations, and put the handlers behind the Service."""
        await self.client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        for manifest, (resource, name) in zip(manifests("config/webhook/manifests.yaml"), CONFIGURATIONS, strict=True):
            manifest["metadata"]["name"] = name
            for hook in manifest["webhooks"]:
                hook["clientConfig"]["service"].update(namespace=NAMESPACE, name=SERVICE)
            await self.client.create(resource, manifest)
        self.sandbox.local_webhooks.serve(NAMESPACE, SERVICE, self._handlers.handle_review, distrust=self._distrust)

    async def define_sets(self) -> None:
        """Apply the CRD, and wait until it is served."""
        crd = "config/crd/leaderworkerset.x-k8s.io_leaderworkersets.yaml"
        await self.client.create(CUSTOMRESOURCEDEFINITIONS, manifests(crd)[0])
        await asyncio.sleep(10)

    def _distrust(self, target: Target) -> str:
        served = self.serving.certificate or b""
        return distrust(target.ca_bundle, served, [target.server_name], self.sandbox.clock.now())

    async def create(self, manifest: JSON) -> JSON:
        """Create a pod or a LeaderWorkerSet."""
        return await self.client.create(PODS if manifest["kind"] == "Pod" else LEADERWORKERSETS, manifest)


def installed(test: Callable[[Installation], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in virtual time on a fresh installation whose certificates are in place."""

    @virtual_time
    async def run() -> None:
        async with Sandbox(clock=VirtualClock(), random=Random(1), loops=()) as sandbox:
            installation = Installation(sandbox)
            await installation.install()
            await asyncio.sleep(5)
            task = asyncio.create_task(installation.rotator.run())
            await asyncio.sleep(5)
            assert installation.rotator.fault is None
            await test(installation)
            task.cancel()

    run.__doc__ = test.__doc__
    return run


@installed
async def test_pods(installation: Installation) -> None:
    """A leader pod is stored with labels and variables, another pod as it was; one without a place is refused."""
    stored = await installation.create(pod("m-3"))
    assert stored["metadata"]["labels"][keys.GROUP_INDEX] == "3"
    names = [entry["name"] for entry in stored["spec"]["containers"][0]["env"]]
    assert names == ["LWS_LEADER_ADDRESS", "LWS_GROUP_SIZE", "LWS_WORKER_INDEX"]
    other = pod("other")
    del other["metadata"]["labels"][keys.NAME]
    assert "env" not in (await installation.create(other))["spec"]["containers"][0]
    refused = pod("m-x")
    with pytest.raises(ForbiddenError) as caught:
        await installation.create(refused)
    assert caught.value.message == (
        'admission webhook "mpod.kb.io" denied the request: parsing pod ordinal for pod m-x'
    )
    await installation.client.delete(PODS, "default", "m-3", grace_period_seconds=0)


@installed
async def test_sets(installation: Installation) -> None:
    """A set is stored with the defaults of admission and can be deleted; one that breaks a rule is refused."""
    await installation.define_sets()
    stored = await installation.create(lws())
    assert stored["spec"]["networkConfig"] == {"subdomainPolicy": "Shared"}
    assert stored["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"] == {
        "partition": 0,
        "maxUnavailable": 1,
        "maxSurge": 0,
    }
    await installation.client.delete(LEADERWORKERSETS, "default", "m")
    broken = lws("b", template={"size": 2, "subGroupPolicy": {"subGroupSize": 3}})
    with pytest.raises(ForbiddenError) as caught:
        await installation.create(broken)
    path = "spec.leaderWorkerTemplate.subGroupPolicy.subGroupSize: Invalid value: 3"
    assert caught.value.message == (
        f'admission webhook "vleaderworkerset.kb.io" denied the request: [{path}: size or size - 1 must be divisible '
        f"by subGroupSize, {path}: subGroupSize cannot be larger than size]"
    )


@installed
async def test_other_objects_never_meet_the_webhook(installation: Installation) -> None:
    """With the webhook gone, pods of sets are refused and everything else goes on."""
    installation.sandbox.local_webhooks.forget(NAMESPACE, SERVICE)
    with pytest.raises(ServerError, match=f'service "{SERVICE}" not found'):
        await installation.create(pod("m-0"))
    other = pod("other")
    del other["metadata"]["labels"][keys.NAME]
    await installation.create(other)
    await installation.client.create(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "default"}})


@installed
async def test_wiped_bundle_on_the_server(installation: Installation) -> None:
    """An installer that wipes the bundle breaks admission for less than a minute."""
    for resource, name in CONFIGURATIONS:
        found = await installation.client.get(resource, "", name)
        for hook in found["webhooks"]:
            hook["clientConfig"].pop("caBundle")
        await installation.client.update(resource, found)
    loop = asyncio.get_running_loop()
    began, failures = loop.time(), list[str]()
    while True:
        try:
            await installation.create(pod("m-0"))
            break
        except ServerError as error:
            failures.append(error.message)
            await asyncio.sleep(1)
    assert failures
    assert all("tls: failed to verify certificate: x509: " in failure for failure in failures)
    assert loop.time() - began < 60


@installed
async def test_destroyed_secret_on_the_server(installation: Installation) -> None:
    """A deleted Secret comes back with a new authority while every review in between is answered."""
    before = await installation.client.get(SECRETS, NAMESPACE, SECRET)
    await installation.client.delete(SECRETS, NAMESPACE, SECRET)
    refusals: list[ApiError] = []
    for index in range(90):
        try:
            await installation.create(pod(f"m-{index}"))
        except ApiError as error:
            refusals.append(error)
        await asyncio.sleep(1)
    assert refusals == []
    after = await installation.client.get(SECRETS, NAMESPACE, SECRET)
    assert after["data"]["ca.key"] != before["data"]["ca.key"]
    assert base64.b64decode(after["data"]["tls.crt"]) == installation.serving.certificate
    assert base64.b64decode(after["data"]["ca.crt"]).count(b"BEGIN CERTIFICATE") == 2


@installed
async def test_mutating_webhooks_hear_of_deletions(installation: Installation) -> None:
    """A mutating webhook that asks for deletions can refuse one."""

    def refuse(_path: str, _body: bytes, _content_type: str) -> tuple[int, bytes]:
        return 404, b"{}"

    client = {"url": "https://hooks.example/x"}
    rule = {"operations": ["DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    hook = {
        "name": "a.example.org",
        "clientConfig": client,
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    installation.sandbox.local_webhooks.serve_url("https://hooks.example", refuse)
    await installation.client.create(CONFIGURATIONS[0][0], {"metadata": {"name": "deletions"}, "webhooks": [hook]})
    await asyncio.sleep(5)
    await installation.client.create(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "default"}})
    with pytest.raises(ServerError, match=r'failed calling webhook "a\.example\.org"'):
        await installation.client.delete(CONFIGMAPS, "default", "c")
