"""The identity that a cluster gives each of its pods."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lws.client.credentials import Identity, Tls
from lws.errors import ConfigurationError, TransportError

DIRECTORY: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REREAD_AFTER: Final = 60.0  # seconds


class ServiceAccountCredentials:
    """A mounted service account token, read again every minute and after a 401.

    The CA bundle beside it is read again when it changes. While a file is missing the token read last stays in use.
    """

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._token_file = directory / "token"
        self._tls = Tls(ca_file=str(directory / "ca.crt"))
        self._identity: Identity | None = None
        self._read_at = 0.0

    async def identity(self) -> Identity:
        """The identity of now.

        Raises:
            TransportError: the token has never been readable.
        """
        now = asyncio.get_running_loop().time()
        if self._identity is None or now - self._read_at >= REREAD_AFTER:
            self._read_at = now
            self._identity = self._read() or self._identity
        if self._identity is None:
            raise TransportError(f"{self._token_file} cannot be read or is empty", maybe_done=False)
        return self._identity

    def rejected(self) -> None:
        """Read the token again before the next request."""
        self._read_at = float("-inf")

    def _read(self) -> Identity | None:
        try:
            token = self._token_file.read_text().strip()
        except OSError:
            return None
        return Identity((("authorization", f"Bearer {token}"),), self._tls) if token else None


def in_cluster_server(environ: Mapping[str, str]) -> str | None:
    """The API server's URL as a pod is told it, or None outside a cluster."""
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    port = environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        return None
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def check_mount(directory: Path = DIRECTORY) -> None:
    """See to it that a token and a CA are mounted.

    Raises:
        ConfigurationError: one is not.
    """
    for name in ("token", "ca.crt"):
        path = directory / name
        try:
            filled = bool(path.read_bytes().strip())
        except OSError:
            filled = False
        if not filled:
            raise ConfigurationError(
                f"{path} is missing or empty; let the pod mount its service account token "
                "(automountServiceAccountToken) or give --kubeconfig"
            )


def in_cluster_namespace(directory: Path = DIRECTORY) -> str:
    """The namespace that this pod runs in; empty outside a cluster."""
    try:
        return (directory / "namespace").read_text().strip()
    except OSError:
        return ""
