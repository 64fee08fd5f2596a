"""Keeps a recording small: what it says more than once stands in it once."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from lws.apimachinery.manifests import JSON

SAME: Final = "$same"
WORTH: Final = 80  # characters from which on a repetition is worth a reference


def pack(told: JSON) -> JSON:
    """What was told, with a table of the parts that it repeats."""
    counts: Counter[str] = Counter()
    _count(told, counts)
    names = {text: f"{number}" for number, text in enumerate(text for text, count in counts.items() if count > 1)}
    parts = {name: _shared(json.loads(text), names, top=True) for text, name in names.items()}
    return {"told": _shared(told, names), "parts": parts}


def unpack(packed: JSON) -> JSON:
    """What was told."""
    found: JSON = _whole(packed["told"], packed["parts"])
    return found


def _count(value: Any, counts: Counter[str]) -> None:
    if isinstance(value, dict | list):
        text = _text(value)
        if len(text) >= WORTH:
            counts[text] += 1
            if counts[text] > 1:
                return  # what is in it is counted with the first
        for item in value.values() if isinstance(value, dict) else value:
            _count(item, counts)


def _shared(value: Any, names: dict[str, str], *, top: bool = False) -> Any:
    if isinstance(value, dict | list) and not top and (name := names.get(_text(value))):
        return {SAME: name}
    if isinstance(value, dict):
        return {key: _shared(item, names) for key, item in value.items()}
    return [_shared(item, names) for item in value] if isinstance(value, list) else value


def _whole(value: Any, parts: JSON) -> Any:
    if isinstance(value, dict):
        if value.keys() == {SAME}:
            return _whole(parts[value[SAME]], parts)
        return {key: _whole(item, parts) for key, item in value.items()}
    return [_whole(item, parts) for item in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
