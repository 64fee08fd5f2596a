"""An OpenAPI v2 document in protobuf, the form in which kubectl asks for it (gnostic's ``OpenAPIv2.proto``).

Only what documents of API servers hold is known; other members are left out, as v2 has no place for them. Free values
and ``x-`` members travel as YAML.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from lws.apimachinery.manifests import JSON
from lws_sandbox.negotiation import YAML_TYPE, encode

# (number of the field, what is in it); a name is a message, and [name] a list of them.
Fields: TypeAlias = Mapping[str, tuple[int, str | list[str]]]

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_PRIMITIVE: Final[Fields] = {
    "required": (1, "bool"),
    "in": (2, "text"),
    "description": (3, "text"),
    "name": (4, "text"),
}
MESSAGES: Final[Mapping[str, Fields]] = {
    "Document": {
        "swagger": (1, "text"),
        "info": (2, "Info"),
        "paths": (8, "Paths"),
        "definitions": (9, "Schemas"),
        "parameters": (10, "Parameters"),
        "security": (12, ["Security"]),
        "securityDefinitions": (13, "SecurityDefinitions"),
        "x-": (16, "any"),
    },
    "Info": {"title": (1, "text"), "version": (2, "text"), "description": (3, "text")},
    "PathItem": {
        **{method: (at, "Operation") for at, method in enumerate(("get", "put", "post", "delete"), 2)},
        **{method: (at, "Operation") for at, method in enumerate(("options", "head", "patch"), 6)},
        "parameters": (9, ["ParameterOrReference"]),
        "x-": (10, "any"),
    },
    "Operation": {
        "tags": (1, ["text"]),
        "summary": (2, "text"),
        "description": (3, "text"),
        "operationId": (5, "text"),
        "produces": (6, ["text"]),
        "consumes": (7, ["text"]),
        "parameters": (8, ["ParameterOrReference"]),
        "responses": (9, "Responses"),
        "schemes": (10, ["text"]),
        "deprecated": (11, "bool"),
        "x-": (13, "any"),
    },
    "Reference": {"$ref": (1, "text"), "description": (2, "text")},
    "BodyParameter": {
        "description": (1, "text"),
        "name": (2, "text"),
        "in": (3, "text"),
        "required": (4, "bool"),
        "schema": (5, "Schema"),
        "x-": (6, "any"),
    },
    "PathParameter": {**_PRIMITIVE, "type": (5, "text"), "format": (6, "text"), "uniqueItems": (19, "bool")},
    "QueryParameter": {**_PRIMITIVE, "type": (6, "text"), "format": (7, "text"), "uniqueItems": (20, "bool")},
    "Response": {"description": (1, "text"), "schema": (2, "SchemaItem"), "x-": (5, "any")},
    "ApiKey": {"type": (1, "text"), "name": (2, "text"), "in": (3, "text"), "description": (4, "text")},
    "Schema": {
        "$ref": (1, "text"),
        "format": (2, "text"),
        "title": (3, "text"),
        "description": (4, "text"),
        "default": (5, "yaml"),
        "multipleOf": (6, "double"),
        "maximum": (7, "double"),
        "exclusiveMaximum": (8, "bool"),
        "minimum": (9, "double"),
        "exclusiveMinimum": (10, "bool"),
        "maxLength": (11, "int"),
        "minLength": (12, "int"),
        "pattern": (13, "text"),
        "maxItems": (14, "int"),
        "minItems": (15, "int"),
        "uniqueItems": (16, "bool"),
        "maxProperties": (17, "int"),
        "minProperties": (18, "int"),
        "required": (19, ["text"]),
        "enum": (20, ["yaml"]),
        "additionalProperties": (21, "SchemaOrBool"),
        "type": (22, "Strings"),
        "items": (23, "SchemaItem"),
        "allOf": (24, ["Schema"]),
        "properties": (25, "Schemas"),
        "x-": (31, "any"),
    },
}


def to_protobuf(document: JSON) -> bytes:
    """The same document in protobuf."""
    return _message(document, "Document")


def _number(value: int) -> bytes:
    out = bytearray()
    value %= 1 << 64
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes(number: int, value: bytes) -> bytes:
    return _number(number << 3 | _BYTES) + _number(len(value)) + value


def _message(value: JSON, name: str) -> bytes:
    """Fields in the order of their numbers, as Go writes them."""
    fields, found = MESSAGES[name], []
    for member, content in value.items():
        number, kind = fields.get(member) or fields.get(member[:2], (0, ""))
        if number:
            found.append((number, _field(number, kind, member, content)))
    return b"".join(raw for _, raw in sorted(found, key=lambda each: each[0]))


def _field(number: int, kind: str | list[str], member: str, value: Any) -> bytes:
    if isinstance(kind, list):
        return b"".join(_bytes(number, _value(each, kind[0])) for each in value)
    match kind:
        case "bool" | "int":
            return _number(number << 3 | _VARINT) + _number(int(value)) if value else b""
        case "double":
            return _number(number << 3 | _FIXED64) + struct.pack("<d", value) if value else b""
        case "text":
            return _bytes(number, value.encode()) if value else b""
        case "any":
            return _bytes(number, _named(member, _yaml(value)))
    return _bytes(number, _value(value, kind))


def _value(value: Any, kind: str) -> bytes:
    special = _SPECIAL.get(kind)
    return _message(value, kind) if special is None else special(value)


def _named(name: str, value: bytes) -> bytes:
    return _bytes(1, name.encode()) + _bytes(2, value)


def _map(kind: str, number: int = 1) -> Callable[[JSON], bytes]:
    """A map as a list of names and values."""
    return lambda value: b"".join(_bytes(number, _named(name, _value(each, kind))) for name, each in value.items())


def _yaml(value: Any) -> bytes:
    return _bytes(2, encode(value, YAML_TYPE))


def _strings(value: str | list[str]) -> bytes:
    return b"".join(_bytes(1, text.encode()) for text in ([value] if isinstance(value, str) else value))


def _schema_or_bool(value: JSON | bool) -> bytes:
    return _number(2 << 3) + _number(value) if isinstance(value, bool) else _bytes(1, _message(value, "Schema"))


def _parameter(value: JSON) -> bytes:
    if value.get("in") == "body":
        return _bytes(1, _message(value, "BodyParameter"))
    number, kind = (4, "PathParameter") if value.get("in") == "path" else (3, "QueryParameter")
    return _bytes(2, _bytes(number, _message(value, kind)))


def _parameter_or_reference(value: JSON) -> bytes:
    return _bytes(2, _message(value, "Reference")) if "$ref" in value else _bytes(1, _parameter(value))


_SPECIAL: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "text": str.encode,
    "yaml": _yaml,
    "SchemaItem": lambda value: _bytes(1, _message(value, "Schema")),
    "Strings": _strings,
    "SchemaOrBool": _schema_or_bool,
    "Schemas": _map("Schema"),
    "Paths": _map("PathItem", 2),
    "Parameters": _map("Parameter"),
    "Parameter": _parameter,
    "ParameterOrReference": _parameter_or_reference,
    "Responses": _map("ResponseOrReference"),
    "ResponseOrReference": lambda value: _bytes(1, _message(value, "Response")),
    "Security": _map("Strings"),
    "SecurityDefinitions": _map("SecurityDefinition"),
    "SecurityDefinition": lambda value: _bytes(2, _message(value, "ApiKey")),
}
