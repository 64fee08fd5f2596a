"""Webhooks over HTTPS, with the caBundle of their configuration as the only trust."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable

import aiohttp

from lws_sandbox.admission.calling import Answer, CallError, not_posted
from lws_sandbox.admission.configuration import Target

Resolve = Callable[[str, str, int], tuple[str, int]]
USER_AGENT = "kube-apiserver-admission"
# OpenSSL's codes for: issuer unknown, self-signed, chain incomplete, leaf unverifiable, authority invalid.
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21, 24})
_NOT_IN_TIME = frozenset({9, 10})
_OTHER_NAME = frozenset({62, 64})


class ServiceError(Exception):
    """A service leads nowhere; the message is the server's, such as ``service "x" not found``."""


def no_services(_namespace: str, name: str, _port: int) -> tuple[str, int]:
    """Resolve no service at all.

    Raises:
        ServiceError: always.
    """
    raise ServiceError(f'service "{name}" not found')


class HttpsCaller:
    """Sends reviews over HTTPS/1.1; connections are kept."""

    def __init__(self, resolve: Resolve = no_services) -> None:
        """``resolve(namespace, service, port)`` gives host and port, or raises `ServiceError`."""
        self._resolve = resolve
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[bytes, ssl.SSLContext] = {}

    async def post(self, target: Target, body: bytes, timeout: int) -> Answer:
        """Bring the answer to a review, within ``timeout`` seconds.

        Raises:
            CallError: there is none.
        """
        context = self._context(target.ca_bundle)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, */*",
            "User-Agent": USER_AGENT,
        }
        try:
            url = target.address(timeout)
            if target.service:
                host, port = self._resolve(*target.service)
                headers["Host"] = f"{target.server_name}:{target.service[2]}"
                shown = f"[{host}]" if ":" in host else host
                url = f"https://{shown}:{port}/{target.path.lstrip('/')}?timeout={timeout}s"
            async with self._open().post(
                url,
                data=body,
                headers=headers,
                ssl=context,
                server_hostname=target.server_name or None,
                timeout=aiohttp.ClientTimeout(total=timeout),
                allow_redirects=False,
            ) as response:
                return Answer(response.status, await response.read(), response.headers.get("Content-Type", ""))
        except ServiceError as error:
            raise not_posted(target, timeout, str(error)) from error
        except TimeoutError as error:
            raise not_posted(target, timeout, "context deadline exceeded") from error
        except aiohttp.ClientError as error:
            raise not_posted(target, timeout, _in_words(error)) from error

    async def close(self) -> None:
        """Let go of every connection. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    def _context(self, bundle: bytes) -> ssl.SSLContext:
        context = self._contexts.get(bundle)
        if context is None:
            if len(self._contexts) > 64:
                self._contexts.clear()
            context = self._contexts[bundle] = _trusting(bundle)
        return context


def _trusting(bundle: bytes) -> ssl.SSLContext:
    if not bundle:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As in Go, any certificate of the bundle is trusted, not only roots.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=bundle.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        why = "unable to load root certificates: unable to parse bytes as PEM block"
        raise CallError(f"could not get REST client: {why}", 500) from error
    return context


def _in_words(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"tls: failed to verify certificate: x509: {_distrust(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: no such host"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _connection(error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    return str(error) or type(error).__name__


def _connection(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if isinstance(cause, ssl.SSLError):
        return f"remote error: tls: {cause.reason or cause}"
    if isinstance(cause, socket.gaierror):
        return f"dial tcp: lookup {error.host}: no such host"
    words = {errno.ECONNREFUSED: "connection refused", errno.ECONNRESET: "connection reset by peer"}
    number = cause.errno
    if number is None:
        # Several addresses were tried; the texts of their errors are all that is left.
        number = next((code for code in words if str(code) in str(cause)), None)
    why = words.get(number or 0, (cause.strerror or str(cause)).lower())
    return f"dial tcp {error.host}:{error.port}: connect: {why}"


def _distrust(error: Exception) -> str:
    code = getattr(error, "verify_code", 0)
    if code in _UNKNOWN_AUTHORITY:
        return "certificate signed by unknown authority"
    if code in _NOT_IN_TIME:
        return "certificate has expired or is not yet valid"
    if code in _OTHER_NAME:
        return "certificate is not valid for the name that was asked for"
    return str(getattr(error, "verify_message", "") or error)
