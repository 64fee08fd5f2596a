"""Kubeconfig files.

Files are read and merged here, so that what is wrong with them can be said in one sentence. What a user entry means
(tokens, certificates, auth providers) is kubernetes-asyncio's knowledge; it is imported only when a kubeconfig is used,
never writes to the files, and is asked again when a credential runs out. Exec plugins are run by `lws.client.plugin`.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlsplit

from lws.client import plugin
from lws.client.credentials import Identity, Tls
from lws.clock import Clock
from lws.errors import ConfigurationError, TransportError
from lws.yamltext import YamlError, load

JSON: TypeAlias = dict[str, Any]
REREAD_AFTER: Final = 60.0  # seconds between looks at token files and auth providers
RENEW_AHEAD: Final = 60.0  # seconds before an exec credential runs out
RETRY_AFTER: Final = 5.0  # seconds between runs of an exec plugin whose credential is refused


@dataclass(frozen=True, slots=True)
class Entry:
    """One named cluster, user or context, and the file that it was read from."""

    name: str
    value: JSON
    file: str


@dataclass(slots=True)
class Kubeconfig:
    """Kubeconfig files merged: of two entries with one name, the first counts."""

    files: tuple[str, ...]
    current_context: str = ""
    clusters: dict[str, Entry] = field(default_factory=dict)
    users: dict[str, Entry] = field(default_factory=dict)
    contexts: dict[str, Entry] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How messages call the files."""
        return f"kubeconfig {os.pathsep.join(self.files)}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One context with what it refers to."""

    context: Entry
    cluster: Entry
    user: Entry

    @property
    def server(self) -> str:
        """Base URL of the API server."""
        return str(self.cluster.value["server"]).rstrip("/")

    @property
    def proxy(self) -> str | None:
        """URL of the cluster's proxy."""
        return self.cluster.value.get("proxy-url") or None

    @property
    def namespace(self) -> str:
        """The context's default namespace; empty if it names none."""
        return str(self.context.value.get("namespace") or "")


def read_kubeconfig(paths: Sequence[str], *, all_must_exist: bool) -> Kubeconfig:
    """Read and merge files.

    Raises:
        ConfigurationError: a file is missing, unreadable, or no kubeconfig.
    """
    expanded = [os.path.expanduser(path) for path in paths if path]
    present = [path for path in expanded if os.path.exists(path)]
    missing = [path for path in expanded if path not in present]
    if missing and (all_must_exist or not present):
        raise ConfigurationError(f"kubeconfig {missing[0]} does not exist; correct --kubeconfig or $KUBECONFIG")
    merged = Kubeconfig(tuple(present))
    for path in present:
        _merge(merged, path, _document(path))
    return merged


def choose(config: Kubeconfig, context: str | None = None) -> Choice:
    """Follow a context to its cluster and user.

    Raises:
        ConfigurationError: something it refers to is not there.
    """
    wanted = context or config.current_context
    if not config.contexts:
        raise ConfigurationError(f"{config.name} has no contexts; give another file as --kubeconfig")
    if not wanted:
        raise ConfigurationError(f"{config.name} has no current-context; give --context {_names(config.contexts)}")
    entry = config.contexts.get(wanted)
    if entry is None:
        raise ConfigurationError(f"{config.name} has no context {wanted!r}; choose {_names(config.contexts)}")
    cluster = config.clusters.get(str(entry.value.get("cluster", "")))
    if cluster is None or not cluster.value.get("server"):
        raise ConfigurationError(
            f"context {wanted!r} of {config.name} names the cluster {entry.value.get('cluster', '')!r}, "
            "which has no entry with a server; correct the file or choose another --context"
        )
    _check_urls(cluster)
    user_name = str(entry.value.get("user") or "")
    user = config.users.get(user_name)
    if user is None and user_name:
        raise ConfigurationError(
            f"context {wanted!r} of {config.name} names the user {user_name!r}, which has no entry; "
            "correct the file or choose another --context"
        )
    return Choice(entry, cluster, user or Entry("anonymous", {}, cluster.file))


class KubeconfigCredentials:
    """The identity of a kubeconfig's user, renewed before it runs out and after a 401."""

    def __init__(self, choice: Choice, clock: Clock) -> None:
        self._choice = choice
        self._clock = clock
        self._identity: Identity | None = None
        self._renew_at = 0.0  # by the loop's time
        self._loaded_at = 0.0
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Get the first identity.

        Raises:
            ConfigurationError: it cannot be had; says why.
        """
        async with self._lock:
            await self._renew()

    async def identity(self) -> Identity:
        """The identity of now; an old one serves on while renewing fails.

        Raises:
            TransportError: there has never been one.
        """
        if self._identity is None or self._due():
            async with self._lock:
                if self._identity is None or self._due():
                    await self._try_renew()
        if self._identity is None:
            raise TransportError("there are no credentials yet", maybe_done=False)
        return self._identity

    def rejected(self) -> None:
        """Renew before the next request, but not over and over."""
        self._renew_at = min(self._renew_at, self._loaded_at + RETRY_AFTER)

    def _due(self) -> bool:
        return asyncio.get_running_loop().time() >= self._renew_at

    async def _try_renew(self) -> None:
        try:
            await self._renew()
        except ConfigurationError as error:
            self._renew_at = asyncio.get_running_loop().time() + RETRY_AFTER
            if self._identity is None:
                raise TransportError(str(error), maybe_done=False) from error

    async def _renew(self) -> None:
        loaded, expiry = await _load(self._choice)
        now = asyncio.get_running_loop().time()
        self._identity = Identity(_headers(self._choice.user.value, loaded), _tls(loaded))
        self._loaded_at = now
        self._renew_at = now + self._lifetime(expiry)

    def _lifetime(self, expiry: datetime | None) -> float:
        user = self._choice.user.value
        if expiry is not None:
            left: float = (expiry - self._clock.now()).total_seconds()
            return max(left - min(RENEW_AHEAD, left / 2), RETRY_AFTER)
        if "exec" in user:
            return float("inf")  # valid until refused
        return REREAD_AFTER if "tokenFile" in user or "auth-provider" in user else float("inf")


async def _load(choice: Choice) -> tuple[Any, datetime | None]:
    """Have kubernetes-asyncio work out the user's credentials: (its settings, when a plugin's credential runs out)."""
    from kubernetes_asyncio.config.kube_config import ConfigNode, KubeConfigLoader  # costs 40 MiB

    entries = {"contexts": choice.context, "clusters": choice.cluster, "users": choice.user}
    members = {"contexts": "context", "clusters": "cluster", "users": "user"}
    document: JSON = {
        section: [ConfigNode(entry.name, {"name": entry.name, members[section]: _prepared(entry)}, entry.file)]
        for section, entry in entries.items()
    }
    context = document["contexts"][0].value["context"]
    context.update(cluster=choice.cluster.name, user=choice.user.name)
    settings = SimpleNamespace(api_key={})
    expiry = None
    try:
        user = document["users"][0].value["user"]
        if isinstance(user.get("exec"), dict):
            expiry = _credential(user, await plugin.run(user.pop("exec")))
        loader = KubeConfigLoader(document, active_context=choice.context.name, config_base_path=None)
        await loader.load_and_set(settings)
    except Exception as error:
        raise ConfigurationError(
            f"the credentials of user {choice.user.name!r} in kubeconfig {choice.user.file} cannot be loaded: "
            f"{_one_line(error)}; correct the entry, or log in again"
        ) from error
    return settings, expiry


def _credential(user: JSON, status: JSON) -> datetime | None:
    """Put what a plugin gave into the user's entry, in place of what stood there; when it runs out."""
    user.pop("tokenFile", None)
    if status.get("token"):
        user["token"] = str(status["token"])
    for member, given in (("client-certificate", "clientCertificateData"), ("client-key", "clientKeyData")):
        if status.get(given):
            user.pop(member, None)
            user[f"{member}-data"] = b64encode(str(status[given]).encode()).decode()
    ends = status.get("expirationTimestamp")
    return datetime.fromisoformat(str(ends)) if ends else None


def _prepared(entry: Entry) -> JSON:
    """The entry as kubectl understands it: a token file beats a token; commands may be relative to the file."""
    value = dict(entry.value)
    if value.get("tokenFile"):
        value.pop("token", None)
    declared = value.get("exec")
    if isinstance(declared, dict):
        command = str(declared.get("command") or "")
        if os.sep in command and not os.path.isabs(command):
            command = str(Path(entry.file).resolve().parent / command)
        value["exec"] = {**declared, "command": command}
    return value


def _headers(user: Mapping[str, Any], settings: Any) -> tuple[tuple[str, str], ...]:
    lines: list[tuple[str, str]] = []
    authorization = settings.api_key.get("BearerToken")
    if authorization:
        lines.append(("authorization", str(authorization).strip()))
    if user.get("as"):
        lines.append(("impersonate-user", str(user["as"])))
    if user.get("as-uid"):
        lines.append(("impersonate-uid", str(user["as-uid"])))
    lines += [("impersonate-group", str(group)) for group in user.get("as-groups") or ()]
    for key, values in (user.get("as-user-extra") or {}).items():
        lines += [(f"impersonate-extra-{quote(key, safe='').lower()}", str(value)) for value in values]
    return tuple(lines)


def _tls(settings: Any) -> Tls:
    return Tls(
        ca_file=getattr(settings, "ssl_ca_cert", None),
        cert_file=getattr(settings, "cert_file", None),
        key_file=getattr(settings, "key_file", None),
        verify=getattr(settings, "verify_ssl", True),
        server_name=getattr(settings, "tls_server_name", None),
    )


def _document(path: str) -> JSON:
    try:
        document = load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(f"kubeconfig {path} cannot be read: {reason}; correct the path or its mode") from error
    except YamlError as error:
        raise ConfigurationError(f"kubeconfig {path} is not YAML: {error}; repair the file") from error
    if document is None:
        return {}
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config":
        raise ConfigurationError(f"{path} is not a kubeconfig (kind: Config); give another file as --kubeconfig")
    return document


def _merge(merged: Kubeconfig, path: str, document: JSON) -> None:
    merged.current_context = merged.current_context or str(document.get("current-context") or "")
    sections = (("clusters", "cluster", merged.clusters), ("users", "user", merged.users))
    for section, member, into in (*sections, ("contexts", "context", merged.contexts)):
        items = document.get(section) or []
        if not isinstance(items, list) or not all(isinstance(item, dict) and item.get("name") for item in items):
            raise ConfigurationError(f"kubeconfig {path}: {section} must be a list of named entries; repair the file")
        for item in items:
            value = item.get(member) or {}
            if not isinstance(value, dict):
                raise ConfigurationError(f"kubeconfig {path}: {section} {item['name']!r} has no {member} mapping")
            into.setdefault(str(item["name"]), Entry(str(item["name"]), value, os.path.abspath(path)))


def _check_urls(cluster: Entry) -> None:
    server, proxy = str(cluster.value["server"]), str(cluster.value.get("proxy-url") or "")
    if not server.startswith(("https://", "http://")) or not _leads_somewhere(server):
        raise ConfigurationError(
            f"cluster {cluster.name!r} in kubeconfig {cluster.file} has the server {server!r}; write https://host:port"
        )
    if proxy and not (proxy.startswith(("http://", "https://")) and _leads_somewhere(proxy)):
        raise ConfigurationError(
            f"cluster {cluster.name!r} in kubeconfig {cluster.file} has the proxy-url {proxy!r}; "
            "only http and https proxies are supported"
        )


def _leads_somewhere(url: str) -> bool:
    """Whether a URL has a host, and a port if any that can be."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _names(entries: Mapping[str, Entry]) -> str:
    return "one of " + ", ".join(sorted(entries))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
