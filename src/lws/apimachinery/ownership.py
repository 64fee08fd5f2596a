"""How an existing object stands to one that is wanted under the same name."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from lws.apimachinery.objects import OwnerReference


class Relation(Enum):
    """How an existing object stands to the one that we want."""

    OURS = "ours"
    ORPHAN = "orphan"  # nobody's, and made by us: to be adopted
    EARLIER = "earlier"  # an earlier incarnation's, about to be collected
    FOREIGN = "foreign"


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
