"""Finding the server and the credentials for it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from lws.apimachinery.manifests import JSON
from lws.client import incluster, kubeconfig
from lws.client.connection import Connection, HttpTransport, connect
from lws.client.credentials import Identity
from lws.client.incluster import ServiceAccountCredentials
from lws.errors import ConfigurationError, TransportError
from lws_sandbox.virtual_time import VirtualClock
from tests.client.certificates import Authority
from tests.virtual import virtual_time


def config(user: JSON | None = None, cluster: JSON | None = None, context: JSON | None = None, **top: Any) -> JSON:
    """A kubeconfig of one context named here."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **(context or {})}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example.com:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        **top,
    }


def write(path: Path, document: Any) -> str:
    """Write a file of YAML."""
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return str(path)


async def identity(connection: Connection) -> Identity:
    """What the connection's requests would carry."""
    assert isinstance(connection.transport, HttpTransport)
    return await connection.transport._credentials.identity()


async def header(connection: Connection, name: str = "authorization") -> str:
    """One header line of it."""
    return dict((await identity(connection)).headers).get(name, "")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"token": "t"}, "Bearer t"),
        ({"username": "a", "password": "b"}, "Basic " + base64.b64encode(b"a:b").decode()),
        ({}, ""),
    ],
)
async def test_users(tmp_path: Path, user: JSON, expected: str) -> None:
    """A user's token, or name and password, or nothing at all."""
    connection = await connect(write(tmp_path / "config", config(user)), environ={})
    assert await header(connection) == expected
    assert connection.server == "https://api.example.com:6443"
    assert connection.host == "api.example.com:6443"


async def test_impersonation(tmp_path: Path) -> None:
    """Whom a user acts as goes into headers."""
    user = {"token": "t", "as": "jane", "as-groups": ["a", "b"], "as-user-extra": {"Scope/X": ["1"]}}
    connection = await connect(write(tmp_path / "config", config(user)), environ={})
    assert (await identity(connection)).headers[1:] == (
        ("impersonate-user", "jane"),
        ("impersonate-group", "a"),
        ("impersonate-group", "b"),
        ("impersonate-extra-scope%2fx", "1"),
    )


async def test_context_without_a_user(tmp_path: Path) -> None:
    """A context may name no user: requests are anonymous."""
    connection = await connect(write(tmp_path / "config", config(context={"user": None})), environ={})
    assert (await identity(connection)).headers == ()


async def test_certificates_by_file_and_by_data(tmp_path: Path) -> None:
    """Certificates come from files, relative to the kubeconfig, or from its own data."""
    authority = Authority(tmp_path, "ca")
    cert, key = authority.issue("me")
    by_file = config(
        {"client-certificate": "me.crt", "client-key": str(key)},
        {"certificate-authority": "ca.crt", "tls-server-name": "x"},
    )
    tls = (await identity(await connect(write(tmp_path / "config", by_file), environ={}))).tls
    assert (tls.ca_file, tls.cert_file, tls.key_file) == (str(authority.ca_file), str(cert), str(key))
    assert (tls.verify, tls.server_name) == (True, "x")

    def data(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    by_data = config(
        {"client-certificate-data": data(cert), "client-key-data": data(key)},
        {"certificate-authority-data": data(authority.ca_file)},
    )
    tls = (await identity(await connect(write(tmp_path / "config", by_data), environ={}))).tls
    assert tls.ca_data == authority.ca_file.read_text()
    assert tls.cert_data == f"{cert.read_text()}\n{key.read_text()}"
    assert tls.context().get_ca_certs()
    assert key.read_text() not in repr(tls)
    insecure = config(cluster={"insecure-skip-tls-verify": True})
    assert not (await identity(await connect(write(tmp_path / "config", insecure), environ={}))).tls.verify


async def test_order(tmp_path: Path) -> None:
    """--kubeconfig beats $KUBECONFIG beats in-cluster beats ~/.kube/config."""
    mount = service_account(tmp_path / "mount")
    (tmp_path / ".kube").mkdir()
    write(tmp_path / ".kube" / "config", config({"token": "home"}))
    flag = write(tmp_path / "flag", config({"token": "flag"}))
    variable = write(tmp_path / "variable", config({"token": "variable"}))
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    environ = {"HOME": str(tmp_path), "KUBECONFIG": variable, **pod}

    async def token(kubeconfig: str | None) -> str:
        return await header(await connect(kubeconfig, environ=environ, service_account=mount))

    found = [await token(flag), await token(None)]
    del environ["KUBECONFIG"]
    found.append(await token(None))
    for key in pod:
        del environ[key]
    found.append(await token(None))
    assert found == ["Bearer flag", "Bearer variable", "Bearer mounted", "Bearer home"]


async def test_several_files(tmp_path: Path) -> None:
    """Files of $KUBECONFIG are merged: the first to name something counts, files that are missing do not matter."""
    first = {**config({"token": "one"}), "current-context": ""}
    second = config({"token": "two"}, {"server": "https://two"}, context={"namespace": "team"})
    second["contexts"].append({"name": "there", "context": {"cluster": "c2", "user": "u"}})
    second["clusters"].append({"name": "c2", "cluster": {"server": "https://there/"}})
    paths = [str(tmp_path / "none"), write(tmp_path / "1", first), write(tmp_path / "2", second)]
    environ = {"KUBECONFIG": os.pathsep.join(paths)}
    here = await connect(environ=environ)
    assert (await header(here), here.server, here.namespace) == ("Bearer one", "https://api.example.com:6443", "")
    there = await connect(context="there", environ=environ)
    assert (await header(there), there.server) == ("Bearer one", "https://there")
    assert "there" in there.source


async def test_proxy(tmp_path: Path) -> None:
    """The cluster's own proxy beats the environment's."""
    environ = {"HTTPS_PROXY": "http://environment:1"}
    own = await connect(write(tmp_path / "1", config(cluster={"proxy-url": "http://own:2"})), environ=environ)
    other = await connect(write(tmp_path / "2", config()), environ=environ)
    assert isinstance(own.transport, HttpTransport)
    assert isinstance(other.transport, HttpTransport)
    assert (own.transport._proxy, other.transport._proxy) == ("http://own:2", "http://environment:1")


CREDENTIAL = '{"apiVersion": "v1", "kind": "ExecCredential", "status": %s}'
HALF = '{"clientCertificateData": "x"}'
WRONG = [
    ("{", "is not YAML: line 1: "),
    ("clusters: !!int many", "is not YAML: a value is not what its tag says"),
    ("", "has no contexts; give another file"),
    ("- a\n", "is not a kubeconfig"),
    ({"kind": "Pod"}, "is not a kubeconfig"),
    ({}, "has no contexts; give another file"),
    ({**config(), "current-context": ""}, "has no current-context; give --context one of here"),
    (config(contexts={"a": 1}), "contexts must be a list"),
    ({**config(), "current-context": "away"}, "has no context 'away'; choose one of here"),
    (config(clusters=[]), "names the cluster 'c', which has no entry"),
    (config(users=[]), "names the user 'u', which has no entry"),
    *(
        (config(cluster={"server": server}), "write https://host:port")
        for server in ("api:6443", "https://", "https://[fd00::1", "https://api:99999", "https://api:x")
    ),
    (config(cluster={"proxy-url": "http://[p"}), "has the proxy-url 'http://\\[p'"),
    (config(cluster={"proxy-url": "socks4://p"}), "only http, https and socks5 proxies"),
    (config({"client-certificate": "none.crt", "client-key": "none.key"}), "none.crt"),
    (config({"tokenFile": "none"}), "none"),
    (
        config({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin"}}),
        "no-such-plugin",
    ),
    (
        config({"exec": {"apiVersion": "v1", "command": "no-such-plugin", "installHint": "get it there"}}),
        "get it there",
    ),
    (config({"exec": {"apiVersion": "v1", "command": "true"}}), "failed to decode process output"),
    (config({"exec": {"command": "true"}}), "apiVersion"),
    (config({"exec": {"apiVersion": "v1", "command": "echo", "args": [CREDENTIAL % "{}"]}}), "didn't return a token"),
    (config({"exec": {"apiVersion": "v2", "command": "echo", "args": [CREDENTIAL % "{}"]}}), "v1 does not match v2"),
    (config({"exec": {"apiVersion": "v1", "command": "echo", "args": [CREDENTIAL % HALF]}}), "not both"),
    (config({"client-certificate-data": "eA==", "client-key-data": "eA=="}), "certificates .* cannot be used"),
    (config(cluster={"certificate-authority-data": "eA=="}), "certificates .* cannot be used"),
]


@pytest.mark.parametrize(("document", "sentence"), WRONG)
async def test_wrong_kubeconfig(tmp_path: Path, document: Any, sentence: str) -> None:
    """What is wrong with a kubeconfig is said in one line that names the file."""
    path = write(tmp_path / "config", document)
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        await connect(path, environ={})
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


async def test_missing_files(tmp_path: Path) -> None:
    """A file that is named must exist; without any configuration the remedy is said."""
    with pytest.raises(ConfigurationError, match=r"nowhere does not exist; correct --kubeconfig"):
        await connect(str(tmp_path / "nowhere"), environ={})
    with pytest.raises(ConfigurationError, match=r"nowhere does not exist"):
        await connect(environ={"KUBECONFIG": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigurationError, match=r"give --kubeconfig FILE"):
        await connect(environ={"HOME": str(tmp_path)})
    with pytest.raises(ConfigurationError, match=r"cannot be read"):
        await connect(str(tmp_path), environ={})


# Credentials that change.


def plugin(folder: Path, **status: str) -> JSON:
    """An exec plugin that answers with a status, in which COUNT stands for the number of the run."""
    kind = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    (folder / "answer.json").write_text(json.dumps({**kind, "status": status}))
    script = folder / "plugin.sh"
    script.write_text(
        f"#!/bin/sh\ncd {folder}\necho run >> runs\nsed \"s/COUNT/$(wc -l < runs | tr -d ' ')/\" answer.json\n"
    )
    script.chmod(0o755)
    return {"exec": {"apiVersion": kind["apiVersion"], "command": "./plugin.sh"}}


async def test_exec_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exec plugin is found beside its kubeconfig, run once, and again only when its credential is refused."""
    monkeypatch.setattr(kubeconfig, "RETRY_AFTER", -1.0)
    connection = await connect(write(tmp_path / "config", config(plugin(tmp_path, token="tCOUNT"))), environ={})
    assert isinstance(connection.transport, HttpTransport)
    found = [await header(connection), await header(connection)]
    connection.transport._credentials.rejected()
    found.append(await header(connection))
    assert found == ["Bearer t1", "Bearer t1", "Bearer t2"]


@pytest.mark.parametrize("zone", ["Z", "+00:00", ""])
async def test_exec_plugin_credential_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """A credential is renewed before its end, in UTC if no zone is named; while renewing fails the old one serves."""
    monkeypatch.setattr(kubeconfig, "RETRY_AFTER", 0.0)
    soon = (datetime.now(UTC) + timedelta(seconds=-1)).strftime(f"%Y-%m-%dT%H:%M:%S{zone}")
    user = plugin(tmp_path, token="tCOUNT", expirationTimestamp=soon)
    connection = await connect(write(tmp_path / "config", config(user)), environ={})
    first, second = await header(connection), await header(connection)
    assert first != second
    (tmp_path / "plugin.sh").write_text("#!/bin/sh\necho no login >&2\nexit 1\n")
    assert await header(connection) == second


async def test_exec_plugin_fails_at_start(tmp_path: Path) -> None:
    """A plugin that fails at the start is a configuration error with the plugin's own words."""
    user = plugin(tmp_path)
    (tmp_path / "plugin.sh").write_text("#!/bin/sh\necho please log in >&2\nexit 1\n")
    with pytest.raises(ConfigurationError, match="please log in"):
        await connect(write(tmp_path / "config", config(user)), environ={})


async def test_exec_plugin_names_no_time(tmp_path: Path) -> None:
    """An end of the credential that is no time is a configuration error, and no traceback."""
    user = plugin(tmp_path, token="t", expirationTimestamp="tomorrow")
    with pytest.raises(ConfigurationError, match="tomorrow"):
        await connect(write(tmp_path / "config", config(user)), environ={})


async def test_exec_plugin_gives_certificates(tmp_path: Path) -> None:
    """A plugin may give a client certificate in place of a token."""
    cert, key = Authority(tmp_path).issue("me")
    user = plugin(tmp_path, clientCertificateData=cert.read_text(), clientKeyData=key.read_text())
    tls = (await identity(await connect(write(tmp_path / "config", config(user)), environ={}))).tls
    assert tls.cert_data == f"{cert.read_text()}\n{key.read_text()}"


@pytest.mark.parametrize("stubborn", [False, True])
async def test_hanging_exec_plugin_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stubborn: bool
) -> None:
    """When nobody waits for a plugin any more it ends, with all that it started, whether it wants to or not."""
    monkeypatch.setattr("lws.client.plugin.GRACE", 0.05)
    user = plugin(tmp_path, token="t")
    async with fifo(tmp_path / "started") as started, fifo(tmp_path / "alive") as alive:
        trap = "trap '' TERM\n" if stubborn else ""
        hang = f"exec 3>{tmp_path / 'alive'}\nsleep 1000 &\necho started >{tmp_path / 'started'}\nexec sleep 1000"
        (tmp_path / "plugin.sh").write_text(f"#!/bin/sh\n{trap}{hang}\n")
        connecting = asyncio.create_task(connect(write(tmp_path / "config", config(user)), environ={}))
        assert await asyncio.wait_for(started.read(), 20) == b"started\n"
        connecting.cancel()
        assert isinstance((await asyncio.gather(connecting, return_exceptions=True))[0], asyncio.CancelledError)
        assert await asyncio.wait_for(alive.read(), 20) == b""  # over when nobody holds the pipe any more


@asynccontextmanager
async def fifo(path: Path) -> AsyncIterator[asyncio.StreamReader]:
    """A named pipe whose end is seen when everybody who wrote to it is gone."""
    os.mkfifo(path)
    reader = asyncio.StreamReader()
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", 0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), file
    )
    try:
        yield reader
    finally:
        transport.close()


@virtual_time
async def test_token_file_is_read_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A token file is read again every minute, and beats a token beside it."""
    folder = tmp_path_factory.mktemp("kube")
    (folder / "token").write_text("first\n")
    path = write(folder / "config", config({"tokenFile": "token", "token": "stale"}))
    connection = await connect(path, environ={}, clock=VirtualClock())
    found = [await header(connection)]
    (folder / "token").write_text("second\n")
    found.append(await header(connection))
    await asyncio.sleep(61)
    found.append(await header(connection))
    assert found == ["Bearer first", "Bearer first", "Bearer second"]


def service_account(folder: Path, token: str = "mounted") -> Path:
    """A mounted service account."""
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    Authority(folder, "ca")
    (folder / "namespace").write_text("team\n")
    return folder


@virtual_time
async def test_in_cluster_token_is_read_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A mounted token is read again every minute and after a 401; while it is missing the last one serves."""
    folder = service_account(tmp_path_factory.mktemp("mount"), "one")
    credentials = ServiceAccountCredentials(folder)

    async def token() -> str:
        return dict((await credentials.identity()).headers)["authorization"]

    found = [await token()]
    (folder / "token").write_text("two")
    found.append(await token())
    await asyncio.sleep(incluster.REREAD_AFTER)
    found.append(await token())
    (folder / "token").write_text("three")
    credentials.rejected()
    found.append(await token())
    (folder / "token").unlink()
    await asyncio.sleep(incluster.REREAD_AFTER)
    found.append(await token())
    assert found == [f"Bearer {word}" for word in ("one", "one", "two", "three", "three")]


@virtual_time
async def test_in_cluster_token_never_there(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without a token there is no request."""
    credentials = ServiceAccountCredentials(tmp_path_factory.mktemp("mount"))
    with pytest.raises(TransportError, match="token"):
        await credentials.identity()


async def test_in_cluster(tmp_path: Path) -> None:
    """In a cluster the server is what the environment says, IPv6 included, and the namespace the pod's."""
    mount = service_account(tmp_path / "mount")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    connection = await connect(environ=environ, service_account=mount)
    assert (connection.server, connection.namespace) == ("https://[fd00::1]:443", "team")
    (mount / "token").unlink()
    with pytest.raises(ConfigurationError, match="token is missing or empty"):
        await connect(environ=environ, service_account=mount)
