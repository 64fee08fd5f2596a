"""What is none of ours costs the controller nothing: no memory, and no byte on its watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import EVENTS, PODS, SERVICES, STATEFULSETS, Resource
from lws.client.transport import Request, Response, Stream, Transport
from lws.runtime.timestamps import micro_time
from tests.acceptance.census import census
from tests.acceptance.support import figure
from tests.forwarding import Forwarding
from tests.real.planes import Plane
from tests.real.world import World

EACH = {True: 250, False: 500}  # of four kinds; more tell no more, and take their time on a real server
AT_ONCE = 16
TEMPLATE: JSON = {
    "metadata": {"labels": {"app": "other"}},
    "spec": {"containers": [{"name": "main", "image": "other:1"}]},
}


class Metered(Forwarding):
    """A transport that counts the bytes of streams, but for the lines of bookmarks."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.received = 0

    async def send(self, request: Request) -> Response:
        """Pass on."""
        return await self._inner.send(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Pass on, and count."""
        async with self._inner.stream(request) as answer:
            yield _Metered(answer, self)


class _Metered:
    def __init__(self, inner: Stream, meter: Metered) -> None:
        self._inner = inner
        self._meter = meter
        self.status = inner.status
        self.headers = inner.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner.chunks():
            self._meter.received += sum(len(line) for line in chunk.splitlines() if b'"BOOKMARK"' not in line)
            yield chunk


def foreign(number: int, namespace: str) -> dict[Resource, JSON]:
    """One object of each kind that belongs to no LeaderWorkerSet; nothing comes of them."""
    meta = {"name": f"foreign-{number}", "namespace": namespace, "labels": {"app": "other"}}
    selector = {"app": "other"}
    event = {
        "eventTime": micro_time(datetime.now(UTC)),
        "action": "Test",
        "reason": "Test",
        "type": "Normal",
        "reportingController": "test",
        "reportingInstance": "test-1",
        "regarding": {"kind": "Pod", "namespace": namespace, "name": "foreign-0"},
    }
    return {
        PODS: {"metadata": meta, "spec": {**TEMPLATE["spec"], "schedulerName": "nobody"}},
        SERVICES: {"metadata": meta, "spec": {"clusterIP": "None", "selector": selector, "ports": [{"port": 80}]}},
        STATEFULSETS: {
            "metadata": meta,
            "spec": {"replicas": 0, "selector": {"matchLabels": selector}, "template": TEMPLATE, "serviceName": ""},
        },
        EVENTS: {"metadata": meta, **event},
    }


async def populate(world: World, count: int) -> None:
    """Make so many foreign objects of each kind."""
    numbers = iter(range(count))

    async def some() -> None:
        for number in numbers:
            for resource, manifest in foreign(number, world.namespace).items():
                await world.client.create(resource, manifest)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


def test_foreign_objects_enter_no_cache_and_no_watch(plane: Plane) -> None:
    """Pods, StatefulSets, Services and Events of others add no object to any cache, and no byte to any watch."""

    async def scenario(world: World) -> None:
        meters: list[Metered] = []

        def metered(transport: Transport) -> Transport:
            meters.append(Metered(transport))
            return meters[0]

        running = await world.start(metered)
        await world.create(replicas=1, size=2)
        await world.settled("sample")
        before, bytes_before = census(running.operator), meters[0].received
        objects = {each.resource: each.objects for each in running.operator.registry.statistics()}
        await populate(world, EACH[world.virtual])
        await world.rest()
        grown = {
            name: (before[name], count)
            for name, count in census(running.operator).items()
            if count > before[name] and name not in ("tasks", "metric series")
        }
        received = meters[0].received - bytes_before
        told = figure(f"{4 * EACH[world.virtual]} foreign objects: {received} bytes on watches; grown: {grown}")
        assert {each.resource: each.objects for each in running.operator.registry.statistics()} == objects, told
        assert bytes_before > 0
        assert (received, grown) == (0, {}), told
        await world.delete_pod("sample-0-1")  # it works on, and its watches are heard
        await world.until(lambda: meters[0].received > bytes_before, "an event of our own")
        await world.client.send(Request("DELETE", PODS.path(world.namespace), (("labelSelector", "app=other"),)))

    plane.run(scenario)
