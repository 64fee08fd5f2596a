"""JSON merge patch (RFC 7386)."""

from __future__ import annotations

import copy
from typing import Any

from lws.apimachinery.manifests import JSON


def merge_patch(document: JSON, patch: JSON) -> JSON:
    """The document after the patch; neither is changed. Objects that the patch touches come out sorted by name."""
    merged = dict(document)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = merge_patch(merged[name], value)
        else:
            merged[name] = without_nulls(value)
    return dict(sorted(merged.items()))


def without_nulls(value: Any) -> Any:
    """A copy without members that are null; nulls in lists stay."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return copy.copy(value)


def merge_diff(old: Any, new: Any) -> Any:
    """The smallest merge patch from one object to another that holds no nulls."""
    patch: JSON = {name: None for name in old if name not in new}
    for name, value in new.items():
        if name not in old:
            patch[name] = value
        elif isinstance(old[name], dict) and isinstance(value, dict):
            below = merge_diff(old[name], value)
            if below:
                patch[name] = below
        elif old[name] != value:
            patch[name] = value
    return patch
