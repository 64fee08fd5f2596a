"""Following a set: through outages, to its end, and when it is deleted."""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws.cli.kubectl import follow
from lws.cli.kubectl.observe import Observation
from lws.cli.kubectl.terminal import Terminal
from lws.errors import ApiError, ForbiddenError, LwsError, NotFoundError, ServerError, TransportError
from lws.planning.leaderworkerset.diagnosis.facts import Facts
from tests.cli.sessions import session
from tests.planning.diagnosis_facts import group, healthy, pod, set_facts, terminated, with_group_0
from tests.virtual import virtual_time

AWAY = ServerError(503, "ServiceUnavailable", "apiserver is shutting down")
GONE = NotFoundError(404, "NotFound", 'leaderworkersets "s" not found')


class Tty(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def looks(*answers: Facts | Exception) -> Callable[[], Awaitable[Observation]]:
    """Looks that see, or fail with, one answer after the other; the last for ever."""
    waiting = list(answers)

    async def look() -> Observation:
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        return Observation(answer)

    return look


async def followed(
    look: Callable[[], Awaitable[Observation]], terminal: Terminal | None = None, line: str = "status s -w"
) -> int:
    """Follow a set by looks."""
    return await follow.status(session(None, line, terminal, namespace="ns")[0], look)


def broken(ready: int = 1) -> Facts:
    """A set whose group 0 crashes."""
    leader = pod("s-0", group=0, worker=0, status=terminated(9))
    return with_group_0(group(0, leader), lws=set_facts(2, ready=ready))


@virtual_time
async def test_an_api_server_that_is_away_is_waited_for() -> None:
    """One 503 or a broken connection ends nothing: it is said once, and the set is followed to its end."""
    stream = io.StringIO()
    seen = looks(broken(), AWAY, AWAY, TransportError("connection refused"), broken(), healthy())
    assert await followed(seen, Terminal(stream, {})) == 0
    assert stream.getvalue().splitlines() == [
        "1/2 groups ready, 2/2 updated",
        (
            "  Group 0: leader pod s-0 on node-1 has failing container main: it exited with code 9. "
            "`kubectl logs s-0 --all-containers --previous` has its last words."
        ),
        "  the API server cannot be read: apiserver is shutting down",
        "  the API server cannot be read: connection refused",
        "2/2 groups ready, 2/2 updated",
    ]


@virtual_time
async def test_piped_status_prints_as_it_happens() -> None:
    """Every line is out when it is true, not at the end."""
    told: list[str] = []

    class Pipe(io.StringIO):
        def flush(self) -> None:
            told.append(self.getvalue())

    await followed(looks(broken(0), broken(1), healthy()), Terminal(Pipe(), {}))
    assert told[0] == "0/2 groups ready, 2/2 updated\n"
    assert told[-1].splitlines()[-1] == "2/2 groups ready, 2/2 updated"


@virtual_time
async def test_a_deleted_set_is_said_to_be_deleted() -> None:
    """Who follows a set that is deleted, or deleted and made again, is told so; a wrong name is another thing."""
    with pytest.raises(LwsError, match=r'leaderworkerset "s" was deleted$'):
        await followed(looks(broken(), GONE))
    again = with_group_0(group(0, worker=None), lws=set_facts(metadata={"uid": "another"}))
    with pytest.raises(LwsError, match="was deleted and created anew"):
        await followed(looks(broken(), again))
    with pytest.raises(NotFoundError):
        await followed(looks(GONE))


@virtual_time
async def test_what_does_not_pass_ends_it() -> None:
    """A refusal is no outage."""
    with pytest.raises(ApiError):
        await followed(looks(broken(), ForbiddenError(403, "", "no")))


@virtual_time
async def test_a_terminal_is_drawn_over_within_its_height(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal of 80 by 24 the picture of a set with many reasons is no taller than that."""
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("COLUMNS", "80")
    groups = tuple(
        group(index, pod(f"s-{index}", group=index, worker=0, status=terminated(index + 1)), None)
        for index in range(30)
    )
    stream = Tty()
    many = healthy(30, groups=groups, lws=set_facts(30, ready=0))
    await followed(looks(many, healthy(30)), Terminal(stream, {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}))
    first = stream.getvalue().split("\x1b[2K")[0]
    assert "more reasons are not shown" in " ".join(first.split())
    assert len(first.splitlines()) <= 24


class Server:
    """Answers GETs of the set, one after the other; the last for ever."""

    def __init__(self, *answers: JSON | Exception) -> None:
        self._answers = list(answers)

    async def get(self, *_: object) -> JSON:
        """The next answer."""
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def raw(generation: int, *, updated: int, ready: int = 3) -> JSON:
    """A set of three groups, of which the controller saw generation 2."""
    numbers = {"observedGeneration": 2, "replicas": 3, "readyReplicas": ready, "updatedReplicas": updated}
    meta = {"name": "s", "namespace": "ns", "uid": "u", "generation": generation}
    return {"metadata": meta, "spec": {"replicas": 3}, "status": numbers}


async def told(server: Server, *options: str) -> list[str]:
    """What following the rollout prints."""
    stream = io.StringIO()
    client: Any = server
    made, _ = session(client, " ".join(("rollout status s", *options)), Terminal(stream, {}), namespace="ns")
    assert await follow.rollout(made) == 0
    return stream.getvalue().splitlines()


@virtual_time
async def test_a_rollout_is_followed_to_its_end() -> None:
    """In the middle of an update nothing fails: lines come as the numbers change, through an outage, until the end."""
    server = Server(
        raw(3, updated=3), raw(2, updated=1), AWAY, raw(2, updated=1), raw(2, updated=3, ready=2), raw(2, updated=3)
    )
    assert await told(server) == [
        "Waiting for the set's latest edit to be observed...",
        "Waiting for rollout to finish: 1 out of 3 groups have been updated...",
        "the API server cannot be read: apiserver is shutting down",
        "Waiting for rollout to finish: 1 out of 3 groups have been updated...",
        "Waiting for rollout to finish: 2 of 3 groups are ready...",
        'leaderworkerset "s" successfully rolled out',
    ]


@virtual_time
async def test_a_rollout_may_be_looked_at_once() -> None:
    """--watch=false says how far it is, and is no failure; as in kubectl."""
    assert await told(Server(raw(2, updated=1)), "--watch=false") == [
        "Waiting for rollout to finish: 1 out of 3 groups have been updated..."
    ]


@virtual_time
async def test_a_rollout_that_takes_too_long_is_a_failure() -> None:
    """--timeout ends the wait with an error."""
    with pytest.raises(LwsError, match="timed out waiting"):
        await told(Server(raw(2, updated=1)), "--timeout=30s")
    with pytest.raises(LwsError, match="was deleted"):
        await told(Server(raw(2, updated=1), GONE))


@virtual_time
async def test_a_document_is_printed_for_each_change() -> None:
    """With -o json each change is one line of JSON, the last one the end; the outage is one of its sentences."""
    stream = io.StringIO()
    seen = looks(broken(), broken(), AWAY, healthy())
    assert await followed(seen, Terminal(stream, {}), "status s -w -o json") == 0
    documents = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["ready"], len(one["sentences"])) for one in documents] == [(1, 1), (1, 2), (2, 0)]
    assert {one["kind"] for one in documents} == {"SetStatus"}
