"""From an answer to an error of the house's own tree."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from lws.errors import (
    AlreadyExistsError,
    ApiError,
    BadRequestError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    NamespaceTerminatingError,
    NotFoundError,
    ServerError,
    TooManyRequestsError,
    UnauthorizedError,
)

BODY_LIMIT = 2048
_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ExpiredError,
    422: InvalidError,
    429: TooManyRequestsError,
}


def error_from_answer(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Name the failure that an answer carries.

    The body may be a ``Status`` object, or whatever a proxy in between wrote. Its first `BODY_LIMIT` bytes are kept.
    """
    return error_from_status(_status_object(body), status, headers, body)


def error_from_status(
    document: Mapping[str, Any], status: int = 0, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> ApiError:
    """Name the failure that a ``Status`` object speaks of; ``status`` counts where the object has no code."""
    code = document.get("code")
    code = status or (code if isinstance(code, int) else 0) or 500
    reason = _text(document.get("reason"))
    details = document.get("details")
    details = details if isinstance(details, dict) else {}
    text = body[:BODY_LIMIT].decode("utf-8", "replace")
    message = _text(document.get("message")) or text.strip()[:200] or f"the server answered with status {code}"
    return _kind(code, reason, details)(
        status=code,
        reason=reason,
        message=message,
        retry_after=_retry_after(headers or {}, details),
        details=details,
        body=text,
    )


def _kind(status: int, reason: str, details: Mapping[str, Any]) -> type[ApiError]:
    causes = details.get("causes")
    if status == 403 and isinstance(causes, list) and any(map(_is_namespace_terminating, causes)):
        return NamespaceTerminatingError
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExistsError
    if status >= 500:
        return ServerError
    return _BY_STATUS.get(status, ApiError)


def _is_namespace_terminating(cause: object) -> bool:
    return isinstance(cause, dict) and cause.get("reason") == "NamespaceTerminating"


def _status_object(body: bytes) -> Mapping[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) and document.get("kind") == "Status" else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _retry_after(headers: Mapping[str, str], details: Mapping[str, Any]) -> float | None:
    """Seconds asked for by the header (a number or a date), else by the Status."""
    header = headers.get("retry-after", "").strip()
    if header:
        try:
            return max(0.0, float(int(header)))
        except (ValueError, OverflowError):
            pass
        try:
            return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            pass
    seconds = details.get("retryAfterSeconds")
    return float(seconds) if isinstance(seconds, int) and seconds > 0 else None
