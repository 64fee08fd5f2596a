"""Field types of our API: what a value is in Python, and how the CustomResourceDefinition describes it.

A model's annotations carry both. Limits and enums are facts for the API server, which enforces them; parsing stays
lenient, so that one object written past them fails nothing but itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

from lws.apimachinery.manifests import JSON


@dataclass(frozen=True, slots=True)
class Shape:
    """The structural schema of a field, and the default that the API server fills in."""

    schema: JSON
    default: Any = None


@dataclass(frozen=True, slots=True)
class Core:
    """A field whose schema is published by Kubernetes under this definition.

    ``listed`` is for a list of them, ``atomic`` for one that is replaced as a whole.
    """

    definition: str
    listed: bool = False
    atomic: bool = False


@dataclass(frozen=True, slots=True)
class Keyed:
    """A list that is a map by one member of its entries; ``items`` is their schema, unless a model describes them."""

    key: str
    limits: JSON = field(default_factory=dict)
    items: JSON | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of what a model describes, replaced as a whole."""

    limits: JSON = field(default_factory=dict)


def enum(*values: str, default: str | None = None) -> Shape:
    """A string that must be one of the values."""
    return Shape({"type": "string", "enum": list(values)}, default)


def int32(default: int | None = None, **limits: int) -> Shape:
    """A 32-bit integer."""
    return Shape({"type": "integer", "format": "int32", **limits}, default)


def int64() -> Shape:
    """A 64-bit integer."""
    return Shape({"type": "integer", "format": "int64"})


def text(default: str | None = None) -> Shape:
    """A string."""
    return Shape({"type": "string"}, default)


def int_or_string(default: int) -> Shape:
    """An integer, or a string such as ``25%``."""
    kinds = [{"type": "integer"}, {"type": "string"}]
    return Shape({"anyOf": kinds, "x-kubernetes-int-or-string": True}, default)


PodTemplate: TypeAlias = Annotated[JSON, Core("PodTemplateSpec")]
VolumeClaims: TypeAlias = Annotated[list[JSON], Core("PersistentVolumeClaim", listed=True)]
EmbeddedMetadata: TypeAlias = Annotated[JSON, Core("ObjectMeta")]
