"""Whether a schema is structural, and what the OpenAPI of custom resources allows (apiextensions `schema`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.copying import copied
from lws_sandbox.schema import goregex, openapi, pruning, validation
from lws_sandbox.schema.node import MISSING, Compiler
from lws_sandbox.status import Cause, Causes

_INT_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]
_EXTENSIONS: Final = (
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
)
_ROOT, _ITEM, _FIELD = "root", "item", "field"
_WHERE: Final = {_ROOT: "at the root", _ITEM: "for specified array items", _FIELD: "for specified object fields"}


def validate_structural(schema: JSON, path: str) -> list[Cause]:
    """What keeps a schema from being structural, sorted by text."""
    found = [*_invariants(schema, _ROOT, path), *_complete(schema, path)]
    return sorted(found, key=lambda cause: cause.text)


def _members(schema: JSON) -> dict[str, JSON]:
    members: dict[str, JSON] = schema.get("properties") or {}
    return members


def _invariants(schema: JSON, level: str, path: str) -> Iterator[Cause]:
    causes = Causes()
    kind, items, others = schema.get("type") or "", schema.get("items"), schema.get("additionalProperties")
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    if kind == "array" and items is None:
        causes.required(f"{path}.items", "must be specified")
    if isinstance(items, dict):
        yield from _invariants(items, _ITEM, f"{path}.items")
    for name, member in _members(schema).items():
        yield from _invariants(member, _FIELD, f"{path}.properties[{name}]")
    if others is not None:
        if level == _ROOT:
            causes.forbidden(f"{path}.additionalProperties", "must not be used at the root")
        if isinstance(others, dict):
            yield from _invariants(others, _FIELD, f"{path}.additionalProperties")
    _exclusive_extensions(schema, path, causes)
    yield from _value_validation(schema, path)
    _type(schema, level, path, causes, embedded=embedded)
    if embedded and others is not None:
        why = "must not be used if x-kubernetes-embedded-resource is set"
        causes.forbidden(f"{path}.additionalProperties", why)
    if level == _ROOT and kind and kind != "object":
        causes.invalid(f"{path}.type", kind, "must be object at the root")
    _identity(schema, level, path, causes, checked=level == _ROOT or embedded)
    if embedded and not schema.get("x-kubernetes-preserve-unknown-fields") and not _members(schema):
        why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        causes.required(f"{path}.properties", why)
    yield from causes.found


def _exclusive_extensions(schema: JSON, path: str, causes: Causes) -> None:
    if schema.get("x-kubernetes-int-or-string"):
        for name in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"):
            if schema.get(name):
                causes.invalid(f"{path}.{name}", value=True, why="must be false if x-kubernetes-int-or-string is true")


def _type(schema: JSON, level: str, path: str, causes: Causes, *, embedded: bool) -> None:
    kind = schema.get("type") or ""
    if embedded and kind != "object":
        why = "must be object if x-kubernetes-embedded-resource is true"
        if kind:
            causes.invalid(f"{path}.type", kind, why)
        else:
            causes.required(f"{path}.type", why)
    elif not kind and not any(
        schema.get(name) for name in ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")
    ):
        causes.required(f"{path}.type", f"must not be empty {_WHERE[level]}")


def _identity(schema: JSON, level: str, path: str, causes: Causes, *, checked: bool) -> None:
    members = _members(schema)
    for name in ("kind", "apiVersion"):
        if checked and name in members and members[name].get("type") != "string":
            causes.invalid(f"{path}.properties[{name}].type", members[name].get("type") or "", "must be string")
    metadata = members.get("metadata")
    if metadata is None:
        return
    place = f"{path}.properties[metadata]"
    if checked and metadata.get("type") != "object":
        causes.invalid(f"{place}.type", metadata.get("type") or "", "must be object")
    if level == _ROOT:
        rest = {name: value for name, value in metadata.items() if name not in ("type", "default", "description")}
        if set(rest.get("properties") or {}) <= {"name", "generateName"}:
            rest.pop("properties", None)
        if rest:
            why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            causes.forbidden(place, why)


def _value_validation(schema: JSON, path: str, *, skip_any: bool | None = None) -> Iterator[Cause]:
    any_of, all_of = schema.get("anyOf") or [], schema.get("allOf") or []
    skipped = any_of == _INT_OR_STRING if skip_any is None else skip_any
    if not skipped:
        for index, nested in enumerate(any_of):
            yield from _nested(nested, f"{path}.anyOf[{index}]")
    for index, nested in enumerate(all_of):
        first = index == 0 and nested.get("anyOf") == _INT_OR_STRING
        yield from _nested(nested, f"{path}.allOf[{index}]", skip_any=first)
    for index, nested in enumerate(schema.get("oneOf") or []):
        yield from _nested(nested, f"{path}.oneOf[{index}]")
    if isinstance(schema.get("not"), dict):
        yield from _nested(schema["not"], f"{path}.not")
    if schema.get("pattern"):
        try:
            goregex.compile_pattern(schema["pattern"])
        except goregex.PatternError as error:
            causes = Causes()
            why = f"must be a valid regular expression, but isn't: {error}"
            causes.invalid(f"{path}.pattern", schema["pattern"], why)
            yield from causes.found


def _nested(schema: JSON, path: str, *, skip_any: bool = False) -> Iterator[Cause]:
    """A schema under a logical junctor: it may only restrict values."""
    yield from _value_validation(schema, path, skip_any=skip_any)
    if isinstance(schema.get("items"), dict):
        yield from _nested(schema["items"], f"{path}.items")
    for name, member in _members(schema).items():
        yield from _nested(member, f"{path}.properties[{name}]")
    causes = Causes()
    for name in ("type", "additionalProperties", "title", "description", "default"):
        if schema.get(name) not in (None, ""):
            word = "undefined" if name in ("additionalProperties", "default") else "empty"
            causes.forbidden(f"{path}.{name}", f"must be {word} to be structural")
    if schema.get("nullable"):
        causes.forbidden(f"{path}.nullable", "must be false to be structural")
    for name in _EXTENSIONS:
        if schema.get(name):
            word = "false" if schema[name] is True else "empty" if isinstance(schema[name], list) else "undefined"
            causes.forbidden(f"{path}.{name}", f"must be {word} to be structural")
    if schema.get("x-kubernetes-validations"):
        causes.forbidden(f"{path}.x-kubernetes-validations", "must be empty to be structural")
    if "metadata" in _members(schema):
        causes.forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")
    yield from causes.found


def _complete(schema: JSON, path: str) -> Iterator[Cause]:
    """What a junctor restricts must be declared outside of it too."""
    nested = [
        (f"{path}.{word}[{index}]", value)
        for word in ("anyOf", "allOf", "oneOf")
        for index, value in _list(schema, word)
    ]
    if isinstance(schema.get("not"), dict):
        nested.append((f"{path}.not", schema["not"]))
    for place, value in nested:
        yield from _declared(value, schema, place, path)
    for name, member in _members(schema).items():
        yield from _complete(member, f"{path}.properties[{name}]")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from _complete(schema[word], f"{path}.{word}")


def _list(schema: JSON, word: str) -> Iterator[tuple[int, JSON]]:
    yield from enumerate(schema.get(word) or [])


def _declared(value: JSON, schema: JSON | None, place: str, path: str) -> Iterator[Cause]:
    causes = Causes()
    for name, member in _members(value).items():
        known = _members(schema or {}).get(name)
        below = f"{path}.properties[{name}]"
        if known is None:
            causes.required(below, f"because it is defined in {place}.properties[{name}]")
        else:
            yield from _declared(member, known, f"{place}.properties[{name}]", below)
    if isinstance(value.get("items"), dict):
        known = (schema or {}).get("items")
        if known is None:
            causes.required(f"{path}.items", f"because it is defined in {place}.items")
        else:
            yield from _declared(value["items"], known, f"{place}.items", f"{path}.items")
    for word, nested in [(w, n) for w in ("anyOf", "allOf", "oneOf") for n in _list(value, w)]:
        yield from _declared(nested[1], schema, f"{place}.{word}[{nested[0]}]", path)
    yield from causes.found


def validate_defaults(schema: JSON, path: str) -> Iterator[Cause]:
    """Whether each default fits its own schema and is pruned; not below maps, where defaults are forbidden."""
    if schema.get("default") is not None:
        yield from _default(schema, f"{path}.default")
    if isinstance(schema.get("items"), dict):
        yield from validate_defaults(schema["items"], f"{path}.items")
    for name, member in _members(schema).items():
        yield from validate_defaults(member, f"{path}.properties[{name}]")


def _default(schema: JSON, path: str) -> Iterator[Cause]:
    value = schema["default"]
    node = Compiler().node(schema)
    node.default = MISSING
    pruned = copied(value)
    if isinstance(pruned, dict) and pruning.prune(pruned, node):
        causes = Causes()
        causes.invalid(path, value, "must not have unknown fields")
        yield from causes.found
        return
    for cause in openapi.validate(schema, value).causes:
        below = f"{path}.{cause.field}" if cause.field and not cause.field.startswith("[") else path + cause.field
        yield Cause(cause.reason, cause.message, below)
    yield from validation.duplicates(value, node, path)
