"""Bodies of answers, read for comparing."""

from __future__ import annotations

import json
from typing import Any

import yaml


def decode(body: bytes, content_type: str, *, structured: bool = False) -> Any:
    """A body as a value: parsed where its type says JSON or YAML, or where a structure is expected."""
    text = body.decode(errors="replace")
    if not body:
        return None
    if "json" in content_type or (structured and text.startswith("{")):
        return json.loads(text)
    return decode_text(text, content_type)


def decode_text(body: Any, content_type: str) -> Any:
    """The same of a body that was recorded as text."""
    if isinstance(body, str) and "yaml" in content_type:
        return yaml.load(body, Loader=yaml.BaseLoader)
    return body


def common(recorded: Any, actual: Any) -> tuple[Any, Any]:
    """Leave out of the actual answer what a trimmed recording left out."""
    if isinstance(recorded, dict) and isinstance(actual, dict):
        pairs = {key: common(value, actual[key]) for key, value in recorded.items() if key in actual}
        left = {key: value for key, value in recorded.items() if value != "..." and not key.startswith("all_")}
        return (
            {key: pairs[key][0] if key in pairs else value for key, value in left.items()},
            {key: pairs[key][1] for key in left if key in pairs},
        )
    if isinstance(recorded, list) and isinstance(actual, list):
        wanted = [_name(item) for item in recorded]
        kept = sorted((item for item in actual if _name(item) in wanted), key=lambda item: wanted.index(_name(item)))
        if len(kept) == len(recorded):
            pairs_ = [common(one, other) for one, other in zip(recorded, kept, strict=True)]
            return [one for one, _ in pairs_], [other for _, other in pairs_]
        return recorded, kept
    return recorded, actual


def _name(item: Any) -> Any:
    if isinstance(item, dict):
        return (
            item.get("name") or (item.get("metadata") or {}).get("name") or item.get("version") or item.get("resource")
        )
    return item
