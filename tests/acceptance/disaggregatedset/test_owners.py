"""Scenarios A41, A42, A46 to A48 and A50: what is ours, and changes of hands (disaggregatedset 13)."""

from __future__ import annotations

import asyncio

import pytest

from lws.api.disaggregatedset import labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS, SERVICES
from tests.acceptance.disaggregatedset.site import A, B, Site, roles, site
from tests.acceptance.disaggregatedset.stages import on_every_stage
from tests.api.disaggregatedset.making import external, role
from tests.planning.disaggregatedset.test_step import ROLLOUTS
from tests.simulation.cluster import NAMESPACE, manifest
from tests.virtual import virtual_time

pytestmark = pytest.mark.long

PAIR = ("prefill", "decode")


@on_every_stage
async def test_a41_a_users_service() -> None:
    """A Service that only bears the label is never deleted: not by rollouts, nor by changes of slices (DD-13)."""
    async with site() as found:
        mine = {
            "metadata": {"name": "mine", "namespace": NAMESPACE, "labels": {labels.NAME: "x"}},
            "spec": {"ports": [{"port": 80}]},
        }
        uid = (await found.client.create(SERVICES, mine))["metadata"]["uid"]
        await found.create(*roles(1, 1), slices=2)
        await found.available()
        await found.edit(*roles(1, 1, "3.10"))
        await found.available()
        await found.edit(slices=1)
        await found.available()
        live = await found.cluster.get(SERVICES, "mine")
        assert live is not None
        assert live["metadata"]["uid"] == uid


@on_every_stage
async def test_a42_a_service_is_deleted() -> None:
    """It is back at once, and no pod notices (DD-15)."""
    async with site() as found:
        await found.create(*roles(1, 1))
        await found.available()
        uids = {each["metadata"]["uid"] for each in await found.all(PODS)}
        before = await found.services()
        await found.client.delete(SERVICES, NAMESPACE, f"x-0-{A}-prefill-prv")
        await asyncio.sleep(2)
        assert await found.services() == before
        assert {each["metadata"]["uid"] for each in await found.all(PODS)} == uids


@virtual_time
async def test_a_foreign_service_is_told_of_once() -> None:
    """Somebody else's Service under a name of ours is left alone, and told of one time (DD-14)."""
    async with site() as found:
        name = f"x-0-{A}-prefill-prv"
        foreign = {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"ports": [{"port": 80}]}}
        await found.client.create(SERVICES, foreign)
        await found.create(*roles(1, 1))
        await found.available()
        await found.touch()
        await asyncio.sleep(200)
        assert (await found.reasons()).count("ServiceConflict") == 1
        assert await found.services() == [f"x-0-{A}-decode-prv"]


@on_every_stage
async def test_a46_deleted_in_the_foreground() -> None:
    """Children and scalers go, and the controller brings none of them back (DD-21)."""
    async with site() as found:
        await found.create(external("prefill"), role("decode"))
        await found.available()
        since = len(found.cluster.writes)
        await found.client.delete(DISAGGREGATEDSETS, NAMESPACE, "x", propagation="Foreground")
        await found.until(lambda: _gone(found))
        assert not [
            each for each in found.cluster.writes[since:] if each.method == "POST" and each.resource != "events"
        ]


async def _gone(found: Site) -> bool:
    """Whether set, scalers, children and pods are gone; children do not block the set, and may outlive it a moment."""
    left = [await found.cluster.all(kind) for kind in (DISAGGREGATEDSETS, ROLESCALERS, LEADERWORKERSETS, PODS)]
    return not any(left)


@on_every_stage
async def test_a47_deleted_and_made_again() -> None:
    """What an earlier set of the name left is waited for, not scaled and not adopted."""
    async with site() as found:
        first = await found.create(*roles(1, 1))
        await found.available()
        before = {each["metadata"]["uid"] for each in await found.all(LEADERWORKERSETS)}
        await found.client.delete(DISAGGREGATEDSETS, NAMESPACE, "x")
        found.mark()
        second = await found.create(*roles(2, 2))
        assert first["metadata"]["uid"] != second["metadata"]["uid"]
        await found.available()
        children = await found.all(LEADERWORKERSETS)
        assert before.isdisjoint(each["metadata"]["uid"] for each in children)
        assert {each["metadata"]["ownerReferences"][0]["uid"] for each in children} == {second["metadata"]["uid"]}
        assert found.written("PATCH") == []


@on_every_stage
async def test_a_foreign_child_is_refused() -> None:
    """A LeaderWorkerSet of somebody else is never adopted or scaled; its end is noticed by itself."""
    async with site() as found:
        await found.client.create(LEADERWORKERSETS, manifest(f"x-0-{A}-prefill", replicas=1, size=1))
        await found.create(*roles(2, 2))
        await found.until(lambda: found.blocked("NameConflict"))
        await asyncio.sleep(30)
        message = (
            f"LeaderWorkerSet x-0-{A}-prefill exists but is not controlled by DisaggregatedSet x; refusing to adopt it"
        )
        assert [note for reason, note in await found.events() if reason == "FailedCreate"] == [message]
        assert f"x-0-{A}-prefill" not in found.written("PATCH")
        await found.delete_child(f"x-0-{A}-prefill")
        await found.available()
        assert await found.children() == {f"x-0-{A}-{name}": 2 for name in PAIR}


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
@virtual_time  # a crash between the two writes of a pass would show a state more
async def test_a48_another_controller_goes_on(crash: bool) -> None:
    """A controller that ends after any write is followed by one that takes the same steps, and tells of each once."""
    async with site() as found:
        await found.create(*roles(2, 2))
        await found.available()
        found.mark()
        await found.edit(*roles(2, 2, "3.10"))
        seen = len(found.gate.writes)
        while set(await found.children()) != {f"x-0-{B}-{name}" for name in PAIR} or not await found.settled():
            await asyncio.sleep(0.25)
            if len(found.gate.writes) > seen:
                seen = len(found.gate.writes)
                (running,) = found.cluster.operators
                await (running.crash() if crash else running.stop())
                await found.start()
        await found.available()
        assert found.steps(B, PAIR) == next(row[4] for row in ROLLOUTS if row[0] == "2")
        events = await found.events()
        assert len(events) == len(set(events))


@on_every_stage
async def test_a50_taking_over_changes_nothing() -> None:
    """A controller that finds a running set as its predecessor left it writes nothing at all."""
    async with site() as found:
        await found.create(external("prefill"), role("decode", 2))
        await found.available()
        await found.stop()
        since = len(found.cluster.writes)
        await found.start()
        await asyncio.sleep(60)
        assert [str(each) for each in found.cluster.writes[since:]] == []


@virtual_time
async def test_the_api_is_served_later() -> None:
    """A controller starts without the API, is ready, and reconciles sets from when their definitions come."""
    async with site(served=False) as found:
        assert found.cluster.operators[0].operator.readyz.failures() == {}
        await found.sandbox.serve_disaggregated()
        await found.create(*roles(1, 1))
        await found.available()
