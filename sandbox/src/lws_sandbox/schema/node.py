"""Schemas made ready for walking: what an object may hold, how its lists merge, how its values were written in Go.

A `Node` describes a value, a `Field` a named member of an object. Built-in kinds and CustomResourceDefinitions compile
to the same shape; what only one of them has is empty in the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lws.apimachinery.manifests import JSON

# Definitions whose JSON form is not that of a struct.
SPECIAL: Mapping[str, str] = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "microtime",
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "raw",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "raw",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "raw",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "schema-or-array",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "schema-or-bool",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "raw",
}


class _Missing:
    """No default; unlike null, which is one."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(eq=False)
class Node:
    """One value's schema.

    Attributes:
        type: JSON type, or empty for any.
        fields: known members of an object, in the order in which a server writes them.
        values: schema of a map's values.
        items: schema of a list's items.
        special: the kind of value that a definition of `SPECIAL` stands for, or empty.
        definition: full name of the definition, or empty.
        open: members that are not known are kept.
        list_type: ``atomic``, ``set``, ``map`` or empty.
        keys: of a list of type ``map``.
        atomic_map: the object is owned and replaced as a whole.
        merge_key: of a list that merges strategically.
        raw: the schema as written, for keywords of validation.
    """

    type: str = ""
    fields: dict[str, Field] = field(default_factory=dict)
    values: Node | None = None
    any_values: bool = False
    items: Node | None = None
    special: str = ""
    definition: str = ""
    open: bool = False
    int_or_string: bool = False
    embedded: bool = False
    nullable: bool = False
    list_type: str = ""
    keys: tuple[str, ...] = ()
    atomic_map: bool = False
    merge_key: str = ""
    default: Any = MISSING
    raw: JSON = field(default_factory=dict)
    _touched: dict[str, bool] = field(default_factory=dict, repr=False)

    @property
    def go_struct(self) -> str:
        """The Go type's bare name, such as ``PodSpec``."""
        return self.definition.rpartition(".")[2]

    def child(self, name: str) -> Node | None:
        """The schema of a member of an object, known or not; None when the schema says nothing of it."""
        known = self.fields.get(name)
        return known.node if known is not None else self.values

    def any_below(self, mark: str, test: Callable[[Node], bool]) -> bool:
        """Whether this node or one below it passes; remembered under ``mark``, so that walks skip what has none."""
        found = self._touched.get(mark)
        if found is None:
            self._touched[mark] = False  # a schema that contains itself
            children = [known.node for known in self.fields.values()]
            children += [node for node in (self.values, self.items) if node is not None]
            found = test(self) or any(node.any_below(mark, test) for node in children)
            self._touched[mark] = found
        return found


@dataclass(eq=False, slots=True)
class Field:
    """A known member of an object.

    Attributes:
        name: as in JSON.
        node: schema of its value.
        fact: one of ``o p s z a``: when a server leaves it out (see the packaged schemas).
        go_type: the Go type as error texts name it, where the schema does not give it away.
        required: as the schema says.
        default: as the schema says, or `MISSING`.
        patch: strategic merge of this member: ``merge``, ``replace``, ``retainKeys``, two joined by a comma, or empty.
    """

    name: str
    node: Node
    fact: str = "p"
    go_type: str = ""
    required: bool = False
    default: Any = MISSING
    patch: str = ""


class Compiler:
    """Compiles schemas; every definition once, so that schemas that contain themselves end."""

    def __init__(self, definitions: Mapping[str, JSON] | None = None) -> None:
        self._definitions = definitions or {}
        self._nodes: dict[str, Node] = {}

    def definition(self, name: str) -> Node:
        """The node of a named definition."""
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = Node(definition=name, special=SPECIAL.get(name, ""))
            self._fill(node, self._definitions[name])
        return node

    def node(self, schema: JSON) -> Node:
        """The node of a schema as written."""
        if "$ref" in schema and len(self._definitions) > 0:
            node = self.definition(schema["$ref"])
            if "x-kubernetes-map-type" in schema:
                node = replace(node, atomic_map=schema["x-kubernetes-map-type"] == "atomic", _touched={})
            return node
        node = Node()
        self._fill(node, schema)
        return node

    def _fill(self, node: Node, schema: JSON) -> None:
        node.raw = schema
        node.type = schema.get("type", "")
        node.open = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        node.int_or_string = bool(schema.get("x-kubernetes-int-or-string"))
        node.embedded = bool(schema.get("x-kubernetes-embedded-resource"))
        node.nullable = bool(schema.get("nullable"))
        node.list_type = schema.get("x-kubernetes-list-type") or ""
        node.keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        node.atomic_map = schema.get("x-kubernetes-map-type") == "atomic"
        node.merge_key = schema.get("x-kubernetes-patch-merge-key", "")
        node.default = schema.get("default", MISSING)
        required = frozenset(schema.get("required") or ())
        for name, member in (schema.get("properties") or {}).items():
            node.fields[name] = self._field(name, member, name in required)
        additional = schema.get("additionalProperties")
        if isinstance(additional, dict):
            node.values = self.node(additional)
        node.any_values = additional is True
        if isinstance(schema.get("items"), dict):
            node.items = self.node(schema["items"])

    def _field(self, name: str, schema: JSON, required: bool) -> Field:
        listed = schema.get("type") in ("array", "string") or "additionalProperties" in schema
        go = schema.get("x-go") or ("o" if listed else "p")
        patch = schema.get("x-kubernetes-patch-strategy", "")
        return Field(name, self.node(schema), go[0], go[1:], required, schema.get("default", MISSING), patch)
