"""Why a reconcile failed, as metrics tell it."""

from __future__ import annotations

import pytest

from lws.errors import (
    BadRequestError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    ServerError,
    TerminalError,
    TooManyRequestsError,
    TransportError,
)
from lws.runtime.failing import FailureReason, reason_of
from lws.runtime.outcomes import PlanError

RIGHT = 'statefulsets.apps is forbidden: User "u" cannot create resource "statefulsets" in API group "apps"'
HOOK = 'Internal error occurred: failed calling webhook "x.example.com": connection refused'
CASES = {
    "Quota": ForbiddenError(403, "Forbidden", 'pods "a" is forbidden: exceeded quota: q, requested: pods=1'),
    "Denied": ForbiddenError(403, "Forbidden", 'admission webhook "v.example.com" denied the request: no'),
    "Forbidden": ForbiddenError(403, "Forbidden", RIGHT),
    "Invalid": InvalidError(422, "Invalid", "spec: Required value"),
    "WebhookUnavailable": ServerError(500, "InternalError", HOOK),
    "Throttled": TooManyRequestsError(429, "", "slow down"),
    "ServerError": ServerError(503, "", "etcd"),
    "Refused": NotFoundError(404, "NotFound", "namespace"),
    "Unreachable": TransportError("connection refused"),
    "Terminal": TerminalError("no"),
    "Waiting": PlanError("not yet"),
    "Unexpected": KeyError("x"),
}


@pytest.mark.parametrize("reason", CASES)
def test_an_error_has_its_reason(reason: str) -> None:
    """Quotas, policies, rights, webhooks and outages are told apart, as the server's words do."""
    assert reason_of(CASES[reason]) == reason


def test_there_is_a_case_for_every_reason() -> None:
    """No reason is out of reach; what exceeds its deadline is a time-out, whatever was raised."""
    assert {*CASES, "Timeout"} == set(FailureReason)
    assert reason_of(BadRequestError(400, "", "x")) == FailureReason.INVALID
    assert reason_of(KeyError("x"), timed_out=True) == FailureReason.TIMEOUT
