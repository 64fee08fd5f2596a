"""JSON values as rules in CEL see them: typed by their schema, member names escaped."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, date, datetime
from typing import Any, Final

from celpy import celtypes

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema import formats, gotime
from lws_sandbox.schema.node import Node

_RESERVED: Final = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return".split()
)
_ESCAPES: Final = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))


def escape(name: str) -> str:
    """A member's name as it is written in a rule."""
    if name in _RESERVED:
        return f"__{name}__"
    for mark, escaped in _ESCAPES:
        name = name.replace(mark, escaped)
    return name


def to_cel(value: Any, node: Node | None) -> Any:
    """A value of CEL; what the schema says nothing of is left out of objects."""
    if value is None:
        return None
    if isinstance(value, bool):
        return celtypes.BoolType(value)
    if isinstance(value, dict):
        return _object(value, node)
    if isinstance(value, list):
        return celtypes.ListType([to_cel(item, node.items if node is not None else None) for item in value])
    if isinstance(value, str):
        return _text(value, node)
    if isinstance(value, float) or (node is not None and node.type == "number"):
        return celtypes.DoubleType(value)
    return celtypes.IntType(value)


def _object(value: JSON, node: Node | None) -> Any:
    members = {}
    for name, item in value.items():
        known = node.fields.get(name) if node is not None else None
        child = known.node if known is not None else node.values if node is not None else None
        if known is None and child is None and node is not None:
            continue
        shown = escape(name) if known is not None else name
        if item is not None or child is None or child.nullable:
            members[celtypes.StringType(shown)] = to_cel(item, child)
    return celtypes.MapType(members)


def root_to_cel(obj: JSON, node: Node) -> Any:
    """A whole object: besides what its schema declares, its identity and its name."""
    known: JSON = {name: value for name, value in obj.items() if name in node.fields and name != "metadata"}
    result = _object(known, node)
    metadata = obj.get("metadata") or {}
    named = {name: metadata[name] for name in ("name", "generateName") if metadata.get(name)}
    for name in ("apiVersion", "kind"):
        if obj.get(name):
            result[celtypes.StringType(name)] = celtypes.StringType(obj[name])
    result[celtypes.StringType("metadata")] = to_cel(named, None)
    return result


def _text(value: str, node: Node | None) -> Any:
    kind = (node.raw.get("format") or "") if node is not None and node.type == "string" else ""
    try:
        match formats.supported(kind, "string"):
            case "byte":
                return celtypes.BytesType(base64.b64decode(value, validate=True))
            case "date-time" | "datetime":
                return celtypes.TimestampType(gotime.parse(value))
            case "date":
                day = date.fromisoformat(value)
                return celtypes.TimestampType(datetime(day.year, day.month, day.day, tzinfo=UTC))
            case "duration":
                return celtypes.DurationType(value)
    except (ValueError, binascii.Error):
        pass
    return celtypes.StringType(value)
