"""The verbs, as requests on the wire, and failures as errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import structlog.testing

from lws import errors
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import NODES, PODS, STATEFULSETS
from lws.client.api import JSON_PATCH, ApiClient
from lws.client.limiter import TokenBucket
from lws.client.transport import Request, Response
from tests.virtual import virtual_time


class OneStream:
    """An answer in pieces."""

    def __init__(self, status: int, pieces: list[bytes]) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self._pieces = pieces

    async def chunks(self) -> AsyncIterator[bytes]:
        """The pieces."""
        for piece in self._pieces:
            yield piece


class Script:
    """Answers every request alike and remembers it."""

    def __init__(self, status: int = 200, body: Any = None, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else orjson.dumps(body if body is not None else {"ok": True})
        self.headers = headers or {}
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        """The answer, whole."""
        self.requests.append(request)
        return Response(self.status, self.headers, self.body)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[OneStream]:
        """The answer, in pieces."""
        self.requests.append(request)
        yield OneStream(self.status, [self.body[:5], self.body[5:]])

    async def close(self) -> None:
        """Nothing is open."""


MANIFEST = {"metadata": {"name": "a", "namespace": "ns"}, "spec": {"replicas": 1}}
Call = Callable[[ApiClient], Awaitable[Any]]
CALLS: list[tuple[Call, str, str, dict[str, str], Any]] = [
    (lambda c: c.get(PODS, "ns", "a"), "GET", "/api/v1/namespaces/ns/pods/a", {}, None),
    (
        lambda c: c.get(LEADERWORKERSETS, "ns", "a", subresource="scale"),
        "GET",
        "/apis/leaderworkerset.x-k8s.io/v1/namespaces/ns/leaderworkersets/a/scale",
        {},
        None,
    ),
    (lambda c: c.get(NODES, "", "n1"), "GET", "/api/v1/nodes/n1", {}, None),
    (
        lambda c: c.list(PODS, "ns", label_selector="a=b", field_selector="spec.nodeName=n", limit=5, continue_="t"),
        "GET",
        "/api/v1/namespaces/ns/pods",
        {"labelSelector": "a=b", "fieldSelector": "spec.nodeName=n", "limit": "5", "continue": "t"},
        None,
    ),
    (lambda c: c.list(PODS), "GET", "/api/v1/pods", {}, None),
    (
        lambda c: c.create(STATEFULSETS, MANIFEST),
        "POST",
        "/apis/apps/v1/namespaces/ns/statefulsets",
        {"fieldManager": "lws"},
        MANIFEST,
    ),
    (
        lambda c: c.create(PODS, {"kind": "Eviction"}, namespace="ns", name="a", subresource="eviction"),
        "POST",
        "/api/v1/namespaces/ns/pods/a/eviction",
        {"fieldManager": "lws"},
        {"kind": "Eviction"},
    ),
    (
        lambda c: c.update(STATEFULSETS, MANIFEST, subresource="status", field_manager="me"),
        "PUT",
        "/apis/apps/v1/namespaces/ns/statefulsets/a/status",
        {"fieldManager": "me"},
        MANIFEST,
    ),
    (
        lambda c: c.patch(PODS, "ns", "a", [{"op": "remove", "path": "/x"}], content_type=JSON_PATCH),
        "PATCH",
        "/api/v1/namespaces/ns/pods/a",
        {"fieldManager": "lws"},
        [{"op": "remove", "path": "/x"}],
    ),
    (
        lambda c: c.apply(STATEFULSETS, MANIFEST),
        "PATCH",
        "/apis/apps/v1/namespaces/ns/statefulsets/a",
        {"fieldManager": "lws", "force": "true"},
        MANIFEST,
    ),
    (lambda c: c.delete(PODS, "ns", "a"), "DELETE", "/api/v1/namespaces/ns/pods/a", {}, None),
    (
        lambda c: c.delete(PODS, "ns", "a", uid="u", propagation="Foreground", grace_period_seconds=0),
        "DELETE",
        "/api/v1/namespaces/ns/pods/a",
        {},
        {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": "u"},
            "propagationPolicy": "Foreground",
            "gracePeriodSeconds": 0,
        },
    ),
]


@pytest.mark.parametrize(("call", "method", "path", "query", "body"), CALLS)
async def test_requests(call: Call, method: str, path: str, query: dict[str, str], body: Any) -> None:
    """Each verb is the request that the Kubernetes API knows it by."""
    script = Script()
    assert await call(ApiClient(script, user_agent="lws/1", field_manager="lws")) == {"ok": True}
    (request,) = script.requests
    assert (request.method, request.path, dict(request.query)) == (method, path, query)
    assert (orjson.loads(request.body) if request.body else None) == body
    assert request.headers["user-agent"] == "lws/1"
    assert request.headers["accept"] == "application/json"
    assert request.timeout == 65.0


async def test_content_types() -> None:
    """A patch goes out under its own type, an apply as apply-patch, everything else as JSON."""
    script = Script()
    client = ApiClient(script, user_agent="lws/1", field_manager="lws")
    await client.patch(PODS, "ns", "a", {})
    await client.apply(PODS, MANIFEST)
    await client.create(PODS, MANIFEST)
    await client.get(PODS, "ns", "a")
    assert [request.headers.get("content-type") for request in script.requests] == [
        "application/merge-patch+json",
        "application/apply-patch+yaml",
        "application/json",
        None,
    ]


async def test_bodies_are_spelled_as_go_spells_them() -> None:
    """Members keep their order; HTML characters and line separators are escaped."""
    script = Script()
    await ApiClient(script, user_agent="lws/1", field_manager="lws").update(
        PODS, {**MANIFEST, "z": "a && b < c\u2028", "a": "é"}
    )
    (request,) = script.requests
    assert request.body.endswith(rb'"z":"a \u0026\u0026 b \u003c c\u2028","a":"' + "é".encode() + b'"}')


ERRORS = [
    (400, "BadRequest", errors.BadRequestError),
    (401, "Unauthorized", errors.UnauthorizedError),
    (403, "Forbidden", errors.ForbiddenError),
    (404, "NotFound", errors.NotFoundError),
    (409, "AlreadyExists", errors.AlreadyExistsError),
    (409, "Conflict", errors.ConflictError),
    (410, "Expired", errors.ExpiredError),
    (422, "Invalid", errors.InvalidError),
    (429, "TooManyRequests", errors.TooManyRequestsError),
    (418, "", errors.ApiError),
    (500, "InternalError", errors.ServerError),
    (504, "Timeout", errors.ServerError),
]


@pytest.mark.parametrize(("code", "reason", "kind"), ERRORS)
async def test_errors_by_status(code: int, reason: str, kind: type[errors.ApiError]) -> None:
    """A failure is raised as the error of its status, with the server's own words, reason and details."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": "why", "details": {"name": "a"}}
    client = ApiClient(Script(code, body), user_agent="lws/1", field_manager="lws")
    with pytest.raises(errors.ApiError) as caught:
        await client.get(PODS, "ns", "a")
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.reason, str(caught.value)) == (code, reason, "why")
    assert caught.value.details == {"name": "a"}
    with pytest.raises(kind):
        async with client.stream(Request("GET", "/x")):
            pass


@pytest.mark.parametrize(
    ("headers", "details", "seconds"),
    [
        ({"retry-after": "7"}, {"retryAfterSeconds": 3}, 7.0),
        ({}, {"retryAfterSeconds": 3}, 3.0),
        ({"retry-after": "soon"}, {}, None),
        ({"retry-after": "9" * 400}, {}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, {}, 0.0),
        ({}, {}, None),
    ],
)
async def test_retry_after(headers: dict[str, str], details: dict[str, Any], seconds: float | None) -> None:
    """The wait that a server asks for is read from the header, else from the Status."""
    body = {"kind": "Status", "code": 429, "details": details}
    with pytest.raises(errors.TooManyRequestsError) as caught:
        await ApiClient(Script(429, body, headers), user_agent="lws/1", field_manager="lws").get(PODS, "ns", "a")
    assert caught.value.retry_after == seconds


async def test_foreign_error_body() -> None:
    """What a proxy answers is kept, but not more than 2048 bytes of it."""
    page = b"<html>bad gateway" + b"x" * 100_000
    with pytest.raises(errors.ServerError) as caught:
        await ApiClient(Script(502, page), user_agent="lws/1", field_manager="lws").get(PODS, "ns", "a")
    assert len(caught.value.body) == 2048
    assert str(caught.value).startswith("<html>bad gateway")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
async def test_answer_that_is_no_object(body: bytes) -> None:
    """An answer of 200 that is no JSON object counts as no answer."""
    with pytest.raises(errors.TransportError):
        await ApiClient(Script(200, body), user_agent="lws/1", field_manager="lws").get(PODS, "ns", "a")


async def test_observer_hears_of_every_request() -> None:
    """Metrics learn method, status and host of each request, also of those without an answer."""
    heard: list[tuple[str, str, str]] = []

    def observe(method: str, code: str, host: str, seconds: float) -> None:
        heard.append((method, code, host))
        assert seconds >= 0

    class Lost(Script):
        async def send(self, request: Request) -> Response:
            raise errors.TransportError("lost")

    await ApiClient(Script(), user_agent="x", field_manager="lws", host="h", observer=observe).get(PODS, "ns", "a")
    with pytest.raises(errors.TransportError):
        await ApiClient(Lost(), user_agent="x", field_manager="lws", host="h", observer=observe).delete(PODS, "ns", "a")
    async with ApiClient(Script(), user_agent="x", field_manager="lws", host="h", observer=observe).stream(
        Request("GET", "/x")
    ) as answer:
        assert b"".join([chunk async for chunk in answer.chunks()]) == b'{"ok":true}'
    assert heard == [("GET", "200", "h"), ("DELETE", "<error>", "h"), ("GET", "200", "h")]


async def test_warnings_are_logged_once() -> None:
    """What the server warns of is logged, each text once."""

    class Warning299(Script):
        async def send(self, request: Request) -> Response:
            answer = await super().send(request)
            return Response(answer.status, answer.headers, answer.body, ("deprecated", "odd"))

    client = ApiClient(Warning299(), user_agent="x", field_manager="lws")
    with structlog.testing.capture_logs() as logs:
        await client.get(PODS, "ns", "a")
        await client.get(PODS, "ns", "b")
    assert [entry["warning"] for entry in logs] == ["deprecated", "odd"]


@virtual_time
async def test_rate_limit() -> None:
    """A burst passes at once, the rest at the given rate, first come first served."""
    bucket = TokenBucket(qps=10, burst=5)
    loop = asyncio.get_running_loop()
    passed: list[tuple[int, float]] = []

    async def go(number: int) -> None:
        await bucket.acquire()
        passed.append((number, round(loop.time(), 3)))

    await asyncio.gather(*(go(number) for number in range(8)))
    assert passed == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0.1), (6, 0.2), (7, 0.3)]
    await asyncio.sleep(100)
    passed.clear()
    await asyncio.gather(*(go(number) for number in range(6)))
    assert [round(at - 100.3, 3) for _, at in passed] == [0, 0, 0, 0, 0, 0.1]


@virtual_time
async def test_giving_up_hands_the_token_back() -> None:
    """A caller that is cancelled while it waits does not slow those after it."""
    bucket = TokenBucket(qps=1, burst=1)
    await bucket.acquire()
    waiters = [asyncio.create_task(bucket.acquire()) for _ in range(10)]
    await asyncio.sleep(0)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    await bucket.acquire()
    assert asyncio.get_running_loop().time() == pytest.approx(1.0)


def test_rate_limit_must_make_sense() -> None:
    """A rate of nothing is refused when it is set."""
    with pytest.raises(ValueError, match="qps"):
        TokenBucket(0, 1)
