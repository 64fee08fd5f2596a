"""Which proxy leads to a server, from the environment, by the rules that Go programs keep; and proxies of SOCKS."""

from __future__ import annotations

import importlib
import ipaddress
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from lws.errors import ConfigurationError

SOCKS: Final = ("socks5", "socks5h")


def proxy_from_environment(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy for ``url``, or None.

    ``HTTPS_PROXY`` or ``HTTP_PROXY`` by the URL's scheme, lower case too. ``NO_PROXY`` is a comma-separated list of
    ``*``, host names (which cover their subdomains), ``.suffix``, addresses and CIDR ranges, each with an optional
    port. Loopback never goes through a proxy.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    proxy = _variable(environ, f"{parts.scheme}_proxy")
    if not proxy or host == "localhost" or _is_loopback(host):
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for entry in _variable(environ, "no_proxy").split(","):
        if _excludes(entry.strip().lower(), host, port):
            return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_socks(proxy: str | None) -> bool:
    """Whether a proxy speaks SOCKS, with which names are resolved by the proxy."""
    return proxy is not None and urlsplit(proxy).scheme in SOCKS


def socks() -> Any:
    """The module ``aiohttp_socks``, an optional extra.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        return importlib.import_module("aiohttp_socks")
    except ImportError as error:
        raise ConfigurationError(
            "SOCKS proxies need the package aiohttp-socks: pip install 'lws-controller[socks]'"
        ) from error


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper()) or environ.get(name) or ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _excludes(entry: str, host: str, port: int) -> bool:
    if entry in ("", "*"):
        return entry == "*"
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass
    name, separator, number = entry.rpartition(":")
    if separator and number.isdigit() and "]" not in number:
        if int(number) != port:
            return False
        entry = name.strip("[]")
    if entry.startswith("."):
        return host.endswith(entry)
    return host == entry or host.endswith(f".{entry}")
