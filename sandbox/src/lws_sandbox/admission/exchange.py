"""What is said to a webhook and how its answer is read (k8s.io/apiserver `admission/plugin/webhook/request`)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws_sandbox.admission.matching import namespace_of
from lws_sandbox.rest.core import Review
from lws_sandbox.schema import gojson
from lws_sandbox.status import StatusError

VERSIONS: Final = ("v1", "v1beta1")
_GROUP: Final = "admission.k8s.io"
_META: Final = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_SCHEME: Final = "k8s.io/apiserver/pkg/util/webhook/client.go:71"
_GO_TYPES: Final = {bool: "bool", str: "string", dict: "map[string]string", list: "[]string", int: "int32"}


class AnswerError(Exception):
    """An answer that makes no sense; the message is the cause of a failed call."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A webhook's answer, checked."""

    allowed: bool
    status: JSON | None = None
    patch: bytes = b""
    patch_type: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class As:
    """The version in which a webhook wants to see a write."""

    resource: Resource
    kind: tuple[str, str, str]


def request(review: Review, seen: As) -> JSON:
    """The request of a review without uid and objects, as match conditions see it."""
    own = review.strategy.resource
    found = {
        "kind": _kind(seen.kind),
        "resource": _resource(seen.resource),
        "subResource": review.subresource,
        "requestKind": _kind(review.kind),
        "requestResource": _resource(own),
        "requestSubResource": review.subresource,
        "name": review.name,
        "namespace": namespace_of(review),
        "operation": review.operation,
        "userInfo": _user(review),
        "dryRun": review.dry_run,
        "options": review.options,
    }
    optional = ("subResource", "requestSubResource", "name", "namespace")
    return {name: value for name, value in found.items() if value or name not in optional}


def question(uid: str, version: str, about: JSON, obj: JSON | None, old: JSON | None) -> JSON:
    """The AdmissionReview that is sent."""
    members = {**about, "object": obj, "oldObject": old}
    rest = {name: members.pop(name) for name in ("dryRun", "options")}
    return {
        "kind": "AdmissionReview",
        "apiVersion": f"{_GROUP}/{version}",
        "request": {"uid": uid, **members, **rest},
    }


def read(body: bytes, version: str) -> JSON:
    """The AdmissionReview in an answer.

    Raises:
        AnswerError: it is none of this version.
    """
    found = _object(body)
    api_version, kind = found.get("apiVersion") or f"{_GROUP}/{version}", found.get("kind") or "AdmissionReview"
    group, _, other = str(api_version).rpartition("/")
    if kind != "AdmissionReview" or group != _GROUP or other not in VERSIONS:
        raise AnswerError(f'no kind "{kind}" is registered for version "{api_version}" in scheme "{_SCHEME}"')
    if other != version:
        raise AnswerError(f"converting ({other}.{kind}) to ({version}.{kind}): unknown conversion")
    return found


def verdict(found: JSON, uid: str, version: str, *, mutating: bool) -> Verdict:
    """The verdict in an answer.

    Raises:
        AnswerError: it is not for this question, or breaks a rule of answers.
    """
    response = found.get("response")
    if response is None:
        raise AnswerError("webhook response was absent")
    patch, patch_type = base64.b64decode(response.get("patch") or ""), response.get("patchType")
    if version == "v1":
        if (response.get("uid") or "") != uid:
            raise AnswerError(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
        _check_declared(found)
        _check_patch(patch, patch_type, mutating=mutating)
    elif patch:
        patch_type = "JSONPatch"
    return Verdict(
        allowed=bool(response.get("allowed")),
        status=response.get("status"),
        patch=patch if mutating else b"",
        patch_type=patch_type or "",
        warnings=list(response.get("warnings") or []),
    )


def denial(webhook: str, status: JSON | None) -> StatusError:
    """The refusal that the client reads."""
    found = status or {}
    denied = f'admission webhook "{webhook}" denied the request'
    message, reason = found.get("message") or "", found.get("reason") or ""
    text = f"{denied}: {message or reason}" if message or reason else f"{denied} without explanation"
    code = found.get("code") or 0
    return StatusError(max(code, 400), reason, text, found.get("details"))


def _object(body: bytes) -> JSON:
    # An answer that does not begin like a JSON object is read as YAML, as the server's decoders do.
    try:
        value = gojson.loads(body) if body.lstrip().startswith(b"{") else yaml.safe_load(body)
    except gojson.JsonError as error:
        raise AnswerError(f"couldn't get version/kind; json parse error: {error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise AnswerError(f"error converting YAML to JSON: yaml: {' '.join(str(error).split())}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        what = gojson.type_name(value)
        why = f"json: cannot unmarshal {what} into Go value of type {_META}"
        raise AnswerError(f"couldn't get version/kind; json parse error: {why}")
    _check_types(value)
    return value


def _check_types(value: JSON) -> None:
    response = value.get("response")
    if response is not None and not isinstance(response, dict):
        raise _mismatch(response, "AdmissionReview.response", "v1.AdmissionResponse")
    wanted = {"uid": str, "allowed": bool, "patch": str, "patchType": str, "auditAnnotations": dict, "warnings": list}
    for name, kind in wanted.items():
        member = (response or {}).get(name)
        if member is not None and not isinstance(member, kind):
            shown = {"uid": "types.UID", "patch": "[]uint8", "patchType": "v1.PatchType"}.get(name, _GO_TYPES[kind])
            raise _mismatch(member, f"AdmissionResponse.response.{name}", shown)
    _check_base64((response or {}).get("patch") or "")
    status = (response or {}).get("status")
    if status is not None and not isinstance(status, dict):
        raise _mismatch(status, "AdmissionResponse.response.status", "v1.Status")
    for name, kind in {"message": str, "reason": str, "status": str, "code": int}.items():
        member = (status or {}).get(name)
        if member is not None and (not isinstance(member, kind) or isinstance(member, bool)):
            shown = "v1.StatusReason" if name == "reason" else _GO_TYPES[kind]
            raise _mismatch(member, f"Status.response.status.{name}", shown)


def _mismatch(value: Any, place: str, go_type: str) -> AnswerError:
    what = gojson.type_name(value)
    return AnswerError(f"json: cannot unmarshal {what} into Go struct field {place} of type {go_type}")


def _check_base64(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        good = next((place for place, char in enumerate(text) if not (char.isalnum() or char in "+/")), len(text))
        raise AnswerError(f"illegal base64 data at input byte {good}") from error


def _check_declared(found: JSON) -> None:
    # A review that does not say what it is can be read, but is not believed.
    group, _, version = str(found.get("apiVersion") or "").rpartition("/")
    declared = f"{group}/{version}, Kind={found.get('kind') or ''}"
    wanted = f"{_GROUP}/v1, Kind=AdmissionReview"
    if declared != wanted:
        raise AnswerError(f"expected webhook response of {wanted}, got {declared}")


def _check_patch(patch: bytes, patch_type: str | None, *, mutating: bool) -> None:
    if not mutating:
        if patch:
            raise AnswerError("validating webhook may not return response.patch")
        if patch_type is not None:
            raise AnswerError("validating webhook may not return response.patchType")
        return
    if patch and patch_type is None:
        raise AnswerError("webhook returned response.patch but not response.patchType")
    if not patch and patch_type is not None:
        raise AnswerError("webhook returned response.patchType but not response.patch")
    if patch_type == "":
        raise AnswerError('webhook returned invalid response.patchType of ""')


def _kind(kind: tuple[str, str, str]) -> JSON:
    return dict(zip(("group", "version", "kind"), kind, strict=True))


def _resource(resource: Resource) -> JSON:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}


def _user(review: Review) -> JSON:
    user = review.user
    extra = {key: list(values) for key, values in user.extra.items()}
    found = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": extra}
    return {name: value for name, value in found.items() if value}
