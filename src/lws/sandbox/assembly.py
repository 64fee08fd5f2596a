"""A complete API server, built from its rooms."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import orjson

from lws.api.resources import (
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from lws.client.transport import Request
from lws.clock import Clock
from lws.sandbox.access import Access
from lws.sandbox.admission import Caller, Unreachable, WebhookAdmission
from lws.sandbox.catalog import build
from lws.sandbox.inventory import builtins
from lws.sandbox.machinery import ApiMachinery
from lws.sandbox.server import ApiServer
from lws.sandbox.storage import WINDOW, Storage
from lws.sandbox.user import ADMIN

SYSTEM_NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")


def assemble(
    *,
    clock: Clock,
    random: Random,
    caller: Caller | None = None,
    access: Access | None = None,
    window: int = WINDOW,
) -> ApiServer:
    """An API server with all built-in kinds, custom resources and webhooks; empty until `bootstrap`.

    Args:
        clock: tells the time.
        random: every uid, name and chance comes from here.
        caller: reaches webhooks; by default none can be reached.
        access: tells callers apart; by default everybody may do everything.
        window: how many changes of each collection are remembered for watches.
    """
    storage = Storage(window)
    catalog = build(builtins(), {})
    admission = WebhookAdmission(
        mutating=lambda: storage.objects(str(MUTATINGWEBHOOKCONFIGURATIONS)),
        validating=lambda: storage.objects(str(VALIDATINGWEBHOOKCONFIGURATIONS)),
        namespace=lambda name: storage.get(str(NAMESPACES), "", name),
        strategies=catalog.strategies,
        caller=caller or Unreachable(),
        random=random,
    )
    return ApiServer(
        clock=clock,
        random=random,
        catalog=catalog,
        machinery=ApiMachinery(catalog.strategies),
        admission=admission,
        access=access,
        storage=storage,
    )


async def bootstrap(server: ApiServer, namespaces: Sequence[str] = SYSTEM_NAMESPACES) -> None:
    """Create what every cluster begins with.

    Raises:
        RuntimeError: the server refused, which it never should.
    """
    for name in namespaces:
        body = orjson.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        headers = {"content-type": "application/json", "user-agent": "kube-apiserver"}
        reply = await server.handle(Request("POST", "/api/v1/namespaces", (), headers, body), ADMIN)
        if reply.status not in (201, 409):
            raise RuntimeError(f"cannot create namespace {name}: {reply.body[:300]!r}")
