"""Which objects belong to an owner: those it controls, and orphans of its selector, which it adopts.

An owner lets go of an object that its selector no longer picks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.client.api import STRATEGIC_MERGE_PATCH, ApiClient
from lws.errors import InvalidError, NotFoundError
from lws_sandbox.controllers.objects import (
    controller_of,
    controller_reference,
    is_terminating,
    labels_of,
    matches_labels,
    name_of,
    namespace_of,
    uid_of,
)


@dataclass(frozen=True, slots=True)
class Claims:
    """What to do about candidates: ``kept`` are controlled already, ``adopt`` and ``release`` take a patch each."""

    kept: tuple[JSON, ...]
    adopt: tuple[JSON, ...]
    release: tuple[JSON, ...]


def sort_candidates(
    owner: JSON, candidates: Iterable[JSON], belongs: Callable[[JSON], bool] = lambda _: True
) -> Claims:
    """Decide about objects that the owner controls or that nobody does; ``belongs`` narrows the selector."""
    selector = owner["spec"].get("selector")
    kept: list[JSON] = []
    adopt: list[JSON] = []
    release: list[JSON] = []
    ending = is_terminating(owner)
    for obj in candidates:
        matches = matches_labels(selector, labels_of(obj)) and belongs(obj)
        controller = controller_of(obj)
        if controller is not None:
            if controller.get("uid") != uid_of(owner):
                continue
            if matches:
                kept.append(obj)
            elif not ending:
                release.append(obj)
        elif matches and not ending and not is_terminating(obj):
            adopt.append(obj)
    return Claims(tuple(kept), tuple(adopt), tuple(release))


async def claim(
    client: ApiClient, owner_resource: Resource, owner: JSON, resource: Resource, claims: Claims
) -> list[JSON]:
    """Carry the claims out; returns what the owner controls afterwards.

    Raises:
        ApiError: some patch was refused; nothing that matters was lost, as all of it is decided anew.
    """
    owned = [*claims.kept]
    if claims.adopt and await _may_adopt(client, owner_resource, owner):
        for obj in claims.adopt:
            patched = await _adopt(client, owner_resource, owner, resource, obj)
            if patched is not None:
                owned.append(patched)
    for obj in claims.release:
        await _release(client, owner, resource, obj)
    return owned


async def _may_adopt(client: ApiClient, resource: Resource, owner: JSON) -> bool:
    """Whether the live owner is still the one meant, and is not going."""
    try:
        live = await client.get(resource, namespace_of(owner), name_of(owner))
    except NotFoundError:
        return False
    return uid_of(live) == uid_of(owner) and not is_terminating(live)


async def _adopt(
    client: ApiClient, owner_resource: Resource, owner: JSON, resource: Resource, obj: JSON
) -> JSON | None:
    reference = controller_reference(owner, owner_resource.api_version, owner_resource.kind)
    try:
        return await _refer(client, resource, obj, reference)
    except NotFoundError:
        return None


async def _release(client: ApiClient, owner: JSON, resource: Resource, obj: JSON) -> None:
    """Take the owner's reference off; an object that is gone or no longer ours needs nothing."""
    try:
        await _refer(client, resource, obj, {"$patch": "delete", "uid": uid_of(owner)})
    except (NotFoundError, InvalidError):
        return


async def _refer(client: ApiClient, resource: Resource, obj: JSON, reference: JSON) -> JSON:
    """Change one owner reference of this very object."""
    patch = {"metadata": {"ownerReferences": [reference], "uid": uid_of(obj)}}
    return await client.patch(resource, namespace_of(obj), name_of(obj), patch, content_type=STRATEGIC_MERGE_PATCH)
