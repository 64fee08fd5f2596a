"""The revision of a DisaggregatedSet: a hash over its roles' templates as Go writes them (disaggregatedset 4).

The bytes follow the published schema (`lws.api.schemas`) in the order of `memberorder.ORDER`. Values that the schema
refuses are written as they are; only a quantity that nobody can read has no bytes.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from lws.api import customresource, schemas
from lws.api.disaggregatedset.memberorder import ORDER
from lws.api.leaderworkerset.types import HASH, LeaderWorkerTemplate
from lws.apimachinery.gotext import encode
from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity, QuantityError

DIGITS: Final = 8
_TEMPLATE: Final = "LeaderWorkerTemplate"
_INLINE: Final[Mapping[str, str]] = {
    "subGroupPolicy": "SubGroupPolicy",
    "persistentVolumeClaimRetentionPolicy": "StatefulSetPersistentVolumeClaimRetentionPolicy",
}
_NO_SPEC: Final = b'{"workerTemplate":{"metadata":{},"spec":{"containers":null}}}'
_TIME: Final = "Time"
# What stands for an absent member that is always written (rule E5); a structure writes its own such members.
_ZEROS: Final[Mapping[str, bytes]] = {
    "string": b'""',
    "integer": b"0",
    "boolean": b"false",
    schemas.INT_OR_STRING: b"0",
    schemas.QUANTITY: b'"0"',
}


class UnreadableTemplateError(ValueError):
    """A template has no revision: it holds a quantity that passes the schema's pattern and is none."""


@dataclass(slots=True)
class _Shape:
    """How the value at one place of the schema is written."""

    kind: str
    members: list[_Member] = field(default_factory=list)
    element: _Shape | None = None


@dataclass(frozen=True, slots=True)
class _Member:
    """One member of a structure, with the marks of its place in `ORDER`."""

    name: str
    shape: _Shape
    always: bool
    present: bool
    default: Any


def revision_of(roles: Sequence[JSON]) -> str:
    """The revision of these roles, in this order: eight hexadecimal digits.

    Raises:
        UnreadableTemplateError: a quantity in a template cannot be read.
    """
    return hashlib.sha256(content(roles)).hexdigest()[:DIGITS]


def content(roles: Sequence[JSON]) -> bytes:
    """The bytes that are hashed.

    Raises:
        UnreadableTemplateError: a quantity in a template cannot be read.
    """
    return b"[" + b",".join(_role(index, role) for index, role in enumerate(roles)) + b"]"


def _role(index: int, role: JSON) -> bytes:
    name, spec = encode(role.get("name") or ""), role.get("spec")
    try:
        written = _NO_SPEC if spec is None else _value(spec.get("leaderWorkerTemplate") or {}, _template_shape())
    except QuantityError as error:
        raise UnreadableTemplateError(f"spec.roles[{index}].spec.leaderWorkerTemplate: {error}") from error
    return b'{"name":' + name + b',"template":' + written + _identity(spec or {}) + b"}"


def _identity(spec: JSON) -> bytes:
    """Absent, empty and ``Ordinal`` are one, so that a default of a newer definition rolls nothing (next 8.2)."""
    return b"," + _named("groupIdentity", encode(HASH)) if spec.get("groupIdentity") == HASH else b""


@functools.cache
def _template_shape() -> _Shape:
    return _structure(customresource.struct(LeaderWorkerTemplate), _TEMPLATE)


@functools.cache
def _definition(name: str) -> _Shape:
    return _structure(schemas.definitions()[name], name)


def _structure(schema: Mapping[str, Any], name: str) -> _Shape:
    members = []
    for entry in ORDER[name].split():
        member = entry.rstrip("!*")
        described = schema["properties"][member]
        marks = entry[len(member) :]
        shape = _shape(described, member)
        members.append(_Member(member, shape, "!" in marks, "*" in marks, described.get("default")))
    return _Shape("structure", members)


def _shape(schema: Mapping[str, Any], member: str) -> _Shape:
    kind = _kind(schema)
    if kind in ("list", "map"):
        return _Shape(kind, element=_shape(schema["items" if kind == "list" else "additionalProperties"], ""))
    if kind != "structure":
        return _Shape(kind)
    return _definition(schema["$ref"]) if "$ref" in schema else _structure(schema, _INLINE[member])


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        reference: str = schema["$ref"]
        return reference if reference in (schemas.QUANTITY, schemas.INT_OR_STRING, _TIME) else "structure"
    if "properties" in schema:
        return "structure"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return "map"
    return "list" if "items" in schema else str(schema.get("type", ""))


def _value(value: Any, shape: _Shape) -> bytes:
    match shape.kind:
        case "structure" if isinstance(value, Mapping):
            return b"{" + b",".join(_members(value, shape)) + b"}"
        case "map" if isinstance(value, Mapping):
            return b"{" + b",".join(_entries(value, shape)) + b"}"
        case "list" if isinstance(value, list):
            element = shape.element
            assert element is not None
            return (
                b"[" + b",".join(_absent(element) if each is None else _value(each, element) for each in value) + b"]"
            )
        case schemas.QUANTITY:
            return encode(str(Quantity.parse(value)))
        case "Time" if isinstance(value, str):
            return encode(_whole_seconds(value))
    return encode(int(value) if isinstance(value, float) and value.is_integer() else value)


def _members(value: Mapping[str, Any], shape: _Shape) -> Iterator[bytes]:
    for member in shape.members:
        given = value.get(member.name)
        given = member.default if given is None else given
        if given is None:
            if member.always:
                yield _named(member.name, b"null" if member.present else _absent(member.shape))
        elif given or member.always or member.present or member.shape.kind in ("structure", schemas.QUANTITY):
            yield _named(member.name, _value(given, member.shape))


def _entries(value: Mapping[str, Any], shape: _Shape) -> Iterator[bytes]:
    element = shape.element
    assert element is not None
    for key in sorted(value, key=str.encode):
        yield _named(key, _absent(element) if value[key] is None else _value(value[key], element))


def _absent(shape: _Shape) -> bytes:
    return _value({}, shape) if shape.kind == "structure" else _ZEROS.get(shape.kind, b"null")


def _named(name: str, written: bytes) -> bytes:
    return encode(name) + b":" + written


def _whole_seconds(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
