"""The client's identity and how it verifies the server; both may change while the process runs."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Tls:
    """Files and rules of a TLS connection.

    Attributes:
        ca_file: PEM bundle to trust; without file and data the system's is trusted.
        ca_data: such a bundle as text.
        cert_file: our certificate.
        key_file: its key.
        cert_data: our certificate with its key, as text, instead of files.
        verify: whether the server's certificate is checked at all.
        server_name: the name that its certificate must bear, where it differs from the URL's.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    ca_data: str | None = None
    cert_data: str | None = field(default=None, repr=False)
    verify: bool = True
    server_name: str | None = None

    def fingerprint(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Changes when one of the files does, also where a symlink now leads elsewhere."""
        return tuple(_stamp(path) for path in (self.ca_file, self.cert_file, self.key_file))

    def context(self) -> ssl.SSLContext:
        """Read the files.

        Raises:
            OSError: one cannot be read, or is not PEM (`ssl.SSLError`).
        """
        context = ssl.create_default_context(cafile=self.ca_file, cadata=self.ca_data)
        # Cluster CAs made by hand often lack the extensions that strict checking asks for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.cert_data:
            _load_cert_data(context, self.cert_data)
        elif self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True, slots=True)
class Identity:
    """What a request carries: header lines (lower-case name, value), and the TLS it goes over."""

    headers: tuple[tuple[str, str], ...] = ()
    tls: Tls = Tls()


class Credentials(Protocol):
    """Gives the identity of now, re-reading or renewing what rotates."""

    async def identity(self) -> Identity:
        """The identity to use for the next request.

        Raises:
            TransportError: it cannot be had at the moment.
        """
        ...

    def rejected(self) -> None:
        """The server answered 401: what was given last is no good any more."""
        ...


class StaticCredentials:
    """An identity that never changes, except in the content of its TLS files."""

    def __init__(self, identity: Identity | None = None) -> None:
        self._identity = identity or Identity()

    async def identity(self) -> Identity:
        """The identity given."""
        return self._identity

    def rejected(self) -> None:
        """There is nothing to renew."""


def _load_cert_data(context: ssl.SSLContext, data: str) -> None:
    """OpenSSL reads certificates from files only: this one is ours alone, and gone at once."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(data)
        file.flush()
        context.load_cert_chain(file.name)


def _stamp(path: str | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns)
