"""Reading JSON manifests, and changing them without touching the original.

Every function here returns new objects along the path it changes and shares the rest, so a caller's manifest is never
altered and a large pod costs no deep copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JSON = dict[str, Any]


def labels_of(manifest: JSON) -> dict[str, str]:
    """The labels; empty when there are none. Not to be altered."""
    return _strings(manifest, "labels")


def annotations_of(manifest: JSON) -> dict[str, str]:
    """The annotations; empty when there are none. Not to be altered."""
    return _strings(manifest, "annotations")


def name_of(manifest: JSON) -> str:
    """``metadata.name``, or the empty string."""
    return (manifest.get("metadata") or {}).get("name") or ""


def namespace_of(manifest: JSON) -> str:
    """``metadata.namespace``, or the empty string."""
    return (manifest.get("metadata") or {}).get("namespace") or ""


def with_labels(manifest: JSON, added: Mapping[str, str]) -> JSON:
    """A manifest with these labels on top of its own."""
    return _with_strings(manifest, "labels", added)


def with_annotations(manifest: JSON, added: Mapping[str, str]) -> JSON:
    """A manifest with these annotations on top of its own."""
    return _with_strings(manifest, "annotations", added)


def with_spec(manifest: JSON, changed: Mapping[str, Any]) -> JSON:
    """A manifest in whose ``spec`` these members are set."""
    return {**manifest, "spec": {**(manifest.get("spec") or {}), **changed}}


def _strings(manifest: JSON, member: str) -> dict[str, str]:
    # A null value of a string map reads as the empty string, as it does at an API server.
    found: dict[str, str | None] = (manifest.get("metadata") or {}).get(member) or {}
    return {key: value or "" for key, value in found.items()}


def _with_strings(manifest: JSON, member: str, added: Mapping[str, str]) -> JSON:
    metadata = manifest.get("metadata") or {}
    return {**manifest, "metadata": {**metadata, member: {**(metadata.get(member) or {}), **added}}}


def merged(document: JSON, change: JSON) -> JSON:
    """A JSON merge patch applied (RFC 7386): null removes, objects merge, everything else replaces."""
    out = dict(document)
    for name, value in change.items():
        if value is None:
            out.pop(name, None)
        elif isinstance(value, dict):
            inner = out.get(name)
            out[name] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            out[name] = value
    return out
