"""What a kubeconfig's user and cluster entries mean: the headers and the TLS of a request (kubectl's rules).

Tokens, certificates and exec plugins are read here. The auth providers of old kubeconfigs are kubernetes-asyncio's
knowledge, which is imported for them only: it costs half a second and 40 MiB.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import quote

from lws.apimachinery.manifests import JSON
from lws.client import plugin
from lws.client.credentials import Identity, Tls

EXEC_EXTENSION: Final = "client.authentication.k8s.io/exec"
# Members of a cluster entry that a plugin is told as they are.
_CLUSTER_INFO: Final = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")


@dataclass(frozen=True, slots=True)
class Entry:
    """One named cluster, user or context, and the file that it was read from."""

    name: str
    value: JSON
    file: str


async def load_identity(user: Entry, cluster: Entry) -> tuple[Identity, datetime | None]:
    """The identity of a user at a cluster, and when the credential of its exec plugin runs out.

    Raises:
        ValueError: a member is not what it should be.
        OSError: a file cannot be read.
        plugin.PluginError: the plugin gave no credential.
        Exception: an auth provider failed; whatever kubernetes-asyncio raises.
    """
    value, expiry = dict(user.value), None
    if isinstance(value.get("exec"), dict):
        status = await plugin.run(_command(value.pop("exec"), user.file), cluster_info(cluster))
        expiry = _take(value, status)
    authorization = await _provided(user, cluster) if "auth-provider" in value else _authorization(value, user.file)
    return Identity(_headers(value, authorization), _tls(value, user.file, cluster)), expiry


def cluster_info(cluster: Entry) -> JSON:
    """What a plugin with ``provideClusterInfo`` is told of the cluster: ``spec.cluster`` of an ExecCredential."""
    value = cluster.value
    told = {name: value[name] for name in _CLUSTER_INFO if value.get(name)}
    bundle = value.get("certificate-authority-data") or ""
    if not bundle and value.get("certificate-authority"):
        bundle = b64encode(Path(_path(str(value["certificate-authority"]), cluster.file)).read_bytes()).decode()
    if bundle:
        told["certificate-authority-data"] = bundle
    for each in value.get("extensions") or ():
        if isinstance(each, dict) and each.get("name") == EXEC_EXTENSION:
            told["config"] = each.get("extension")
    return told


def _command(declared: JSON, file: str) -> JSON:
    """A command with a slash is relative to the kubeconfig."""
    command = str(declared.get("command") or "")
    return {**declared, "command": _path(command, file) if os.sep in command else command}


def _take(user: JSON, status: JSON) -> datetime | None:
    """Put what a plugin gave into the user's entry, in place of what stood there; when it runs out."""
    user.pop("tokenFile", None)
    if status.get("token"):
        user["token"] = str(status["token"])
    for member, given in (("client-certificate", "clientCertificateData"), ("client-key", "clientKeyData")):
        if status.get(given):
            user.pop(member, None)
            user[f"{member}-data"] = b64encode(str(status[given]).encode()).decode()
    ends = status.get("expirationTimestamp")
    if not ends:
        return None
    moment = datetime.fromisoformat(str(ends))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


async def _provided(user: Entry, cluster: Entry) -> str:
    from kubernetes_asyncio.config.kube_config import ConfigNode, KubeConfigLoader

    def node(entry: Entry, member: str, value: JSON) -> Any:
        return ConfigNode(entry.name, {"name": entry.name, member: value}, entry.file)

    context = {"cluster": cluster.name, "user": user.name}
    document: JSON = {
        "contexts": [ConfigNode("context", {"name": "context", "context": context}, user.file)],
        "clusters": [node(cluster, "cluster", dict(cluster.value))],
        "users": [node(user, "user", dict(user.value))],
    }
    settings = SimpleNamespace(api_key={})
    await KubeConfigLoader(document, active_context="context", config_base_path=None).load_and_set(settings)
    return str(settings.api_key.get("BearerToken") or "").strip()


def _authorization(user: JSON, file: str) -> str:
    """The header's value: a token file beats a token, a token beats a password."""
    token = str(user.get("token") or "")
    if user.get("tokenFile"):
        token = Path(_path(str(user["tokenFile"]), file)).read_text(encoding="utf-8")
    if token.strip():
        return f"Bearer {token.strip()}"
    if user.get("username") and user.get("password"):
        pair = f"{user['username']}:{user['password']}"
        return f"Basic {b64encode(pair.encode()).decode()}"
    return ""


def _headers(user: Mapping[str, Any], authorization: str) -> tuple[tuple[str, str], ...]:
    lines: list[tuple[str, str]] = [("authorization", authorization)] if authorization else []
    if user.get("as"):
        lines.append(("impersonate-user", str(user["as"])))
    if user.get("as-uid"):
        lines.append(("impersonate-uid", str(user["as-uid"])))
    lines += [("impersonate-group", str(group)) for group in user.get("as-groups") or ()]
    for key, values in (user.get("as-user-extra") or {}).items():
        lines += [(f"impersonate-extra-{quote(key, safe='').lower()}", str(value)) for value in values]
    return tuple(lines)


def _tls(user: JSON, user_file: str, cluster: Entry) -> Tls:
    """Data beats files, as in kubectl."""
    ca_file, ca_data = _pem(cluster.value, "certificate-authority", cluster.file)
    cert_file, cert = _pem(user, "client-certificate", user_file)
    key_file, key = _pem(user, "client-key", user_file)
    if cert or key:
        cert = cert or Path(cert_file or "").read_text(encoding="utf-8")
        key = key or Path(key_file or "").read_text(encoding="utf-8")
        cert_file = key_file = None
    return Tls(
        ca_file=ca_file,
        ca_data=ca_data,
        cert_file=cert_file,
        key_file=key_file,
        cert_data=f"{cert}\n{key}" if cert or key else None,
        verify=not cluster.value.get("insecure-skip-tls-verify"),
        server_name=str(cluster.value.get("tls-server-name") or "") or None,
    )


def _pem(entry: JSON, member: str, file: str) -> tuple[str | None, str | None]:
    """A PEM member as (path, text): one of the two, or neither."""
    data = entry.get(f"{member}-data")
    if data:
        try:
            return None, b64decode(str(data), validate=False).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{member}-data is not PEM in base64") from error
    if not entry.get(member):
        return None, None
    path = _path(str(entry[member]), file)
    if not os.path.exists(path):
        raise ValueError(f"{member}: {path} does not exist")
    return path, None


def _path(path: str, file: str) -> str:
    """A path of a kubeconfig is relative to its file."""
    return os.path.join(os.path.dirname(os.path.abspath(file)), path)
