"""Reads what a rehearsal needs of the cluster: sets with what belongs to them, nodes, and what else runs there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, PODGROUPS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONTROLLERREVISIONS,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PODDISRUPTIONBUDGETS,
    PODS,
    SERVICES,
    STATEFULSETS,
    Resource,
)
from lws.client.api import ApiClient
from lws.errors import ForbiddenError, NotFoundError

PRIORITYCLASSES: Final = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
RESOURCEQUOTAS: Final = Resource("", "v1", "resourcequotas", "ResourceQuota")
PAGE: Final = 500
HASH: Final = "Hash"
_OWN: Final = (STATEFULSETS, PODS, CONTROLLERREVISIONS, SERVICES, PERSISTENTVOLUMECLAIMS, PODGROUPS)


@dataclass(frozen=True, slots=True)
class World:
    """A part of a cluster as it is.

    Attributes:
        objects: by resource; foreign pods are in `strangers`.
        strangers: pods of no set that are on nodes and hold resources there.
        missing: what could not be read, as sentences.
    """

    objects: Mapping[Resource, Sequence[JSON]] = field(default_factory=dict)
    strangers: Sequence[JSON] = ()
    missing: tuple[str, ...] = ()

    def of(self, resource: Resource) -> Sequence[JSON]:
        """The objects of a resource."""
        return self.objects.get(resource, ())

    def lws(self, namespace: str, name: str) -> JSON | None:
        """One set, if it exists."""
        place = (namespace, name)
        found = (one for one in self.of(LEADERWORKERSETS) if _place(one) == place)
        return next(found, None)


async def read_world(client: ApiClient, namespace: str) -> World:
    """Read the sets of a namespace, or with an empty one of all, and the nodes with all that runs on them.

    What may not be read is left out, and said in ``missing``; sets and their pods must be readable.

    Raises:
        ForbiddenError: sets or pods may not be read.
    """
    own = {resource: _listed(client, resource, namespace, labels.NAME) for resource in _OWN}
    plain = {
        LEADERWORKERSETS: _listed(client, LEADERWORKERSETS, namespace),
        NODES: _listed(client, NODES, ""),
        PODDISRUPTIONBUDGETS: _listed(client, PODDISRUPTIONBUDGETS, namespace),
        PRIORITYCLASSES: _listed(client, PRIORITYCLASSES, ""),
        RESOURCEQUOTAS: _listed(client, RESOURCEQUOTAS, namespace),
    }
    reading = {**own, **plain}
    *found, others = await asyncio.gather(*reading.values(), _listed(client, PODS, "", f"!{labels.NAME}"))
    objects = dict(zip(reading, found, strict=True))
    for resource in (LEADERWORKERSETS, PODS):
        if objects[resource] is None:
            await client.list(resource, namespace, limit=1)  # raises what says why
    read = {resource: listed or () for resource, listed in objects.items()}
    strangers = [pod for pod in others or () if (pod.get("spec") or {}).get("nodeName")]
    return without_hashed(World(read, strangers, tuple(_missing(objects, others))))


def hashed(lws: JSON) -> bool:
    """Whether a set's groups are known by a key: a plan tells groups by their index."""
    return (lws.get("spec") or {}).get("groupIdentity") == HASH


def without_hashed(world: World) -> World:
    """The world with the pods of sets that cannot be planned as strangers, and a sentence for each such set."""
    gone = {_place(one) for one in world.of(LEADERWORKERSETS) if hashed(one)}
    if not gone:
        return world
    kept = {
        resource: [one for one in listed if _place(one) not in gone and _set_of(one) not in gone]
        for resource, listed in world.objects.items()
    }
    pods = [pod for pod in world.of(PODS) if _set_of(pod) in gone and (pod.get("spec") or {}).get("nodeName")]
    told = [f"{namespace}/{name} is not considered: its groups are known by a key." for namespace, name in sorted(gone)]
    return World(kept, [*world.strangers, *pods], (*world.missing, *told))


def _missing(objects: Mapping[Resource, Sequence[JSON] | None], others: Sequence[JSON] | None) -> list[str]:
    texts = []
    if objects[NODES] is None:
        texts.append("Nodes may not be read: room on them is not considered.")
    elif others is None:
        texts.append("Pods of other namespaces may not be read: nodes may have less room than assumed.")
    unread = {PODDISRUPTIONBUDGETS: "disruption budgets", RESOURCEQUOTAS: "quotas"}
    hidden = [words for one, words in unread.items() if objects[one] is None]
    return [*texts, *(f"Not considered, for they may not be read: {words}." for words in hidden)]


async def _listed(client: ApiClient, resource: Resource, namespace: str, selector: str = "") -> list[JSON] | None:
    """All objects, page by page; None where they may not be read, nothing where the API is not served."""
    found: list[JSON] = []
    more: str | None = None
    try:
        while True:
            page = await client.list(resource, namespace, label_selector=selector, limit=PAGE, continue_=more)
            found += page["items"]
            more = page.get("metadata", {}).get("continue") or None
            if more is None:
                return found
    except NotFoundError:
        return found
    except ForbiddenError:
        return None


def _set_of(raw: JSON) -> tuple[str, str]:
    meta = raw["metadata"]
    return str(meta.get("namespace") or ""), str((meta.get("labels") or {}).get(labels.NAME, ""))


def _place(raw: JSON) -> tuple[str, str]:
    return str(raw["metadata"].get("namespace") or ""), str(raw["metadata"]["name"])
