"""The certificates, keys and kubeconfigs of a real control plane, as files that only their owner can read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from lws_sandbox.certificates import Authority, Pair
from lws_sandbox.kubeconfig import kubeconfig_file, write_private

SERVER_NAMES: Final = (
    "localhost",
    "127.0.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "10.0.0.1",  # of the Service, by which pods on a real node call: the first of its range
)


class Keys:
    """A folder of keys, all made when it is.

    Args:
        folder: which is there and empty.
        now: from when they hold.
        host: by which the server is reached, besides its usual names.
    """

    def __init__(self, folder: Path, now: datetime, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.authority = Authority(now)
        self._now = now
        write_private(self.ca, self.authority.certificate)
        self._pair("server", self.authority.server((*SERVER_NAMES, host), now))
        # kube-apiserver takes the public half of this key out of a certificate.
        self._pair("service-accounts", self.authority.server(("service-accounts",), now))

    @property
    def ca(self) -> Path:
        """The authority's certificate."""
        return self.folder / "ca.crt"

    def certificate(self, name: str) -> Path:
        """The certificate of ``server``, ``service-accounts`` or a client."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """The key that belongs to it."""
        return self.folder / f"{name}.key"

    def client(self, user: str, groups: Sequence[str]) -> Pair:
        """A client's certificate; not written to a file."""
        return self.authority.client(user, groups, self._now)

    def write_client(self, name: str, user: str, groups: Sequence[str]) -> None:
        """A client's certificate in files."""
        self._pair(name, self.client(user, groups))

    def write_kubeconfig(self, name: str, url: str, user: str, groups: Sequence[str]) -> Path:
        """A kubeconfig with everything in it, for a client with a new certificate."""
        path = self.folder / f"{name}.kubeconfig"
        write_private(path, kubeconfig_file(url, self.authority.certificate, self.client(user, groups)))
        return path

    def _pair(self, name: str, pair: Pair) -> None:
        write_private(self.certificate(name), pair.certificate)
        write_private(self.key(name), pair.key)
