"""Mirrors ConfigMaps: one with annotation ``mirror.example/to: <name>`` is kept equal under that name.

A complete controller on the framework of this repository: a kind, a pure planner, a reconciler of three lines, and
the parts that run it. ``docs/framework.md`` explains it line by line.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random, SystemRandom

from lws.apimachinery.actions import DONE, Create, EmitEvent, Plan, Update
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import CachedStruct, Key, ObjectMeta
from lws.apimachinery.resources import CONFIGMAPS
from lws.client.api import ApiClient
from lws.client.connection import connect
from lws.clock import Clock, SystemClock
from lws.informers.kinds import typed_kind
from lws.informers.registry import InformerRegistry
from lws.runtime.builder import ControllerBuilder, ControllerOptions
from lws.runtime.caches import cache_service
from lws.runtime.controller import Verdict
from lws.runtime.events import EventRecorder, ObjectRef
from lws.runtime.lifetimes import Supervisor, background
from lws.runtime.outcomes import verdict

TO = "mirror.example/to"


class ConfigMap(CachedStruct, frozen=True):
    """What the planner reads of a ConfigMap."""

    metadata: ObjectMeta
    data: dict[str, str] | None = None


KIND = typed_kind(CONFIGMAPS, ConfigMap, annotations=TO.__eq__)


def copy_of(source: ConfigMap, name: str) -> JSON:
    """The manifest of a mirror; its source owns it, so that it goes when the source goes."""
    meta = source.metadata
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": meta.name, "uid": meta.uid, "controller": True}
    metadata = {"name": name, "namespace": meta.namespace, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": source.data or {}}


def plan_mirror(source: ConfigMap | None, copy: ConfigMap | None) -> Plan:
    """Create what is missing, update what differs, leave alone what is somebody else's."""
    name = source.metadata.annotation(TO) if source is not None and not source.metadata.deleting else None
    if source is None or not name:
        return DONE
    taken = EmitEvent("Warning", "NameTaken", "Create", f"ConfigMap {name} exists and is not ours")
    if copy is None:
        return Plan((Create(CONFIGMAPS, copy_of(source, name), on_foreign=(taken,)),))
    live = copy.metadata
    if live.controller is None or live.controller.uid != source.metadata.uid:
        return Plan((replace(taken, once=live.uid),))
    if copy.data == source.data:
        return DONE
    gone = dict.fromkeys(set(copy.data or {}) - set(source.data or {}))
    change = {"data": {**gone, **(source.data or {})}}
    return Plan((Update(CONFIGMAPS, live.namespace, live.name, live.resource_version, change),))


def build(client: ApiClient, *, clock: Clock, rng: Random) -> Supervisor:
    """Wire caches, queue, executor and workers; nothing runs until the manager does."""
    registry = InformerRegistry(client, clock=clock, random=rng)
    events = EventRecorder(client, component="mirror", hostname="localhost", clock=clock, random=rng)
    maps = registry.informer(KIND)
    builder = ControllerBuilder[Key]("mirror", ControllerOptions(clock, rng))
    executor = builder.executor(client, events)

    def keys(old: ConfigMap | None, new: ConfigMap | None) -> set[Key]:
        seen = [each.metadata for each in (old, new) if each is not None]
        owners = {(meta.namespace, meta.controller.name) for meta in seen if meta.controller is not None}
        return owners | {meta.key for meta in seen}

    async def reconcile(key: Key) -> Verdict:
        source = maps.store.get(*key)
        name = source.metadata.annotation(TO) if source is not None else None
        plan = plan_mirror(source, maps.store.get(key[0], name) if name else None)
        regarding = ObjectRef.to(CONFIGMAPS, source.metadata) if source is not None else None
        return verdict(plan, await executor.run(key, plan, regarding))

    builder.watch(maps, keys)
    controller = builder.build(reconcile)
    caches = cache_service(registry, clock=clock, patience=30.0)
    return Supervisor([caches, background("events", events.run), background("mirror", controller.run)])


async def main() -> None:
    """Run against the cluster of ``$KUBECONFIG`` until cancelled."""
    connection = await connect()
    try:
        client = connection.client(user_agent="mirror", field_manager="mirror")
        await build(client, clock=SystemClock(), rng=SystemRandom()).run()
    finally:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main())
