"""Whether a server-side apply would change the live object.

After a start nothing is remembered of earlier applies. Instead of writing every object once more, the
executor reads it and asks here. The answer is on the safe side: whenever it is not plain that the apply would change
nothing, it says that it would, and a superfluous apply has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from lws.apimachinery.manifests import JSON

# Members for which an empty text asks the server for its default.
_DEFAULTED: Final[Mapping[str, str]] = {"whenDeleted": "Retain", "whenScaled": "Retain"}


def would_change(wanted: JSON, live: JSON, field_manager: str | None) -> bool:
    """Whether applying ``wanted`` as this field manager would alter ``live``.

    It would not if the live object holds every wanted value, and the manager owns nothing that is no longer wanted. A
    value that is missing although the manager owns it is one that this server drops, as it does with fields of
    features that are off; applying it again would not bring it.
    """
    fields = owned(live, field_manager)
    if fields is None or not holds(live, wanted, fields):
        return True
    return not wants(wanted, fields)


def owned(live: JSON, field_manager: str | None) -> JSON | None:
    """The fields that earlier applies of this manager own; None if there was none in this version."""
    for entry in (live.get("metadata") or {}).get("managedFields") or ():
        if entry.get("manager") == field_manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            fields: JSON | None = entry.get("fieldsV1")
            return fields
    return None


def holds(live: Any, wanted: Any, owned: JSON, name: str = "") -> bool:
    """Whether a live value has all that is wanted of it; objects may hold more, lists may not."""
    if isinstance(wanted, dict):
        if live is None:
            return not wanted
        return isinstance(live, dict) and all(_has(live, key, value, owned) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(live) == len(wanted)
            and all(holds(have, want, _of_item(owned, want)) for have, want in zip(live, wanted, strict=True))
        )
    if wanted == "" and name in _DEFAULTED:
        return bool(live == _DEFAULTED[name])
    return type(live) is type(wanted) and bool(live == wanted)


def _has(live: JSON, key: str, wanted: Any, owned: JSON) -> bool:
    member = f"f:{key}"
    if key not in live and member in owned:
        return True
    return holds(live.get(key), wanted, owned.get(member) or {}, key)


def _of_item(owned: JSON, item: Any) -> JSON:
    """The owned fields of the list entry whose keys this item has."""
    for key, inner in owned.items():
        if key.startswith("k:") and isinstance(item, dict) and _keyed(item, orjson.loads(key[2:])):
            return inner or {}
    return {}


def _keyed(item: JSON, keys: JSON) -> bool:
    """Whether a list entry has these keys; one left out is empty, as the name in ``imagePullSecrets: [{}]``."""
    return all(item.get(name, "") == value for name, value in keys.items())


def wants(wanted: Any, owned: JSON) -> bool:
    """Whether every owned field is wanted still. Keys are those of ``fieldsV1``: f:, k:, v: and i:."""
    for key, inner in owned.items():
        if key == ".":
            continue
        kind, _, rest = key.partition(":")
        found, value = _member(wanted, kind, rest)
        if not found or (inner and not wants(value, inner)):
            return False
    return True


def _member(wanted: Any, kind: str, text: str) -> tuple[bool, Any]:
    if kind == "f" and isinstance(wanted, dict):
        return text in wanted, wanted.get(text)
    if kind == "k" and isinstance(wanted, list):
        keys = orjson.loads(text)
        for item in wanted:
            if isinstance(item, dict) and _keyed(item, keys):
                return True, item
    if kind == "v" and isinstance(wanted, list):
        value = orjson.loads(text)
        return value in wanted, value
    return False, None
