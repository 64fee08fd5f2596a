"""Strategic merge patch: lists merge by the keys that the schema of a built-in kind names.

Directives: ``$patch: replace | delete`` on objects and elements, ``$retainKeys`` for unions,
``$setElementOrder/<list>`` for the order of a merged list, ``$deleteFromPrimitiveList/<list>`` to take values out of a
set
(Kubernetes, "strategic merge patch" and "preserve order in strategic merge patch").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.copying import copied
from lws_sandbox.patching.json_patch import same
from lws_sandbox.schema.goprint import go_print, go_type
from lws_sandbox.schema.node import Node

DIRECTIVE: Final = "$patch"
RETAIN_KEYS: Final = "$retainKeys"
DELETE_VALUES: Final = "$deleteFromPrimitiveList"
ORDER: Final = "$setElementOrder"


class StrategicError(ValueError):
    """The patch cannot be merged; the message is the server's own.

    Attributes:
        code: 400 for a malformed directive, 422 for lists that cannot merge, else 500.
    """

    def __init__(self, message: str, code: int = 500) -> None:
        super().__init__(message)
        self.code = code


def strategic_merge(document: JSON, patch: JSON, node: Node | None) -> JSON:
    """The document after the patch; neither is changed.

    Args:
        document: as the server holds it.
        patch: with directives.
        node: schema of the document.

    Raises:
        StrategicError: a directive or list cannot be merged.
    """
    return _merge_object(copied(document), copied(patch), node)


def _merge_object(original: JSON, patch: JSON, node: Node | None) -> JSON:
    if DIRECTIVE in patch:
        return _directed(patch)
    _retain_keys(original, patch)
    _merge_ordered_lists(original, patch, node)
    for name, value in patch.items():
        deleting = name.startswith(DELETE_VALUES)
        field = _listed(name, DELETE_VALUES) if deleting else name
        if value is None:
            original.pop(field, None)
        elif field not in original or type(original[field]) is not type(value):
            if not deleting:
                _put(original, field, value)
        else:
            _merge_member(original, field, value, node, deleting=deleting)
    return original


def _directed(patch: JSON) -> JSON:
    directive = patch[DIRECTIVE]
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != DIRECTIVE}
    if directive == "delete":
        return {}
    raise StrategicError(f"unknown patch type: {go_print(directive)} in map: {go_print(patch)}")


def _merge_member(original: JSON, name: str, value: Any, node: Node | None, *, deleting: bool) -> None:
    if isinstance(value, dict):
        child, strategy = _schema(node, name)
        original[name] = value if strategy == "replace" else _merge_object(original[name], value, child)
    elif isinstance(value, list):
        original[name] = _merge_list(original[name], value, node, name, deleting=deleting)
    else:
        original[name] = value


def _schema(node: Node | None, name: str) -> tuple[Node | None, str]:
    """Schema and strategy (``merge``, ``replace`` or empty) of a member.

    Raises:
        StrategicError: the kind has no such member.
    """
    if node is None:
        return None, ""
    known = node.fields.get(name)
    if known is None:
        if node.values is None and node.fields:
            raise StrategicError(f'unable to find api field in struct {node.go_struct} for the json field "{name}"')
        return node.values, ""
    strategies = [strategy for strategy in known.patch.split(",") if strategy != "retainKeys"]
    return known.node, strategies[0] if strategies else ""


def _put(original: JSON, name: str, value: Any) -> None:
    value, keep = _without_directives(_without_nulls(value))
    if keep:
        original[name] = value
    else:
        original.pop(name, None)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _without_directives(value: Any) -> tuple[Any, bool]:
    """A value that meets nothing to merge with, and whether it is kept at all."""
    if isinstance(value, dict):
        if DIRECTIVE in value:
            return None, False
        members = {name: _without_directives(item) for name, item in value.items()}
        return {name: item for name, (item, keep) in members.items() if keep}, True
    if isinstance(value, list):
        return [item for item, keep in map(_without_directives, value) if keep], True
    return value, True


def _retain_keys(original: JSON, patch: JSON) -> None:
    """Members of a union that the patch does not name go."""
    if RETAIN_KEYS not in patch:
        return
    names = patch.pop(RETAIN_KEYS)
    malformed = StrategicError("invalid patch format of retainKeys", 400)
    if not isinstance(names, list):
        raise malformed
    for name, value in patch.items():
        if value is not None and name not in names and not name.startswith((DELETE_VALUES, ORDER)):
            raise malformed
    for name in [name for name in original if name not in names]:
        del original[name]


def _listed(name: str, prefix: str) -> str:
    """The list that a parallel directive speaks of."""
    head, slash, rest = name.partition("/")
    if not slash or head != prefix:
        what = "primitive list" if prefix == DELETE_VALUES else "setElementOrder list"
        raise StrategicError(f"invalid patch format of {what}", 400)
    return rest


def _merge_ordered_lists(original: JSON, patch: JSON, node: Node | None) -> None:
    """Lists whose order the patch gives are merged with it, and leave the patch."""
    for directive in [name for name in patch if name.startswith(ORDER)]:
        order = patch.pop(directive)
        if not isinstance(order, list):
            raise _bad_type([], order)
        name = _listed(directive, ORDER)
        live, given = original.get(name), patch.get(name)
        for value in (live, given):
            if value is not None and not isinstance(value, list):
                raise _bad_type([], value)
        child, _ = _schema(node, name)
        key = child.merge_key if child is not None else ""
        _check_order(given or [], order, key)
        if name not in original and name not in patch:
            continue
        if name not in patch:
            merged = list(live or [])
        elif name not in original:
            merged = _without_directives(given)[0]
        else:
            merged = _merge_list(live or [], given or [], node, name, deleting=False)
        original[name] = _ordered(merged, order, live or [], key)
        patch.pop(name, None)


def _check_order(given: list[Any], order: list[Any], key: str) -> None:
    """The elements of the patch must stand in the order that it gives, and be in it.

    Raises:
        StrategicError: they do not.
    """
    if not given or not order:
        return
    waiting = [item for item in given if not (isinstance(item, dict) and DIRECTIVE in item)]
    place = 0
    for item in order:
        if place < len(waiting) and same(_identity(waiting[place], key), _identity(item, key)):
            place += 1
    if place < len(waiting):
        raise StrategicError(
            f"The order in patch list:\n{go_print(given)}\n doesn't match {ORDER} list:\n{go_print(order)}\n"
        )


def _identity(item: Any, key: str) -> Any:
    if not key:
        return item
    if not isinstance(item, dict):
        raise _bad_type({}, item)
    if key not in item:
        raise StrategicError(f"map: {go_print(item)} does not contain declared merge key: {key}")
    return item[key]


def _merge_list(original: list[Any], patch: list[Any], node: Node | None, name: str, *, deleting: bool) -> list[Any]:
    child, strategy = _schema(node, name)
    if strategy != "merge" and not deleting:
        return patch
    if not original and not patch:
        return original
    if not _objects([*original, *patch]):
        if deleting:
            return [item for item in original if not any(same(item, gone) for gone in patch)]
        merged = [item for place, item in enumerate([*original, *patch]) if item not in [*original, *patch][:place]]
        return _ordered(merged, patch, original, "")
    key = child.merge_key if child is not None else ""
    if not key:
        raise StrategicError(f"cannot merge lists without merge key for {child.go_struct if child else name}")
    kept, additions = _special_elements(original, patch, key)
    merged = _merge_elements(kept, additions, key, child.items if child is not None else None)
    return _ordered(merged, additions, kept, key)


def _objects(items: Sequence[Any]) -> bool:
    """Whether the elements are objects.

    Raises:
        StrategicError: they are lists, or of several types.
    """
    types = {type(item) for item in items}
    if list in types:
        raise StrategicError("lists of lists are not supported", 422)
    if len(types) > 1:
        raise StrategicError(f"list element types are not identical: {go_print(list(items))}")
    return dict in types


def _special_elements(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Carry out the directives among the elements; returns the original without what they delete, and the others."""
    plain: list[Any] = []
    replacing = False
    for item in patch:
        directive = item.get(DIRECTIVE)
        if DIRECTIVE not in item:
            plain.append(item)
        elif directive == "delete":
            gone = _identity(item, key)
            original = [element for element in original if not same(element.get(key), gone)]
        elif directive == "replace":
            replacing = True
        elif directive == "merge":
            raise StrategicError("merging lists cannot yet be specified in the patch")
        else:
            raise StrategicError(f"unknown patch type: {go_print(directive)} in map: {go_print(item)}")
    return (plain, []) if replacing else (original, plain)


def _merge_elements(original: list[Any], patch: list[Any], key: str, node: Node | None) -> list[Any]:
    merged = list(original)
    for item in patch:
        identity = _identity(item, key)
        found = next((place for place, known in enumerate(merged) if same(known.get(key), identity)), None)
        if found is None:
            merged.append(_without_nulls(item))
        else:
            merged[found] = _merge_object(merged[found], item, node)
    return merged


def _ordered(merged: list[Any], order: list[Any], live: list[Any], key: str) -> list[Any]:
    """Elements named by ``order`` in that order; the others in their live order, near to their neighbours.

    An element that only the live list has goes before the first of the others that stood behind it there.
    """
    ours = [item for item in merged if _position(order, item, key) is not None]
    others = [item for item in merged if _position(order, item, key) is None]
    ours.sort(key=lambda item: _position(order, item, key) or 0)
    places = {id(item): _position(live, item, key) for item in merged}
    others.sort(key=lambda item: -1 if places[id(item)] is None else places[id(item)] or 0)
    result: list[Any] = []
    while ours and others:
        left, right = places[id(others[0])], places[id(ours[0])]
        before = left is not None and right is not None and left < right
        result.append(others.pop(0) if before else ours.pop(0))
    return result + ours + others


def _position(items: list[Any], item: Any, key: str) -> int | None:
    identity = _identity(item, key)
    return next((place for place, known in enumerate(items) if same(_identity(known, key), identity)), None)


def _bad_type(expected: Any, actual: Any) -> StrategicError:
    return StrategicError(f"expected a {go_type(expected)}, but received a {go_type(actual)}")
