"""Access in a whole cluster: aggregated roles, certificates and tokens over TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sandbox.tests.auth.support import rule

from lws.apimachinery.resources import PODS, SERVICEACCOUNTS, Resource
from lws.client.api import ApiClient
from lws.client.connection import HttpTransport, Identity, StaticCredentials, Tls, connect
from lws.errors import ForbiddenError, UnauthorizedError
from lws_sandbox.auth.bootstrap import CLUSTER_ROLES
from lws_sandbox.cluster import Sandbox
from lws_sandbox.endpoint import on_sockets
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time

REVIEWS = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False)
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


@virtual_time
async def test_aggregated_roles_follow() -> None:
    """The roles view, edit and admin hold what is labelled for them, also what comes and goes later."""
    sandbox = Sandbox(clock=VirtualClock(), random=Random(1), loops=["clusterrole-aggregation-controller"])
    async with sandbox:
        client = sandbox.client()

        async def rules(name: str) -> list[Any]:
            await asyncio.sleep(5)
            found = (await client.get(CLUSTER_ROLES, "", name)).get("rules") or []
            return list(found)

        assert rule("get list watch", "namespaces") in await rules("view")
        added = rule("get", "leaderworkersets", "leaderworkerset.x-k8s.io")
        labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
        manifest = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "leaderworkerset-viewer", "labels": labels},
            "rules": [added],
        }
        await client.create(CLUSTER_ROLES, manifest)
        assert all([added in await rules(name) for name in ("view", "edit", "admin")])
        await client.delete(CLUSTER_ROLES, "", "leaderworkerset-viewer")
        assert not any([added in await rules(name) for name in ("view", "edit", "admin")])


async def test_certificates_and_tokens_over_tls(tmp_path: Path) -> None:
    """Over sockets a caller is whom the certificate or the token names, and nobody without either."""
    sandbox = Sandbox(random=Random(1), loops=[])
    async with sandbox, on_sockets(sandbox, tmp_path / "kubeconfig") as address:
        admin_connection = await connect(str(address.kubeconfig), environ={})
        admin = admin_connection.client(user_agent="test")
        status = (await admin.create(REVIEWS, REVIEW))["status"]["userInfo"]
        assert status["username"] == "kubernetes-admin"
        assert status["groups"] == ["system:masters", "system:authenticated"]
        assert status["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": "default"}}
        await admin.create(SERVICEACCOUNTS, account)
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        made = await admin.create(SERVICEACCOUNTS, request, namespace="default", name="robot", subresource="token")
        assert isinstance(admin_connection.transport, HttpTransport)
        ca = (await admin_connection.transport._credentials.identity()).tls.ca_data

        def client(*headers: tuple[str, str]) -> tuple[HttpTransport, ApiClient]:
            transport = HttpTransport(address.url, StaticCredentials(Identity(headers, Tls(ca_data=ca))))
            return transport, ApiClient(transport, user_agent="test", field_manager=None)

        robot_transport, robot = client(("authorization", f"Bearer {made['status']['token']}"))
        assert (await robot.create(REVIEWS, REVIEW))["status"]["userInfo"]["username"] == (
            "system:serviceaccount:default:robot"
        )
        nobody_transport, nobody = client()
        with pytest.raises(ForbiddenError, match="system:anonymous"):
            await nobody.list(PODS)
        liar_transport, liar = client(("authorization", "Bearer wrong"))
        with pytest.raises(UnauthorizedError):
            await liar.list(PODS)
        actor_transport, actor = client(
            ("authorization", f"Bearer {made['status']['token']}"),
            ("impersonate-user", "x"),
            ("impersonate-group", "a"),
            ("impersonate-group", "b"),
        )
        with pytest.raises(ForbiddenError, match="cannot impersonate-on:user-info:list"):
            await actor.list(PODS)
        for transport in (
            robot_transport,
            nobody_transport,
            liar_transport,
            actor_transport,
            admin_connection.transport,
        ):
            await transport.close()
