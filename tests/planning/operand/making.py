"""Worlds for the operator's planners: an installation as it is once everything was applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from lws.api.operand import names
from lws.api.operand.types import LeaderWorkerSetOperator
from lws.apimachinery.manifests import JSON
from lws.planning.operand.assets import Asset, assets
from lws.planning.operand.desired import Desired, desired
from lws.planning.operand.facts import Facts
from lws.planning.operand.world import Key, World

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
FACTS: Final = Facts("ns", "ns", "uid-of-cluster", image="registry.example/lws:v1.1.0", version="1.1.0")


def operator(**spec: Any) -> LeaderWorkerSetOperator:
    """The operator's object."""
    metadata = {"name": names.SINGLETON, "uid": FACTS.owner_uid, "generation": 1}
    return LeaderWorkerSetOperator.from_json({"metadata": metadata, "spec": spec})


def wanted(facts: Facts = FACTS, objects: Sequence[Asset] | None = None, **spec: Any) -> Desired:
    """What a spec asks for."""
    return desired(operator(**spec).spec, facts, assets() if objects is None else objects)


def stored(manifest: JSON, **metadata: Any) -> JSON:
    """An object as the server would have it after an apply of ours."""
    meta = {**manifest["metadata"], "uid": f"uid-{manifest['metadata']['name']}", "resourceVersion": "1", **metadata}
    return {**manifest, "metadata": meta}


def installed(facts: Facts = FACTS, **spec: Any) -> World:
    """A world in which everything that a spec asks for is there."""
    found = wanted(facts, **spec)
    live: dict[Key, JSON] = {each.key: stored(each.manifest) for each in found.objects}
    resources = {(each.resource.api_version, each.resource.kind): each.resource for each in found.objects}
    return World(operator=operator(**spec), live=live, now=NOW, resources=resources)


def without(world: World, *keys: Key) -> World:
    """A world that lacks some objects."""
    return replace(world, live={key: live for key, live in world.live.items() if key not in keys})
