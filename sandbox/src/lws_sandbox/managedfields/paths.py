"""Steps of a path inside an object, in the form of FieldsV1.

``f:<name>`` is a member, ``k:<keys>`` an element of a keyed list, ``v:<value>`` a value of a set, ``i:<index>`` an
element by place (Kubernetes API reference, FieldsV1). Steps are text, so that sets of them are cheap.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, Final

Path = tuple[str, ...]

SELF: Final = "."


class PathError(ValueError):
    """The text is no step of a path."""


def field_step(name: str) -> str:
    """The step to a member of an object."""
    return f"f:{name}"


def key_step(keys: Mapping[str, Any]) -> str:
    """The step to the element of a keyed list."""
    return "k:" + _compact(dict(sorted(keys.items())))


def value_step(value: Any) -> str:
    """The step to a value of a set."""
    return "v:" + _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@functools.lru_cache(maxsize=65536)
def parse_step(text: str) -> str:
    """A step as it is written, with its keys in order.

    Raises:
        PathError: it is none.
    """
    kind, colon, rest = text[:1], text[1:2], text[2:]
    if colon != ":" or kind not in "fkvi" or not kind:
        raise PathError(text)
    try:
        if kind == "k":
            return key_step(json.loads(rest))
        if kind == "v":
            return value_step(json.loads(rest))
        if kind == "i":
            int(rest)
    except (ValueError, AttributeError):
        raise PathError(text) from None
    return text


@functools.lru_cache(maxsize=65536)
def order(step: str) -> tuple[Any, ...]:
    """Sort key of a step: members by name, then elements by key, then values, then places."""
    kind, rest = step[:1], step[2:]
    if kind == "f":
        return (0, rest)
    if kind == "k":
        return (1, tuple((name, _value_order(value)) for name, value in json.loads(rest).items()))
    if kind == "v":
        return (2, _value_order(json.loads(rest)))
    return (3, int(rest))


def _value_order(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (0, value)
    if isinstance(value, str):
        return (1, value)
    return (3, _compact(value))


def shown(step: str) -> str:
    """A step as messages show it: ``.name``, ``[name="main"]``, ``[="value"]``."""
    kind, rest = step[:1], step[2:]
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        return "[" + ",".join(f"{name}={_compact(value)}" for name, value in json.loads(rest).items()) + "]"
    if kind == "v":
        return f"[={rest}]"
    return f"[{rest}]"


def shown_path(path: Path) -> str:
    """A path as messages show it: ``.spec.containers[name="main"].image``."""
    return "".join(map(shown, path))
