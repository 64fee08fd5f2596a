"""Validation of what a definition shows of its objects: scale paths, printer columns, selectable fields."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.crd.openapischema import find
from lws_sandbox.status import Cause, Causes

MAX_SELECTABLE: Final = 8
_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")


def subresources(declared: JSON | None, path: str) -> list[Cause]:
    """The scale subresource's paths."""
    scale = (declared or {}).get("scale")
    causes = Causes()
    if scale is not None:
        for member, below in (("specReplicasPath", (".spec.",)), ("statusReplicasPath", (".status.",))):
            place, value = f"{path}.scale.{member}", scale.get(member) or ""
            if not value:
                causes.required(place)
            elif _simple(value, place, causes) and not value.startswith(below):
                causes.invalid(place, value, f"should be a json path under {below[0].rstrip('.')}")
        selector, place = scale.get("labelSelectorPath") or "", f"{path}.scale.labelSelectorPath"
        if selector and _simple(selector, place, causes) and not selector.startswith((".spec.", ".status.")):
            causes.invalid(place, selector, "should be a json path under either .spec or .status")
    return causes.found


def _simple(value: str, place: str, causes: Causes) -> bool:
    if value.startswith("."):
        return True
    causes.invalid(place, value, "must be a simple json path starting with .")
    return False


def columns(declared: list[JSON], path: str) -> list[Cause]:
    """The printer columns."""
    causes = Causes()
    for index, column in enumerate(declared):
        place = f"{path}[{index}]"
        kind, form = column.get("type") or "", column.get("format") or ""
        if not column.get("name"):
            causes.required(f"{place}.name")
        must = f"must be one of {','.join(_COLUMN_TYPES)}"
        if not kind:
            causes.required(f"{place}.type", must)
        elif kind not in _COLUMN_TYPES:
            causes.invalid(f"{place}.type", kind, must)
        if form and form not in _COLUMN_FORMATS:
            causes.invalid(f"{place}.format", form, f"must be one of {','.join(_COLUMN_FORMATS)}")
        if not column.get("jsonPath"):
            causes.required(f"{place}.JSONPath")
        else:
            _simple(column["jsonPath"], f"{place}.JSONPath", causes)
    return causes.found


def selectable_fields(declared: list[JSON], schema: JSON | None, path: str) -> list[Cause]:
    """The fields by which lists may be selected."""
    causes = Causes()
    seen: set[str] = set()
    for index, field in enumerate(declared):
        place, value = f"{path}[{index}].jsonPath", field.get("jsonPath") or ""
        if not value:
            causes.required(place)
            continue
        found = find(schema or {}, value, arrays=False)
        if found is None:
            causes.invalid(place, value, "is an invalid path: does not refer to a valid field")
            continue
        if value.startswith(".metadata"):
            causes.invalid(place, value, "must not point to fields in metadata")
        if found.get("type") not in ("string", "boolean", "integer"):
            why = "must point to a field of type string, boolean or integer. "
            why += "Enum string fields and strings with formats are allowed."
            causes.invalid(place, value, why)
        if value in seen:
            causes.duplicate(place, value)
        seen.add(value)
    if len(seen) > MAX_SELECTABLE:
        text = f"Too many: {len(seen)}: must have at most {MAX_SELECTABLE} items"
        causes.add("FieldValueTooMany", path, text)
    return causes.found
