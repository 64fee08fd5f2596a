"""Validation of custom resources, in the order in which a server does it.

The schema first, then the identity of embedded objects, then that keyed lists and sets hold nothing twice, and at last,
unless the object is broken in a way that rules could not bear, the rules in CEL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema import openapi, pruning
from lws_sandbox.schema.node import Node
from lws_sandbox.status import Cause, show

_BLOCKING = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
_UNCHECKED = Cause(
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    "<nil>",
)
_KIND = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?", re.ASCII)
DNS_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def validate_object(root: Node, obj: JSON, old: JSON | None = None) -> list[Cause]:
    """What in ``obj`` breaks ``root``; what ``old`` holds unchanged is let pass."""
    causes = validate_schema(root.raw, obj, "", old)
    return causes + validate_rest(root, obj, old, causes)


def validate_schema(schema: JSON, value: Any, path: str, old: Any | None) -> list[Cause]:
    """What breaks an OpenAPI schema."""
    before = openapi.UNKNOWN if old is None else old
    return openapi.validate(schema, value, path, before).causes


def validate_rest(root: Node, obj: JSON, old: JSON | None, before: list[Cause], *, status: bool = False) -> list[Cause]:
    """What breaks the rules that are no schema, when the schema said ``before``.

    Args:
        root: schema of the object.
        obj: the object.
        old: the stored object, or None at creation.
        before: causes that were found already.
        status: only the status is written, so embedded objects are not looked at.
    """
    causes = [] if status else list(embedded(obj, root))
    if old is None or not list(duplicates(old, root)):
        causes += duplicates(obj, root)
    if root.any_below("rules", lambda node: bool(node.raw.get("x-kubernetes-validations"))):
        if any(cause.reason in _BLOCKING for cause in [*before, *causes]):
            causes.append(_UNCHECKED)
        else:
            from lws_sandbox.schema.cel import validate_rules

            causes += validate_rules(root, obj, old)
    return causes


def embedded(value: Any, node: Node | None, path: str = "") -> Iterator[Cause]:
    """What is wrong with the apiVersion, kind and metadata of embedded objects."""
    if node is None or not node.any_below("embedded", lambda below: below.embedded):
        return
    if isinstance(value, dict):
        if node.embedded:
            yield from _embedded_identity(value, path)
        for name, item in value.items():
            known = name in node.fields
            yield from embedded(item, node.child(name), _below(path, name) if known else f"{path}[{name}]")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from embedded(item, node.items, f"{path}[{index}]")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _embedded_identity(value: JSON, path: str) -> Iterator[Cause]:
    for name in ("apiVersion", "kind"):
        place = _below(path, name)
        given = value.get(name)
        if name not in value:
            yield Cause("FieldValueRequired", "Required value", place)
        elif not isinstance(given, str):
            yield Cause("FieldValueInvalid", f"Invalid value: {show(given)}: must be a string", place)
        elif not given:
            yield Cause("FieldValueInvalid", 'Invalid value: "": must not be empty', place)
        elif name == "kind" and (len(given) > 63 or not _KIND.fullmatch(given.lower())):
            why = f"may have mixed case, but should otherwise match: {DNS_1035}"
            yield Cause("FieldValueInvalid", f"Invalid value: {show(given)}: {why}", place)
        elif name == "apiVersion" and given.count("/") > 1:
            why = f"unexpected GroupVersion string: {given}"
            yield Cause("FieldValueInvalid", f"Invalid value: {show(given)}: {why}", place)
    error, _ = pruning.read_metadata(dict(value))
    if error:
        yield Cause("FieldValueInvalid", f"Invalid value: {show(value['metadata'])}: {error}", _below(path, "metadata"))


def duplicates(value: Any, node: Node | None, path: str = "") -> Iterator[Cause]:
    """Elements that keyed lists and sets hold twice."""
    if node is None or not node.any_below("lists", lambda below: below.list_type in ("map", "set")):
        return
    if isinstance(value, dict):
        for name, item in value.items():
            known = name in node.fields
            yield from duplicates(item, node.child(name), _below(path, name) if known else f"{path}[{name}]")
    elif isinstance(value, list):
        if node.list_type == "set":
            yield from _repeated(value, value, path)
        elif node.list_type == "map":
            yield from _repeated_keys(value, node, path)
        for index, item in enumerate(value):
            yield from duplicates(item, node.items, f"{path}[{index}]")


def _repeated_keys(value: list[Any], node: Node, path: str) -> Iterator[Cause]:
    for index, item in enumerate(value):
        if item is not None and not isinstance(item, dict):
            why = "must be an object for an array of list-type map"
            yield Cause("FieldValueInvalid", f"Invalid value: {show(item)}: {why}", f"{path}[{index}]")
            return
    keys = [{name: item[name] for name in sorted(node.keys) if name in (item or {})} for item in value]
    yield from _repeated(keys, keys, path)


def _repeated(identities: list[Any], values: list[Any], path: str) -> Iterator[Cause]:
    """A cause at the second place of each identity; further ones go without saying."""
    counts: dict[str, int] = {}
    for index, identity in enumerate(identities):
        text = json.dumps(identity, sort_keys=True)
        counts[text] = counts.get(text, 0) + 1
        if counts[text] == 2:
            yield Cause("FieldValueDuplicate", f"Duplicate value: {show(values[index])}", f"{path}[{index}]")
