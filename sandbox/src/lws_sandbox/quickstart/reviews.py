"""Admission reviews over HTTPS on loopback: for an API server of another process, and a controller in this one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Final

from lws.client.transport import Request
from lws.errors import ConfigurationError
from lws_sandbox.certificates import Authority
from lws_sandbox.endpoint import server_tls
from lws_sandbox.http import serve
from lws_sandbox.reply import Reply, of_text
from lws_sandbox.user import UserInfo

HOST: Final = "127.0.0.1"
Answer = Callable[[str, bytes, str], tuple[int, bytes]]


class Reviews:
    """Forwards each review to the current handler; 503 until one is set.

    Attributes:
        url: where reviews are accepted; empty while they are not.
    """

    def __init__(self) -> None:
        self.url = ""
        self._answer: Answer | None = None

    def set_handler(self, answer: Answer) -> None:
        """Let ``answer(path, body, content_type)`` give HTTP status and body from now on."""
        self._answer = answer

    async def handle(self, request: Request, user: UserInfo | None = None) -> Reply:  # noqa: ARG002 -- anybody may send one
        """Answer one request."""
        if self._answer is None:
            return of_text("no controller runs yet\n", HTTPStatus.SERVICE_UNAVAILABLE)
        status, body = self._answer(request.path, request.body, request.headers.get("content-type", ""))
        return Reply(status, {"content-type": "application/json"}, body)

    def break_watches(self) -> int:
        """There are none."""
        return 0


@asynccontextmanager
async def reviews(authority: Authority, now: datetime) -> AsyncIterator[Reviews]:
    """Serve reviews over HTTPS with a certificate of the authority.

    Raises:
        ConfigurationError: the socket cannot be had.
    """
    server = Reviews()
    async with AsyncExitStack() as stack:
        try:
            tls = server_tls(authority, HOST, now)
            server.url = (await stack.enter_async_context(serve(server, host=HOST, tls=tls))).url
        except OSError as error:
            raise ConfigurationError(f"the webhook cannot be served on {HOST}: {error}") from error
        yield server
