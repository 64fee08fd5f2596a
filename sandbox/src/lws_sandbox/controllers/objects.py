"""Reading objects as the wire has them: plain dicts, where an absent member reads as empty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from lws.apimachinery.manifests import JSON


def meta(obj: JSON) -> JSON:
    """The object's metadata."""
    found: JSON = obj.get("metadata") or {}
    return found


def name_of(obj: JSON) -> str:
    """The object's name."""
    return str(meta(obj).get("name", ""))


def namespace_of(obj: JSON) -> str:
    """The object's namespace; empty for what belongs to the cluster."""
    return str(meta(obj).get("namespace") or "")


def uid_of(obj: JSON) -> str:
    """The object's UID."""
    return str(meta(obj).get("uid", ""))


def labels_of(obj: JSON) -> dict[str, str]:
    """The object's labels."""
    return meta(obj).get("labels") or {}


def annotations_of(obj: JSON) -> dict[str, str]:
    """The object's annotations."""
    return meta(obj).get("annotations") or {}


def owners_of(obj: JSON) -> list[JSON]:
    """The object's owner references."""
    return meta(obj).get("ownerReferences") or []


def is_terminating(obj: JSON) -> bool:
    """Whether deletion has begun."""
    return meta(obj).get("deletionTimestamp") is not None


def controller_of(obj: JSON) -> JSON | None:
    """The owner reference that controls this object, if any."""
    return next((owner for owner in owners_of(obj) if owner.get("controller")), None)


def controller_reference(owner: JSON, api_version: str, kind: str) -> JSON:
    """The reference by which ``owner`` controls an object."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition(obj: JSON, type_: str) -> JSON | None:
    """The condition of that type in the object's status."""
    found: Iterable[JSON] = (obj.get("status") or {}).get("conditions") or ()
    return next((item for item in found if item.get("type") == type_), None)


def parse_time(text: str | None) -> datetime | None:
    """A time as the API writes it (RFC 3339, with or without a fraction)."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_time(moment: datetime) -> str:
    """A time as ``metav1.Time`` is written: whole seconds, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(moment: datetime) -> str:
    """A time as ``metav1.MicroTime`` is written: six digits of a second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def set_condition(conditions: list[JSON], new: Mapping[str, Any], now: datetime) -> list[JSON]:
    """A copy of the list with the condition set; the transition time moves only with the status."""
    before = next((item for item in conditions if item.get("type") == new["type"]), None)
    moved = before is None or before.get("status") != new["status"]
    since = format_time(now) if before is None or moved else before.get("lastTransitionTime")
    entry = {**new, "lastTransitionTime": since}
    if before is None:
        return [*conditions, entry]
    return [entry if item is before else item for item in conditions]


def matches_labels(selector: JSON | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector of the API (matchLabels and matchExpressions) picks these labels.

    An absent selector picks nothing, an empty one everything.
    """
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(matches_expression(item, labels) for item in selector.get("matchExpressions") or ())


def matches_expression(requirement: JSON, labels: Mapping[str, str]) -> bool:
    """Whether one requirement of a label selector or node selector holds."""
    key, operator = requirement["key"], requirement["operator"]
    values = requirement.get("values") or []
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return labels.get(key) not in values
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    return _compares(labels.get(key), operator, values)


def _compares(actual: str | None, operator: str, values: list[str]) -> bool:
    """Gt and Lt of node selectors: both sides integers, else false."""
    try:
        left, right = int(actual or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "Gt" else operator == "Lt" and left < right
