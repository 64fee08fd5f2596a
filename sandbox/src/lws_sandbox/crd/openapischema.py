"""What the schema of a custom resource may say besides being structural: types, list and map types, rules in CEL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.crd.internal import shown_rule
from lws_sandbox.schema.node import Compiler
from lws_sandbox.status import Cause, Causes

_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_META: Final = ("metadata", "kind", "apiVersion")
_UNSUPPORTED: Final = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a schema we are.

    Attributes:
        path: for messages.
        root: the schema of the whole object.
        meta: inside of an object's identity or metadata.
        no_defaults: why defaults are forbidden here, or empty.
        past: the path below which elements have no past, or empty.
        rules: whether rules are looked at; not under logical junctors.
    """

    path: str
    root: bool = False
    meta: bool = False
    no_defaults: str = ""
    past: str = ""
    rules: bool = True

    def below(self, step: str, **changes: Any) -> _Place:
        """A place below this one."""
        return replace(self, path=f"{self.path}{step}", root=False, **changes)


def validate_schema(schema: JSON, path: str, *, rules: bool) -> list[Cause]:
    """What is wrong with a schema; problems of rules come last, and only if ``rules``."""
    found = list(_validate(schema, _Place(path, root=True, rules=rules)))
    return [cause for cause, late in found if not late] + [cause for cause, late in found if late]


def _validate(schema: JSON, place: _Place) -> Iterator[tuple[Cause, bool]]:
    """Causes, and whether each is about a rule that was compiled."""
    own = list(_own(schema, place))
    yield from ((cause, False) for cause in own)
    inner: list[tuple[Cause, bool]] = []
    for below, where in _below(schema, place):
        inner += _validate(below, where)
    yield from inner
    if place.rules and schema.get("x-kubernetes-validations") and not own and not any(not late for _, late in inner):
        yield from ((cause, True) for cause in _compiled(schema, place))


def _own(schema: JSON, place: _Place) -> Iterator[Cause]:
    causes, path = Causes(), place.path
    kind = schema.get("type") or ""
    if kind and kind not in _TYPES:
        causes.not_supported(f"{path}.type", kind, _TYPES)
    if schema.get("default") is not None and place.no_defaults:
        causes.forbidden(f"{path}.default", f"must not be set {place.no_defaults}")
    for name in _UNSUPPORTED:
        if schema.get(name):
            causes.forbidden(f"{path}.{name}", f"{name} is not supported")
    if kind == "null":
        causes.forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        causes.forbidden(f"{path}.items", "items must be a schema object and not an array")
    if place.meta and schema.get("x-kubernetes-embedded-resource"):
        causes.forbidden(f"{path}.x-kubernetes-embedded-resource", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        causes.forbidden(f"{path}.uniqueItems", why)
    others = schema.get("additionalProperties")
    if schema.get("properties") and others is not None and others is not True:
        why = "additionalProperties and properties are mutual exclusive"
        causes.forbidden(f"{path}.additionalProperties", why)
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        name = "x-kubernetes-preserve-unknown-fields"
        causes.invalid(f"{path}.{name}", value=False, why="must be true or undefined")
    _map_type(schema, path, causes)
    _list_type(schema, path, causes)
    _rules(schema, path, causes)
    yield from causes.found


def _below(schema: JSON, place: _Place) -> Iterator[tuple[JSON, _Place]]:
    others, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(others, dict):
        why = "inside additionalProperties applying to object metadata" if place.meta else place.no_defaults
        yield others, place.below(".additionalProperties", no_defaults=why)
    for name, member in (schema.get("properties") or {}).items():
        past = place.past or (place.path if schema.get("x-kubernetes-map-type") == "atomic" else "")
        identity = (place.root or bool(schema.get("x-kubernetes-embedded-resource"))) and name in _META
        no_defaults = f"in top-level {name}" if identity and place.root else place.no_defaults
        changes = {"past": past, "meta": place.meta or identity, "no_defaults": no_defaults}
        yield member, place.below(f".properties[{name}]", **changes)
    for word in ("allOf", "oneOf", "anyOf"):
        for index, nested in enumerate(schema.get(word) or []):
            yield nested, place.below(f".{word}[{index}]", rules=False)
    if isinstance(schema.get("not"), dict):
        yield schema["not"], place.below(".not", rules=False)
    if isinstance(items, dict):
        keyed = schema.get("x-kubernetes-list-type") == "map"
        yield items, place.below(".items", past=place.past or ("" if keyed else place.path))


def _map_type(schema: JSON, path: str, causes: Causes) -> None:
    kind, mark = schema.get("type") or "", schema.get("x-kubernetes-map-type")
    if mark is None:
        return
    if kind != "object":
        why = "must be object if x-kubernetes-map-type is specified"
        if kind:
            causes.invalid(f"{path}.type", kind, why)
        else:
            causes.required(f"{path}.type", why)
    if mark not in ("atomic", "granular"):
        causes.not_supported(f"{path}.x-kubernetes-map-type", mark, ["atomic", "granular"])


def _list_type(schema: JSON, path: str, causes: Causes) -> None:
    kind, mark = schema.get("type") or "", schema.get("x-kubernetes-list-type")
    items = schema.get("items") if isinstance(schema.get("items"), dict) else None
    keys = schema.get("x-kubernetes-list-map-keys") or []
    if mark is not None and kind != "array":
        why = "must be array if x-kubernetes-list-type is specified"
        if kind:
            causes.invalid(f"{path}.type", kind, why)
        else:
            causes.required(f"{path}.type", why)
    elif mark == "set" and items is not None:
        _set_items(items, path, causes)
    if mark is not None and mark not in ("atomic", "set", "map"):
        causes.not_supported(f"{path}.x-kubernetes-list-type", mark, ["atomic", "set", "map"])
    if keys and mark is None:
        causes.required(f"{path}.x-kubernetes-list-type", "must be map if x-kubernetes-list-map-keys is non-empty")
    elif keys and mark != "map":
        why = "must be map if x-kubernetes-list-map-keys is non-empty"
        causes.invalid(f"{path}.x-kubernetes-list-type", mark, why)
    if mark == "map":
        _keyed(items, keys, path, causes)
    if mark in ("set", "map") and items is not None:
        _element(items, keys if mark == "map" else [], str(mark), path, causes)


def _set_items(items: JSON, path: str, causes: Causes) -> None:
    why = "must be atomic as item of a list with x-kubernetes-list-type=set"
    if items.get("type") == "array" and items.get("x-kubernetes-list-type") not in (None, "atomic"):
        causes.invalid(f"{path}.items.x-kubernetes-list-type", items.get("x-kubernetes-list-type"), why)
    elif items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        causes.invalid(f"{path}.items.x-kubernetes-map-type", items.get("x-kubernetes-list-type"), why)


def _keyed(items: JSON | None, keys: list[str], path: str, causes: Causes) -> None:
    if not keys:
        why = "must not be empty if x-kubernetes-list-type is map"
        causes.required(f"{path}.x-kubernetes-list-map-keys", why)
    if items is None:
        causes.required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map")
        return
    if items.get("type") != "object":
        why = "must be object if parent array's x-kubernetes-list-type is map"
        causes.invalid(f"{path}.items.type", items.get("type") or "", why)
        return
    members, seen = items.get("properties") or {}, set()
    for key in keys:
        if key not in members:
            why = "entries must all be names of item properties"
            causes.invalid(f"{path}.x-kubernetes-list-map-keys", keys, why)
        elif members[key].get("type") in ("array", "object"):
            why = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            causes.invalid(f"{path}.items.properties[{key}].type", items.get("type"), why)
        if key in seen:
            causes.invalid(f"{path}.x-kubernetes-list-map-keys", keys, "must not contain duplicate entries")
        seen.add(key)


def _element(items: JSON, keys: list[str], mark: str, path: str, causes: Causes) -> None:
    if items.get("nullable"):
        causes.forbidden(f"{path}.items.nullable", f"cannot be nullable when x-kubernetes-list-type is {mark}")
    prefix = "this property is in x-kubernetes-list-map-keys, so it"
    for key in keys:
        member = (items.get("properties") or {}).get(key)
        if member is None:
            continue
        place = f"{path}.items.properties[{key}]"
        if key not in (items.get("required") or []) and member.get("default") is None:
            causes.required(f"{place}.default", f"{prefix} must have a default or be a required property")
        if member.get("nullable"):
            causes.forbidden(f"{place}.nullable", f"{prefix} cannot be nullable")


def _rules(schema: JSON, path: str, causes: Causes) -> None:
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or []):
        place = f"{path}.x-kubernetes-validations[{index}]"
        text, message = rule.get("rule") or "", rule.get("message") or ""
        if not text.strip():
            causes.required(f"{place}.rule", "rule is not specified")
        elif message and not message.strip():
            causes.invalid(f"{place}.message", message, "must be non-empty if specified")
        elif "\n" in message.strip() or "\r" in message.strip():
            causes.invalid(f"{place}.message", message, "must not contain line breaks")
        elif ("\n" in text.strip() or "\r" in text.strip()) and not message.strip():
            causes.required(f"{place}.message", "message must be specified if rule contains line breaks")
        expression = rule.get("messageExpression") or ""
        if expression and not expression.strip():
            causes.required(f"{place}.messageExpression", "messageExpression must be non-empty if specified")
        if rule.get("reason") is not None and rule["reason"] not in _REASONS:
            causes.not_supported(f"{place}.reason", rule["reason"], _REASONS)
        _field_path(schema, rule.get("fieldPath") or "", f"{place}.fieldPath", causes)


def _field_path(schema: JSON, text: str, place: str, causes: Causes) -> None:
    if text and not text.strip():
        causes.invalid(place, text, "must be non-empty if specified")
    if "\n" in text or "\r" in text:
        causes.invalid(place, text, "must not contain line breaks")
    if text and find(schema, text, arrays=True) is None:
        causes.invalid(place, text, "must be a valid path")


def find(schema: JSON, path: str, *, arrays: bool) -> JSON | None:
    """The schema at a path such as ``.spec.name`` or ``.map['key']``, or None if there is none."""
    node: Any = schema
    rest = path
    while rest:
        if rest.startswith(("['", '["')):
            end = rest.find(rest[1] + "]", 2)
            name, rest = rest[2:end], rest[end + 2 :]
            if end < 0 or not arrays:
                return None
        elif rest.startswith("."):
            stop = min([place for place in (rest.find(".", 1), rest.find("[", 1)) if place > 0] or [len(rest)])
            name, rest = rest[1:stop], rest[stop:]
        else:
            return None
        members = node.get("properties") or {}
        others = node.get("additionalProperties")
        node = members.get(name) if name in members else others if isinstance(others, dict) and arrays else None
        if node is None:
            return None
    found: JSON = node
    return found


def _compiled(schema: JSON, place: _Place) -> Iterator[Cause]:
    from lws_sandbox.schema.celcheck import problem

    node = Compiler().node(schema)
    whole = place.root or bool(schema.get("x-kubernetes-embedded-resource"))
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or []):
        path = f"{place.path}.x-kubernetes-validations[{index}]"
        for member in ("rule", "messageExpression"):
            text = rule.get(member) or ""
            found = problem(text, node, whole=whole) if text.strip() else ""
            if found:
                yield Cause("FieldValueInvalid", f"Invalid value: {shown_rule(rule)}: {found}", f"{path}.{member}")
        causes = Causes()
        if "oldSelf" in (rule.get("rule") or ""):
            if place.past:
                why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place.past}"
                causes.invalid(f"{path}.rule", rule["rule"], why)
        elif rule.get("optionalOldSelf") is not None:
            why = "may not be set if oldSelf is not used in rule"
            causes.invalid(f"{path}.optionalOldSelf", rule["optionalOldSelf"], why)
        yield from causes.found
