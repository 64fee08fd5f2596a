"""Why a reconcile failed, in few words: what metrics and alerts tell apart.

Only the server's own words tell a missing right from a quota, a policy or an admission webhook: all of them are 403.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lws.errors import (
    ApiError,
    BadRequestError,
    ForbiddenError,
    InvalidError,
    LwsError,
    ServerError,
    TerminalError,
    TooManyRequestsError,
    TransportError,
)


class FailureReason(StrEnum):
    """Every reason there is; a label of metrics, so there are few."""

    QUOTA = "Quota"  # a ResourceQuota refused a write
    DENIED = "Denied"  # an admission webhook or a policy did
    FORBIDDEN = "Forbidden"  # the controller lacks a right
    INVALID = "Invalid"  # the server calls an object invalid
    WEBHOOK = "WebhookUnavailable"  # the server cannot reach an admission webhook
    THROTTLED = "Throttled"  # the server sheds load
    SERVER = "ServerError"
    REFUSED = "Refused"  # any other answer that is a failure
    UNREACHABLE = "Unreachable"  # there was no answer
    TIMEOUT = "Timeout"  # the reconcile exceeded its deadline
    TERMINAL = "Terminal"  # retrying cannot help
    WAITING = "Waiting"  # something is wrong for now, says the plan
    UNEXPECTED = "Unexpected"  # nobody foresaw it


@dataclass(frozen=True, slots=True)
class Failing:
    """A key that keeps failing: since when, in Unix time, and why last."""

    since: float
    reason: FailureReason


def reason_of(error: BaseException, *, timed_out: bool = False) -> FailureReason:
    """Why a reconcile failed that raised this error."""
    if timed_out:
        return FailureReason.TIMEOUT
    match error:
        case ForbiddenError():
            return _of_forbidden(error.message)
        case InvalidError() | BadRequestError():
            return FailureReason.INVALID
        case TooManyRequestsError():
            return FailureReason.THROTTLED
        case ServerError():
            return FailureReason.WEBHOOK if "failed calling webhook" in error.message else FailureReason.SERVER
        case ApiError():
            return FailureReason.REFUSED
        case TransportError():
            return FailureReason.UNREACHABLE
        case TerminalError():
            return FailureReason.TERMINAL
        case LwsError():
            return FailureReason.WAITING
        case _:
            return FailureReason.UNEXPECTED


def _of_forbidden(message: str) -> FailureReason:
    if "exceeded quota" in message:
        return FailureReason.QUOTA
    return FailureReason.FORBIDDEN if " cannot " in message and " resource " in message else FailureReason.DENIED
