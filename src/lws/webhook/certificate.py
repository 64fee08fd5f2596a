"""The certificate that the webhook serves, replaceable while connections come in.

New handshakes use the newest valid certificate; those in progress finish with the one they started with.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import structlog

from lws.errors import ConfigurationError

CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
_log = structlog.get_logger("lws.webhook")


class ServingCertificate:
    """A TLS server context whose certificate can be exchanged."""

    def __init__(self, *, minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2, ciphers: str | None = None) -> None:
        """Prepare a context without certificate; ``ciphers`` is an OpenSSL list for TLS 1.2.

        Raises:
            ConfigurationError: OpenSSL knows none of the ciphers.
        """
        self._minimum_version, self._ciphers = minimum_version, ciphers
        self._context = self._new_context()
        self._context.sni_callback = self._choose
        self._current: ssl.SSLContext | None = None
        self._pair: tuple[bytes, bytes] | None = None
        self._loaded = asyncio.Event()

    @property
    def context(self) -> ssl.SSLContext:
        """The context to listen with; handshakes fail until a certificate is loaded."""
        return self._context

    @property
    def certificate(self) -> bytes | None:
        """The PEM that is served, leaf first; None before the first."""
        return self._pair[0] if self._pair else None

    async def wait_loaded(self) -> None:
        """Return once there is a certificate to serve."""
        await self._loaded.wait()

    def load(self, certificate: bytes, key: bytes) -> bool:
        """Serve this PEM pair from now on; False if it is the one that is served already.

        Raises:
            ConfigurationError: the pair is malformed or does not fit together; the former one stays.
        """
        if self._pair == (certificate, key):
            return False
        context = self._new_context()
        try:
            with _as_file(key + b"\n" + certificate) as path:
                context.load_cert_chain(path)
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(f"{CERTIFICATE_FILE} and {KEY_FILE} are no certificate with its key") from error
        self._current, self._pair = context, (certificate, key)
        self._loaded.set()
        return True

    def accept(self, minimum_version: ssl.TLSVersion, ciphers: str | None) -> None:
        """From the next handshake on accept no lower version, and of TLS 1.2 these ciphers; None for OpenSSL's own.

        Raises:
            ConfigurationError: OpenSSL knows none of the ciphers; what was accepted before still is.
        """
        if (self._minimum_version, self._ciphers) == (minimum_version, ciphers):
            return
        before = self._minimum_version, self._ciphers
        self._minimum_version, self._ciphers = minimum_version, ciphers
        try:
            fresh = self._new_context()
        except ConfigurationError:
            self._minimum_version, self._ciphers = before
            raise
        self._context.minimum_version = minimum_version
        self._context.set_ciphers(":".join(each["name"] for each in fresh.get_ciphers()))
        if self._pair is not None:
            (certificate, key), self._pair = self._pair, None
            self.load(certificate, key)

    async def watch(
        self, directory: Path, *, interval: float = 5.0, observe: Callable[[bool], None] = lambda _: None
    ) -> None:
        """Serve what ``tls.crt`` and ``tls.key`` in ``directory`` hold, looking every ``interval`` seconds, for ever.

        Missing or bad files leave the served certificate in place and are reported once. ``observe`` is told of each
        exchange (True) and each failure (False).
        """
        failed: tuple[object, object] | None = None
        while True:
            found: tuple[object, object] = (None, None)
            try:
                certificate = (directory / CERTIFICATE_FILE).read_bytes()
                key = (directory / KEY_FILE).read_bytes()
                found = (certificate, key)
                if found != failed:
                    if self.load(certificate, key):
                        _log.info("serving certificate loaded", directory=str(directory))
                        observe(True)
                    failed = None
            except (OSError, ConfigurationError) as error:
                if found != failed:
                    _log.warning("serving certificate not loaded", directory=str(directory), error=str(error))
                    observe(False)
                failed = found
            await asyncio.sleep(interval)

    def _new_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._minimum_version
        context.set_alpn_protocols(["http/1.1"])
        if self._ciphers:
            try:
                context.set_ciphers(self._ciphers)
            except ssl.SSLError as error:
                raise ConfigurationError(f"tls.cipherSuites: none of {self._ciphers} is supported") from error
        return context

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _own: ssl.SSLContext) -> int | None:
        if self._current is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._current
        return None


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path under which OpenSSL can read ``content``; in memory where the system can, since the disk may be sealed."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("certificate")
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name
