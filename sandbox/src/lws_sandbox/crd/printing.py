"""Tables of custom resources: the columns that a definition declares, and their cells."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from lws.apimachinery.manifests import JSON
from lws_sandbox.crd.jsonpath import JsonPath
from lws_sandbox.schema.goprint import go_print
from lws_sandbox.strategy import AGE, NAME, Column, age

_AGE_COLUMN = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": AGE.description}


class Printer:
    """The columns of a version, and the cells of its objects."""

    def __init__(self, declared: list[JSON]) -> None:
        shown = declared or [_AGE_COLUMN]
        self.columns = (NAME, *(_column(column) for column in shown))
        self._paths = [(_path(column["jsonPath"]), column["type"]) for column in shown]

    def row(self, obj: JSON, now: datetime) -> list[Any]:
        """The cells; null where nothing is at the path, or something of another type."""
        return [obj["metadata"]["name"], *(_cell(path(obj), kind, now) for path, kind in self._paths)]


def _column(column: JSON) -> Column:
    generic = f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"
    return Column(
        column["name"],
        column["type"],
        column.get("format") or "",
        column.get("description") or generic,
        column.get("priority") or 0,
    )


def _path(text: str) -> Callable[[Any], list[Any]]:
    """Finds what is at a path; nothing for a path that cannot be read."""
    try:
        return JsonPath(text).find
    except ValueError:
        return lambda _: []


def _cell(found: list[Any], kind: str, now: datetime) -> Any:
    value = found[0] if found else None
    if not found or (value is None and kind != "string"):
        return None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    match kind:
        case "string":
            return _text(value)
        case "integer" if number is not None:
            return int(number)
        case "number" if number is not None:
            return number
        case "boolean" if isinstance(value, bool):
            return value
        case "date" if isinstance(value, str):
            return _since(value, now)
    return None


def _text(value: Any) -> str:
    if value is None:
        return "<no value>"
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return go_print(value)


def _since(text: str, now: datetime) -> str:
    if not text:
        return "<unknown>"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return "<invalid>"
    return age(text, now) if moment.tzinfo is not None else "<invalid>"
