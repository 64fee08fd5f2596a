"""Walks over typed values: validate, list the fields, merge, compare, remove.

Null is a value; `ABSENT` is none. Rules as in structured-merge-diff, the merge of server-side apply.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from lws.apimachinery.manifests import JSON
from lws_sandbox.managedfields.fieldset import FieldSet
from lws_sandbox.managedfields.paths import Path, field_step, key_step, shown, value_step
from lws_sandbox.managedfields.types import ListType, MapType, Type
from lws_sandbox.schema.goprint import go_print, go_type


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


class TypedError(ValueError):
    """A value does not fit its type; the message is the server's own."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        lines = [f"{path}: {why}" if path else why for path, why in errors]
        super().__init__(lines[0] if len(lines) == 1 else "\n".join(["errors:", *(f"  {line}" for line in lines)]))


class KeyError_(ValueError):  # noqa: N801, N818 -- inner to this module
    """An element has no place in its list."""


def element_step(listed: ListType, element: Any) -> str:
    """The step to an element of a keyed list or set.

    Raises:
        KeyError_: it has none.
    """
    if listed.keys:
        return key_step(_keys(listed, element))
    if isinstance(element, dict):
        raise KeyError_("associative list without keys has an element that's a map type")
    if isinstance(element, list):
        raise KeyError_("not supported: associative list with lists as elements")
    if element is None:
        raise KeyError_("associative list without keys has an element that's an explicit null")
    return value_step(element)


def _keys(listed: ListType, element: Any) -> JSON:
    if element is None:
        raise KeyError_("associative list with keys may not have a null element")
    if not isinstance(element, dict):
        raise KeyError_("associative list with keys may not have non-map elements")
    defaults = (listed.element.map.defaults if listed.element.map is not None else None) or {}
    keys: JSON = {}
    for name in listed.keys:
        if name in element:
            keys[name] = element[name]
        elif defaults.get(name) is not None:
            keys[name] = defaults[name]
    if not keys:
        names = "[" + " ".join(f'"{name}"' for name in listed.keys) + "]"
        raise KeyError_(
            f"associative list with keys has an element that omits all key fields {names} "
            "(and doesn't have default values for any key fields)"
        )
    return keys


def steps(listed: ListType, elements: list[Any]) -> Iterator[tuple[str, Any]]:
    """Each element with its step."""
    for element in elements:
        yield element_step(listed, element), element


# --- validation -----------------------------------------------------------------------------------------------------


def validate(kind: Type, value: Any, *, duplicates: bool = False) -> None:
    """Check that a value fits its type.

    Args:
        kind: the type.
        value: the value.
        duplicates: sets and keyed lists may hold an element twice.

    Raises:
        TypedError: it does not fit.
    """
    errors = list(_validate(kind, value, "", duplicates=duplicates))
    if errors:
        raise TypedError(errors)


def _validate(kind: Type, value: Any, path: str, *, duplicates: bool) -> Iterator[tuple[str, str]]:
    form = kind.form(value)
    if form == "scalar":
        why = scalar_error(kind.scalar, value)
        if why:
            yield path, why
    elif value is None:
        return
    elif form == "map" and kind.map is not None:
        yield from _validate_map(kind.map, value, path, duplicates=duplicates)
    elif kind.list is not None:
        yield from _validate_list(kind.list, value, path, duplicates=duplicates)


def scalar_error(scalar: str, value: Any) -> str:
    """What is wrong with a scalar, or nothing."""
    if value is None:
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if scalar == "numeric" and not number:
        return f"expected numeric (int or float), got {go_type(value)}"
    if scalar == "string" and not isinstance(value, str):
        shown_value = go_print(value) if not isinstance(value, str) else f'"{value}"'
        return f"expected string, got &value.valueUnstructured{{Value:{shown_value}}}"
    if scalar == "boolean" and not isinstance(value, bool):
        return f"expected boolean, got &{{{go_print(value)}}}"
    if scalar == "untyped" and not isinstance(value, str | int | float):
        return f"expected any scalar, got &{{{go_print(value)}}}"
    return ""


def _validate_map(kind: MapType, value: Any, path: str, *, duplicates: bool) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield path, f"expected map, got &{{{go_print(value)}}}"
        return
    for name in sorted(value):
        child = kind.child(name)
        if child is None:
            yield f"{path}.{name}", "field not declared in schema"
            return
        yield from _validate(child, value[name], f"{path}.{name}", duplicates=duplicates)


def _validate_list(kind: ListType, value: Any, path: str, *, duplicates: bool) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        yield path, f"expected list, got &{{{go_print(value)}}}"
        return
    seen: set[str] = set()
    for index, element in enumerate(value):
        if kind.atomic:
            step = f"i:{index}"
        else:
            try:
                step = element_step(kind, element)
            except KeyError_ as error:
                yield path, f"element {index}: {error}"
                return
            if step in seen and not duplicates:
                yield path, f"duplicate entries for key {shown(step)}"
            seen.add(step)
        yield from _validate(kind.element, element, path + shown(step), duplicates=duplicates)


# --- the fields of a value ------------------------------------------------------------------------------------------


def field_set(kind: Type, value: Any) -> FieldSet:
    """Every leaf and element of a value."""
    found = FieldSet()
    if value is not ABSENT:
        _collect(kind, value, (), found)
    return found


def _collect(kind: Type, value: Any, path: Path, found: FieldSet) -> None:
    form = kind.form(value)
    if form == "map" and kind.map is not None:
        if kind.map.atomic:
            found.insert(path)
        elif isinstance(value, dict):
            _collect_members(kind.map, value, path, found)
    elif form == "list" and kind.list is not None:
        if kind.list.atomic:
            found.insert(path)
        elif value:
            _collect_elements(kind.list, value, path, found)
    else:
        found.insert(path)


def _collect_members(kind: MapType, value: JSON, path: Path, found: FieldSet) -> None:
    for name, item in value.items():
        child = kind.child(name)
        below = (*path, field_step(name))
        if child is not None:
            _collect(child, item, below, found)
        if item is None or item == {} or name not in kind.fields:
            found.insert(below)


def _collect_elements(kind: ListType, value: list[Any], path: Path, found: FieldSet) -> None:
    placed = list(steps(kind, value))
    counts: dict[str, int] = {}
    for step, _ in placed:
        counts[step] = counts.get(step, 0) + 1
    for step, element in placed:
        below = (*path, step)
        if counts[step] == 1:
            _collect(kind.element, element, below, found)
        found.insert(below)


# --- comparison -----------------------------------------------------------------------------------------------------


@dataclass
class Comparison:
    """What became of the fields of one value in another. No field is in two of the sets."""

    removed: FieldSet = field(default_factory=FieldSet)
    modified: FieldSet = field(default_factory=FieldSet)
    added: FieldSet = field(default_factory=FieldSet)

    def without(self, excluded: FieldSet | None) -> Comparison:
        """The same without some fields and all below them."""
        if not excluded:
            return self
        return Comparison(
            self.removed.recursive_difference(excluded),
            self.modified.recursive_difference(excluded),
            self.added.recursive_difference(excluded),
        )


def compare(kind: Type, old: Any, new: Any) -> Comparison:
    """How the fields of a value changed."""
    result = Comparison()
    _compare(kind, old, new, (), result)
    return result


def _compare(kind: Type, old: Any, new: Any, path: Path, result: Comparison) -> None:
    if same(old, new):
        return
    forms = _forms(kind, old, new)
    leaf = False
    for form in forms:
        leaf = _compare_as(form, kind, old, new, path, result) or leaf
    if not leaf:
        if old is ABSENT:
            result.added.insert(path)
        elif new is ABSENT:
            result.removed.insert(path)


def _forms(kind: Type, old: Any, new: Any) -> tuple[str, ...]:
    if new is ABSENT:
        return (kind.form(old),)
    if old is ABSENT:
        return (kind.form(new),)
    forms = (kind.form(old), kind.form(new))
    return forms[1:] if forms[0] == forms[1] else forms


def _compare_as(form: str, kind: Type, old: Any, new: Any, path: Path, result: Comparison) -> bool:
    """Compare in one form; returns whether it is a leaf."""
    if form == "map" and kind.map is not None:
        left, right = _dict(old), _dict(new)
        if not kind.map.atomic and (left or right):
            for name in {**left, **right}:
                child = kind.map.child(name)
                if child is not None:
                    below = (*path, field_step(name))
                    _compare(child, left.get(name, ABSENT), right.get(name, ABSENT), below, result)
            return False
    elif form == "list" and kind.list is not None:
        before, after = _list(old), _list(new)
        if not kind.list.atomic and (before or after):
            _compare_lists(kind.list, before, after, path, result)
            return False
    _leaf(old, new, path, result)
    return True


def _leaf(old: Any, new: Any, path: Path, result: Comparison) -> None:
    if old is ABSENT:
        result.added.insert(path)
    elif new is ABSENT:
        result.removed.insert(path)
    elif not equal(old, new):
        result.modified.insert(path)


def _dict(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _compare_lists(kind: ListType, old: list[Any], new: list[Any], path: Path, result: Comparison) -> None:
    before, after = _grouped(kind, old), _grouped(kind, new)
    for step in {**before, **after}:
        left, right = before.get(step, []), after.get(step, [])
        below = (*path, step)
        if len(left) <= 1 and len(right) <= 1:
            _compare(kind.element, left[0] if left else ABSENT, right[0] if right else ABSENT, below, result)
        elif len(left) >= 2 and len(right) >= 2:
            if not equal(left, right):
                result.modified.insert(below)
        elif len(left) >= 2:
            if right:
                _compare(kind.element, ABSENT, right[0], below, result)
            result.removed.insert(below)
        else:
            if left:
                _compare(kind.element, left[0], ABSENT, below, result)
            result.added.insert(below)


def _grouped(kind: ListType, elements: list[Any]) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = {}
    for step, element in steps(kind, elements):
        grouped.setdefault(step, []).append(element)
    return grouped


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same object or written the same; quick, and False says nothing."""
    if left is right:
        return True
    if not isinstance(left, dict | list) or left != right:
        return False
    try:
        return orjson.dumps(left) == orjson.dumps(right)
    except TypeError:  # numbers beyond 64 bits
        return False


def equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: booleans are no numbers, 1 is 1.0."""
    if same(left, right):
        return True
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)
