"""Who may read metrics (operations 4): none 401, refused 403, review API down 500, allowed 200."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import orjson
import pytest

from lws.client.api import ApiClient
from lws.client.transport import Request, Response
from lws.clock import SystemClock
from lws.errors import TransportError
from lws.runtime.allowances import Allowances
from lws.runtime.authorization import CONCURRENT, Refusal, Reviewer
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time

USER = {"username": "system:serviceaccount:monitoring:prometheus", "groups": ["system:authenticated"], "uid": "u1"}


class Reviews:
    """An API server that only answers reviews."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.authenticated = True
        self.allowed = True
        self.status = 201
        self.gone = False
        self.seconds = 0.0  # that an answer takes
        self.most_at_once = self._at_once = 0

    async def send(self, request: Request) -> Response:
        """Answer a TokenReview or a SubjectAccessReview."""
        self.requests.append(request)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.seconds)
        self._at_once -= 1
        if self.gone:
            raise TransportError("connection refused", maybe_done=False)
        if self.status >= 400:
            return Response(self.status, {}, b'{"kind":"Status","message":"broken"}')
        body: dict[str, Any] = orjson.loads(request.body)
        if request.path.endswith("tokenreviews"):
            body["status"] = {"authenticated": True, "user": USER} if self.authenticated else {"error": "bad token"}
        else:
            body["status"] = {"allowed": self.allowed}
        return Response(self.status, {}, orjson.dumps(body))

    def stream(self, request: Request) -> Any:
        """Nothing is streamed."""
        raise AssertionError(request)

    async def close(self) -> None:
        """Nothing is open."""

    def reviewer(self, kept: Path | None = None) -> Reviewer:
        """A reviewer of a process that has just been started, and asks this server."""
        clock = VirtualClock()
        allowances = None if kept is None else Allowances(kept, clock)
        return Reviewer(ApiClient(self, user_agent="test", field_manager=None), clock, allowances)


def status(answer: Refusal | None) -> int:
    """The HTTP status of an answer."""
    return answer.status if answer else 200


@virtual_time
async def test_the_reviews_ask_what_the_reference_asks() -> None:
    """A token is reviewed, then its user may or may not GET the non-resource URL; both carry what the server said."""
    server = Reviews()
    assert await server.reviewer().review("Bearer abc", "/metrics") is None
    token, access = (orjson.loads(request.body) for request in server.requests)
    assert server.requests[0].path == "/apis/authentication.k8s.io/v1/tokenreviews"
    assert server.requests[1].path == "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert token["spec"] == {"token": "abc"}
    assert access["spec"] == {
        "user": USER["username"],
        "groups": USER["groups"],
        "uid": "u1",
        "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
    }


@pytest.mark.parametrize("header", ["", "Basic abc", "Bearer", "Bearer  ", "abc"])
def test_without_a_token_nobody_is_asked(header: str) -> None:
    """A caller without bearer token gets 401, and the API server no request."""

    @virtual_time
    async def check() -> None:
        server = Reviews()
        assert status(await server.reviewer().review(header, "/metrics")) == 401
        assert server.requests == []

    check()


@virtual_time
async def test_an_unknown_token_is_401() -> None:
    """A token that the server does not know is not authenticated."""
    server = Reviews()
    server.authenticated = False
    assert status(await server.reviewer().review("Bearer abc", "/metrics")) == 401


@virtual_time
async def test_a_known_caller_without_permission_is_403() -> None:
    """A caller who is known and may not is told so, by name."""
    server = Reviews()
    server.allowed = False
    answer = await server.reviewer().review("Bearer abc", "/metrics")
    assert answer == Refusal(403, "Authorization denied for user system:serviceaccount:monitoring:prometheus")


@pytest.mark.parametrize("fault", ["gone", "500", "403"])
def test_a_server_that_cannot_be_asked_is_500(fault: str) -> None:
    """If reviews fail, whoever calls gets 500 and no metrics, and the next call asks again."""

    @virtual_time
    async def check() -> None:
        server = Reviews()
        server.gone = fault == "gone"
        server.status = 201 if fault == "gone" else int(fault)
        reviewer = server.reviewer()
        assert status(await reviewer.review("Bearer abc", "/metrics")) == 500
        server.gone, server.status = False, 201
        assert status(await reviewer.review("Bearer abc", "/metrics")) == 200

    check()


@virtual_time
async def test_answers_are_remembered_for_a_while() -> None:
    """An allowance is remembered for a minute and a refusal for ten seconds; another token is asked for itself."""
    server = Reviews()
    reviewer = server.reviewer()
    for _ in range(3):
        await reviewer.review("Bearer abc", "/metrics")
        await asyncio.sleep(19)
    assert len(server.requests) == 2
    server.allowed = False
    assert status(await reviewer.review("Bearer other", "/metrics")) == 403
    await asyncio.sleep(5)
    assert status(await reviewer.review("Bearer abc", "/metrics")) == 403
    server.allowed = True
    assert status(await reviewer.review("Bearer other", "/metrics")) == 403
    await asyncio.sleep(10)
    assert status(await reviewer.review("Bearer other", "/metrics")) == 200


@virtual_time
async def test_memory_of_callers_is_bounded_and_holds_no_token() -> None:
    """Ten thousand different tokens leave a thousand digests behind, and no token; an allowed one stays."""
    server = Reviews()
    reviewer = server.reviewer()
    assert await reviewer.review("Bearer good", "/metrics") is None
    server.authenticated = False
    for number in range(2000):
        await reviewer.review(f"Bearer token-{number}", "/metrics")
    assert len(reviewer._refused) == 1000
    assert b"token-" not in b"".join(reviewer._refused)
    assert await reviewer.review("Bearer good", "/metrics") is None


@virtual_time
async def test_one_token_is_reviewed_once_at_a_time() -> None:
    """A hundred callers with one token are one review, whose answer all of them get though the first went away."""
    server = Reviews()
    server.seconds = 6.0
    reviewer = server.reviewer()
    callers = [asyncio.create_task(reviewer.review("Bearer abc", "/metrics")) for _ in range(100)]
    await asyncio.sleep(1)
    callers[0].cancel()
    assert set(await asyncio.gather(*callers[1:])) == {None}
    assert len(server.requests) == 2


@virtual_time
async def test_a_flood_of_tokens_is_turned_away() -> None:
    """Of 30,000 made-up tokens a few are reviewed, at most eight at once; the others get 503 without a request."""
    server = Reviews()
    server.seconds, server.authenticated = 6.0, False
    reviewer = server.reviewer()
    answers = await asyncio.gather(*(reviewer.review(f"Bearer made-up-{n}", "/metrics") for n in range(30_000)))
    assert sorted({status(answer) for answer in answers}) == [401, 503]
    assert len(server.requests) == server.most_at_once == CONCURRENT
    server.authenticated = True
    assert await reviewer.review("Bearer good", "/metrics") is None


@virtual_time
async def test_whom_it_allowed_is_let_in_during_an_outage() -> None:
    """A server that does not answer keeps a known scraper out after an hour only; a stranger gets 500."""
    server = Reviews()
    reviewer = server.reviewer()
    assert await reviewer.review("Bearer known", "/metrics") is None
    server.gone = True
    for _ in range(58):
        await asyncio.sleep(60)
        assert await reviewer.review("Bearer known", "/metrics") is None
        assert status(await reviewer.review("Bearer stranger", "/metrics")) == 500
    await asyncio.sleep(180)
    assert status(await reviewer.review("Bearer known", "/metrics")) == 500


@virtual_time
async def test_a_known_scraper_waits_little_for_a_frozen_server() -> None:
    """Every scrape of ten minutes is answered within three seconds, though no review is."""
    server = Reviews()
    reviewer = server.reviewer()
    assert await reviewer.review("Bearer known", "/metrics") is None
    server.seconds = 1e6
    loop = asyncio.get_running_loop()
    for _ in range(20):
        await asyncio.sleep(30)
        asked = loop.time()
        assert await reviewer.review("Bearer known", "/metrics") is None
        assert loop.time() - asked <= 3


@virtual_time
async def test_an_answer_counts_though_there_was_an_outage() -> None:
    """Whom the server refuses once it answers again stays out, in an outage too; so do all if we lack the right."""
    server = Reviews()
    reviewer = server.reviewer()
    assert await reviewer.review("Bearer known", "/metrics") is None
    await asyncio.sleep(61)
    server.allowed = False
    assert status(await reviewer.review("Bearer known", "/metrics")) == 403
    await asyncio.sleep(11)
    server.gone = True
    assert status(await reviewer.review("Bearer known", "/metrics")) == 500
    lacking = Reviews()
    reviewer = lacking.reviewer()
    assert await reviewer.review("Bearer known", "/metrics") is None
    await asyncio.sleep(61)
    lacking.status = 403
    assert status(await reviewer.review("Bearer known", "/metrics")) == 500


@virtual_time
async def test_a_process_that_is_restarted_in_an_outage_knows_whom_to_let_in(tmp_path: Path) -> None:
    """Whoever was allowed within the hour is let in by the process that follows; a stranger is not, nor after it."""
    server, kept = Reviews(), tmp_path / "scratch" / "scrapers.json"
    before = server.reviewer(kept)
    assert await before.review("Bearer known", "/metrics") is None
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert "known" not in kept.read_text()
    server.gone = True
    for _ in range(5):
        await asyncio.sleep(600)
        after = server.reviewer(kept)
        assert await after.review("Bearer known", "/metrics") is None
        assert status(await after.review("Bearer stranger", "/metrics")) == 500
        assert status(await after.review("Bearer known", "/other")) == 500
    await asyncio.sleep(601)
    assert status(await after.review("Bearer known", "/metrics")) == 500
    assert status(await server.reviewer(kept).review("Bearer known", "/metrics")) == 500


@virtual_time
async def test_a_refusal_is_kept_for_the_process_that_follows(tmp_path: Path) -> None:
    """Whom the server refused after it had allowed them stays out in an outage, across a restart too."""
    server, kept = Reviews(), tmp_path / "scrapers.json"
    reviewer = server.reviewer(kept)
    for token in ("one", "other"):
        assert await reviewer.review(f"Bearer {token}", "/metrics") is None
    await asyncio.sleep(61)
    server.authenticated = False
    assert status(await reviewer.review("Bearer one", "/metrics")) == 401
    server.gone = True
    after = server.reviewer(kept)
    assert status(await after.review("Bearer one", "/metrics")) == 500
    assert await after.review("Bearer other", "/metrics") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"zz": 1}', '{"00": "then"}', '{"00": 1e300}', '{"00": -1}'])
def test_what_was_kept_is_believed_only_if_it_makes_sense(tmp_path: Path, content: str) -> None:
    """Garbage, and times of the future or long ago, let nobody in and stop nothing."""
    (tmp_path / "kept").write_text(content)
    assert Allowances(tmp_path / "kept", SystemClock()).read(3600) == {}


@virtual_time
async def test_a_folder_that_cannot_be_written_keeps_nobody_out(tmp_path: Path) -> None:
    """A disk that is sealed costs only what would have outlived the process."""
    (tmp_path / "file").write_text("")
    reviewer = Reviews().reviewer(tmp_path / "file" / "scrapers.json")
    assert await reviewer.review("Bearer known", "/metrics") is None
    (tmp_path / "folder" / "scrapers.json").mkdir(parents=True)
    reviewer = Reviews().reviewer(tmp_path / "folder" / "scrapers.json")
    assert await reviewer.review("Bearer known", "/metrics") is None
