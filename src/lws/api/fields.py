"""Field types of our API: what a value is in Python, and how the CustomResourceDefinition describes it.

A model's annotations carry both. Limits and enums are facts for the API server, which enforces them; parsing stays
lenient, so that one object written past them fails nothing but itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

JSON: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """The structural schema of a field, and the default that the API server fills in."""

    schema: JSON
    default: Any = None


@dataclass(frozen=True, slots=True)
class Core:
    """A field whose schema is published by Kubernetes under this definition; ``listed`` for a list of them."""

    definition: str
    listed: bool = False


def enum(*values: str, default: str | None = None) -> Shape:
    """A string that must be one of the values."""
    return Shape({"type": "string", "enum": list(values)}, default)


def int32(default: int | None = None, **limits: int) -> Shape:
    """A 32-bit integer."""
    return Shape({"type": "integer", "format": "int32", **limits}, default)


def int64() -> Shape:
    """A 64-bit integer."""
    return Shape({"type": "integer", "format": "int64"})


def text() -> Shape:
    """A string."""
    return Shape({"type": "string"})


def int_or_string(default: int) -> Shape:
    """An integer, or a string such as ``25%``."""
    kinds = [{"type": "integer"}, {"type": "string"}]
    return Shape({"anyOf": kinds, "x-kubernetes-int-or-string": True}, default)


PodTemplate: TypeAlias = Annotated[JSON, Core("PodTemplateSpec")]
VolumeClaims: TypeAlias = Annotated[list[JSON], Core("PersistentVolumeClaim", listed=True)]
