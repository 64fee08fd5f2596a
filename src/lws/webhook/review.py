"""AdmissionReview v1 on the wire: reading what an API server asks, writing what it is answered.

Reading is strict. Whatever is wrong raises `ReviewError`, which knows the review's uid if one could be read, because an
API server accepts an answer only under the uid of its question.
"""

from __future__ import annotations

import base64
import itertools
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import msgspec

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
OPERATIONS: Final = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})
# As much as the reference reads: twice the largest object that an API server takes, and room to spare.
LARGEST_BODY: Final = 7 << 20
DEEPEST: Final = 500  # levels; the deepest object that Kubernetes knows has some thirty
LONGEST_MESSAGE: Final = 1 << 16  # characters; only a hostile object has so many faults
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_REASONS: Final = {
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.REQUEST_TIMEOUT: "Timeout",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RequestEntityTooLarge",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "UnsupportedMediaType",
}


class ReviewError(Exception):
    """A review that makes no sense; ``status`` is a 4xx code and ``uid`` is empty if none could be read."""

    def __init__(self, message: str, *, uid: str = "", status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.uid = uid
        self.status = status


class GroupVersionKind(msgspec.Struct, frozen=True):
    """A kind of object."""

    group: str = ""
    version: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.group}/{self.version}, Kind={self.kind}"


class Question(msgspec.Struct, frozen=True, rename="camel"):
    """The ``request`` of a review. Objects stay undecoded until `object_of` is asked for them."""

    uid: str
    operation: str
    kind: GroupVersionKind
    namespace: str | None = ""
    name: str | None = ""
    sub_resource: str | None = ""
    object: msgspec.Raw = msgspec.Raw(b"null")
    old_object: msgspec.Raw = msgspec.Raw(b"null")


class _Review(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    request: Question


class _Identity(msgspec.Struct):
    uid: str


class _Identified(msgspec.Struct):
    request: _Identity


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict on one review.

    Attributes:
        allowed: whether the object may be stored.
        status: code told to the client of a refusal.
        message: why it is refused.
        patch: JSON patch operations; only of an allowed object.
        warnings: sentences for the client, whatever the verdict.
        rule: by which it is refused: the field that breaks it, without indices; one of few, for metrics.
    """

    allowed: bool = True
    status: HTTPStatus = HTTPStatus.OK
    message: str = ""
    patch: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    rule: str = ""


def refused(message: str, status: HTTPStatus = HTTPStatus.FORBIDDEN, *, rule: str = "malformed") -> Answer:
    """A refusal with its reason."""
    return Answer(False, status, message, rule=rule)


def check_content_type(content_type: str) -> str | None:
    """What is wrong with a body's content type; None if it is JSON in UTF-8."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [
        value.strip('"') for name, _, value in (part.partition("=") for part in parameters) if name == "charset"
    ]
    if media_type != "application/json" or any(charset not in ("utf-8", "utf8") for charset in charsets):
        return f"content type must be application/json, not {content_type[:100] or 'absent'}"
    return None


def read(body: bytes) -> Question:
    """The question that a body asks.

    Raises:
        ReviewError: it is no AdmissionReview of version v1.
    """
    uid = ""
    if _depth(body) > DEEPEST:
        raise ReviewError(f"not an AdmissionReview: JSON is nested more than {DEEPEST} deep")
    try:
        uid = msgspec.json.decode(body, type=_Identified).request.uid
        review = msgspec.json.decode(body, type=_Review)
    except (ValueError, RecursionError) as error:
        raise ReviewError(f"not an AdmissionReview: {_cause(error)}", uid=uid) from error
    if not uid:
        raise ReviewError("not an AdmissionReview: request.uid is empty")
    if (review.api_version, review.kind) != (API_VERSION, KIND):
        wrong = f"{review.api_version[:100]} {review.kind[:100]}"
        raise ReviewError(f"only {API_VERSION} {KIND} is understood, not {wrong}", uid=uid)
    if review.request.operation not in OPERATIONS:
        raise ReviewError(f"unknown operation {review.request.operation[:100]}", uid=uid)
    return review.request


def _depth(body: bytes) -> int:
    """How deep a body is nested, or 0 when it has too few brackets to be too deep; it need not be JSON."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return 0
    brackets = _STRINGS.sub(b"", body).translate(None, _NO_BRACKETS)
    return max(itertools.accumulate(1 if each in b"[{" else -1 for each in brackets), default=0)


def object_of(question: Question, raw: msgspec.Raw, member: str) -> dict[str, Any]:
    """The object in ``request.object`` or ``request.oldObject``.

    Raises:
        ReviewError: it is missing, no JSON object, or of another kind than the request's.
    """
    try:
        found = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise ReviewError(f"request.{member}: {_cause(error)}", uid=question.uid) from error
    if not isinstance(found, dict):
        raise ReviewError(f"request.{member} is missing or no object", uid=question.uid)
    wanted = question.kind
    api_version = f"{wanted.group}/{wanted.version}" if wanted.group else wanted.version
    if (found.get("apiVersion"), found.get("kind")) != (api_version, wanted.kind):
        raise ReviewError(f"request.{member} is not of the kind of the request, {wanted}", uid=question.uid)
    return found


def write(uid: str, answer: Answer) -> bytes:
    """The review that carries an answer."""
    response: dict[str, Any] = {"uid": uid, "allowed": answer.allowed}
    if not answer.allowed:
        response["status"] = _status(answer.status, answer.message)
    elif answer.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(msgspec.json.encode(answer.patch)).decode()
    if answer.warnings:
        response["warnings"] = answer.warnings
    return msgspec.json.encode({"apiVersion": API_VERSION, "kind": KIND, "response": response})


def write_failure(status: HTTPStatus, message: str) -> bytes:
    """A ``Status`` object, for a body under whose uid nothing can be answered."""
    return msgspec.json.encode({"apiVersion": "v1", "kind": "Status", "status": "Failure", **_status(status, message)})


def _status(status: HTTPStatus, message: str) -> dict[str, Any]:
    if len(message) > LONGEST_MESSAGE:
        message = message[: LONGEST_MESSAGE - 4] + " ..."
    return {"code": int(status), "reason": _REASONS.get(status, "BadRequest"), "message": message}


def _cause(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
