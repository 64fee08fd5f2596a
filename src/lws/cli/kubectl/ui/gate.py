"""Who may ask: a token that is exchanged for a cookie, the Host, the Origin, and headers that bind the browser.

A page of another site cannot read an answer (it is of another origin), cannot write (forms and simple requests are
refused), and cannot reach the page under a name of its own (the Host must be loopback, so DNS rebinding fails).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Final

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
WRITING: Final = "X-Lws-Ui"  # a header that no form and no simple request of another site can send


class Gate:
    """Judges requests.

    Args:
        port: on which the page is served; it is part of every Host and of the cookie's name.
    """

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(32)
        self.cookie = f"lws-ui-{port}"
        self.secret = secrets.token_urlsafe(32)
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")

    def refusal(self, method: str, headers: Mapping[str, str]) -> str:
        """Why a request is refused whoever sends it, in one sentence; empty if it is not."""
        host = headers.get("Host", "")
        if host not in self._hosts:
            return "The Host is not this page's own."
        origin = headers.get("Origin")
        if origin is not None and origin != f"http://{host}":
            return "The request comes from another site."
        if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not _navigates(method, headers):
            return "The request comes from another site."
        if method in ("GET", "HEAD"):
            return ""
        if method != "POST":
            return "Only GET and POST are answered."
        if origin is None or headers.get(WRITING) is None:
            return "A write must come from the page itself."
        if headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            return "A write must be JSON."
        return ""

    def exchanged(self, given: str) -> bool:
        """Whether the token is the one of the address."""
        return hmac.compare_digest(given.encode(), self.token.encode())

    def knows(self, cookies: Mapping[str, str]) -> bool:
        """Whether the browser has exchanged the token."""
        return hmac.compare_digest(cookies.get(self.cookie, "").encode(), self.secret.encode())


def _navigates(method: str, headers: Mapping[str, str]) -> bool:
    """A link that is followed, as out of a chat; without the token it leads nowhere, for the cookie stays at home."""
    return (
        method == "GET" and headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    )
