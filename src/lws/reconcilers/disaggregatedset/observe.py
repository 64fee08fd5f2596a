"""The caches, and the snapshots taken from them; nothing here asks the API server.

A server that does not serve DisaggregatedSets, or does not grant them, is done without them until it does. Services
are selected by the label ``disaggregatedset.x-k8s.io/name`` at the server. LeaderWorkerSets come out of the cache that
their own controller reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from lws.api.disaggregatedset import labels, names
from lws.api.disaggregatedset.revision import UnreadableTemplateError, revision_of
from lws.api.disaggregatedset.types import DisaggregatedSet, DisaggregatedSetRoleScaler
from lws.api.leaderworkerset.objects import Service
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import Key, Object, ObjectMeta
from lws.informers.informer import Informer
from lws.informers.kinds import Kind
from lws.informers.registry import InformerRegistry
from lws.planning.disaggregatedset import revisions
from lws.planning.disaggregatedset.snapshots import Child, Snapshot
from lws.reconcilers.disaggregatedset import kinds

T = TypeVar("T", bound=Object)

BY_SET: Final = "disaggregatedset"


def by_set(obj: Object) -> str:
    """``<namespace>/<set>`` by label; nothing for an empty label."""
    name = obj.metadata.label(labels.NAME)
    return f"{obj.metadata.namespace}/{name}" if name else ""


@dataclass(frozen=True, slots=True)
class Caches:
    """The informers that the reconciler reads."""

    sets: Informer[DisaggregatedSet]
    children: Informer[LeaderWorkerSet]
    services: Informer[Service]
    scalers: Informer[DisaggregatedSetRoleScaler]

    @classmethod
    def of(
        cls,
        registry: InformerRegistry,
        *,
        children: Kind[LeaderWorkerSet],
        services: Kind[Service],
        namespace: str = "",
    ) -> Caches:
        """Ask the registry for every informer, with its index.

        Args:
            registry: shares informers of one kind and selection.
            children: how LeaderWorkerSets are cached.
            services: how Services are cached.
            namespace: all of them if empty.
        """
        found = cls(
            sets=registry.informer(kinds.SETS, namespace=namespace, optional=True),
            children=registry.informer(children, namespace=namespace),
            services=registry.informer(services, namespace=namespace, label_selector=labels.NAME),
            scalers=registry.informer(kinds.SCALERS, namespace=namespace, optional=True),
        )
        found.children.add_index(BY_SET, by_set)
        found.services.add_index(BY_SET, by_set)
        found.scalers.add_index(BY_SET, by_set)
        return found


class Observer:
    """Takes snapshots; remembers the revision of each generation, which is dear to compute."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._revisions: dict[Key, tuple[str, int, str]] = {}  # UID, generation, revision

    def of(self, key: Key) -> Snapshot | None:
        """The set of this key; None if it is gone."""
        namespace, name = key
        caches, where = self._caches, f"{namespace}/{name}"
        ds = caches.sets.store.get(namespace, name)
        if ds is None:
            self._revisions.pop(key, None)
            return None
        uid = ds.metadata.uid
        children = tuple(Child(lws) for lws in _controlled(caches.children.store.by_index(BY_SET, where), uid))
        try:
            target, fault = revisions.choose(ds, self._computed(key, ds), children), ""
        except UnreadableTemplateError as error:
            target, fault = "", str(error)
        child_names = (
            names.child(name, slice_, target, role.name) for slice_ in range(ds.spec.slices) for role in ds.spec.roles
        )
        scaler_names = (names.scaler(name, role.name) for role in ds.spec.roles if role.external)
        return Snapshot(
            ds=ds,
            target=target,
            fault=fault,
            children=children,
            services=tuple(caches.services.store.by_index(BY_SET, where)),
            scalers=tuple(_controlled(caches.scalers.store.by_index(BY_SET, where), uid)),
            foreign_sets=_foreign(caches.children, namespace, child_names, uid),
            foreign_scalers=_foreign(caches.scalers, namespace, scaler_names, uid),
        )

    def keep_only(self, live: Collection[Key]) -> None:
        """Forget the revisions of all other sets."""
        for key in [*self._revisions]:
            if key not in live:
                del self._revisions[key]

    def _computed(self, key: Key, ds: DisaggregatedSet) -> str:
        meta, known = ds.metadata, self._revisions.get(key)
        if known is not None and known[:2] == (meta.uid, meta.generation):
            return known[2]
        revision = revision_of(ds.raw_roles)
        self._revisions[key] = (meta.uid, meta.generation, revision)
        return revision


def _controlled(objects: Iterable[T], uid: str) -> list[T]:
    """Those that the set controls, by name."""
    mine = [obj for obj in objects if (owner := obj.metadata.controller) is not None and owner.uid == uid]
    return sorted(mine, key=lambda obj: obj.metadata.name)


def _foreign(informer: Informer[Any], namespace: str, wanted: Iterable[str], uid: str) -> dict[str, ObjectMeta]:
    """What bears one of these names and is not the set's."""
    found = ((name, informer.store.get(namespace, name)) for name in wanted)
    return {
        name: obj.metadata
        for name, obj in found
        if obj is not None and ((owner := obj.metadata.controller) is None or owner.uid != uid)
    }
