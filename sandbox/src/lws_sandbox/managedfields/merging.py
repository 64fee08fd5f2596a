"""Merge an applied value into a live one, and take fields out of a value."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from lws.apimachinery.manifests import JSON
from lws_sandbox.managedfields.fieldset import FieldSet
from lws_sandbox.managedfields.paths import Path, field_step
from lws_sandbox.managedfields.typed import ABSENT, KeyError_, TypedError, element_step, steps
from lws_sandbox.managedfields.types import ListType, MapType, Type


def merge(kind: Type, live: Any, applied: Any) -> Any:
    """The live value with what is applied: leaves of the applied one win, nothing is removed.

    Elements of lists stand as in the live list where nothing changes, else as in the applied one, and others stay near
    their neighbours.

    Raises:
        TypedError: an element of a list cannot be told from others.
    """
    if live is ABSENT and applied is ABSENT:
        return ABSENT
    form = kind.form(live if applied is ABSENT else applied)
    if form == "map" and kind.map is not None:
        left, right = _inner(live, dict), _inner(applied, dict)
        if not kind.map.atomic and (left or right):
            return _merge_maps(kind.map, left, right)
    elif form == "list" and kind.list is not None:
        before, after = _inner(live, list), _inner(applied, list)
        if not kind.list.atomic and (before or after):
            return _merge_lists(kind.list, before, after)
    return live if applied is ABSENT else applied


def _inner(value: Any, expected: type) -> Any:
    return value if isinstance(value, expected) else expected()


def _merge_maps(kind: MapType, live: JSON, applied: JSON) -> Any:
    merged: JSON = {}
    for name in {**live, **applied}:
        child = kind.child(name)
        if child is None:
            continue
        value = merge(child, live.get(name, ABSENT), applied.get(name, ABSENT))
        if value is not ABSENT:
            merged[name] = value
    return merged or ABSENT


def _merge_lists(kind: ListType, live: list[Any], applied: list[Any]) -> Any:
    theirs = _indexed(kind, applied, duplicates=False)
    known = _indexed(kind, live, duplicates=True)
    merged: list[Any] = []
    for step, place in _interleaved([step for step, _ in _placed(kind, live)], list(theirs)):
        element = known.get(step, ABSENT) if step in theirs else live[place]
        value = merge(kind.element, element, theirs.get(step, ABSENT))
        if value is not ABSENT:
            merged.append(value)
    return merged or ABSENT


def _interleaved(live: list[str], applied: list[str]) -> Iterator[tuple[str, int]]:
    """Steps of the merged list, each with its place in the live one if only that has it.

    Both lists keep their order where they can: the applied one always does.
    """
    theirs, known = set(applied), set(live)
    shared = deque(step for step in applied if step in known)
    done: set[str] = set()
    left = right = 0
    while left < len(live) or right < len(applied):
        step = live[left] if left < len(live) else None
        if step is not None and step not in theirs:
            yield step, left
            left += 1
            continue
        if step is not None and right < len(applied) and step != applied[right] and shared and shared[0] != step:
            left += 1  # shared, but not the one that comes next
            continue
        if step is not None and (step in done or (right < len(applied) and step == applied[right])):
            left += 1
        if right < len(applied):
            step, right = applied[right], right + 1
            done.add(step)
            yield step, -1
            if shared and shared[0] == step:
                shared.popleft()


def _placed(kind: ListType, elements: list[Any]) -> list[tuple[str, Any]]:
    try:
        return list(steps(kind, elements))
    except KeyError_ as error:
        raise TypedError([("", str(error))]) from None


def _indexed(kind: ListType, elements: list[Any], *, duplicates: bool) -> dict[str, Any]:
    """Elements by step, in order; of one that is there twice nothing is known."""
    found: dict[str, Any] = {}
    for step, element in _placed(kind, elements):
        if step in found and not duplicates:
            raise TypedError([("", f"duplicate entries for key {step}")])
        found[step] = None if step in found else element
    return found


def remove(kind: Type, value: Any, fields: FieldSet) -> Any:
    """The value without the given fields and elements. What is emptied, or atomic, comes out as null."""
    if value is ABSENT:
        return ABSENT
    form = kind.form(value)
    if form == "map" and kind.map is not None:
        if not isinstance(value, dict) or not value or kind.map.atomic:
            return None
        return _remove_members(kind.map, value, fields)
    if form == "list" and kind.list is not None:
        if not isinstance(value, list) or not value or kind.list.atomic:
            return None
        return _remove_elements(kind.list, value, fields)
    return value


def _remove_members(kind: MapType, value: JSON, fields: FieldSet) -> Any:
    kept: JSON = {}
    for name, item in value.items():
        step = field_step(name)
        if step in fields.members:
            continue
        child = kind.child(name)
        below = fields.below(step)
        kept[name] = remove(child, item, below) if below and child is not None else item
    return kept or None


def _remove_elements(kind: ListType, value: list[Any], fields: FieldSet) -> Any:
    kept: list[Any] = []
    for element in value:
        step = element_step(kind, element)
        if step in fields.members:
            continue
        below = fields.below(step)
        kept.append(remove(kind.element, element, below) if below else element)
    return kept or None


def with_named_fields(kind: Type | None, fields: FieldSet) -> FieldSet:
    """The set with every declared member on the way to something in it."""
    declared = kind.map.fields if kind is not None and kind.map is not None else {}
    named = {step for step in fields.children if step.startswith("f:") and step[2:] in declared}
    children = {step: with_named_fields(_below(kind, step), child) for step, child in fields.children.items()}
    return FieldSet(fields.members | named, children)


def _below(kind: Type | None, step: str) -> Type | None:
    if kind is None:
        return None
    if step.startswith("f:"):
        return kind.map.child(step[2:]) if kind.map is not None else None
    return kind.list.element if kind.list is not None else None


def reconciled(kind: Type, fields: FieldSet) -> FieldSet:
    """Fields that were written under another schema: what became atomic is owned as a whole."""
    atoms: list[Path] = []
    _find_atoms(kind, fields, (), atoms)
    if not atoms:
        return fields
    found = FieldSet.of(*atoms)
    return fields.recursive_difference(found).union(found)


def _find_atoms(kind: Type, fields: FieldSet, path: Path, atoms: list[Path]) -> None:
    if not fields:
        return
    if kind.map is not None and kind.map.deduced:
        return
    whole = kind.map.atomic if kind.map is not None else kind.list.atomic if kind.list is not None else False
    if whole and path:
        atoms.append(path)
        return
    for step, below in fields.children.items():
        child = _below(kind, step)
        if child is not None:
            _find_atoms(child, below, (*path, step), atoms)
