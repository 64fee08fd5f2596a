"""Request bodies become objects: JSON or YAML, strict or lenient, in the words of a real server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lws.apimachinery import gotext
from lws.apimachinery.manifests import JSON
from lws_sandbox.schema import builtin, gojson, pruning, yamltext
from lws_sandbox.schema.gostruct import GoReader
from lws_sandbox.schema.schema import Schema
from lws_sandbox.status import StatusError, bad_request, unsupported_media_type

ACCEPTED = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_SCHEME = 'in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
_META_TYPE = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_PRINTED = 30


class Unreadable(ValueError):  # noqa: N818 -- says what the value is
    """A value cannot be an object of the kind; the message is the reason in the server's words."""


def decode(raw: bytes, media_type: str, schema: Schema, field_validation: str = "") -> tuple[JSON, list[str]]:
    """The object that a request body holds, and the texts of Warning headers.

    Args:
        raw: the body.
        media_type: as in Content-Type; parameters are ignored, an empty one is JSON.
        schema: of the kind that the path names.
        field_validation: ``Strict``, ``Warn`` (also when empty) or ``Ignore``.

    Raises:
        StatusError: 400 for what cannot be read, or is refused by strict validation; 415 for other media types.
    """
    value, repeated = _parse(raw, media_type, schema)
    obj = _identified(value, raw, schema)
    try:
        obj, strict = typed(obj, schema)
    except Unreadable as error:
        raise _unhandled(obj, schema, str(error)) from None
    strict = [*repeated, *strict]
    if not schema.custom and "yaml" not in media_type:
        _keep_spelling(obj, raw, schema)
    return obj, judged(strict, obj, schema, field_validation)


def _keep_spelling(obj: JSON, raw: bytes, schema: Schema) -> None:
    for name, known in schema.root.fields.items():
        value = obj.get(name)
        if known.node.special == "raw" and isinstance(value, dict):
            text = gojson.member_text(raw, name)
            plain = gojson.with_floats(value)
            if text and text != gotext.encoded(plain, sort_keys=False):
                obj[name] = spelled = gojson.Spelled(plain)
                spelled.text = text


def check_version(obj: JSON, schema: Schema) -> None:
    """The version that a decoded object names must be the path's.

    Raises:
        StatusError: 400: it is another one.
    """
    given = obj.get("apiVersion") or schema.api_version
    if given != schema.api_version:
        raise bad_request(
            f"the API version in the data ({given}) does not match the expected API version ({schema.api_version})"
        )


def judged(strict: Sequence[str], obj: JSON, schema: Schema, field_validation: str) -> list[str]:
    """What becomes of unknown and repeated fields: warnings, nothing, or a refusal.

    Raises:
        StatusError: 400 with all of them if ``field_validation`` is Strict and there are any.
    """
    if field_validation == "Ignore" or not strict:
        return []
    if field_validation == "Strict":
        raise _unhandled(obj, schema, f"strict decoding error: {', '.join(strict)}")
    return list(strict)


def _parse(raw: bytes, media_type: str, schema: Schema) -> tuple[Any, list[str]]:
    bare = media_type.partition(";")[0].strip().lower() or "application/json"
    if bare == "application/yaml":
        return _parse_yaml(raw, schema)
    if bare != "application/json":
        accepted = ", ".join(ACCEPTED)
        raise unsupported_media_type(
            f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        )
    try:
        value = gojson.loads(raw)
    except gojson.JsonError as error:
        raise _unrecognized(schema, raw, f"couldn't get version/kind; json parse error: {error}") from None
    return value, repeated_fields(value) if schema.custom else []


def _parse_yaml(raw: bytes, schema: Schema) -> tuple[Any, list[str]]:
    try:
        return yamltext.load(raw)
    except yamltext.YamlError as error:
        raise _unrecognized(schema, raw, f"couldn't get version/kind; json parse error: {error}") from None


def decode_applied(raw: bytes, field_validation: str = "") -> tuple[JSON, list[str]]:
    """The body of an apply, and the texts of Warning headers.

    Raises:
        StatusError: 400: it is no YAML object, or members are repeated and ``field_validation`` is Strict.
    """
    try:
        value, repeated = yamltext.load(raw)
    except yamltext.YamlError as error:
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: {error}") from None
    if value is not None and not isinstance(value, dict):
        why = f"json: cannot unmarshal {gojson.type_name(value)} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    warnings = [f"error converting YAML to JSON: {text}" for text in repeated]
    if warnings and field_validation == "Strict":
        raise bad_request(f"error strict decoding patch: {warnings[0]}")
    return gojson.with_floats(value or {}), [] if field_validation == "Ignore" else warnings


def repeated_fields(value: Any, path: str = "") -> list[str]:
    """``duplicate field "…"`` for each repetition, outer ones first."""
    found: list[str] = []
    if isinstance(value, gojson.Repeating):
        found += [f'duplicate field "{path}.{name}"'.replace('"."', '"') for name in value.repeated]
        found = [text.replace('".', '"') for text in found]
    if isinstance(value, dict):
        for name, item in value.items():
            found += repeated_fields(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += repeated_fields(item, f"{path}[{index}]")
    return found


def _identified(value: Any, raw: bytes, schema: Schema) -> JSON:
    """The object, if it is one and its kind can be told."""
    if value is None and not schema.custom:
        value = {}
    if not isinstance(value, dict):
        type_name = gojson.type_name(value)
        why = f"json: cannot unmarshal {type_name} into Go value of type {_META_TYPE}"
        raise _unrecognized(schema, raw, f"couldn't get version/kind; json parse error: {why}", binary=True)
    for name in ("kind", "apiVersion"):
        if value.get(name) is not None and not isinstance(value[name], str):
            raise _unrecognized(schema, raw, _not_text(name, value[name]))
    if schema.custom and not value.get("kind"):
        raise _unrecognized(schema, raw, f"Object 'Kind' is missing in '{raw.decode('utf-8', 'replace')}'")
    return value


def typed(value: JSON, schema: Schema) -> tuple[JSON, list[str]]:
    """The object as its kind's decoder reads it, and what strict validation refuses; ``value`` is used up.

    Of a built-in kind as it comes out of its Go type; of a custom one with typed metadata, pruned.

    Raises:
        Unreadable: it cannot be one.
    """
    for name in ("kind", "apiVersion"):
        if value.get(name) is not None and not isinstance(value[name], str):
            raise Unreadable(_not_text(name, value[name]))
    metadata = value.get("metadata")
    forgets = isinstance(metadata, dict) and metadata.get("managedFields") == []
    if schema.custom:
        read, strict = value, typed_custom(value, schema)
    else:
        reader = GoReader()
        read = reader.read(schema.root, _typed_identity(value, schema))
        if reader.error:
            raise Unreadable(reader.error)
        strict = reader.strict
    if forgets:  # an empty list is not the same as none: it asks to forget all owners
        read["metadata"]["managedFields"] = []
    return read, strict


def _not_text(name: str, value: Any) -> str:
    why = f"json: cannot unmarshal {gojson.type_name(value)} into Go struct field .{name} of type string"
    return f"couldn't get version/kind; json parse error: {why}"


def _typed_identity(value: JSON, schema: Schema) -> JSON:
    """The value with its apiVersion and kind, which may be left out."""
    kind, api_version = value.get("kind") or schema.kind, value.get("apiVersion") or schema.api_version
    if (api_version, kind) == (schema.api_version, schema.kind):
        return _identify(value, kind, api_version)
    known = builtin.definition_of(api_version, kind)
    if kind == schema.kind and _group(api_version) == _group(schema.api_version) and _served_once(api_version, kind):
        return _identify(value, kind, api_version)
    if known is not None:
        reader = GoReader()
        reader.read(builtin.node_of(known), value)
        if reader.error:
            raise Unreadable(reader.error)
        version = api_version.rpartition("/")[2]
        why = f"converting ({version}.{kind}) to ({_internal(schema.api_version)}.{schema.kind}): unknown conversion"
    else:
        why = f'no kind "{kind}" is registered for version "{api_version}" {_SCHEME}'
    raise Unreadable(why)


def _identify(value: JSON, kind: str, api_version: str) -> JSON:
    value["kind"], value["apiVersion"] = kind, api_version  # in place: repeated members stay known
    return value


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def _internal(api_version: str) -> str:
    return _group(api_version).partition(".")[0] or "core"


# Versions that a server still reads, though it does not serve them.
_STILL_READ = {
    "apps/v1beta1": {"StatefulSet", "Deployment", "ControllerRevision"},
    "apps/v1beta2": {"StatefulSet", "Deployment", "ReplicaSet", "DaemonSet", "ControllerRevision"},
    "policy/v1beta1": {"PodDisruptionBudget", "Eviction"},
    "events.k8s.io/v1beta1": {"Event"},
    "coordination.k8s.io/v1beta1": {"Lease"},
    "rbac.authorization.k8s.io/v1beta1": {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"},
    "autoscaling/v2beta2": {"HorizontalPodAutoscaler"},
}


def _served_once(api_version: str, kind: str) -> bool:
    return kind in _STILL_READ.get(api_version, ()) or builtin.definition_of(api_version, kind) is not None


def typed_custom(obj: JSON, schema: Schema) -> list[str]:
    """Type and prune a custom resource in place; returns ``unknown field "…"`` for each.

    Raises:
        Unreadable: the metadata cannot be read.
    """
    if not obj.get("kind"):
        raise Unreadable(f"Object 'Kind' is missing in '{json.dumps(obj, separators=(',', ':'), sort_keys=True)}'")
    gojson.with_floats(obj)
    error, unknown = pruning.read_metadata(obj)
    if error:
        raise Unreadable(error)
    if obj.get("kind") == schema.kind and _group(str(obj.get("apiVersion", ""))) == _group(schema.api_version):
        node = schema.root if obj.get("apiVersion") == schema.api_version else None
        unknown += pruning.prune(obj, node)
        pruning.drop_nulls(obj, node)
        wrong, more = pruning.coerce_embedded(obj, node)
        if wrong:
            raise Unreadable(wrong)
        unknown += sorted(more)
    return [f'unknown field "{path}"' for path in unknown]


def _unhandled(obj: JSON, schema: Schema, why: str) -> StatusError:
    version = str(obj.get("apiVersion") or schema.api_version).rpartition("/")[2]
    kind = obj.get("kind") or schema.kind
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {schema.kind}: {why}')


def _unrecognized(schema: Schema, raw: bytes, why: str, *, binary: bool = False) -> StatusError:
    return bad_request(
        f"the object provided is unrecognized (must be of type {schema.kind}): {why} ({_summary(raw, binary=binary)})"
    )


def _summary(raw: bytes, *, binary: bool = False) -> str:
    """The beginning of a body as messages show it: text if it looks like JSON, else hexadecimal."""
    if not raw:
        return "<empty>"
    if binary or not raw.lstrip().startswith(b"{"):
        shown = raw[:_PRINTED].hex()
        return f"{shown} ..." if len(raw) > _PRINTED else shown
    text = raw.decode("utf-8", "replace")
    return f"{text[:_PRINTED]} ..." if len(text) > _PRINTED else text
