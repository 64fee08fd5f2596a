"""What a kubeconfig's entries mean, and what a command line puts over them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws.client.connection import connect
from lws.client.overrides import Overrides
from lws.client.plugin import run as run_plugin
from tests.client.certificates import Authority
from tests.client.test_connect import config, header, identity, write


def test_kubernetes_asyncio_is_imported_only_for_auth_providers(tmp_path: Path) -> None:
    """Who logs in with a token or a certificate does not pay for the import."""
    path = write(tmp_path / "config", config({"token": "t"}))
    code = (
        "import asyncio, sys, lws.client.connection as c; "
        f"asyncio.run(c.connect({path!r}, environ={{}})); sys.exit('kubernetes_asyncio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_an_auth_provider_gives_its_token(tmp_path: Path) -> None:
    """The providers of old kubeconfigs still log in."""
    token = unsigned_token(expires=datetime.now(UTC) + timedelta(hours=1))
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": token}}}
    connection = await connect(write(tmp_path / "config", config(user)), environ={})
    assert await header(connection) == f"Bearer {token}"


def unsigned_token(expires: datetime) -> str:
    """A JSON web token that runs out then."""
    parts = ({"alg": "none"}, {"exp": int(expires.timestamp())})
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{body}."


async def test_flags_beat_the_kubeconfig(tmp_path: Path) -> None:
    """Server, token, certificates and impersonation of the command line replace those of the file."""
    authority = Authority(tmp_path, "ca")
    user = {"exec": {"command": "false", "apiVersion": "v1"}, "as": "somebody", "as-groups": ["old"]}
    cluster = {"certificate-authority-data": "bm9uZQ=="}
    overrides = Overrides(
        server="https://other:6443",
        token="mine",
        certificate_authority=str(authority.ca_file),
        impersonate="jane",
        impersonate_groups=("dev", "ops"),
        impersonate_extra={"scopes": ("a", "b")},
    )
    connection = await connect(write(tmp_path / "config", config(user, cluster)), environ={}, overrides=overrides)
    found = await identity(connection)
    assert connection.server == "https://other:6443"
    assert found.headers == (
        ("authorization", "Bearer mine"),
        ("impersonate-user", "jane"),
        ("impersonate-group", "dev"),
        ("impersonate-group", "ops"),
        ("impersonate-extra-scopes", "a"),
        ("impersonate-extra-scopes", "b"),
    )
    assert (found.tls.ca_file, found.tls.ca_data) == (str(authority.ca_file), None)
    assert "mine" not in repr(overrides)


async def test_flags_choose_cluster_and_user(tmp_path: Path) -> None:
    """--cluster and --user take other entries than the context's."""
    document = config()
    document["clusters"].append({"name": "other", "cluster": {"server": "https://other:6443"}})
    document["users"].append({"name": "bob", "user": {"token": "bobs"}})
    path = write(tmp_path / "config", document)
    connection = await connect(path, environ={}, overrides=Overrides(cluster="other", user="bob"))
    assert (connection.server, await header(connection)) == ("https://other:6443", "Bearer bobs")


async def test_flags_alone_reach_a_server(tmp_path: Path) -> None:
    """--server needs no kubeconfig."""
    overrides = Overrides(server="http://localhost:8001", token="t")
    connection = await connect(environ={"HOME": str(tmp_path)}, overrides=overrides)
    assert (connection.server, await header(connection)) == ("http://localhost:8001", "Bearer t")


async def test_an_exec_plugin_is_told_of_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With provideClusterInfo a plugin reads server, CA and its own extension in KUBERNETES_EXEC_INFO; else nothing."""
    asked: list[JSON | None] = []

    async def run(_: JSON, cluster: JSON | None = None) -> JSON:
        asked.append(cluster)
        return {"token": "t", "expirationTimestamp": "2126-01-01T00:00:00"}

    monkeypatch.setattr("lws.client.plugin.run", run)
    (tmp_path / "ca.crt").write_text("pem")
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "me"}}
    cluster = {"certificate-authority": "ca.crt", "tls-server-name": "x", "extensions": [extension]}
    monkeypatch.setattr("lws.client.connection._check_tls", no_check)
    await connect(write(tmp_path / "config", config({"exec": {"command": "p"}}, cluster)), environ={})
    assert asked == [
        {
            "server": "https://api.example.com:6443",
            "tls-server-name": "x",
            "certificate-authority-data": base64.b64encode(b"pem").decode(),
            "config": {"audience": "me"},
        }
    ]


async def no_check(*_: Any) -> None:
    """The certificates of this test are none."""


@pytest.mark.parametrize("provide", [True, False])
async def test_exec_info_has_the_cluster_where_it_is_asked_for(tmp_path: Path, provide: bool) -> None:
    """``spec.cluster`` is there if, and only if, the plugin declares provideClusterInfo."""
    script = tmp_path / "plugin.sh"
    answer = '{"apiVersion": "v1", "kind": "ExecCredential", "status": {"token": "t"}}'
    script.write_text(f"#!/bin/sh\necho \"$KUBERNETES_EXEC_INFO\" >{tmp_path}/asked\necho '{answer}'\n")
    script.chmod(0o755)
    declared = {"command": str(script), "apiVersion": "v1", "provideClusterInfo": provide}
    assert (await run_plugin(declared, {"server": "https://x"}))["token"] == "t"
    spec = json.loads((tmp_path / "asked").read_text())["spec"]
    assert spec.get("cluster") == ({"server": "https://x"} if provide else None)
