"""Puts this room into a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from lws.clock import Clock
from lws.sandbox.auth.access import RbacAccess
from lws.sandbox.auth.escalation import GUARDED, Escalation, guarded
from lws.sandbox.auth.reviews import Reviews
from lws.sandbox.auth.rulebook import GROUP
from lws.sandbox.user import UserInfo

if TYPE_CHECKING:
    from lws.sandbox.server import ApiServer


def install(
    server: ApiServer, clock: Clock, random: Random, *, static_tokens: Mapping[str, UserInfo] | None = None
) -> RbacAccess:
    """Have the server tell callers apart, hold them to RBAC, guard roles and bindings, and answer reviews."""
    access = RbacAccess(server.storage, clock, random, static_tokens=static_tokens)
    server.access = access
    server.reviews |= Reviews(access, server.core.machinery, server.storage, clock).handlers()
    escalation = Escalation(access.rulebook, access.authorizer)
    for plural in GUARDED:
        served = server.catalog.builtin[GROUP, "v1", plural]
        server.catalog.builtin[GROUP, "v1", plural] = replace(served, strategy=guarded(served.strategy, escalation))
    return access
