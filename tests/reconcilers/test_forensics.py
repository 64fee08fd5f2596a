"""The last lines of failed containers (resilience 2.2, R44), on the sandbox, whose containers write none themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS
from lws.client.transport import Request, Response, Transport
from lws.planning.leaderworkerset import forensics
from tests.forwarding import Forwarding, through
from tests.planning import making
from tests.simulation.cluster import NAMESPACE, Cluster, manifest
from tests.virtual import virtual_time

LINES = b"loading weights\nCUDA error: out of memory\n"
REFUSED = b'{"kind":"Status","reason":"Forbidden","message":"pods/log is forbidden","code":403}'


class WithLogs(Forwarding):
    """A transport on which containers have logs; ``answer`` is how a request for one is answered."""

    def __init__(self, inner: Transport, answer: Callable[[], Response | None]) -> None:
        super().__init__(inner)
        self._answer = answer
        self.asked: list[Request] = []

    async def send(self, request: Request) -> Response:
        """Carry the request, unless it is for a log."""
        if not request.path.endswith("/log"):
            return await self._inner.send(request)
        self.asked.append(request)
        found = self._answer()
        if found is None:
            await asyncio.sleep(3600)
        assert found is not None
        return found


async def crashed(
    cluster: Cluster, answer: Callable[[], Response | None], *, foreign: bool = False
) -> tuple[WithLogs, float]:
    """Have a worker of a set that asks for 50 lines crash; the transport, and how long the recreation took."""
    transport = await through(cluster.start, lambda inner: WithLogs(inner, answer))
    if foreign:
        meta = {"name": "sample-failures", "namespace": NAMESPACE}
        await cluster.client.create(CONFIGMAPS, {"metadata": meta, "data": {"theirs": "yes"}})
    wanted = {"annotations": {f"{PREFIX}failure-log-lines": "50"}}
    await cluster.client.create(LEADERWORKERSETS, manifest(metadata=wanted))
    await cluster.available("sample")
    began = cluster.clock.monotonic()
    await cluster.drills.pod_oom("sample-1-2")

    async def gone() -> bool:
        return bool(await cluster.events("RecreateGroup"))

    await cluster.until(gone, every=0.05)
    took = cluster.clock.monotonic() - began
    await cluster.available("sample")
    await cluster.quiet(3)
    return transport, took


def lines() -> Response:
    """A log."""
    return Response(200, {}, LINES)


@virtual_time
async def test_the_last_lines_are_kept_before_the_pod_goes() -> None:
    """The previous instance's last lines stand in the set's own ConfigMap, under time and pod."""
    async with Cluster() as cluster:
        transport, _ = await crashed(cluster, lines)
        (asked,) = transport.asked
        assert asked.path == f"/api/v1/namespaces/{NAMESPACE}/pods/sample-1-2/log"
        assert dict(asked.query) == {"container": "main", "tailLines": "50", "limitBytes": "16384", "previous": "true"}
        found = await cluster.client.get(CONFIGMAPS, NAMESPACE, "sample-failures")
        ((key, text),) = found["data"].items()
        assert key.endswith("Z-sample-1-2")
        assert text.encode() == LINES
        lws = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
        assert found["metadata"]["ownerReferences"][0]["uid"] == lws["metadata"]["uid"]
        assert len(await cluster.events("GroupFailed")) == 1


@virtual_time
async def test_r44_a_log_that_hangs_delays_the_recreation_by_two_seconds() -> None:
    """R44: reading a log takes two seconds at most, then the group is recreated without it."""
    async with Cluster() as cluster:
        _, took = await crashed(cluster, lambda: None)
        assert 2.0 <= took < 4.0
        assert await cluster.get(CONFIGMAPS, "sample-failures") is None


@virtual_time
async def test_r44_a_configmap_of_somebody_else_is_left_alone() -> None:
    """R44: a foreign ConfigMap of the name stays as it is, which is reported once."""
    async with Cluster() as cluster:
        await crashed(cluster, lines, foreign=True)
        found = await cluster.client.get(CONFIGMAPS, NAMESPACE, "sample-failures")
        assert found["data"] == {"theirs": "yes"}
        (note,) = await cluster.events("FailureLogNotKept")
        assert "ConfigMap sample-failures is not of this set" in note


@virtual_time
async def test_a_missing_right_is_told_once_and_not_tried_again() -> None:
    """Without component config/forensics one event says so, and the next failure asks for no log."""
    async with Cluster() as cluster:
        transport, _ = await crashed(cluster, lambda: Response(403, {}, REFUSED))
        await cluster.drills.pod_oom("sample-1-2")
        await cluster.quiet(5)
        (note,) = await cluster.events("FailureLogNotKept")
        assert "config/forensics" in note
        assert len(transport.asked) == 1
        assert len(await cluster.events("RecreateGroup")) == 2


def kept(*texts: str) -> JSON:
    """A ConfigMap that holds these, in the order of their keys."""
    found: JSON = {"metadata": {"name": "sample-failures"}, "data": {f"{n:03}": text for n, text in enumerate(texts)}}
    return found


@pytest.mark.parametrize(
    ("before", "text", "left"),
    [
        (kept(*["x"] * 10), "new", [*(f"{n:03}" for n in range(1, 10)), "999"]),
        (kept(*["x" * 60_000] * 4), "y" * 60_000, ["001", "002", "003", "999"]),
        (kept(), "z" * 300_000, ["999"]),
    ],
)
def test_what_is_kept_is_bounded(before: JSON, text: str, left: list[str]) -> None:
    """Ten entries and 256 KiB at most, the oldest dropped first."""
    assert list(forensics.manifest(making.lws(), before, "999", text)["data"]) == left


@pytest.mark.parametrize(
    ("body", "limit", "expected"),
    [(b"a\nb\n", 10, "a\nb\n"), (b"first\nsecond\nthird\n", 14, "second\nthird\n"), (b"x" * 20, 5, "xxxxx")],
)
def test_lines_are_whole_where_they_can_be(body: bytes, limit: int, expected: str) -> None:
    """A log that is cut begins with a whole line."""
    assert forensics.last_lines(body, limit) == expected
