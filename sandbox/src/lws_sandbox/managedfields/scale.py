"""Ownership through ``/scale``: the replicas of the object and of its Scale have the same owners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.managedfields import entries
from lws_sandbox.managedfields.entries import Managed, Owned
from lws_sandbox.managedfields.fieldset import FieldSet
from lws_sandbox.managedfields.paths import Path

SCALE_VERSION: Final = "autoscaling/v1"
_REPLICAS: Final[Path] = ("f:spec", "f:replicas")


def _path(dotted: str) -> Path:
    return tuple(f"f:{name}" for name in dotted.strip(".").split("."))


def to_scale(parent: list[JSON], replicas: Mapping[str, str]) -> list[JSON]:
    """The managedFields of a Scale, from those of its object.

    Args:
        parent: managedFields of the object.
        replicas: dotted path of the replicas, by apiVersion of the object.
    """
    managed = entries.decode(parent)
    result = Managed()
    for manager, owned in managed.owned.items():
        dotted = replicas.get(owned.api_version)
        if dotted and owned.fields.has(_path(dotted)):
            result.owned[manager] = Owned(FieldSet.of(_REPLICAS), SCALE_VERSION)
            if manager in managed.times:
                result.times[manager] = managed.times[manager]
    return entries.encode(result)


def to_parent(parent: list[JSON], scale: list[JSON], api_version: str, replicas: Mapping[str, str]) -> list[JSON]:
    """The managedFields of an object after its Scale was written.

    Args:
        parent: managedFields of the object before.
        scale: managedFields of the Scale after.
        api_version: of the object in the request.
        replicas: dotted path of the replicas, by apiVersion of the object.
    """
    before, scaled = entries.decode(parent), dict(entries.decode(scale).owned)
    result = Managed()
    for manager, owned in before.owned.items():
        dotted = replicas.get(owned.api_version)
        if dotted is None:
            continue
        kept: Owned | None = owned
        if dotted and owned.fields.has(_path(dotted)) and scaled.pop(manager, None) is None:  # stolen
            fields = owned.fields.difference(FieldSet.of(_path(dotted)))
            kept = Owned(fields, owned.api_version) if fields else None
        if kept is not None:
            result.owned[manager] = kept
            if manager in before.times:
                result.times[manager] = before.times[manager]
    for manager, owned in scaled.items():
        if owned.fields.has(_REPLICAS):
            result.owned[manager] = Owned(FieldSet.of(_path(replicas[api_version])), api_version)
            if manager in before.times:
                result.times[manager] = before.times[manager]
    return entries.encode(result)
