"""Custom resources lose what their schema does not know, and get what it declares as default.

The rules are those of structural schemas: unknown members go, unless a node keeps them; ``apiVersion``, ``kind`` and
``metadata`` of the object and of embedded objects are typed by Kubernetes itself; null counts as absent where it is not
allowed and a default exists.
"""

from __future__ import annotations

from typing import Any

from lws.apimachinery.manifests import JSON
from lws_sandbox.copying import copied
from lws_sandbox.schema import builtin
from lws_sandbox.schema.gostruct import GoReader
from lws_sandbox.schema.node import MISSING, Node

META_FIELDS = frozenset({"apiVersion", "kind", "metadata"})


def prune(obj: JSON, root: Node | None) -> list[str]:
    """Drop, in place, what ``root`` does not know; returns the paths, sorted. The root is an embedded object itself."""
    unknown: list[str] = []
    node = root or Node()
    for name in list(obj):
        if name not in META_FIELDS:
            _member(obj, name, node, "", unknown)
    return sorted(unknown)


def _member(value: JSON, name: str, node: Node, path: str, unknown: list[str]) -> None:
    below = f"{path}.{name}" if path else name
    child = node.child(name)
    if child is not None or node.any_values:
        _prune(value[name], child, below, unknown)
    elif not node.open:
        unknown.append(below)
        del value[name]


def _prune(value: Any, node: Node | None, path: str, unknown: list[str]) -> None:
    if node is not None and node.open:
        _keep(value, node, path, unknown)
    elif isinstance(value, dict):
        for name in list(value):
            if not (node is not None and node.embedded and name in META_FIELDS):
                _member(value, name, node or Node(), path, unknown)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _prune(item, node.items if node is not None else None, f"{path}[{index}]", unknown)


def _keep(value: Any, node: Node | None, path: str, unknown: list[str]) -> None:
    """Members of a node that keeps unknown ones: what is specified below is pruned by its own schema."""
    if node is None:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            if node.embedded and name in META_FIELDS:
                continue
            child = node.child(name)
            if child is not None or node.any_values:
                _prune(item, child, f"{path}.{name}", unknown)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _keep(item, node.items, f"{path}[{index}]", unknown)


def drop_nulls(value: Any, node: Node | None) -> None:
    """Drop, in place, nulls that are not allowed and have no default to take their place."""
    if node is None:
        return
    if isinstance(value, dict):
        for name in list(value):
            child = node.child(name)
            if value[name] is None and child is not None and not child.nullable and child.default is MISSING:
                del value[name]
            else:
                drop_nulls(value.get(name), child)
    elif isinstance(value, list):
        for item in value:
            drop_nulls(item, node.items)


def default(value: Any, node: Node | None) -> None:
    """Fill in, in place, the schema's defaults; they are copied, and themselves completed."""
    if node is None or not node.any_below("default", _has_default):
        return
    if isinstance(value, dict):
        for name, known in node.fields.items():
            if known.default is MISSING or known.default is None:
                continue
            if name not in value or (value[name] is None and not known.node.nullable):
                value[name] = copied(known.default)
        for name in list(value):
            value[name] = _completed(value[name], node.child(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            value[index] = _completed(item, node.items)


def _has_default(node: Node) -> bool:
    own = any(known.default is not MISSING for known in node.fields.values())
    return own or any(child is not None and child.default is not MISSING for child in (node.values, node.items))


def _completed(value: Any, node: Node | None) -> Any:
    if node is not None and value is None and not node.nullable and node.default is not MISSING:
        value = copied(node.default)
    default(value, node)
    return value


def read_metadata(obj: JSON) -> tuple[str, list[str]]:
    """Put ``metadata`` in the form of its Go type, in place; returns the first error and the unknown fields' paths."""
    if "metadata" not in obj:
        return "", []
    reader = GoReader()
    read = reader.read(builtin.object_meta(), obj["metadata"])
    if not reader.error and read is not None:
        obj["metadata"] = read
    return reader.error, [_below(text, "metadata") for text in reader.strict]


def _below(text: str, prefix: str) -> str:
    quoted = text.split('"')[1]
    return f"{prefix}.{quoted}" if prefix else quoted


def coerce_embedded(value: Any, node: Node | None, path: str = "") -> tuple[str, list[str]]:
    """Type the metadata of embedded objects, in place; returns the first error and the unknown fields' paths."""
    if node is None or not node.any_below("embedded", lambda below: below.embedded):
        return "", []
    error = ""
    unknown: list[str] = []
    children: list[tuple[Any, Node | None, str]] = []
    if isinstance(value, dict):
        if node.embedded:
            error, unknown = read_metadata(value)
            unknown = [f"{path}.{name}" if path else name for name in unknown]
            metadata = value.get("metadata")
            if isinstance(metadata, dict) and metadata.get("creationTimestamp") is None:
                metadata.pop("creationTimestamp", None)
        children = [(item, node.child(name), f"{path}.{name}" if path else name) for name, item in value.items()]
    elif isinstance(value, list):
        children = [(item, node.items, f"{path}[{index}]") for index, item in enumerate(value)]
    for item, child, below in children:
        wrong, more = coerce_embedded(item, child, below)
        error = error or wrong
        unknown += more
    return error, unknown
