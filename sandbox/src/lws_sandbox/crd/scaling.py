"""The numbers and the selector at the paths of a custom resource's scale subresource."""

from __future__ import annotations

from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.schema.goprint import go_print, go_type
from lws_sandbox.status import Cause, Causes

MAX_REPLICAS: Final = 2**31 - 1
_ZERO: Final = {"int64": 0, "string": ""}


def scale_spec(obj: JSON, scale: JSON) -> list[Cause]:
    """What is wrong with the number that is asked for."""
    return _number(obj, scale["specReplicasPath"])


def scale_status(obj: JSON, scale: JSON) -> list[Cause]:
    """What is wrong with the number that is there, and with the selector."""
    found = _number(obj, scale["statusReplicasPath"])
    path = scale.get("labelSelectorPath")
    if path is not None:
        causes = Causes()
        _nested(obj, path, "string", causes)
        found += causes.found
    return found


def _number(obj: JSON, path: str) -> list[Cause]:
    causes = Causes()
    number = _nested(obj, path, "int64", causes)
    if number is not None and number < 0:
        causes.invalid(path, number, "should be a non-negative integer")
    elif number is not None and number > MAX_REPLICAS:
        causes.invalid(path, number, f"should be less than or equal to {MAX_REPLICAS}")
    return causes.found


def _nested(obj: JSON, path: str, wanted: str, causes: Causes) -> Any:
    """What is at a path, or None; something of another type is a cause."""
    members = path.removeprefix(".").split(".")
    value: Any = obj
    for index, member in enumerate(members):
        if value is None:
            return None
        if not isinstance(value, dict):
            return _unfit(value, ".".join(members[: index + 1]), "map[string]interface{}", path, wanted, causes)
        if member not in value:
            return None
        value = value[member]
    if go_type(value) != wanted:
        return _unfit(value, ".".join(members), wanted, path, wanted, causes)
    return value


def _unfit(value: Any, at: str, expected: str, path: str, wanted: str, causes: Causes) -> None:
    why = f".{at} accessor error: {go_print(value)} is of the type {go_type(value)}, expected {expected}"
    causes.invalid(path, _ZERO[wanted], why)
