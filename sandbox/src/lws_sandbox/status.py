"""Failures as Kubernetes tells them: a `Status` object with code, reason, message and details.

Every room of the sandbox raises these; the server writes them on the wire (Kubernetes API conventions, "Response Status
Kind"; the texts are those of k8s.io/apimachinery `errors` and `field`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lws.apimachinery.gotext import HTML_ESCAPES, quoted
from lws.apimachinery.manifests import JSON


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason of a failure.

    Attributes:
        reason: machine-readable, such as ``FieldValueInvalid``.
        message: as in ``details.causes[].message``: the field error without its field.
        field: path of the field, such as ``spec.replicas``; may be empty.
    """

    reason: str
    message: str
    field: str

    @property
    def text(self) -> str:
        """The cause as a field error reads: ``field: message``."""
        return f"{self.field}: {self.message}" if self.field else self.message

    def to_json(self) -> JSON:
        """As in ``details.causes``."""
        out = {"reason": self.reason, "message": self.message, "field": self.field}
        return {key: value for key, value in out.items() if value}


class StatusError(Exception):
    """A request failed, and this is what the client reads.

    Attributes:
        code: HTTP status code.
        reason: such as ``NotFound``; may be empty.
        message: for people.
        details: the ``details`` member, or None.
        headers: additional HTTP headers, lower case.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: JSON | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        status: str = "Failure",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = dict(headers or {})
        self.status = status
        self.metadata: JSON = {}
        self.warnings: tuple[str, ...] = ()  # that go with the refusal, as from webhooks

    def to_json(self) -> JSON:
        """The `Status` object."""
        out: JSON = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": self.status}
        if self.message:
            out["message"] = self.message
        if self.reason:
            out["reason"] = self.reason
        if self.details is not None:
            out["details"] = self.details
        out["code"] = self.code
        return out


@dataclass(frozen=True, slots=True)
class GroupResource:
    """A resource as messages name it: ``plural.group``, or the bare plural for the core group."""

    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


def _details(what: GroupResource, name: str, *, uid: str = "", causes: Sequence[Cause] = (), retry: int = 0) -> JSON:
    out: JSON = {"name": name, "group": what.group, "kind": what.resource, "uid": uid}
    out = {key: value for key, value in out.items() if value}
    if causes:
        out["causes"] = [cause.to_json() for cause in causes]
    if retry:
        out["retryAfterSeconds"] = retry
    return out


def of(resource: Any) -> GroupResource:
    """The group and resource of anything with ``group`` and ``plural``."""
    return GroupResource(resource.group, resource.plural)


def not_found(what: GroupResource, name: str) -> StatusError:
    """404: there is no such object."""
    return StatusError(404, "NotFound", f'{what} "{name}" not found', _details(what, name))


def no_such_resource() -> StatusError:
    """404 of a path that names no resource that is served."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(what: GroupResource, name: str) -> StatusError:
    """409: the name is taken."""
    return StatusError(409, "AlreadyExists", f'{what} "{name}" already exists', _details(what, name))


def conflict(what: GroupResource, name: str, why: str) -> StatusError:
    """409: what the client knew is not so any more."""
    message = f'Operation cannot be fulfilled on {what} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(what, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(kind: str, name: str, causes: Sequence[Cause], *, group: str = "") -> StatusError:
    """422: the object breaks rules; ``group`` is that of the kind. The message joins the causes."""
    texts = list(dict.fromkeys(cause.text for cause in causes))
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    shown = f"{kind}.{group}" if group else kind
    message = f'{shown} "{name}" is invalid: {joined}' if texts else f'{shown} "{name}" is invalid'
    details = _details(GroupResource(group, kind), name, causes=causes)
    return StatusError(422, "Invalid", message, details)


def bad_request(message: str) -> StatusError:
    """400: the request makes no sense."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: who are you?"""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(what: GroupResource, name: str, why: str) -> StatusError:
    """403: refused, with the reason in words."""
    if not name and not what.resource:
        message = f"forbidden: {why}"
    elif not name:
        message = f"{what} is forbidden: {why}"
    else:
        message = f'{what} "{name}" is forbidden: {why}'
    return StatusError(403, "Forbidden", message, _details(what, name))


def method_not_supported(what: GroupResource, action: str) -> StatusError:
    """405: the resource cannot do that."""
    return StatusError(
        405, "MethodNotAllowed", f'{action} is not supported on resources of kind "{what}"', _details(what, "")
    )


def method_not_allowed() -> StatusError:
    """405 of a path that does not take the method."""
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def expired(message: str) -> StatusError:
    """410: the resourceVersion is out of the window."""
    return StatusError(410, "Expired", message)


def unsupported_media_type(message: str) -> StatusError:
    """415: the body's type is not taken."""
    return StatusError(415, "UnsupportedMediaType", message)


def not_acceptable(message: str) -> StatusError:
    """406: no acceptable type of answer."""
    return StatusError(406, "NotAcceptable", message)


def too_large(message: str) -> StatusError:
    """413: the body is too large."""
    return StatusError(413, "RequestEntityTooLarge", message)


def too_many_requests(message: str, retry_after: int = 0, causes: Sequence[Cause] = ()) -> StatusError:
    """429: not now; ask again in ``retry_after`` seconds."""
    return _later(429, "TooManyRequests", message, retry_after, causes)


def internal_error(message: str) -> StatusError:
    """500: something behind the server failed."""
    details = {"causes": [{"message": message}]}
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", details)


def timeout(message: str, retry_after: int = 0, causes: Sequence[Cause] = ()) -> StatusError:
    """504: the server could not answer in time."""
    return _later(504, "Timeout", message, retry_after, causes)


def _later(code: int, reason: str, message: str, retry_after: int, causes: Sequence[Cause]) -> StatusError:
    """A failure that may be over in so many seconds; 0 if nobody knows."""
    details: JSON = {}
    if causes:
        details["causes"] = [cause.to_json() for cause in causes]
    if retry_after:
        details["retryAfterSeconds"] = retry_after
    headers = {"retry-after": str(retry_after)} if retry_after else {}
    return StatusError(code, reason, message, details, headers)


def success(what: GroupResource, name: str, uid: str) -> JSON:
    """The `Status` that answers a deletion which is complete."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": _details(what, name, uid=uid),
    }


FieldReason = Literal[
    "FieldValueInvalid",
    "FieldValueRequired",
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueNotSupported",
    "FieldValueNotFound",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
]


@dataclass(slots=True)
class Causes:
    """Collects causes while an object is validated, in the words of k8s.io/apimachinery `field`."""

    found: list[Cause] = field(default_factory=list)

    def add(self, reason: FieldReason, path: str, message: str) -> None:
        """One more cause, message as given."""
        self.found.append(Cause(reason, message, path))

    def invalid(self, path: str, value: Any, why: str) -> None:
        """``Invalid value: <value>: <why>``."""
        self.add("FieldValueInvalid", path, f"Invalid value: {show(value)}: {why}")

    def required(self, path: str, why: str = "") -> None:
        """``Required value``, with a reason if there is one."""
        self.add("FieldValueRequired", path, f"Required value: {why}" if why else "Required value")

    def forbidden(self, path: str, why: str) -> None:
        """``Forbidden: <why>``."""
        self.add("FieldValueForbidden", path, f"Forbidden: {why}")

    def duplicate(self, path: str, value: Any) -> None:
        """``Duplicate value: <value>``."""
        self.add("FieldValueDuplicate", path, f"Duplicate value: {show(value)}")

    def not_supported(self, path: str, value: Any, supported: Sequence[str]) -> None:
        """``Unsupported value: <value>: supported values: …``."""
        listed = ", ".join(f'"{item}"' for item in supported)
        text = f"Unsupported value: {show(value)}"
        self.add("FieldValueNotSupported", path, f"{text}: supported values: {listed}" if supported else text)


def show(value: Any) -> str:
    """A value as Go's field errors print it: strings quoted, the rest as JSON."""
    if isinstance(value, str):
        return quoted(value)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char, escaped in HTML_ESCAPES:
        text = text.replace(char, escaped)
    return text
