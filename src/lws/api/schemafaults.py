"""What an API server would refuse, or drop, of an object: for files that are read without asking one.

Of a definition's schema the types, members, enums, patterns and bounds are judged; rules in CEL are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from lws.apimachinery.manifests import JSON

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_BOUNDS: Final = {"minimum": "at least", "maximum": "at most"}


def faults(schema: JSON, value: Any, path: str) -> Iterator[str]:
    """What is wrong with a value, one sentence each, beginning with the path of the member.

    Args:
        schema: of an ``openAPIV3Schema``.
        value: plain JSON.
        path: of the value, such as ``spec``.
    """
    if value is None and schema.get("nullable", path.count(".") > 0):
        return  # a member that is null is dropped before it is judged
    wanted = schema.get("type", "")
    types = _TYPES.get(wanted)
    if types is not None and (not isinstance(value, types) or (isinstance(value, bool) and wanted != "boolean")):
        yield f"{path} must be of type {wanted}, not {value!r}"
        return
    if isinstance(value, dict):
        yield from _members(schema, value, path)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from faults(schema.get("items") or {}, each, f"{path}[{index}]")
    else:
        yield from _scalar(schema, value, path)


def _members(schema: JSON, value: JSON, path: str) -> Iterator[str]:
    known: JSON = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    if others is None and not schema.get("x-kubernetes-preserve-unknown-fields"):
        for name in value.keys() - known.keys():
            yield f"{path} has no member {name}; it has {', '.join(known)}"
    for name in schema.get("required") or ():
        if value.get(name) is None:
            yield f"{path}.{name} is required"
    for name, each in value.items():
        inner = known.get(name, others)
        if isinstance(inner, dict):
            yield from faults(inner, each, f"{path}.{name}")


def _scalar(schema: JSON, value: Any, path: str) -> Iterator[str]:
    choices = schema.get("enum")
    if choices is not None and value not in choices:
        yield f"{path} must be one of {', '.join(map(repr, choices))}, not {value!r}"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path} must match {schema['pattern']}, unlike {value!r}"
    for bound, words in _BOUNDS.items():
        beyond = bound in schema and (value < schema[bound] if bound == "minimum" else value > schema[bound])
        if beyond:
            yield f"{path} must be {words} {schema[bound]}, not {value}"
