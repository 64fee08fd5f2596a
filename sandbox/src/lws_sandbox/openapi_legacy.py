"""OpenAPI v2 as API servers still serve it: its two forms, and what it cannot say of custom resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.negotiation import JSON_TYPE, clauses

PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED: Final = {
    JSON_TYPE: JSON_TYPE,
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf": PROTOBUF,  # the older name, which kubectl uses
    PROTOBUF: PROTOBUF,
    "application/*": JSON_TYPE,
    "*/*": JSON_TYPE,
}
JUNCTORS: Final = ("allOf", "anyOf", "oneOf", "not", "nullable")


def media(headers: Mapping[str, str]) -> str:
    """The form that the client wants most; empty if it takes neither."""
    asked = clauses(headers.get("accept", "")) or clauses("*/*")
    return next((ASKED[clause.media] for clause in asked if clause.media in ASKED), "")


def downgraded(schema: JSON) -> JSON:
    """A structural schema without what v2 cannot say, or kubectl would misread (apiextensions `openapi/v2`)."""
    out = {key: value for key, value in schema.items() if key not in JUNCTORS}
    open_ended = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    if open_ended or schema.get("nullable"):
        out = {key: value for key, value in out.items() if key not in ("items", "properties")}
    untyped = schema.get("nullable") or (open_ended and out.get("type") == "object")
    if untyped or (out.get("type") == "array" and "items" not in out):
        out.pop("type", None)
    properties = out.get("properties") or {}
    if "required" in out:
        out["required"] = [name for name in out["required"] if not (properties.get(name) or {}).get("nullable")]
    if properties:
        out["properties"] = {name: downgraded(found) for name, found in properties.items()}
    for member in ("items", "additionalProperties"):
        if isinstance(out.get(member), dict):
            out[member] = downgraded(out[member])
    return out
