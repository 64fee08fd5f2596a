"""Reads what a rehearsal needs of the cluster: sets with what belongs to them, nodes, and what else runs there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lws.api.disaggregatedset import labels as role_labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, PODGROUPS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONFIGMAPS,
    CONTROLLERREVISIONS,
    DEPLOYMENTS,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    SERVICES,
    STATEFULSETS,
    Resource,
)
from lws.client.api import ApiClient
from lws.errors import ForbiddenError, NotFoundError

PRIORITYCLASSES: Final = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
RESOURCEQUOTAS: Final = Resource("", "v1", "resourcequotas", "ResourceQuota")
POLICIES: Final = ("lws-system", "lws-policies")
PAGE: Final = 500
HASH: Final = "Hash"
_KEYED: Final = (DEPLOYMENTS, REPLICASETS)
_OWN: Final = (
    STATEFULSETS,
    PODS,
    CONTROLLERREVISIONS,
    SERVICES,
    PERSISTENTVOLUMECLAIMS,
    PODGROUPS,
    *_KEYED,
)
_NEEDED: Final = (LEADERWORKERSETS, PODS, STATEFULSETS, CONTROLLERREVISIONS)


@dataclass(frozen=True, slots=True)
class World:
    """A part of a cluster as it is.

    Attributes:
        objects: by resource; foreign pods are in `strangers`.
        strangers: pods of no set that are on nodes and hold resources there.
        missing: what could not be read, as sentences.
        policies: the text of the controller's policies file; empty if it has none (resilience 1.2).
    """

    objects: Mapping[Resource, Sequence[JSON]] = field(default_factory=dict)
    strangers: Sequence[JSON] = ()
    missing: tuple[str, ...] = ()
    policies: str = ""

    def of(self, resource: Resource) -> Sequence[JSON]:
        """The objects of a resource."""
        return self.objects.get(resource, ())

    def find(self, resource: Resource, namespace: str, name: str) -> JSON | None:
        """One object, if it exists."""
        found = (one for one in self.of(resource) if _place(one) == (namespace, name))
        return next(found, None)

    def lws(self, namespace: str, name: str) -> JSON | None:
        """One set, if it exists."""
        return self.find(LEADERWORKERSETS, namespace, name)


async def read_world(client: ApiClient, namespace: str) -> World:
    """Read the sets of a namespace, or with an empty one of all, and the nodes with all that runs on them.

    What may not be read is left out, and said in ``missing``; sets with their pods, StatefulSets and revisions must be
    readable.

    Raises:
        ForbiddenError: they may not be read.
    """
    own = {resource: _listed(client, resource, namespace, labels.NAME) for resource in _OWN}
    plain = {
        LEADERWORKERSETS: _listed(client, LEADERWORKERSETS, namespace),
        DISAGGREGATEDSETS: _listed(client, DISAGGREGATEDSETS, namespace),
        ROLESCALERS: _listed(client, ROLESCALERS, namespace),
        NODES: _listed(client, NODES, ""),
        PODDISRUPTIONBUDGETS: _listed(client, PODDISRUPTIONBUDGETS, namespace),
        PRIORITYCLASSES: _listed(client, PRIORITYCLASSES, ""),
        RESOURCEQUOTAS: _listed(client, RESOURCEQUOTAS, namespace),
    }
    reading = {**own, **plain}
    *found, others = await asyncio.gather(*reading.values(), _listed(client, PODS, "", f"!{labels.NAME}"))
    objects = dict(zip(reading, found, strict=True))
    for resource in _NEEDED:
        if objects[resource] is None:
            await client.list(resource, namespace, limit=1)  # raises what says why
    if objects[DISAGGREGATEDSETS]:
        routes = await _listed(client, SERVICES, namespace, role_labels.NAME)
        objects[SERVICES] = [*(objects[SERVICES] or ()), *(routes or ())]
    read = {resource: listed or () for resource, listed in objects.items()}
    strangers = [pod for pod in others or () if (pod.get("spec") or {}).get("nodeName")]
    policies, unread = await _policies(client)
    world = World(read, strangers, (*_missing(objects, others), *unread), policies)
    return without_hashed(world) if any(objects[one] is None for one in _KEYED) else world


def without_hashed(world: World) -> World:
    """The world where Deployments may not be read: pods of sets that have one only take room, which is said."""
    gone = {_place(one) for one in world.of(LEADERWORKERSETS) if (one.get("spec") or {}).get("groupIdentity") == HASH}
    if not gone:
        return world
    kept = {
        resource: [one for one in listed if _place(one) not in gone and _set_of(one) not in gone]
        for resource, listed in world.objects.items()
    }
    pods = [pod for pod in world.of(PODS) if _set_of(pod) in gone and (pod.get("spec") or {}).get("nodeName")]
    told = [
        f"{namespace}/{name} is not considered: its Deployment and ReplicaSets may not be read."
        for namespace, name in sorted(gone)
    ]
    return World(kept, [*world.strangers, *pods], (*world.missing, *told), world.policies)


async def _policies(client: ApiClient) -> tuple[str, list[str]]:
    """The policies file, from where the shipped manifests have it; and a sentence if it may not be read."""
    try:
        found = await client.get(CONFIGMAPS, *POLICIES)
    except NotFoundError:
        return "", []
    except ForbiddenError:
        return "", [f"Not considered, for it may not be read: ConfigMap {'/'.join(POLICIES)}."]
    return str((found.get("data") or {}).get("policies.yaml") or ""), []


def _missing(objects: Mapping[Resource, Sequence[JSON] | None], others: Sequence[JSON] | None) -> list[str]:
    texts = []
    if objects[NODES] is None:
        texts.append("Nodes may not be read: room on them is not considered.")
    elif others is None:
        texts.append("Pods of other namespaces may not be read: nodes may have less room than assumed.")
    if objects[DISAGGREGATEDSETS] is None and any(map(_of_roles, objects[LEADERWORKERSETS] or ())):
        texts.append("DisaggregatedSets may not be read: their LeaderWorkerSets are planned as if they had no owner.")
    unread = {PODDISRUPTIONBUDGETS: "disruption budgets", RESOURCEQUOTAS: "quotas"}
    hidden = [words for one, words in unread.items() if objects[one] is None]
    return [*texts, *(f"Not considered, for they may not be read: {words}." for words in hidden)]


def _of_roles(lws: JSON) -> bool:
    return role_labels.NAME in (lws["metadata"].get("labels") or {})


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
