"""What the page may do to a node: evacuate it, or release a lost one, as the commands of these names do.

Guarantees: a write is refused if the node is another one, or its taints, cordon or readiness changed, since it was
shown; and it carries the UID and the resourceVersion that were read for it.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from lws.api.leaderworkerset.policykeys import EVACUATE
from lws.apimachinery.manifests import JSON, annotations_of
from lws.cli.kubectl import nodes
from lws.cli.kubectl.ui.foresight import foresee_drain
from lws.client.api import ApiClient
from lws.errors import ConfigurationError, ConflictError, InvalidError, LwsError, NotFoundError

EVACUATION: Final = "evacuate"
RELEASE: Final = "release"
NAMES: Final = (EVACUATION, RELEASE)


async def preview(client: ApiClient, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What an action would do: a kubectl line, effects in the command's words, and what was seen.

    Raises:
        LwsError: node or pods cannot be read.
    """
    action, name = _named(asked)
    try:
        raw = await nodes.find_node(client, name)
        return {"line": line(asked), "effects": await _effects(client, action, raw), "seen": _seen(raw)}
    except ConfigurationError as error:
        return {"refused": str(error)}


async def plan(client: ApiClient, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What `kubectl lws plan drain` says of an evacuation: ``plan``, in lines, or ``refused`` where there is none."""
    action, name = _named(asked)
    if action == RELEASE:
        return {"refused": "A node that is lost is not drained; plan has nothing to rehearse."}
    try:
        return {"plan": await foresee_drain(client, name)}
    except LwsError as error:
        return {"refused": f"No plan: {error}."}


async def act(client: ApiClient, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Do it, if what was shown still holds; ``done`` or ``refused`` in one sentence."""
    action, name = _named(asked)
    try:
        raw = await nodes.find_node(client, name)
        if asked.get("seen") != _seen(raw):
            return {"refused": f"{name} changed since this was shown. Nothing was written: look again."}
        if action == RELEASE:
            nodes.check_lost(raw, datetime.now(UTC))
            await nodes.taint(client, raw)
        else:
            meta = raw["metadata"]
            await nodes.cordon(client, name, uid=meta["uid"], resourceVersion=meta["resourceVersion"])
    except (ConflictError, InvalidError, NotFoundError):
        return {"refused": f"{name} changed meanwhile. Nothing was written: look again."}
    except LwsError as error:
        return {"refused": str(error)}
    return {"done": line(asked)}


def line(asked: Mapping[str, Any]) -> str:
    """The line of kubectl that does the same."""
    return shlex.join(["kubectl", "lws", *_named(asked)])


async def _effects(client: ApiClient, action: str, raw: JSON) -> list[str]:
    """What the command says with ``--dry-run``, line by line."""
    name = raw["metadata"]["name"]
    if action == EVACUATION:
        return nodes.evacuation([name], await nodes.leaving(client, [raw]), dry=True)
    nodes.check_lost(raw, datetime.now(UTC))
    return [text.strip() for text in nodes.releasing(raw, await nodes.pods_on(client, name), dry=True)]


def _seen(raw: JSON) -> str:
    """What an action was shown for: the node, but for what its kubelet reports again and again."""
    spec, conditions = raw.get("spec") or {}, (raw.get("status") or {}).get("conditions") or ()
    ready = [one.get("status") for one in conditions if one.get("type") == "Ready"]
    evacuated = annotations_of(raw).get(EVACUATE)
    parts = [raw["metadata"]["uid"], bool(spec.get("unschedulable")), spec.get("taints") or [], ready, evacuated]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def _named(asked: Mapping[str, Any]) -> tuple[str, str]:
    """Action and node.

    Raises:
        ConfigurationError: the request does not name them.
    """
    action, name = asked.get("action"), asked.get("name")
    if action not in NAMES or not isinstance(name, str) or not name:
        raise ConfigurationError("no such action")
    return action, name
