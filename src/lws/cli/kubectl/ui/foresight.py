"""What `kubectl lws plan` says of an action before it is done, rehearsed on a copy of what it concerns."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.plan.answer import answer, difference, start_up
from lws.cli.kubectl.plan.rehearsal import Request, check_installed, rehearse
from lws.cli.kubectl.plan.text import lines
from lws.cli.kubectl.plan.world import read_world
from lws.client.api import ApiClient
from lws.errors import NotFoundError

Patch = Mapping[str, Any] | list[JSON]


async def foresee(client: ApiClient, namespace: str, name: str, patch: Patch) -> list[str]:
    """The lines of a plan for the set as the patch would leave it; takes seconds, in a thread of its own.

    Raises:
        ConfigurationError: the sandbox, on which plans are rehearsed, is not installed.
        LwsError: the namespace cannot be read.
    """
    check_installed()
    world = await read_world(client, namespace)
    live = world.lws(namespace, name)
    if live is None:
        raise NotFoundError(404, "NotFound", f"{name} does not exist any more")
    edited, took = patched(live, patch), start_up(world, (namespace, name))
    request = Request("edit", world, datetime.now(UTC), edited=((LEADERWORKERSETS, edited),), start_up=took.seconds)
    outcome = await asyncio.to_thread(rehearse, request)
    return lines(answer("edit", request, outcome, took, difference(live, edited)), None)


async def foresee_drain(client: ApiClient, node: str) -> list[str]:
    """The lines of a plan for a drain of the node, as `foresee` has them; it reads the sets of every namespace.

    Raises:
        ConfigurationError: the sandbox, on which plans are rehearsed, is not installed.
        LwsError: the cluster cannot be read.
    """
    check_installed()
    world = await read_world(client, "")
    took = start_up(world)
    request = Request("drain", world, datetime.now(UTC), nodes=(node,), start_up=took.seconds)
    outcome = await asyncio.to_thread(rehearse, request)
    return lines(answer("drain", request, outcome, took, ""), None)


def patched(live: JSON, patch: Patch) -> JSON:
    """The object after one of the patches of `lws.cli.kubectl.rollout`. Pure."""
    changed = copy.deepcopy(live)
    if isinstance(patch, list):
        for step in patch:
            parent, member = step["path"].removeprefix("/").rsplit("/", 1)
            if step["op"] == "add":
                changed[parent][member] = copy.deepcopy(step["value"])
        return changed
    _merge(changed, patch)
    return changed


def _merge(target: JSON, patch: Mapping[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, Mapping):
            if not isinstance(target.get(key), dict):
                target[key] = {}
            _merge(target[key], value)
        else:
            target[key] = value
