"""Finds out what a release would change, by dry runs that store nothing (operator 5.7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from lws.api.operand import names
from lws.apimachinery.drift import would_change
from lws.apimachinery.manifests import JSON
from lws.client.api import ApiClient
from lws.errors import ApiError
from lws.planning.operand import closed, pruning
from lws.planning.operand.desired import Wanted
from lws.planning.operand.preview import Preview, Restart, changed, entry, unheld
from lws.reconcilers.operand.observe import Observation

Restarts: TypeAlias = Callable[[], Awaitable[tuple[Restart, ...]]]
"""Which groups the controller of this release would restart."""


async def preview(client: ApiClient, observation: Observation, restarts: Restarts | None = None) -> Preview:
    """What is between the cluster and what is wanted.

    Args:
        client: asks for dry runs; where those are refused the answer is worked out from what was observed.
        observation: what was seen, and what is wanted.
        restarts: asked for groups that would restart; they are not known if absent.

    Raises:
        ApiError: the sets of the cluster cannot be listed.
        TransportError: no answer.
    """
    entries = []
    for wanted in observation.wanted.objects:
        found = await _entry(client, wanted, observation.world.live.get(wanted.key))
        entries += [found] if found is not None else []
    gone = pruning.unwanted(observation.wanted, observation.world)
    entries += [entry("delete", resource, live) for resource, live in gone]
    return Preview(tuple(entries), await restarts() if restarts is not None else None)


async def _entry(client: ApiClient, wanted: Wanted, live: JSON | None) -> JSON | None:
    if live is None:
        return entry("create", wanted.resource, wanted.manifest)
    extras = closed.extras(wanted.resource.kind, wanted.manifest, live)
    if not extras and not would_change(wanted.manifest, live, names.FIELD_MANAGER):
        return None
    paths = [each.strip("/").replace("/", ".") for each in extras]
    paths += await _paths(client, wanted, live)
    return entry("update", wanted.resource, wanted.manifest, paths)


async def _paths(client: ApiClient, wanted: Wanted, live: JSON) -> list[str]:
    try:
        answer = await client.apply(wanted.resource, wanted.manifest, field_manager=names.FIELD_MANAGER, dry_run=True)
    except ApiError:  # a role that holds more than we do may not even be tried
        return unheld(wanted.manifest, live)
    return changed(live, answer)
