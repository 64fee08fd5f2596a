"""Asks the API server whether a caller may read metrics: TokenReview, then SubjectAccessReview (operations 4).

Guarantees:
    * Without a token the server is not asked. What it allowed is cached for a minute, what it refused for ten seconds,
      and never the token itself, only its digest.
    * While the server does not answer, whom it allowed within the last hour is let in: an outage is when metrics are
      needed most. They wait for it no longer than ``PATIENCE``, for scrapes have a deadline. Everyone else gets 500.
      A process that follows in the same pod goes by what was kept for it (`lws.runtime.allowances`).
    * Callers are strangers: whatever they send, at most ``CONCURRENT`` reviews are in flight, one for each token, and
      who comes beyond that gets 503 at once. Refused tokens cannot push allowed ones out of the cache.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import structlog

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import SUBJECTACCESSREVIEWS, TOKENREVIEWS
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.errors import LwsError, ServerError, TooManyRequestsError, TransportError
from lws.runtime.allowances import Allowances
from lws.runtime.errorfields import error_fields

ALLOWED_SECONDS: Final = 60.0
OUTAGE_SECONDS: Final = 3600.0  # for how long a token is good that was allowed, while nobody can judge it anew
PATIENCE: Final = 2.0
REFUSED_SECONDS: Final = 10.0
CACHED: Final = 1000  # tokens of either kind
CONCURRENT: Final = 8
_log = structlog.stdlib.get_logger("lws.manager")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a caller gets nothing: HTTP status and text."""

    status: int
    text: str


_BUSY: Final = Refusal(503, "Too many callers are being authenticated, try again")
_UNCHECKED: Final = Refusal(500, "Authentication or authorization could not be checked")


class Reviewer:
    """Asks who a caller is and whether it may; see the module for its guarantees.

    Args:
        client: reaches the reviews, with a rate limit of its own.
        clock: measures how long answers are cached.
        kept: where allowances outlive the process; None for nowhere.
    """

    def __init__(self, client: ApiClient, clock: Clock, kept: Allowances | None = None) -> None:
        self._client = client
        self._clock = clock
        self._kept = kept
        self._allowed: _Cache = OrderedDict()
        now = clock.monotonic()
        for digest, age in ({} if kept is None else kept.read(OUTAGE_SECONDS)).items():
            _remember(self._allowed, digest, now - age + ALLOWED_SECONDS, None)
        self._refused: _Cache = OrderedDict()
        self._reviews: dict[bytes, asyncio.Task[Refusal | None]] = {}

    async def review(self, authorization: str, path: str) -> Refusal | None:
        """Whether the bearer of this ``Authorization`` header may GET this path; None if so."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return Refusal(401, "Unauthorized")
        digest = hashlib.sha256(f"{path}\n{token}".encode()).digest()
        now = self._clock.monotonic()
        for cache in (self._allowed, self._refused):
            if digest in cache and now < cache[digest][0]:
                return cache[digest][1]
        review = self._reviews.get(digest)
        if review is None:
            if len(self._reviews) >= CONCURRENT:
                return _BUSY
            review = self._reviews[digest] = asyncio.create_task(self._decide(digest, token, path), name="review")
        if self._known(digest):
            await asyncio.wait({review}, timeout=PATIENCE)
            return review.result() if review.done() else None
        return await asyncio.shield(review)  # others may wait for it too

    async def _decide(self, digest: bytes, token: str, path: str) -> Refusal | None:
        begun = self._clock.monotonic()
        try:
            answer = await self._ask(token, path)
        except LwsError as error:
            _log.warning("callers of metrics cannot be authenticated", **error_fields(error))
            outage = isinstance(error, TransportError | ServerError | TooManyRequestsError)
            return None if outage and self._known(digest) else _UNCHECKED
        finally:
            del self._reviews[digest]
        before = digest in self._allowed
        if answer is None:
            self._refused.pop(digest, None)
            _remember(self._allowed, digest, begun + ALLOWED_SECONDS, answer)
        else:
            self._allowed.pop(digest, None)
            _remember(self._refused, digest, begun + REFUSED_SECONDS, answer)
        if answer is None or before:
            self._keep()
        return answer

    def _keep(self) -> None:
        if self._kept is not None:
            now = self._clock.monotonic()
            ages = {digest: now - until + ALLOWED_SECONDS for digest, (until, _) in self._allowed.items()}
            self._kept.write({digest: age for digest, age in ages.items() if age < OUTAGE_SECONDS})

    def _known(self, digest: bytes) -> bool:
        """Whether this token was allowed lately enough to be let in while nobody can judge it."""
        allowed = self._allowed.get(digest)
        return allowed is not None and self._clock.monotonic() < allowed[0] - ALLOWED_SECONDS + OUTAGE_SECONDS

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


_Cache: TypeAlias = OrderedDict[bytes, tuple[float, Refusal | None]]
"""Digest of path and token -> until when the answer holds, and the answer."""


def _remember(cache: _Cache, digest: bytes, until: float, answer: Refusal | None) -> None:
    cache[digest] = (until, answer)
    cache.move_to_end(digest)
    while len(cache) > CACHED:
        cache.popitem(last=False)
