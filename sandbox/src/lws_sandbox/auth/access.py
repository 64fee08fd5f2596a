"""The door of this room: `lws_sandbox.access.Access` with RBAC behind it."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

from lws.clock import Clock
from lws_sandbox.auth.authorizer import Authorizer, aggregate
from lws_sandbox.auth.identities import ANONYMOUS_NAME
from lws_sandbox.auth.impersonation import Impersonation, wanted_user
from lws_sandbox.auth.rulebook import Rulebook
from lws_sandbox.auth.tokens import AUDIENCES, INVALID, ForeignTokenError, TokenError, Tokens
from lws_sandbox.rest.call import RequestInfo
from lws_sandbox.status import unauthorized
from lws_sandbox.storage import Storage
from lws_sandbox.user import ANONYMOUS, UserInfo

BEARER: Final = "bearer"


class RbacAccess:
    """Authenticates by certificate or token, and authorizes by the roles and bindings that are stored.

    Args:
        storage: the server's.
        clock: tells when tokens end.
        random: source of the signing key and of token ids.
        static_tokens: bearer tokens that stand for a user, besides those of service accounts.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        random: Random,
        *,
        static_tokens: Mapping[str, UserInfo] | None = None,
    ) -> None:
        self.rulebook = Rulebook(storage)
        self.authorizer = Authorizer(self.rulebook)
        self.tokens = Tokens(storage, clock, random)
        self._static = dict(static_tokens or {})
        self._impersonation = Impersonation(self.authorizer)

    async def authenticate(self, headers: Mapping[str, str], known: UserInfo | None, info: RequestInfo) -> UserInfo:
        """Who asks; ``known`` is whom the transport vouches for.

        A known caller without a name showed a certificate that nobody vouches for.

        Raises:
            StatusError: 401 for bad credentials, 400 or 403 for an impersonation that makes no sense or is not allowed.
        """
        user = self._caller(headers, known)
        wanted = wanted_user(headers)
        return user if wanted is None else self._impersonation.act_as(user, wanted, info)

    async def authorize(self, user: UserInfo, info: RequestInfo) -> tuple[bool, str]:
        """Whether ``user`` may, and the reason in words, which may be empty."""
        return self.authorizer.decide(user, info)

    def token_user(self, token: str, audiences: tuple[str, ...] = AUDIENCES) -> tuple[UserInfo, list[str]]:
        """Whose token it is, and for which of the audiences.

        Raises:
            TokenError: it does not hold; says all that was found.
        """
        if token in self._static:
            return self._static[token], list(audiences)
        try:
            return self.tokens.check(token, audiences)
        except ForeignTokenError:
            raise
        except TokenError as error:
            raise TokenError(aggregate([INVALID, str(error)])) from error

    def _caller(self, headers: Mapping[str, str], known: UserInfo | None) -> UserInfo:
        if known is not None and known.name != ANONYMOUS_NAME:
            if not known.name:
                raise unauthorized()
            return known
        scheme, _, rest = headers.get("authorization", "").strip().partition(" ")
        token = rest.partition(" ")[0]
        if scheme.lower() != BEARER or not token:
            return ANONYMOUS
        try:
            return self.token_user(token)[0]
        except TokenError as error:
            raise unauthorized() from error
