"""Puts this room into a server, and makes the roles that every server makes for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Final

from lws.apimachinery.manifests import JSON
from lws.clock import Clock
from lws_sandbox import managedfields
from lws_sandbox.auth.access import RbacAccess
from lws_sandbox.auth.bootstrap import manifests
from lws_sandbox.auth.escalation import GUARDED, Escalation, guarded
from lws_sandbox.auth.reviews import Reviews
from lws_sandbox.auth.rulebook import GROUP
from lws_sandbox.rest.metadata import new_uid, timestamp
from lws_sandbox.schema import builtin_schema
from lws_sandbox.user import UserInfo

if TYPE_CHECKING:
    from lws_sandbox.server import ApiServer

MANAGER: Final = "kube-apiserver"


def install(
    server: ApiServer, clock: Clock, random: Random, *, static_tokens: Mapping[str, UserInfo] | None = None
) -> RbacAccess:
    """Have an empty server tell callers apart, hold them to RBAC, guard roles and bindings, and answer reviews."""
    access = RbacAccess(server.storage, clock, random, static_tokens=static_tokens)
    server.access = access
    server.reviews |= Reviews(access, server.core.codec, server.storage, clock).handlers()
    escalation = Escalation(access.rulebook, access.authorizer)
    for plural in GUARDED:
        served = server.catalog.builtin[GROUP, "v1", plural]
        server.catalog.builtin[GROUP, "v1", plural] = replace(served, strategy=guarded(served.strategy, escalation))
    make_roles(server, clock, random)
    return access


def make_roles(server: ApiServer, clock: Clock, random: Random) -> None:
    """Store the bootstrap roles and bindings; the store must not have them yet."""
    now = timestamp(clock.now())
    for collection, obj in _prepared():
        meta = {**obj["metadata"], "uid": new_uid(random), "creationTimestamp": now}
        meta["managedFields"] = [{**entry, "time": now} for entry in meta["managedFields"]]
        server.storage.create(collection, "", meta["name"], {**obj, "metadata": meta})


@cache
def _prepared() -> tuple[tuple[str, JSON], ...]:
    """Bootstrap objects by collection, with their managed fields worked out: once for all servers of a process."""
    made: list[tuple[str, JSON]] = []
    for resource, manifest in manifests():
        tracked = managedfields.track(
            None,
            manifest,
            manager=MANAGER,
            subresource="",
            schema=builtin_schema(resource.api_version, resource.kind),
            now=datetime(1970, 1, 1, tzinfo=UTC),
        )
        made.append((str(resource), tracked))
    return tuple(made)
