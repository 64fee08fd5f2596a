"""Who wrote the number of replicas of a StatefulSet, as its managed fields tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def scaled_by(managed_fields: Iterable[Mapping[str, Any]]) -> str:
    """The field manager that owns ``spec.replicas``, the latest of several; empty if none does."""
    owners = [
        (str(each.get("time") or ""), str(each.get("manager") or ""))
        for each in managed_fields
        if "f:replicas" in ((each.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return max(owners, default=("", ""))[1]
