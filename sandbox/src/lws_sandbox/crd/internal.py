"""A definition's spec as the rules of a server see it.

What all versions declare alike (schema, subresources, columns, selectable fields) stands once, beside the versions; so
messages about it name paths such as ``spec.validation`` that nobody wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lws.apimachinery.manifests import JSON

_SHARED: Final = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}


@dataclass(frozen=True, slots=True)
class InternalSpec:
    """A spec with what its versions share taken out.

    Attributes:
        raw: the spec as written.
        versions: the versions, without what they share.
        shared: what they share, by its name in paths.
    """

    raw: JSON
    versions: list[JSON]
    shared: Mapping[str, Any] = field(default_factory=dict)

    @property
    def preserve(self) -> bool:
        """Whether unknown fields are kept, as only old definitions may have it."""
        return bool(self.raw.get("preserveUnknownFields"))

    @property
    def names(self) -> JSON:
        """The names asked for."""
        names: JSON = self.raw.get("names") or {}
        return names

    def of_version(self, version: JSON, member: str) -> Any:
        """A version's schema, subresources, columns or selectable fields, shared or its own."""
        return version.get(member) or self.shared.get(_SHARED[member])


def internal(spec: JSON) -> InternalSpec:
    """A spec as written, taken apart."""
    versions = [dict(version) for version in spec.get("versions") or []]
    shared: JSON = {}
    for member, name in _SHARED.items():
        values = [version.get(member) for version in versions]
        if values and values[0] and all(value == values[0] for value in values):
            shared[name] = values[0]
            for version in versions:
                version.pop(member, None)
    return InternalSpec(spec, versions, shared)


def shown_versions(spec: InternalSpec) -> str:
    """The versions as a message shows them: in the names of the Go type."""
    return json.dumps([_go_version(version) for version in spec.versions], separators=(",", ":"))


def _go_version(version: JSON) -> JSON:
    return {
        "Name": version.get("name", ""),
        "Served": bool(version.get("served")),
        "Storage": bool(version.get("storage")),
        "Deprecated": bool(version.get("deprecated")),
        "DeprecationWarning": version.get("deprecationWarning"),
        "Schema": version.get("schema"),
        "Subresources": version.get("subresources"),
        "AdditionalPrinterColumns": version.get("additionalPrinterColumns"),
        "SelectableFields": version.get("selectableFields"),
    }


def shown_rule(rule: JSON) -> str:
    """A rule in CEL as a message shows it, with Go's escapes."""
    go = {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
    text = json.dumps(go, separators=(",", ":"), ensure_ascii=False)
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
