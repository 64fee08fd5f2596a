"""How a webhook is reached: over HTTPS, or in-process when its handler lives in the same program.

Both say what went wrong in the words of the server's own client, because they reach the person who runs kubectl.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from lws_sandbox.admission.configuration import Target

Handler = Callable[[str, bytes, str], "tuple[int, bytes] | Awaitable[tuple[int, bytes]]"]
CONTENT_TYPE = "application/json"


class CallError(Exception):
    """A webhook could not be asked; the message follows ``failed calling webhook "…": ``.

    Attributes:
        code: with which the server counts it; the webhook's own if it answered with a failure.
    """

    def __init__(self, message: str, code: int = 503) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = CONTENT_TYPE


class Caller(Protocol):
    """Sends reviews to webhooks."""

    async def post(self, target: Target, body: bytes, timeout: int) -> Answer:
        """Bring the answer to a review, within ``timeout`` seconds.

        Raises:
            CallError: there is none.
        """
        ...


class Unreachable:
    """A caller for whom no service and no address exists."""

    async def post(self, target: Target, body: bytes, timeout: int) -> Answer:  # noqa: ARG002 -- nothing is sent
        """Fail, as for a service that is not there."""
        if target.service:
            raise not_posted(target, timeout, f'service "{target.service[1]}" not found')
        raise not_posted(target, timeout, "dial tcp: no route to host")


class LocalCaller:
    """Hands reviews to handlers in the same program, without sockets; other targets go to another caller."""

    def __init__(self, otherwise: Caller | None = None) -> None:
        self._otherwise = otherwise or Unreachable()
        self._services: dict[tuple[str, str], tuple[Handler, Callable[[Target], str]]] = {}
        self._urls: dict[str, Handler] = {}

    def serve(
        self, namespace: str, service: str, handler: Handler, *, distrust: Callable[[Target], str] = lambda _: ""
    ) -> None:
        """Let ``handler(path, body, content_type)`` answer for a service.

        ``distrust`` tells why the TLS handshake with this target would fail; empty if it would not.
        """
        self._services[namespace, service] = (handler, distrust)

    def serve_url(self, base: str, handler: Handler) -> None:
        """Let a handler answer for every URL that begins with ``base``; it gets the rest as path."""
        self._urls[base.rstrip("/")] = handler

    def forget(self, namespace: str, service: str) -> None:
        """The service has no endpoint any more. Idempotent."""
        self._services.pop((namespace, service), None)

    async def post(self, target: Target, body: bytes, timeout: int) -> Answer:
        """Ask the handler of the target.

        Raises:
            CallError: it is not trusted, or not in time.
        """
        found = self._find(target)
        if found is None:
            return await self._otherwise.post(target, body, timeout)
        handler, path, distrust = found
        if distrust:
            raise not_posted(target, timeout, f"tls: failed to verify certificate: x509: {distrust}")
        try:
            async with asyncio.timeout(timeout):
                answer = handler(path, body, CONTENT_TYPE)
                status, answered = answer if isinstance(answer, tuple) else await answer
        except TimeoutError:
            raise not_posted(target, timeout, "context deadline exceeded") from None
        return Answer(status, answered)

    def _find(self, target: Target) -> tuple[Handler, str, str] | None:
        if target.service:
            registered = self._services.get(target.service[:2])
            if registered is None:
                return None
            handler, distrust = registered
            return handler, "/" + target.path.lstrip("/"), distrust(target)
        for base, handler in self._urls.items():
            if target.url == base or target.url.startswith(f"{base}/"):
                return handler, target.url[len(base) :] or "/", ""
        return None


def not_posted(target: Target, timeout: int, why: str) -> CallError:
    """The error of a request that brought no answer."""
    return CallError(f'failed to call webhook: Post "{target.address(timeout)}": {why}')


def check_status(answer: Answer) -> None:
    """Check that an answer is a success.

    Raises:
        CallError: it is none, in the words of client-go for its status.
    """
    if 200 <= answer.status <= 206:
        if not answer.body:
            shown = f"status code: {answer.status} and content type: {answer.content_type}"
            raise CallError(f"failed to call webhook: 0-length response with {shown}")
        return
    raise CallError(f"failed to call webhook: {_failure(answer)}", answer.status)


def _failure(answer: Answer) -> str:
    textual = not answer.content_type or answer.content_type.startswith("text/")
    said = answer.body.decode("utf-8", "replace").strip() if textual else "unknown"
    known: dict[int, str] = {
        400: "the server rejected our request for an unknown reason",
        401: "the server has asked for the client to provide credentials",
        403: said,
        404: "the server could not find the requested resource",
        405: "the server does not allow this method on the requested resource",
        406: said
        if said not in ("", "unknown")
        else "the server was unable to respond with a content type that the client supports",
        409: "the server reported a conflict",
        415: said,
        422: "the server rejected our request due to an error in our request",
        429: "the server has received too many requests and has asked us to try again later",
        503: "the server is currently unable to handle the request",
        504: "the server was unable to return a response in the time allotted, but may still be processing the request",
    }
    if answer.status in known:
        return known[answer.status]
    if answer.status >= 500:
        return f'an error on the server ("{_escaped(said)}") has prevented the request from succeeding'
    return f"the server responded with the status code {answer.status} but did not return more information"


def _escaped(text: Any) -> str:
    return str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
