"""The published Kubernetes schemas that our API embeds: pod templates and volume claims.

They ship as package data, written by ``make generate`` from a published source, and are read once. A definition keeps
its references (``{"$ref": "PodSpec"}``), so that every struct is known by the name of its Go type. There are no
descriptions; embedded metadata holds only what a template may set (spec 2.5).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

import orjson

from lws.apimachinery.manifests import JSON

DATA_FILE: Final = "core.json"
ROOTS: Final = ("PodTemplateSpec", "PersistentVolumeClaim")
QUANTITY: Final = "Quantity"
INT_OR_STRING: Final = "IntOrString"
QUANTITY_PATTERN: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)


@functools.cache
def definitions() -> Mapping[str, JSON]:
    """Every definition by the name of its Go type, such as ``PodSpec``. Not to be changed."""
    raw = resources.files("lws.api").joinpath("data", DATA_FILE).read_bytes()
    loaded: JSON = orjson.loads(raw)
    found: dict[str, JSON] = loaded["definitions"]
    return found


def structural(name: str) -> JSON:
    """A definition as a structural schema: every reference resolved, int-or-string and quantities spelled out."""
    return expand({"$ref": name}, definitions())


def expand(node: Mapping[str, Any], known: Mapping[str, JSON]) -> JSON:
    """A schema with its references resolved. What stands beside a reference wins over the definition."""
    if "$ref" in node:
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _definition(node["$ref"], known) | beside
    out = dict(node)
    if "properties" in node:
        out["properties"] = {field: expand(value, known) for field, value in node["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), Mapping):
            out[key] = expand(node[key], known)
    return out


def _definition(name: str, known: Mapping[str, JSON]) -> JSON:
    if name in (QUANTITY, INT_OR_STRING):
        inline: JSON = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
        return inline | ({"pattern": QUANTITY_PATTERN} if name == QUANTITY else {})
    return expand(known[name], known)
