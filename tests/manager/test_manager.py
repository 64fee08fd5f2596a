"""The operator as a whole, in virtual time on the sandbox: leadership, order, health, refusals."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, EVENTS, LEASES
from lws.client.transport import Request, Response, Stream, Transport
from lws.errors import ConfigurationError, TransportError
from lws.manager.manager import REVIEW_BURST, REVIEW_QPS
from lws.runtime.authorization import Reviewer
from lws.runtime.events import ObjectRef
from lws.runtime.fence import LeadershipLostError
from lws_sandbox.virtual_time import VirtualClock
from tests.simulation.cluster import Cluster, Running, manifest
from tests.virtual import virtual_time


class Line:
    """A transport that a test can cut or make refuse, and that remembers what went through."""

    def __init__(self) -> None:
        self.requests: list[tuple[float, Request]] = []
        self.cut = False
        self.refused: set[str] = set()  # plurals that are answered with 403
        self.methods: set[str] = set()  # with which alone they are, if there are any
        self._inner: Transport | None = None
        self._breaks: set[asyncio.Event] = set()

    def wrap(self, inner: Transport) -> Transport:
        """Put this line before a transport."""
        self._inner = inner
        return self

    def break_streams(self) -> None:
        """End every open stream."""
        for event in self._breaks:
            event.set()

    @property
    def writes(self) -> list[Request]:
        """Every request that was no read."""
        return [request for _, request in self.requests if request.method != "GET"]

    async def send(self, request: Request) -> Response:
        """Pass on, unless cut or refusing."""
        assert self._inner is not None
        self.requests.append((asyncio.get_running_loop().time(), request))
        if self.cut:
            raise TransportError("the line is cut", maybe_done=False)
        if self.refused & set(request.path.split("/")) and request.method in (self.methods or {request.method}):
            return Response(403, {}, orjson.dumps({"kind": "Status", "reason": "Forbidden", "message": "no"}))
        return await self._inner.send(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Pass on; a refusal is a stream too."""
        assert self._inner is not None
        if self.cut:
            raise TransportError("the line is cut", maybe_done=False)
        if self.refused & set(request.path.split("/")) and request.method in (self.methods or {request.method}):
            yield _Refusal()
            return
        broken = asyncio.Event()
        self._breaks.add(broken)
        try:
            async with self._inner.stream(request) as stream:
                yield _Breakable(stream, broken)
        finally:
            self._breaks.discard(broken)

    async def close(self) -> None:
        """Pass on."""
        assert self._inner is not None
        await self._inner.close()


class _Refusal:
    status = 403
    headers: dict[str, str] = {}  # noqa: RUF012 -- never changed

    async def chunks(self) -> AsyncIterator[bytes]:
        yield orjson.dumps({"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403})


class _Breakable:
    def __init__(self, stream: Stream, broken: asyncio.Event) -> None:
        self._stream = stream
        self._broken = broken

    @property
    def status(self) -> int:
        return self._stream.status

    @property
    def headers(self) -> dict[str, str]:
        return dict(self._stream.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        chunks = self._stream.chunks()
        while True:
            following = asyncio.ensure_future(anext(chunks, b""))
            breaking = asyncio.create_task(self._broken.wait())
            try:
                await asyncio.wait([following, breaking], return_when=asyncio.FIRST_COMPLETED)
            finally:
                breaking.cancel()
                if not following.done():
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
            if self._broken.is_set():
                raise TransportError("the line is cut")
            chunk = following.result()
            if not chunk:
                return
            yield chunk


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


async def works(running: Running) -> None:
    """Wait until a process works, but not for ever."""
    async with asyncio.timeout(300):
        await running.operator.wait_ready()


async def holder(cluster: Cluster) -> str:
    """Who holds the lease."""
    lease = await cluster.client.get(LEASES, "lws-system", "b8b2488c.x-k8s.io")
    return str(lease["spec"]["holderIdentity"])


def identity(running: Running) -> str:
    """A process's name in the lease."""
    assert running.operator.elector is not None
    return running.operator.elector.identity


@virtual_time
async def test_a_standby_is_ready_and_writes_nothing() -> None:
    """A replica that does not lead has its caches, counts as ready, and writes nothing at all."""
    line = Line()
    async with Cluster(elect=True) as cluster:
        first = await cluster.start()
        standby = await cluster.start(line.wrap, ready=False)
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        assert standby.operator.readyz.report().status == 200
        assert not standby.operator.leading
        assert line.writes == []
        assert await holder(cluster) == identity(first)


@virtual_time
async def test_a_lease_out_of_reach_takes_no_webhook_out_of_service() -> None:
    """A process that may not touch the lease does not lead, but is ready: its webhook answers (operations 4)."""
    line = Line()
    line.refused = {"leases"}
    async with Cluster(elect=True) as cluster:
        running = await cluster.start(line.wrap, ready=False)
        await asyncio.sleep(60)
        assert not running.operator.leading
        assert running.operator.readyz.report().status == 200


@virtual_time
async def test_a_stopped_leader_hands_over_at_once() -> None:
    """When the leader stops, its last request gives the lease up, and a standby leads within two retries."""
    line = Line()
    async with Cluster(elect=True) as cluster:
        first = await cluster.start(line.wrap)
        standby = await cluster.start(ready=False)
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await asyncio.sleep(0.5)
        await first.stop()
        stopped = now()
        assert line.writes[-1].path.endswith("/leases/b8b2488c.x-k8s.io")
        assert orjson.loads(line.writes[-1].body)["spec"]["holderIdentity"] == ""
        await works(standby)
        assert now() - stopped <= 2 * 2.2
        await cluster.available("sample")


@virtual_time
async def test_a_dead_leader_is_succeeded_after_its_lease() -> None:
    """When the leader dies, a standby leads once the lease has stood still for its duration."""
    async with Cluster(elect=True) as cluster:
        first = await cluster.start()
        standby = await cluster.start(ready=False)
        await asyncio.sleep(5)
        await first.crash()
        died = now()
        await works(standby)
        assert 10 <= now() - died <= 15 + 2 * 4.4
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")


@virtual_time
async def test_a_leader_that_is_cut_off_ends_and_writes_nothing_more() -> None:
    """A leader without connection ends at its renew deadline, before another may lead, and never writes afterwards."""
    line = Line()
    async with Cluster(elect=True) as cluster:
        first = await cluster.start(line.wrap)
        standby = await cluster.start(ready=False)
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=5))
        await asyncio.sleep(1)
        line.cut = True
        cut = now()
        with pytest.raises(LeadershipLostError):
            await asyncio.shield(first.task)
        ended = now()
        assert 8 <= ended - cut <= 10 + 6
        line.cut = False
        await works(standby)
        await cluster.available("sample")
        last = max(when for when, request in line.requests if request.method != "GET")
        assert last <= cut + 10
        cluster.operators.remove(first)


@virtual_time
async def test_becoming_leader_is_an_event_of_the_lease() -> None:
    """The lease has an event that says who leads."""
    async with Cluster(elect=True) as cluster:
        running = await cluster.start()
        await asyncio.sleep(1)
        (event,) = (await cluster.client.list(EVENTS, "lws-system"))["items"]
        assert event["note"] == f"{identity(running)} became leader"
        assert event["regarding"]["kind"] == "Lease"


@virtual_time
async def test_a_list_that_is_refused_at_the_start_ends_it() -> None:
    """A server that goes on refusing a list ends the start after its patience, with a sentence that names it."""
    line = Line()
    line.refused = {"statefulsets"}
    async with Cluster() as cluster:
        running = await cluster.start(line.wrap, ready=False)
        with pytest.raises(ConfigurationError, match="statefulsets"):
            await asyncio.shield(running.task)
        assert 30 <= now() <= 32
        assert "statefulsets" in running.operator.readyz.report().text
        cluster.operators.remove(running)


@virtual_time
async def test_a_list_that_is_refused_for_a_moment_only_delays_the_start() -> None:
    """Permissions that come a few seconds late, as on installation, are waited for."""
    line = Line()
    line.refused = {"statefulsets"}
    async with Cluster() as cluster:
        running = await cluster.start(line.wrap, ready=False)
        await asyncio.sleep(8)
        assert running.operator.readyz.report().status == 500
        line.refused = set()
        await works(running)
        assert running.operator.readyz.report().status == 200


@virtual_time
async def test_a_missing_definition_is_waited_for() -> None:
    """Without the CustomResourceDefinition the process lives and says what it waits for, and works once it is there."""
    async with Cluster() as cluster:
        name = "leaderworkersets.leaderworkerset.x-k8s.io"
        definition = await cluster.client.get(CUSTOMRESOURCEDEFINITIONS, "", name)
        await cluster.client.delete(CUSTOMRESOURCEDEFINITIONS, "", name)
        await asyncio.sleep(10)
        running = await cluster.start(ready=False)
        await asyncio.sleep(300)
        assert not running.task.done()
        assert running.operator.healthz.report().status == 200
        assert f"install the CustomResourceDefinition {name}" in running.operator.readyz.failures()["caches"]
        parts = {member: definition[member] for member in ("apiVersion", "kind", "spec")}
        await cluster.client.create(CUSTOMRESOURCEDEFINITIONS, {**parts, "metadata": {"name": name}})
        await works(running)
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")


@virtual_time
async def test_a_refused_watch_costs_readiness_and_never_liveness() -> None:
    """A watch that is refused at run time is told by readiness and a metric, which recover once the refusal ends."""
    line = Line()
    async with Cluster() as cluster:
        running = await cluster.start(line.wrap)
        readyz, healthz = running.operator.readyz, running.operator.healthz
        registry = running.operator.metrics.registry
        assert (readyz.report().status, healthz.report().status) == (200, 200)
        line.refused = {"pods"}
        line.break_streams()
        await asyncio.sleep(5)
        assert "pods" in readyz.failures()["watches"]
        assert registry.get_sample_value("lws_informer_healthy", {"resource": "pods"}) == 0
        assert healthz.report().status == 200
        assert not running.task.done()
        line.refused = set()
        await asyncio.sleep(120)
        assert (readyz.report().status, healthz.report().status) == (200, 200)
        assert registry.get_sample_value("lws_informer_healthy", {"resource": "pods"}) == 1
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")


@virtual_time
async def test_an_outage_of_the_server_restarts_nobody() -> None:
    """However long the server is away, liveness stays green and readiness says so; both are green when it is back."""
    line = Line()
    async with Cluster() as cluster:
        running = await cluster.start(line.wrap)
        line.cut = True
        line.break_streams()
        await asyncio.sleep(600)
        assert running.operator.healthz.report().status == 200
        assert "watches" in running.operator.readyz.failures()
        line.cut = False
        await asyncio.sleep(60)
        assert running.operator.readyz.report().status == 200


@pytest.mark.long
@virtual_time
async def test_strangers_at_the_metrics_port_delay_neither_lease_nor_reconciles() -> None:
    """While 30,000 made-up tokens are presented, renewals and the objects of a set come as if nobody was there."""
    line, lease_line = Line(), Line()
    async with Cluster(elect=True) as cluster:
        running = await cluster.start(line.wrap, lease_wrap=lease_line.wrap)
        operator = running.operator
        reviewer = Reviewer(operator._reviews, VirtualClock())
        strangers = [asyncio.create_task(reviewer.review(f"Bearer made-up-{n}", "/metrics")) for n in range(30_000)]
        began = now()
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        assert now() - began < 10
        await asyncio.sleep(20)
        renewals = [when for when, request in lease_line.requests if request.method == "PUT" and when > began]
        assert all(later - earlier < 2.5 for earlier, later in itertools.pairwise(renewals))
        assert not any("leases" in request.path for _, request in line.requests), "the lease has its own connection"
        assert sum("tokenreviews" in request.path for _, request in line.requests) <= REVIEW_BURST + REVIEW_QPS * 30
        await asyncio.gather(*strangers)


@virtual_time
async def test_events_are_fenced_like_every_other_write() -> None:
    """What a process records that does not lead never leaves it."""
    async with Cluster(elect=True) as cluster:
        await cluster.start()
        standby = (await cluster.start(ready=False)).operator
        standby.recorder.record(
            ObjectRef("v1", "Pod", "default", "a"), "Normal", "Told", "Tell", "a process that does not lead"
        )
        sending = asyncio.create_task(standby.recorder.run())
        await asyncio.sleep(60)
        sending.cancel()
        assert await cluster.events("Told") == []


@virtual_time
async def test_two_operators_in_one_process_count_apart() -> None:
    """Each operator has its own metrics: only the one that leads has reconciled."""
    async with Cluster(elect=True) as cluster:
        first = await cluster.start()
        standby = await cluster.start(ready=False)
        await cluster.client.create(LEADERWORKERSETS, manifest())
        await cluster.available("sample")
        labels = {"controller": "leaderworkerset", "result": "success"}
        counts = [
            each.operator.metrics.registry.get_sample_value("controller_runtime_reconcile_total", labels)
            for each in (first, standby)
        ]
        assert counts[0] is not None
        assert counts[0] > 0
        assert counts[1] == 0


@virtual_time
async def test_whoever_runs_alone_leads() -> None:
    """Without election the gauge of leadership is 1, so that no alert says that nobody leads."""
    async with Cluster() as cluster:
        running = await cluster.start()
        assert _of_lease(running, "leader_election_master_status") == 1


@virtual_time
async def test_a_change_of_leader_tells_how_long_nobody_led() -> None:
    """The new leader exports when it began, and how long after the last renewal of the dead one that was."""
    async with Cluster(elect=True) as cluster:
        first = await cluster.start()
        second = await cluster.start(ready=False)
        assert _of_lease(first, "lws_leader_vacancy_seconds") == 0
        assert _of_lease(second, "lws_leader_acquired_timestamp_seconds") is None
        await asyncio.sleep(5)
        await first.crash()
        await works(second)
        vacancy = _of_lease(second, "lws_leader_vacancy_seconds")
        assert vacancy is not None
        assert 15 <= vacancy <= 25
        began = _of_lease(second, "lws_leader_acquired_timestamp_seconds")
        assert began is not None
        assert 0 <= cluster.clock.now().timestamp() - began <= 10


@virtual_time
async def test_a_standby_has_no_queue() -> None:
    """What waits for a leader is no backlog: depth and waiting time of a standby are zero, and so are they after."""
    async with Cluster(elect=True) as cluster:
        first = await cluster.start()
        second = await cluster.start(ready=False)
        for number in range(3):
            await cluster.client.create(LEADERWORKERSETS, manifest(f"set-{number}"))
        await asyncio.sleep(600)
        registry = second.operator.metrics.registry
        for priority in ("live", "background"):
            labels = {"name": "pod", "controller": "pod", "priority": priority}
            assert registry.get_sample_value("workqueue_depth", labels) == 0
        await first.stop()
        await works(second)
        await asyncio.sleep(30)
        waited = {"name": "pod", "controller": "pod", "le": "1.0"}
        total = {"name": "pod", "controller": "pod"}
        assert registry.get_sample_value("workqueue_queue_duration_seconds_bucket", waited) == (
            registry.get_sample_value("workqueue_queue_duration_seconds_count", total)
        )


def _of_lease(running: Running, metric: str) -> float | None:
    registry = running.operator.metrics.registry
    return registry.get_sample_value(metric, {"name": "b8b2488c.x-k8s.io"})
