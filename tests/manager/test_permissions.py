"""Least privilege: the operator works with exactly what config/rbac grants (operations 5)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import (
    MUTATINGWEBHOOKCONFIGURATIONS,
    PODS,
    SECRETS,
    SERVICEACCOUNTS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Resource,
)
from lws.client.api import ApiClient
from lws.client.transport import Request, Response, Stream, Transport
from lws.errors import ForbiddenError
from lws.runtime.authorization import Reviewer
from lws.webhook.certificate import ServingCertificate
from lws.webhook.rotation import CertificateRotator
from lws_sandbox.user import UserInfo
from tests.acceptance.disaggregatedset.site import Site
from tests.api.disaggregatedset.making import external, pause, role
from tests.forwarding import Forwarding
from tests.simulation.cluster import Cluster, manifest
from tests.simulation.hashed import HASH_LOOPS
from tests.virtual import virtual_time

ROOT = Path(__file__).parents[2]
ACCOUNT = UserInfo(
    "system:serviceaccount:lws-system:lws-controller-manager",
    groups=("system:serviceaccounts", "system:serviceaccounts:lws-system", "system:authenticated"),
)
PEOPLE = {
    "leaderworkerset-editor-role",
    "leaderworkerset-viewer-role",
    "disaggregatedset-admin-role",
    "disaggregatedset-editor-role",
    "disaggregatedset-viewer-role",
    "metrics-reader",
}
Permission = tuple[str, str, str, str]  # namespace or "", group, resource with subresource, verb

# What is granted although no request of this test needs it, and why.
RESERVED: dict[tuple[str, str, str], str] = {
    ("leaderworkerset.x-k8s.io", "leaderworkersets/finalizers", "update"): "owner references that block deletion",
    ("disaggregatedset.x-k8s.io", "disaggregatedsets/finalizers", "update"): "owner references that block deletion",
    ("apps", "statefulsets/finalizers", "update"): "owner references that block deletion",
    ("", "pods/finalizers", "update"): "owner references that block deletion",
    **{
        (group, resource, "list"): "servers without streaming lists"
        for group, resource in (
            ("leaderworkerset.x-k8s.io", "leaderworkersets"),
            ("disaggregatedset.x-k8s.io", "disaggregatedsets"),
            ("disaggregatedset.x-k8s.io", "disaggregatedsetrolescalers"),
            ("apps", "statefulsets"),
            ("apps", "deployments"),
            ("apps", "controllerrevisions"),
            ("", "services"),
            ("", "pods"),
            ("", "nodes"),
        )
    },
    **{
        (group, resource, "get"): "an object whose name turns out to be taken, read once"
        for group, resource in (
            ("leaderworkerset.x-k8s.io", "leaderworkersets"),
            ("disaggregatedset.x-k8s.io", "disaggregatedsets"),
            ("disaggregatedset.x-k8s.io", "disaggregatedsetrolescalers"),
            ("apps", "controllerrevisions"),
            ("", "services"),
            ("", "pods"),
            ("", "nodes"),
        )
    },
    ("leaderworkerset.x-k8s.io", "leaderworkersets/status", "patch"): "granted by the reference",
    ("apps", "deployments", "create"): "a server asks for it when an apply creates its object",
    ("apps", "controllerrevisions", "update"): "a revision that is taken up again gets the highest number",
    ("events.k8s.io", "events", "patch"): "series of events",
}
RBAC = {
    kind: Resource("rbac.authorization.k8s.io", "v1", f"{kind.lower()}s", kind, namespaced=not kind.startswith("C"))
    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
}


def documents() -> Iterator[dict[str, Any]]:
    """The manifests of config/rbac as they are installed: with prefix and namespace."""
    for path in sorted((ROOT / "config/rbac").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document and document.get("kind") in RBAC:
                yield _installed(document)


def _installed(document: dict[str, Any]) -> dict[str, Any]:
    meta = document["metadata"]
    meta["name"] = "lws-" + meta["name"]
    if "namespace" in meta:
        meta["namespace"] = "lws-system"
    if "roleRef" in document:
        document["roleRef"]["name"] = "lws-" + document["roleRef"]["name"]
    for subject in document.get("subjects", ()):
        subject["name"], subject["namespace"] = "lws-" + subject["name"], "lws-system"
    return document


def granted() -> set[Permission]:
    """Every permission of the controller's own roles."""
    found: set[Permission] = set()
    for document in documents():
        if document["kind"] not in ("Role", "ClusterRole") or document["metadata"]["name"][4:] in PEOPLE:
            continue
        namespace = document["metadata"].get("namespace", "")
        for rule in document["rules"]:
            found |= {
                (namespace, group, resource, verb)
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
            }
    return found


class Noting(Forwarding):
    """A transport that notes which permission each request needs."""

    def __init__(self, inner: Transport, noted: set[Permission]) -> None:
        super().__init__(inner)
        self._noted = noted

    async def send(self, request: Request) -> Response:
        """Note and pass on."""
        self._noted.add(needed(request))
        return await self._inner.send(request)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Note and pass on."""
        self._noted.add(needed(request))
        return self._inner.stream(request)


def needed(request: Request) -> Permission:
    """The permission that a request needs; only the controller's own namespace is told apart."""
    parts = request.path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = "/".join([rest[0], *rest[2:3]])
    verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(request.method, "")
    if not verb:
        verb = "watch" if "watch" in dict(request.query) else "get" if len(rest) > 1 else "list"
    own = namespace if resource in ("leases", "secrets") else ""
    return own, group, resource, verb


async def install(cluster: Cluster) -> None:
    """Grant what config/rbac grants."""
    for document in documents():
        await cluster.client.create(RBAC[document["kind"]], document)


async def configure(cluster: Cluster) -> None:
    """The two configurations whose bundle is kept, here for no namespace at all."""
    for document in yaml.safe_load_all((ROOT / "config/webhook/manifests.yaml").read_text()):
        mutating = document["kind"] == MUTATINGWEBHOOKCONFIGURATIONS.kind
        document["metadata"]["name"] = "lws-" + document["metadata"]["name"]
        for hook in document["webhooks"]:
            hook["namespaceSelector"] = {"matchLabels": {"nowhere": "at-all"}}
        where = MUTATINGWEBHOOKCONFIGURATIONS if mutating else VALIDATINGWEBHOOKCONFIGURATIONS
        await cluster.client.create(where, document)


async def token(cluster: Cluster) -> str:
    """A token of an account that may do nothing."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {}}
    answer = await cluster.client.create(
        SERVICEACCOUNTS, request, namespace="default", name="default", subresource="token"
    )
    return str(answer["status"]["token"])


async def live(cluster: Cluster) -> None:
    """The life of three sets: creation, scaling, rolling updates, a failure, deletion."""
    await cluster.client.create(LEADERWORKERSETS, manifest("keyed", replicas=1, size=2, groupIdentity="Hash"))
    await cluster.available("keyed")
    await cluster.client.create(LEADERWORKERSETS, manifest(replicas=2, size=2))
    policy = {"subdomainPolicy": "UniquePerReplica"}
    await cluster.client.create(LEADERWORKERSETS, manifest("unique", replicas=1, size=2, networkConfig=policy))
    for name in ("sample", "unique"):
        await cluster.available(name)
    for image in ("app:2", "app:3"):
        found = await cluster.client.get(LEADERWORKERSETS, "default", "sample")
        found["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]["image"] = image
        await cluster.client.update(LEADERWORKERSETS, found)
        await asyncio.sleep(1)
        await cluster.available("sample")
    await cluster.client.delete(PODS, "default", "sample-0-1", grace_period_seconds=0)
    await asyncio.sleep(10)
    await cluster.available("sample")
    await cluster.client.delete(LEADERWORKERSETS, "default", "unique")
    await cluster.quiet()


async def live_disaggregated(cluster: Cluster) -> None:
    """The life of a DisaggregatedSet: creation with a scaler, a rolling update, a scaler less, deletion."""
    found = Site(cluster)
    await found.create(external("prefill"), role("decode"))
    await found.available()
    await found.edit(external("prefill", template=pause("3.10")), role("decode", template=pause("3.10")))
    await found.available()
    await found.edit(role("prefill", template=pause("3.10")), role("decode", template=pause("3.10")))
    await found.available()
    await cluster.client.delete(DISAGGREGATEDSETS, "default", "x")
    await cluster.quiet()


@pytest.mark.long
@virtual_time
async def test_the_operator_needs_what_it_is_granted_and_nothing_else() -> None:
    """As its own account the operator is never refused, and every grant is used or has its reason."""
    noted: set[Permission] = set()
    async with Cluster(elect=True, disaggregated=True, loops=HASH_LOOPS) as cluster:
        await install(cluster)

        def as_account(_: Transport) -> Transport:
            return Noting(cluster.sandbox.transport(ACCOUNT), noted)

        operator = (await cluster.start(as_account)).operator
        await live(cluster)
        await live_disaggregated(cluster)
        await configure(cluster)
        rotator = CertificateRotator(
            operator.client, ServingCertificate(), clock=cluster.clock, random=Random(1), namespace="lws-system"
        )
        await rotator.step()
        secret = await cluster.client.get(SECRETS, "lws-system", "lws-webhook-server-cert")
        secret["data"]["tls.crt"] = base64.b64encode(b"broken").decode()
        await cluster.client.update(SECRETS, secret)
        await rotator.step()
        answer = await Reviewer(operator.client, cluster.clock).review(f"Bearer {await token(cluster)}", "/metrics")
        assert answer is not None
        assert answer.status == 403
        refused = operator.metrics.registry.get_sample_value(
            "rest_client_requests_total", {"code": "403", "method": "GET", "host": ""}
        )
    assert not refused
    assert noted - granted() == set()
    assert {permission[1:] for permission in granted() - noted} - set(RESERVED) == set()


@virtual_time
async def test_other_secrets_are_out_of_reach() -> None:
    """The account reads its own Secret by name, and no other, neither here nor elsewhere, nor lists any."""
    async with Cluster() as cluster:
        await install(cluster)
        client = ApiClient(cluster.sandbox.transport(ACCOUNT), user_agent="test", field_manager=None)
        for namespace, name in (("lws-system", "other"), ("default", "lws-webhook-server-cert")):
            with pytest.raises(ForbiddenError):
                await client.get(SECRETS, namespace, name)
        for namespace in ("", "lws-system"):
            with pytest.raises(ForbiddenError):
                await client.list(SECRETS, namespace)
