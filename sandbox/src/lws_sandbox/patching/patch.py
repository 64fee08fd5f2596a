"""A patch request, from its body to the object that it asks for, in the words of a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson

from lws.apimachinery.manifests import JSON
from lws_sandbox.patching.json_patch import PatchError, json_patch, sort_touched
from lws_sandbox.patching.merge_patch import merge_patch
from lws_sandbox.patching.strategic import StrategicError, strategic_merge
from lws_sandbox.schema import decoding, gojson
from lws_sandbox.schema.goprint import go_print
from lws_sandbox.schema.gostruct import GoConverter
from lws_sandbox.schema.schema import Schema
from lws_sandbox.status import Cause, StatusError, bad_request, invalid, show, too_large, unsupported_media_type

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
MAX_OPERATIONS: Final = 10_000
_REJECTED: Final = "the server rejected our request due to an error in our request"
_FIELDS: Final = {"op": str, "path": str, "from": str}


def patch_type(media_type: str, schema: Schema) -> str:
    """The media type of a patch without its parameters.

    Raises:
        StatusError: 415: the kind takes no such patch.
    """
    bare = media_type.partition(";")[0].strip().lower()
    if bare in (JSON_PATCH, MERGE_PATCH, APPLY_PATCH) or (bare == STRATEGIC_MERGE_PATCH and not schema.custom):
        return bare
    if schema.custom:
        accepted = ", ".join((JSON_PATCH, MERGE_PATCH, APPLY_PATCH))
        raise unsupported_media_type(
            f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        )
    raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def apply_patch(
    media_type: str, live: JSON, body: bytes, schema: Schema, field_validation: str = ""
) -> tuple[JSON, list[str]]:
    """The object that a patch makes of the live one, read as its kind is read, and the texts of Warning headers.

    Args:
        media_type: of the body; one of JSON, merge and strategic merge patch.
        live: the object in the version of ``schema``; not changed.
        body: as sent.
        schema: of the kind.
        field_validation: ``Strict``, ``Warn`` (also when empty) or ``Ignore``.

    Raises:
        StatusError: 400 for a body that is no patch, 422 for one that cannot be applied or whose result cannot be read,
            413 for too many operations, 500 for directives that make no sense.
    """
    kind = patch_type(media_type, schema)
    if kind == STRATEGIC_MERGE_PATCH:
        return _strategic(live, body, schema, field_validation)
    if kind == JSON_PATCH:
        operations, strict = _operations(body)
        try:
            patched = json_patch(live, operations)
        except PatchError:
            raise StatusError(422, "Invalid", _REJECTED, {}) from None
        return _read(patched, schema, strict, field_validation, partial(_shown_json_patch, live, operations, schema))
    patch, strict = _object(body, "error decoding patch: ")
    shown = partial(_shown_merge_patch, live, patch, schema)
    return _read(merge_patch(live, patch), schema, strict, field_validation, shown)


def _shown_json_patch(live: JSON, operations: list[JSON], schema: Schema) -> JSON:
    return sort_touched(json_patch(_in_go_order(live, schema), operations), operations)


def _shown_merge_patch(live: JSON, patch: JSON, schema: Schema) -> JSON:
    return merge_patch(_in_go_order(live, schema), patch)


def _operations(body: bytes) -> tuple[list[JSON], list[str]]:
    decoded = _loads(body, "error decoding patch: ")
    if decoded is not None and not isinstance(decoded, list):
        raise _undecodable(f"{gojson.type_name(decoded)} into Go value of type []handlers.jsonPatchOp")
    strict: list[str] = []
    for index, operation in enumerate(decoded or []):
        if not isinstance(operation, dict):
            raise _undecodable(f"{gojson.type_name(operation)} into Go value of type handlers.jsonPatchOp")
        for name, value in operation.items():
            if name not in (*_FIELDS, "value"):
                strict.append(f'json patch unknown field "[{index}].{name}"')
            elif name in _FIELDS and not isinstance(value, str) and value is not None:
                where = f"Go struct field jsonPatchOp.{name} of type string"
                raise _undecodable(f"{gojson.type_name(value)} into {where}")
    if len(decoded or []) > MAX_OPERATIONS:
        raise too_large(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(decoded or [])}")
    return decoded or [], strict


def _undecodable(what: str) -> StatusError:
    return bad_request(f"error decoding patch: json: cannot unmarshal {what}")


def _object(body: bytes, prefix: str) -> tuple[JSON, list[str]]:
    decoded = _loads(body, prefix)
    if decoded is None:
        return {}, []
    if not isinstance(decoded, dict):
        type_name = gojson.type_name(decoded)
        raise bad_request(f"{prefix}json: cannot unmarshal {type_name} into Go value of type map[string]interface {{}}")
    return decoded, decoding.repeated_fields(decoded)


def _loads(body: bytes, prefix: str) -> Any:
    try:
        return gojson.loads(body)
    except gojson.JsonError as error:
        raise bad_request(f"{prefix}{error}") from None


def _read(
    patched: JSON, schema: Schema, strict: list[str], field_validation: str, shown: Callable[[], JSON]
) -> tuple[JSON, list[str]]:
    """The patched object as its kind reads it; ``shown`` makes its form in error texts."""
    try:
        obj, unknown = decoding.typed(patched, schema)
    except decoding.Unreadable as error:
        raise _unacceptable(_text(shown()), str(error)) from None
    return obj, _judged([*strict, *unknown], lambda: _text(shown()), field_validation)


def _text(obj: JSON) -> str:
    try:
        return orjson.dumps(obj).decode()
    except TypeError:  # numbers beyond 64 bits
        return json.dumps(obj, ensure_ascii=False, separators=(",", ":"))


def _in_go_order(live: JSON, schema: Schema) -> JSON:
    """The live object with its members in the order in which a real server writes them."""
    ordered: JSON = orjson.loads(orjson.dumps(live, option=orjson.OPT_SORT_KEYS)) if schema.custom else live
    return schema.canonical(ordered)


def _strategic(live: JSON, body: bytes, schema: Schema, field_validation: str) -> tuple[JSON, list[str]]:
    patch, strict = _object(body, "")
    try:
        patched = strategic_merge(live, patch, schema.root)
    except StrategicError as error:
        if error.code == 400:
            raise bad_request(str(error)) from None
        if error.code == 422:
            raise StatusError(422, "Invalid", _REJECTED, {}) from None
        raise StatusError(500, "", str(error)) from None
    converter = GoConverter()
    obj = converter.read(schema.root, patched)
    if converter.error:
        raise _unacceptable(go_print(patch), converter.error)
    return obj, _judged([*strict, *sorted(converter.strict)], lambda: go_print(patch), field_validation)


def _judged(strict: list[str], text: Callable[[], str], field_validation: str) -> list[str]:
    if field_validation == "Ignore":
        return []
    if field_validation == "Strict" and strict:
        raise _unacceptable(text(), f"strict decoding error: {', '.join(strict)}")
    return strict


def _unacceptable(text: str, why: str) -> StatusError:
    """422 that shows what could not be read."""
    return invalid("", "", [Cause("FieldValueInvalid", f"Invalid value: {show(text)}: {why}", "patch")])
