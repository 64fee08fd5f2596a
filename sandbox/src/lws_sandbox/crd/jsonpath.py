"""JSON paths of printer columns, as k8s.io/client-go `util/jsonpath` reads them.

Members, quoted members, indexes and slices of lists, ``*``, ``..`` and filters such as ``[?(@.type=="Ready")]``.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

Step = Callable[[Any], Iterator[Any]]

_TOKEN: Final = re.compile(
    r"""\.\.(?P<deep>\w[\w-]*)|\.(?P<name>\*|(?:\\.|[^.\[\]\s])+)|\[\?\((?P<filter>.*?)\)\]|\[(?P<inside>[^\]]*)\]""",
    re.VERBOSE,
)
_FILTER: Final = re.compile(r"\s*(?P<left>.+?)\s*(?:(?P<sign>==|!=|<=|>=|<|>)\s*(?P<right>.+?)\s*)?")
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class JsonPath:
    """A path such as ``.spec.list[0].name``.

    Raises:
        ValueError: it is none.
    """

    def __init__(self, text: str) -> None:
        self._steps = list(_steps(text.removeprefix("$")))

    def find(self, value: Any) -> list[Any]:
        """All values at the path; none where members are missing."""
        found = [value]
        for step in self._steps:
            found = [below for one in found for below in step(one)]
        return found


def _steps(text: str) -> Iterator[Step]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"unrecognized path {text!r}")
        at = match.end()
        if match["deep"]:
            yield _deep(match["deep"])
        elif match["name"]:
            yield _every if match["name"] == "*" else _member(re.sub(r"\\(.)", r"\1", match["name"]))
        elif match["filter"] is not None:
            yield _filter(match["filter"])
        else:
            yield _inside(match["inside"])


def _member(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _deep(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]
        for below in _every(value):
            yield from step(below)

    return step


def _every(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (value[name] for name in sorted(value))
    elif isinstance(value, list):
        yield from value


def _inside(text: str) -> Step:
    """What brackets hold: ``*``, a quoted member, indexes, or a slice."""
    text = text.strip()
    if text == "*":
        return _every
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return _member(text[1:-1])
    parts = [_part(part.strip()) for part in text.split(",")]

    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            for part in parts:
                yield from value[part]

    return step


def _part(text: str) -> slice:
    numbers = [int(number) if number else None for number in text.split(":")]
    if len(numbers) > 3 or (len(numbers) == 1 and numbers[0] is None):
        raise ValueError(f"invalid array index {text!r}")
    if len(numbers) > 1:
        return slice(*numbers)
    index = numbers[0]
    assert index is not None
    return slice(index, index + 1 or None)


def _filter(text: str) -> Step:
    match = _FILTER.fullmatch(text)
    if match is None:
        raise ValueError(f"unrecognized filter {text!r}")
    left, sign = _operand(match["left"]), match["sign"]
    right = _operand(match["right"]) if sign else None

    def holds(item: Any) -> bool:
        found = left(item)
        if right is None:
            return bool(found)
        others = right(item)
        if not found or not others:
            return False
        try:
            return _COMPARE[sign](found[0], others[0])
        except TypeError:
            return False

    def step(value: Any) -> Iterator[Any]:
        yield from (item for item in _every(value) if holds(item))

    return step


def _operand(text: str) -> Callable[[Any], list[Any]]:
    if text.startswith("@"):
        return JsonPath(text[1:]).find
    if text[:1] == "'" and text[-1:] == "'":
        constant: Any = text[1:-1]
    else:
        constant = json.loads(text)
    return lambda _: [constant]
