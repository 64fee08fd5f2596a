"""How values merge: the types that ownership knows, made of schemas.

A value is a scalar, a list or a map. Lists are atomic, sets, or keyed; maps are granular or atomic. What a schema
leaves open is deduced from the value: maps granular, lists atomic (kube-openapi `schemaconv`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lws_sandbox.schema import builtin
from lws_sandbox.schema.gostruct import zero
from lws_sandbox.schema.node import MISSING, Field, Node
from lws_sandbox.schema.schema import Schema

_OPEN = ("schema-or-array", "schema-or-bool")  # the published schema says nothing of them


@dataclass(frozen=True, slots=True)
class ListType:
    """A list.

    Attributes:
        element: type of its elements.
        atomic: owned and replaced as a whole.
        keys: names of the members that identify an element; none for a set of values.
    """

    element: Type
    atomic: bool
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MapType:
    """An object.

    Attributes:
        fields: types of its declared members.
        element: type of the others, or None when there may be none.
        atomic: owned and replaced as a whole.
        defaults: of members, for the keys of lists.
        deduced: it has no declared members, and its type is deduced.
    """

    fields: Mapping[str, Type]
    element: Type | None
    atomic: bool = False
    defaults: Mapping[str, Any] | None = None
    deduced: bool = False

    def child(self, name: str) -> Type | None:
        """The type of a member."""
        return self.fields.get(name) or self.element


class Type:
    """Which forms a value may take; built when first asked for, for schemas may contain themselves.

    Attributes:
        scalar: ``string``, ``numeric``, ``boolean``, ``untyped``, or empty if it cannot be a scalar.
    """

    def __init__(self, node: Node, *, preserve: bool = False, atomic_map: bool | None = None) -> None:
        self._node = node
        self._preserve = preserve or node.open
        self._atomic_map = node.atomic_map if atomic_map is None else atomic_map
        self.scalar = _scalar(node)

    @cached_property
    def list(self) -> ListType | None:
        """Its form as a list, if it may be one."""
        node = self._node
        if node.special == "raw" or node.special in _OPEN:
            return ListType(UNTYPED, atomic=True)
        if node.type != "array" and not _any(node):
            return None
        element = Type(node.items, preserve=self._preserve) if node.items is not None else UNTYPED
        if node.list_type == "map":
            return ListType(element, atomic=False, keys=node.keys)
        return ListType(element, atomic=node.list_type != "set")

    @cached_property
    def map(self) -> MapType | None:
        """Its form as an object, if it may be one."""
        node = self._node
        if node.special == "raw":
            return MapType({}, UNTYPED, atomic=True)
        if node.special in _OPEN:
            return MapType({}, DEDUCED, deduced=True)
        if node.special or (node.type != "object" and not _any(node)):
            return None
        fields = {name: Type(known.node, preserve=self._preserve) for name, known in node.fields.items()}
        defaults = {name: _default(known) for name, known in node.fields.items()}
        element: Type | None = None
        if node.values is not None:
            element = Type(node.values, preserve=self._preserve)
        elif node.any_values or self._preserve or not fields:
            element = DEDUCED
        return MapType(fields, element, self._atomic_map, defaults, deduced=not fields and element is DEDUCED)

    def form(self, value: Any) -> str:
        """Which form a value is treated as: ``map``, ``list`` or ``scalar``."""
        if isinstance(value, dict) and self.map is not None:
            return "map"
        if isinstance(value, list) and self.list is not None:
            return "list"
        if isinstance(value, str | int | float) and self.scalar:
            return "scalar"
        return "map" if self.map is not None else "scalar" if self.scalar else "list"


def _default(known: Field) -> Any:
    """The default of a key: the declared one, or the zero value of a Go field that is always written."""
    if known.default is not MISSING:
        return known.default
    scalar = known.node.type in ("string", "integer", "number", "boolean")
    return zero(known.node) if known.fact == "a" and scalar else None


def _any(node: Node) -> bool:
    return not node.type and not node.special


def _scalar(node: Node) -> str:
    if node.special:
        return "untyped"
    if node.type == "string":
        return "string" if node.raw.get("format", "") in ("", "byte") else "untyped"
    return {"integer": "numeric", "number": "numeric", "boolean": "boolean", "": "untyped"}.get(node.type, "")


class _Deduced(Type):
    """The type of what no schema describes."""

    def __init__(self, *, atomic: bool) -> None:
        self._atomic = atomic
        self.scalar = "untyped"

    @cached_property
    def list(self) -> ListType | None:
        """Atomic."""
        return ListType(UNTYPED, atomic=True)

    @cached_property
    def map(self) -> MapType | None:
        """Granular, or atomic below an atomic value."""
        return MapType({}, UNTYPED if self._atomic else DEDUCED, self._atomic, deduced=not self._atomic)


UNTYPED = _Deduced(atomic=True)
DEDUCED = _Deduced(atomic=False)


def type_of(schema: Schema) -> Type:
    """The type of a kind's objects; remembered on the schema."""
    found: Type | None = getattr(schema, "_merge_type", None)
    if found is None:
        found = _root(schema) if schema.custom else Type(schema.root)
        schema._merge_type = found  # type: ignore[attr-defined]
    return found


class _Root(Type):
    """A custom resource: its schema, with the metadata that Kubernetes itself types."""

    @cached_property
    def map(self) -> MapType | None:
        """As the schema says, ``apiVersion``, ``kind`` and ``metadata`` added."""
        own = Type.map.func(self)  # type: ignore[attr-defined]
        text = Type(Node(type="string"))
        fields = {**own.fields, "apiVersion": text, "kind": text, "metadata": Type(builtin.object_meta())}
        element = DEDUCED if self._preserve else own.element if own.fields or self._node.values else None
        return MapType(fields, element, own.atomic, own.defaults)


def _root(schema: Schema) -> Type:
    node = schema.root
    return _Root(node if node.type else Node(type="object", fields=node.fields, values=node.values, open=node.open))
