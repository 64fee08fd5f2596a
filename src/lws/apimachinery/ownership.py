"""How an existing object stands to one that is wanted under the same name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeAlias

from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import OwnerReference
from lws.apimachinery.resources import Resource


class Relation(Enum):
    """How an existing object stands to the one that we want."""

    OURS = "ours"
    ORPHAN = "orphan"  # nobody's, and made by us: to be adopted
    EARLIER = "earlier"  # an earlier incarnation's, about to be collected
    FOREIGN = "foreign"


OwnershipRule: TypeAlias = Callable[[Resource, JSON, JSON], Relation]
"""Whose a live object is that has the name of a wanted one: (resource, wanted manifest, live manifest)."""


def controller_of(metadata: Mapping[str, Any]) -> OwnerReference | None:
    """The owner that controls an object, read from the metadata of its manifest."""
    references = metadata.get("ownerReferences")
    for each in references if isinstance(references, list) else ():
        if each.get("controller"):
            return OwnerReference(
                kind=each.get("kind", ""),
                name=each.get("name", ""),
                uid=each.get("uid", ""),
                controller=True,
                api_version=each.get("apiVersion", ""),
            )
    return None


def same_controller(_: Resource, wanted: JSON, live: JSON) -> Relation:
    """The plain rule: ours is what the wanted object's controller controls, by UID; earlier what one of its name did.

    An object without a controller is not ours: a stranger made it, or its owner let go of it.
    """
    owner, found = controller_of(wanted["metadata"]), controller_of(live.get("metadata") or {})
    if owner is None or found is None:
        return Relation.FOREIGN
    if found.uid == owner.uid:
        return Relation.OURS
    return Relation.EARLIER if (found.kind, found.name) == (owner.kind, owner.name) else Relation.FOREIGN
