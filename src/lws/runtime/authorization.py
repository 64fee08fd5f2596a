"""Asks the API server whether a caller may read metrics: TokenReview, then SubjectAccessReview (operations 4).

Guarantees: without a token nobody is asked; what the server allowed is remembered for a minute, what it refused for ten
seconds, and never the token itself, only its digest; a server that cannot be asked refuses with 500.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import structlog

from lws.apimachinery.resources import SUBJECTACCESSREVIEWS, TOKENREVIEWS
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import LwsError
from lws.runtime.errorfields import error_fields

JSON: TypeAlias = dict[str, Any]

ALLOWED_SECONDS: Final = 60.0
REFUSED_SECONDS: Final = 10.0
REMEMBERED: Final = 1000
_log = structlog.stdlib.get_logger("lws.manager")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a caller gets nothing: HTTP status and text."""

    status: int
    text: str


class Reviewer:
    """Asks who a caller is and whether it may; see the module for its guarantees."""

    def __init__(self, client: ApiClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Refusal | None]] = OrderedDict()  # until when, and the answer

    async def review(self, authorization: str, path: str) -> Refusal | None:
        """Whether the bearer of this ``Authorization`` header may GET this path; None if so."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return Refusal(401, "Unauthorized")
        digest = hashlib.sha256(f"{path}\n{token}".encode()).digest()
        known = self._known.get(digest)
        now = self._clock.monotonic()
        if known is not None and now < known[0]:
            return known[1]
        try:
            answer = await self._ask(token, path)
        except LwsError as error:
            _log.warning("callers of metrics cannot be checked", **error_fields(error))
            return Refusal(500, "Authentication or authorization could not be checked")
        self._remember(digest, now, answer)
        return answer

    async def _ask(self, token: str, path: str) -> Refusal | None:
        review = await self._create(TOKENREVIEWS, {"token": token})
        user = review.get("user") or {}
        if not review.get("authenticated"):
            return Refusal(401, "Unauthorized")
        spec: JSON = {
            "user": user.get("username", ""),
            "groups": user.get("groups") or [],
            "nonResourceAttributes": {"path": path, "verb": "get"},
        }
        spec |= {name: user[name] for name in ("uid", "extra") if user.get(name)}
        access = await self._create(SUBJECTACCESSREVIEWS, spec)
        if access.get("allowed"):
            return None
        return Refusal(403, f"Authorization denied for user {user.get('username', '')}")

    async def _create(self, resource: Any, spec: JSON) -> JSON:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {}, "spec": spec}
        answer = await self._client.create(resource, body)
        status = answer.get("status")
        return status if isinstance(status, dict) else {}

    def _remember(self, digest: bytes, now: float, answer: Refusal | None) -> None:
        self._known[digest] = (now + (REFUSED_SECONDS if answer else ALLOWED_SECONDS), answer)
        self._known.move_to_end(digest)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
