"""Taking over the fields that other managers own, so that what is no longer wanted goes (operator 5.6, 5.10).

The reference writes by update; a field that it declared and we do not would otherwise stay for ever. Its entries in
``managedFields`` become part of ours, and the next apply drops what is in excess.
"""

from __future__ import annotations

from typing import Any

from lws.api.operand import names
from lws.apimachinery.manifests import JSON


def folded(live: JSON, *, adopting: bool = False) -> list[JSON] | None:
    """``managedFields`` with the entries of former managers folded into ours; None if there is none of them.

    Left out are what stays as it was found: the conversion of a definition, the bundles of hooks, and the status.

    Args:
        live: the object.
        adopting: whether whoever created it counts as a former manager, however it wrote.
    """
    entries = (live.get("metadata") or {}).get("managedFields") or []
    creator = _creator(entries) if adopting else ""
    former = [each for each in entries if _former(each) or (_declares(each) and each.get("manager") == creator)]
    if not former:
        return None
    ours = next((each for each in entries if _ours(each)), None)
    fields: JSON = dict((ours or {}).get("fieldsV1") or {})
    for each in former:
        fields = _united(fields, _kept(each.get("fieldsV1") or {}))
    entry = {
        **(ours or former[0]),
        "manager": names.FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": live["apiVersion"],
        "fieldsV1": fields,
    }
    return [entry, *(each for each in entries if each is not ours and each not in former)]


def _former(entry: JSON) -> bool:
    return entry.get("manager") in names.FORMER_MANAGERS and entry.get("operation") == "Update" and _declares(entry)


def _declares(entry: JSON) -> bool:
    return not entry.get("subresource")


def _creator(entries: list[JSON]) -> str:
    """Who wrote first of all that are still known, but for ourselves."""
    others = [each for each in entries if _declares(each) and not _ours(each)]
    first = min(others, key=lambda each: str(each.get("time") or ""), default={})
    return str(first.get("manager") or "")


def _ours(entry: JSON) -> bool:
    return (
        entry.get("manager") == names.FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def _kept(fields: JSON) -> JSON:
    """The fields to be taken over."""
    return {key: _without(value) for key, value in fields.items() if key != "f:status"}


def _without(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without(inner) for key, inner in value.items() if key not in ("f:conversion", "f:caBundle")}


def _united(one: JSON, other: JSON) -> JSON:
    result = dict(one)
    for key, value in other.items():
        known = result.get(key)
        result[key] = _united(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result
