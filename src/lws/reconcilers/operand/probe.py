"""Asks the operand's webhook whether it works, by dry runs that store nothing (operator 5.6)."""

from __future__ import annotations

import re
from typing import Final

from lws.api.operand.workloads import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.client.api import ApiClient
from lws.errors import ApiError, ForbiddenError, InvalidError, LwsError, NotFoundError, ServerError

NAME: Final = "lws-operator-probe"
_OUR_HOOK: Final = re.compile(r'"[mv](leaderworkerset|pod)\.kb\.io"')


async def probe(client: ApiClient, namespace: str) -> str:
    """Why the webhook does not work; empty if it does.

    A set without a network configuration must come back defaulted, which only the webhook does, and one of size 0 must
    be refused by it. What another plugin, webhook or quota refuses says nothing of ours.

    Raises:
        ForbiddenError: the operator may not create sets here, not even dry.
    """
    try:
        made = await client.create(LEADERWORKERSETS, _manifest(namespace, 1), dry_run=True)
    except NotFoundError:
        return "LeaderWorkerSets are not served"
    except LwsError as error:
        return _fault(error)
    if ((made.get("spec") or {}).get("networkConfig") or {}).get("subdomainPolicy") != "Shared":
        return "sets are not defaulted: the mutating webhook is not asked"
    try:
        await client.create(LEADERWORKERSETS, _manifest(namespace, 0), dry_run=True)
    except LwsError as error:
        return "" if _OUR_HOOK.search(str(error)) and not isinstance(error, ServerError) else _fault(error)
    return "sets are not validated: the validating webhook is not asked"


def _fault(error: LwsError) -> str:
    """What a refusal says of our webhook; nothing if somebody else refused."""
    if isinstance(error, ForbiddenError) and " cannot " in error.message:
        raise error
    refused = isinstance(error, ApiError) and not isinstance(error, ServerError)
    if refused and not _OUR_HOOK.search(str(error)) and not isinstance(error, InvalidError):
        return ""
    return str(error)


def _manifest(namespace: str, size: int) -> JSON:
    template = {"spec": {"containers": [{"name": "probe", "image": "probe"}]}}
    return {
        "apiVersion": LEADERWORKERSETS.api_version,
        "kind": LEADERWORKERSETS.kind,
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"replicas": 1, "leaderWorkerTemplate": {"size": size, "workerTemplate": template}},
    }
