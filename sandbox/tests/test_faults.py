"""Drills at the API: slow, failing, forgetful."""

from __future__ import annotations

import asyncio

from sandbox.tests.plain import MAPS, Plain

from tests.virtual import virtual_time


@virtual_time
async def test_a_slow_api_holds_the_requests_that_match() -> None:
    """Only the verbs and resources that were named wait, and only until the drill ends."""
    plain = await Plain().begin()
    loop = asyncio.get_running_loop()
    plain.server.slow(5, verbs=frozenset({"create"}), resources=frozenset({"configmaps"}))
    begun = loop.time()
    await plain.get(MAPS)
    assert loop.time() == begun
    await plain.make("a")
    assert loop.time() == begun + 5
    plain.server.heal()
    await plain.make("b")
    assert loop.time() == begun + 5


@virtual_time
async def test_a_failing_api_fails_as_often_as_asked() -> None:
    """A counted failure hits that many requests with a Status of its code, and nothing is written."""
    plain = await Plain().begin()
    plain.server.fail(503, count=2)
    for _ in range(2):
        refused = await plain.post(MAPS, {"metadata": {"name": "a"}})
        assert (refused.status, refused.body["reason"]) == (503, "ServiceUnavailable")
    assert (await plain.post(MAPS, {"metadata": {"name": "a"}})).status == 201
    assert plain.server.faults.active == ()


@virtual_time
async def test_a_late_failure_loses_the_answer_only() -> None:
    """With ``after`` the write is done although its answer is an error: clients must cope with both."""
    plain = await Plain().begin()
    plain.server.fail(500, count=1, after=True)
    assert (await plain.post(MAPS, {"metadata": {"name": "a"}})).status == 500
    assert (await plain.get(f"{MAPS}/a")).status == 200


@virtual_time
async def test_a_share_of_requests_fails_by_chance() -> None:
    """Half of many requests fail, more or less, and the same ones in every run."""
    runs = []
    for _ in range(2):
        plain = await Plain().begin()
        plain.server.fail(500, share=0.5)
        runs.append([(await plain.get(MAPS)).status for _ in range(100)])
    assert runs[0] == runs[1]
    assert 30 < runs[0].count(500) < 70


@virtual_time
async def test_compaction_forgets_the_past() -> None:
    """Watches from before the compacted version get 410, later ones go on."""
    plain = await Plain().begin()
    old = (await plain.make("a")).version
    await plain.make("b")
    kept = plain.server.compact()
    assert (await plain.get(MAPS, watch=1, resourceVersion=old)).events[0]["object"]["code"] == 410
    await plain.make("c")
    seen = await plain.get(MAPS, watch=1, resourceVersion=kept, timeoutSeconds=1)
    assert seen.story == [("ADDED", "c")]
