"""JSON patches (RFC 6902) that say exactly what changed and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Operation = dict[str, Any]


def difference(before: Any, after: Any) -> list[Operation]:
    """Operations that turn ``before`` into ``after``, in the order in which they apply.

    Guarantees: applying them gives ``after`` exactly; members and list entries that are equal are named by no
    operation; values are equal only if their JSON types are (``1`` is not ``true``).
    """
    return list(_changes("", before, after))


def pointer(path: str, token: str | int) -> str:
    """A JSON pointer (RFC 6901) one step below ``path``."""
    return f"{path}/{str(token).replace('~', '~0').replace('/', '~1')}"


def _changes(path: str, before: Any, after: Any) -> Iterator[Operation]:
    if before is after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _object_changes(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_changes(path, before, after)
    elif not _same(before, after):
        yield {"op": "replace", "path": path, "value": after}


def _object_changes(path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Operation]:
    for key, value in before.items():
        if key in after:
            yield from _changes(pointer(path, key), value, after[key])
        else:
            yield {"op": "remove", "path": pointer(path, key)}
    for key, value in after.items():
        if key not in before:
            yield {"op": "add", "path": pointer(path, key), "value": value}


def _list_changes(path: str, before: list[Any], after: list[Any]) -> Iterator[Operation]:
    """What both lists begin and end with stays; in between entries are changed, then dropped or inserted."""
    start = _common(before, after)
    ending = _common(before[start:][::-1], after[start:][::-1])
    old, new = len(before) - ending, len(after) - ending
    for index in range(start, min(old, new)):
        yield from _changes(pointer(path, index), before[index], after[index])
    for index in range(old - 1, new - 1, -1):
        yield {"op": "remove", "path": pointer(path, index)}
    for index in range(old, new):
        yield {"op": "add", "path": pointer(path, index), "value": after[index]}


def _common(before: list[Any], after: list[Any]) -> int:
    count = 0
    for left, right in zip(before, after, strict=False):
        if not _same(left, right):
            break
        count += 1
    return count


def _same(left: Any, right: Any) -> bool:
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(value, right[key]) for key, value in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)
