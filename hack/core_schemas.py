"""Writes the Kubernetes schemas that our API embeds as package data of `lws.api`."""

from __future__ import annotations

import json
from typing import Any

from sandbox.hack import schemas as published

from lws.api.schemas import ROOTS
from lws.apimachinery.manifests import JSON

# Structs that contain an atomic LocalObjectReference inline, and are atomic with it in every generated CRD.
_ATOMIC = frozenset(
    {"ConfigMapEnvSource", "SecretEnvSource", "ConfigMapVolumeSource", "ConfigMapProjection", "SecretProjection"}
)
_OMITTED = ("x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key")


def render() -> str:
    """The package data: one definition a line, sorted, so that a change of release reads as a diff."""
    names = _closure([f"{published.CORE}.{root}" for root in ROOTS])
    rows = ",\n".join(
        f"{json.dumps(name.rpartition('.')[2])}:{json.dumps(_definition(name), separators=(',', ':'), sort_keys=True)}"
        for name in names
    )
    return f'{{"release":"{published.RELEASE}","definitions":{{\n{rows}\n}}}}\n'


def _definition(name: str) -> JSON:
    if name == f"{published.META}.ObjectMeta":
        return published.EMBEDDED_METADATA
    definition: JSON = _shorten(published.definition(name))
    if name.rpartition(".")[2] in _ATOMIC:
        definition["x-kubernetes-map-type"] = "atomic"
    if "required" in definition:
        definition["required"] = sorted(definition["required"])
    return definition


def _shorten(node: Any) -> Any:
    """References by the short name of their type; what a structural schema does not know is left out."""
    if isinstance(node, list):
        return [_shorten(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: value.rpartition(".")[2] if key == "$ref" and isinstance(value, str) else _shorten(value)
        for key, value in node.items()
        if key not in _OMITTED
    }


def _closure(roots: list[str]) -> list[str]:
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in seen or name in (published.QUANTITY, published.INT_OR_STRING):
            continue
        seen.add(name)
        if name != f"{published.META}.ObjectMeta":
            waiting += _references(published.definition(name))
    shorts = [name.rpartition(".")[2] for name in seen]
    assert len(shorts) == len(set(shorts)), "two definitions share a short name"
    return sorted(seen, key=lambda name: name.rpartition(".")[2])


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [name for value in node.values() for name in _references(value)]
