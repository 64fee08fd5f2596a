"""Kubeconfig files, read and merged here so that what is wrong with them can be said in one sentence.

They are never written to. What their entries mean is `lws.client.identities`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lws.apimachinery.manifests import JSON
from lws.client.credentials import Identity
from lws.client.identities import Entry, load_identity
from lws.client.overrides import Overrides
from lws.client.proxies import SOCKS
from lws.clock import Clock
from lws.errors import ConfigurationError, TransportError
from lws.yamltext import YamlError, load

REREAD_AFTER: Final = 60.0  # seconds between looks at token files and auth providers
RENEW_AHEAD: Final = 60.0  # seconds before an exec credential runs out
_PROXIES: Final = ("http", "https", *SOCKS)
RETRY_AFTER: Final = 5.0  # seconds between runs of an exec plugin whose credential is refused


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


def flags_alone() -> Kubeconfig:
    """A configuration for those who give everything as flags: one context with an empty cluster and user."""
    entry = Entry("flags", {}, os.path.join(os.getcwd(), "flags"))
    context = Entry("flags", {"cluster": "flags", "user": "flags"}, entry.file)
    named = {"flags": entry}
    return Kubeconfig(("the command line",), "flags", dict(named), dict(named), {"flags": context})


def choose(config: Kubeconfig, context: str | None = None, overrides: Overrides | None = None) -> Choice:
    """Follow a context to its cluster and user, and put over them what the command line says.

    Raises:
        ConfigurationError: something it refers to is not there.
    """
    overrides = overrides or Overrides()
    wanted = context or config.current_context
    if not config.contexts:
        raise ConfigurationError(f"{config.name} has no contexts; give another file as --kubeconfig")
    if not wanted:
        raise ConfigurationError(f"{config.name} has no current-context; give --context {_names(config.contexts)}")
    entry = config.contexts.get(wanted)
    if entry is None:
        raise ConfigurationError(f"{config.name} has no context {wanted!r}; choose {_names(config.contexts)}")
    cluster_name = overrides.cluster or str(entry.value.get("cluster", ""))
    cluster = _over(config.clusters.get(cluster_name), overrides.over_cluster)
    if cluster is None or not cluster.value.get("server"):
        raise ConfigurationError(
            f"context {wanted!r} of {config.name} names the cluster {cluster_name!r}, "
            "which has no entry with a server; correct the file or choose another --context"
        )
    _check_urls(cluster)
    user_name = overrides.user or str(entry.value.get("user") or "")
    user = config.users.get(user_name)
    if user is None and user_name:
        raise ConfigurationError(
            f"context {wanted!r} of {config.name} names the user {user_name!r}, which has no entry; "
            "correct the file or choose another --context"
        )
    user = user or Entry("anonymous", {}, cluster.file)
    return Choice(entry, cluster, Entry(user.name, overrides.over_user(user.value), user.file))


def _over(entry: Entry | None, change: Callable[[JSON], JSON]) -> Entry | None:
    return entry and Entry(entry.name, change(entry.value), entry.file)


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
        self._identity, expiry = await _load(self._choice)
        now = asyncio.get_running_loop().time()
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


async def _load(choice: Choice) -> tuple[Identity, datetime | None]:
    """The user's identity, and when the credential of an exec plugin runs out."""
    try:
        return await load_identity(choice.user, choice.cluster)
    except Exception as error:
        raise ConfigurationError(
            f"the credentials of user {choice.user.name!r} in kubeconfig {choice.user.file} cannot be loaded: "
            f"{_one_line(error)}; correct the entry, or log in again"
        ) from error


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
    if proxy and not (proxy.partition("://")[0] in _PROXIES and _leads_somewhere(proxy)):
        raise ConfigurationError(
            f"cluster {cluster.name!r} in kubeconfig {cluster.file} has the proxy-url {proxy!r}; "
            "only http, https and socks5 proxies are supported"
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
