"""JSON patch (RFC 6902), with the liberties of a real server.

It replaces members that are not there, takes a path without its leading slash, and counts negative indices from the
end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lws.apimachinery.manifests import JSON
from lws_sandbox.copying import copied


class PatchError(ValueError):
    """An operation cannot be done; nothing was changed."""


def json_patch(document: JSON, operations: Sequence[JSON]) -> JSON:
    """The document after all operations; the given one is not changed.

    Raises:
        PatchError: one of them cannot be done.
    """
    patched = copied(document)
    for operation in operations:
        _apply(patched, operation)
    return patched


def sort_touched(document: JSON, operations: Sequence[JSON]) -> JSON:
    """The document with the members sorted of every object that the operations looked into, as a real server has it."""
    paths = [str(operation.get(name, "")).split("/")[1:-1] for operation in operations for name in ("path", "from")]
    result: JSON = _sorted_along(document, paths)
    return result


def _sorted_along(value: Any, paths: list[list[str]]) -> Any:
    def below(step: str) -> list[list[str]]:
        return [path[1:] for path in paths if path and _name(path[0]) == step]

    if isinstance(value, dict):
        found = {name: (item, below(name)) for name, item in sorted(value.items())}
        return {name: _sorted_along(item, rest) if rest else item for name, (item, rest) in found.items()}
    if isinstance(value, list):
        return [_sorted_along(item, rest) if (rest := below(str(at))) else item for at, item in enumerate(value)]
    return value


def _apply(document: JSON, operation: JSON) -> None:
    path = str(operation.get("path", ""))
    match operation.get("op"):
        case "add":
            _add(document, path, copied(operation.get("value")))
        case "remove":
            _remove(document, path)
        case "replace":
            container, key = _place(document, path)
            _get(container, key)
            _set(container, key, copied(operation.get("value")))
        case "move":
            _add(document, path, _remove(document, str(operation.get("from", ""))))
        case "copy":
            container, key = _place(document, str(operation.get("from", "")))
            _add(document, path, copied(_get(container, key)))
        case "test":
            _test(document, path, operation.get("value"))
        case other:
            raise PatchError(f"unexpected kind: {other}")


def _place(document: JSON, path: str) -> tuple[Any, str]:
    """The container of a path's last step, and that step.

    Raises:
        PatchError: there is none.
    """
    steps = path.split("/")
    if len(steps) < 2:
        raise PatchError(f"doc is missing path: {path}")
    container: Any = document
    for step in steps[1:-1]:
        container = _get(container, _name(step))
        if not isinstance(container, dict | list):
            raise PatchError(f"doc is missing path: {path}")
    return container, _name(steps[-1])


def _name(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _index(key: str, limit: int) -> int:
    try:
        index = int(key)
    except ValueError:
        raise PatchError(f"value was not a proper array index: {key}") from None
    if not -limit <= index < limit:
        raise PatchError(f"unable to access invalid index: {index}")
    return index if index >= 0 else index + limit


def _get(container: Any, key: str) -> Any:
    if isinstance(container, list):
        return container[_index(key, len(container))]
    return container.get(key)


def _set(container: Any, key: str, value: Any) -> None:
    if isinstance(container, list):
        container[_index(key, len(container))] = value
    else:
        container[key] = value


def _add(document: JSON, path: str, value: Any) -> None:
    container, key = _place(document, path)
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        container.insert(_index(key, len(container) + 1), value)


def _remove(document: JSON, path: str) -> Any:
    container, key = _place(document, path)
    if isinstance(container, list):
        return container.pop(_index(key, len(container)))
    if key not in container:
        raise PatchError(f"unable to remove nonexistent key: {key}")
    return container.pop(key)


def _test(document: JSON, path: str, wanted: Any) -> None:
    container, key = _place(document, path)
    found = _get(container, key)
    if not same(found, wanted):
        raise PatchError(f"testing value {path} failed")


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal; unlike Python, JSON keeps booleans and numbers apart."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    comparable = type(left) is type(right) or (_number(left) and _number(right))
    return comparable and bool(left == right)


def _number(value: Any) -> bool:
    return isinstance(value, int | float)
