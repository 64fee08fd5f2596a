"""Leader election: the record, its renewal, its loss, and what no clock may do to it."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from lws.apimachinery.resources import PODS
from lws.client.api import ApiClient
from lws.client.transport import Request
from lws.errors import ForbiddenError, ServerError, TransportError
from lws.runtime.fence import Fence, LeadershipLostError
from lws.runtime.leader import LeaderElector, Timing
from lws_sandbox.virtual_time import VirtualClock, VirtualTimeLoop
from tests.runtime.fake import FakeServer
from tests.virtual import virtual_time

LEASE = "/apis/coordination.k8s.io/v1/namespaces/lws-system/leases/b8b2488c.x-k8s.io"
WORDS = 'User "x" cannot get resource "leases" in API group "coordination.k8s.io"'


def elector(server: FakeServer, identity: str = "one", **options: Any) -> LeaderElector:
    """A candidate for the lease."""
    return LeaderElector(
        server.client(),
        namespace="lws-system",
        name="b8b2488c.x-k8s.io",
        identity=identity,
        clock=VirtualClock(),
        random=Random(identity),
        **options,
    )


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


@virtual_time
async def test_the_record_is_that_of_client_go() -> None:
    """A new lease carries the five members that client-go writes, with microseconds."""
    server = FakeServer()
    await elector(server).acquire()
    lease = server.objects[LEASE]
    assert lease["apiVersion"] == "coordination.k8s.io/v1"
    assert lease["kind"] == "Lease"
    assert lease["spec"] == {
        "holderIdentity": "one",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:00.000000Z",
        "leaseTransitions": 0,
    }


@virtual_time
async def test_renewal_moves_only_the_renew_time() -> None:
    """A leader renews every retry period; the lease's labels and all but its renewTime stay."""
    server = FakeServer()
    one = elector(server)
    await one.acquire()
    server.objects[LEASE]["metadata"]["labels"] = {"kept": "yes"}
    server.objects[LEASE]["spec"]["strategy"] = "kept"
    holding = asyncio.create_task(one.hold())
    await asyncio.sleep(7)
    spec = server.objects[LEASE]["spec"]
    assert spec["renewTime"] == "2026-01-01T00:00:06.000000Z"
    assert (spec["acquireTime"], spec["leaseTransitions"]) == ("2026-01-01T00:00:00.000000Z", 0)
    holding.cancel()


@virtual_time
async def test_a_lease_of_the_reference_is_respected_and_then_taken() -> None:
    """A lease that a Go controller holds is taken only once it has stood still for its own duration, seen by us."""
    server = FakeServer()
    server.objects[LEASE] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "b8b2488c.x-k8s.io", "namespace": "lws-system", "resourceVersion": "1", "uid": "u"},
        "spec": {
            "holderIdentity": "lws-controller-manager-abc_5f0e",
            "leaseDurationSeconds": 20,
            "acquireTime": "2020-01-01T00:00:00.000000Z",
            "renewTime": "2020-01-01T00:00:00.000000Z",
            "leaseTransitions": 4,
        },
    }
    await elector(server).acquire()
    assert 20 <= now() <= 25
    spec = server.objects[LEASE]["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("one", 5)
    assert server.objects[LEASE]["metadata"]["uid"] == "u"


@virtual_time
async def test_fractions_of_a_second_do_not_let_two_lead() -> None:
    """A lease counts whole seconds: of a duration in between, others wait for the next full one."""
    server = FakeServer()
    timing = Timing(lease_duration=1.9, renew_deadline=1.5, retry_period=0.1)
    one, two = elector(server, timing=timing), elector(server, "two", timing=timing)
    await one.acquire()
    await two.acquire()
    assert (one.leading, two.leading) == (False, True)
    assert 2 <= now() <= 2.3


@virtual_time
async def test_cd_114_release_lets_the_next_candidate_lead_at_once() -> None:
    """A released lease names no holder and is taken by the next try of another candidate."""
    server = FakeServer()
    one, two = elector(server), elector(server, "two")
    await one.acquire()
    waiting = asyncio.create_task(two.acquire())
    await asyncio.sleep(5)
    await one.release()
    assert not one.leading
    assert server.objects[LEASE]["spec"]["holderIdentity"] == ""
    assert server.objects[LEASE]["spec"]["leaseDurationSeconds"] == 1
    released = now()
    await waiting
    assert now() - released <= 2 * 2.2
    assert server.objects[LEASE]["spec"]["leaseTransitions"] == 1


@virtual_time
async def test_release_waits_for_nobody_and_takes_nothing() -> None:
    """A candidate that never led writes nothing when it is stopped, and neither does one that was succeeded."""
    server = FakeServer()
    one = elector(server)
    await one.release()
    assert server.requests == []
    await one.acquire()
    server.objects[LEASE]["spec"]["holderIdentity"] = "two"
    server.objects[LEASE]["metadata"]["resourceVersion"] = "99"
    await one.release()
    assert server.objects[LEASE]["spec"]["holderIdentity"] == "two"


@virtual_time
async def test_leadership_ends_at_the_renew_deadline() -> None:
    """When the server is away, leadership ends for good ten seconds after the last good renewal was begun."""
    server = FakeServer()
    one = elector(server)
    told: list[tuple[bool, float]] = []
    one._changed = lambda leading: told.append((leading, now()))
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    await asyncio.sleep(5)

    def away(_: Request) -> None:
        raise TransportError("refused", maybe_done=False)

    server.before = away
    with pytest.raises(LeadershipLostError, match="not be renewed in time"):
        await holding
    assert now() == pytest.approx(14)
    assert told == [(True, 0.0), (False, pytest.approx(14))]
    assert not one.leading


@virtual_time
async def test_a_short_outage_is_survived() -> None:
    """A leader that can renew again before the deadline goes on leading."""
    server = FakeServer()
    one = elector(server)
    await one.acquire()
    holding = asyncio.create_task(one.hold())

    def away(_: Request) -> None:
        raise ServerError(503, "", "away")

    await asyncio.sleep(5)
    server.before = away
    await asyncio.sleep(6)
    server.before = lambda _: None
    await asyncio.sleep(60)
    assert one.leading
    assert not holding.done()
    holding.cancel()


@virtual_time
async def test_a_server_that_does_not_answer_does_not_hold_the_elector() -> None:
    """Renewals that hang are given up in time to notice the deadline."""
    server = FakeServer()
    one = elector(server)
    await one.acquire()
    server.latency = 1000
    with pytest.raises(LeadershipLostError):
        await one.hold()
    assert now() == pytest.approx(10)


@virtual_time
async def test_a_lease_taken_by_another_ends_leadership_at_once() -> None:
    """A leader that sees another holder in the lease stops without waiting for its deadline."""
    server = FakeServer()
    one = elector(server)
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    await asyncio.sleep(5)
    server.objects[LEASE]["spec"]["holderIdentity"] = "thief"
    server.objects[LEASE]["metadata"]["resourceVersion"] = "99"
    with pytest.raises(LeadershipLostError, match="thief took it"):
        await holding
    assert now() == pytest.approx(6)
    assert server.objects[LEASE]["spec"]["holderIdentity"] == "thief"


@virtual_time
async def test_a_deleted_lease_is_made_anew() -> None:
    """A leader whose lease was deleted creates it again and goes on."""
    server = FakeServer()
    slow: list[float] = []
    one = elector(server, slow_path=lambda: slow.append(now()))
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    await asyncio.sleep(5)
    del server.objects[LEASE]
    await asyncio.sleep(5)
    assert server.objects[LEASE]["spec"]["holderIdentity"] == "one"
    assert one.leading
    assert len(slow) == 1
    holding.cancel()


@virtual_time
async def test_a_renewal_whose_answer_was_lost_is_found_again() -> None:
    """A renewal that took effect though its answer was lost does not cost leadership."""
    server = FakeServer()
    one = elector(server)
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    await asyncio.sleep(3)

    def lost(_: Request) -> None:
        server.after = lambda _: None
        raise TransportError("the connection broke")

    server.after = lost
    await asyncio.sleep(30)
    assert one.leading
    assert server.objects[LEASE]["spec"]["leaseTransitions"] == 0
    holding.cancel()


@virtual_time
async def test_of_many_candidates_one_leads() -> None:
    """Five candidates that start together make one leader and no conflict that is not borne."""
    server = FakeServer()
    everyone = [elector(server, str(n)) for n in range(5)]
    tasks = [asyncio.create_task(one.acquire()) for one in everyone]
    await asyncio.sleep(1)
    assert sum(one.leading for one in everyone) == 1
    for task in tasks:
        task.cancel()


@virtual_time
async def test_a_stall_ends_leadership_before_anything_else_can_happen() -> None:
    """After a stall of 60 s nothing is written, although no timer has run yet when the write is tried."""
    server = FakeServer()
    one = elector(server)
    await one.acquire()
    writer = ApiClient(Fence(server, one), user_agent="test", field_manager="lws")
    holding = asyncio.create_task(one.hold())
    await asyncio.sleep(1)
    await writer.create(PODS, {"metadata": {"name": "a", "namespace": "default"}})
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.advance(60)
    with pytest.raises(LeadershipLostError):
        await writer.create(PODS, {"metadata": {"name": "b", "namespace": "default"}})
    assert "/api/v1/namespaces/default/pods/b" not in server.objects
    assert (await writer.get(PODS, "default", "a"))["metadata"]["name"] == "a"
    with pytest.raises(LeadershipLostError):
        await holding


@virtual_time
async def test_a_write_under_way_is_cut_off_at_the_deadline() -> None:
    """A write that is still waiting for its answer at the deadline is cut off, and counts as perhaps done."""
    server = FakeServer()
    one = elector(server)
    await one.acquire()
    server.latency = 1000
    writer = ApiClient(Fence(server, one), user_agent="test", field_manager="lws")
    with pytest.raises(TransportError, match="renew deadline") as caught:
        await writer.create(PODS, {"metadata": {"name": "a", "namespace": "default"}})
    assert caught.value.maybe_done
    assert now() == pytest.approx(10)


@virtual_time
async def test_the_lease_counts_from_the_start_of_the_request() -> None:
    """With one second each way the two requests of an acquisition leave six of ten seconds, and one renewal eight."""
    server = FakeServer()
    server.latency = 1
    one = elector(server)
    await one.acquire()
    assert one.remaining == pytest.approx(6.0)
    holding = asyncio.create_task(one.hold())
    await asyncio.sleep(4.001)
    assert one.remaining == pytest.approx(7.999)
    holding.cancel()


@virtual_time
async def test_a_slow_write_goes_on_while_the_lease_is_renewed() -> None:
    """A server that answers writes after 11 s, past the renew deadline, is waited for, and leadership is kept."""
    server = FakeServer()
    one = elector(server)
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    slow = FakeServer()
    slow.latency = 5.5
    writer = ApiClient(Fence(slow, one), user_agent="test", field_manager="lws")
    for name in ("a", "b", "c"):
        await writer.create(PODS, {"metadata": {"name": name, "namespace": "default"}})
        assert one.leading
    assert now() == pytest.approx(33)
    holding.cancel()


@virtual_time
async def test_a_write_ends_with_the_last_renewal() -> None:
    """Renewals that stop while a write is in flight cut it off when the last of them has run out, and not later."""
    server = FakeServer()
    one = elector(server)
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    slow = FakeServer()
    slow.latency = 1000
    writer = ApiClient(Fence(slow, one), user_agent="test", field_manager="lws", timeout=1e6)
    writing = asyncio.ensure_future(writer.create(PODS, {"metadata": {"name": "a", "namespace": "default"}}))
    await asyncio.sleep(15)

    def refuse(_: Request) -> None:
        raise TransportError("gone")

    server.before = refuse
    with pytest.raises(TransportError, match="renew deadline"):
        await writing
    assert now() == pytest.approx(24)
    await asyncio.gather(holding, return_exceptions=True)


@virtual_time
async def test_what_stands_in_the_way_is_told_once() -> None:
    """A lease that cannot be read or written is told once, however often it is tried; that another holds it, never."""
    server = FakeServer()
    one, two = elector(server), elector(server, "two")

    def refuse(_: Request) -> None:
        raise ForbiddenError(403, "Forbidden", WORDS)

    server.before = refuse
    with capture_logs() as logs:
        acquiring = asyncio.create_task(one.acquire())
        await asyncio.sleep(10)
        server.before = lambda _: None
        await acquiring
        waiting = asyncio.create_task(two.acquire())
        await asyncio.sleep(10)
    (line,) = (line for line in logs if line["log_level"] == "warning")
    assert line["remedy"].startswith("grant the verb get on leases.coordination.k8s.io ")
    waiting.cancel()


@pytest.mark.parametrize(
    ("timing", "problem"),
    [
        (Timing(), None),
        (Timing(15, 15, 2), "greater than renewDeadline"),
        (Timing(15, 2, 2), "times 1.2"),
        (Timing(15, 10, 0), "retryPeriod"),
        (Timing(0.5, 0.2, 0.1), "at least 1s"),
    ],
)
def test_timings_that_cannot_work_are_named(timing: Timing, problem: str | None) -> None:
    """client-go's three rules for the spans are checked, each with its own words."""
    found = timing.problem()
    assert (found is None) if problem is None else (found is not None and problem in found)
