"""What is asked of the API server where it is to be told: who scaled workers, and why pods cannot be created."""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec

from lws.api.leaderworkerset.objects import StatefulSet
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import STATEFULSETS, Resource
from lws.client.api import ApiClient
from lws.errors import ForbiddenError
from lws.planning.leaderworkerset.groupstatus import Question, Topic
from lws.reconcilers.leaderworkerset.inquiries import CORE_EVENTS, REFUSED, Inquiries
from tests.reconcilers.test_group_status import status
from tests.simulation.cluster import LOOPS, NAMESPACE, manifest, running
from tests.virtual import virtual_time

QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")


@virtual_time
async def test_a_quota_is_told_in_the_words_of_the_event() -> None:
    """Pods that a quota refuses are FailedCreate, with the words of the StatefulSet's last warning."""
    async with running(events=True, loops=(*LOOPS, "resourcequota-controller")) as cluster:
        quota = {"metadata": {"name": "few", "namespace": NAMESPACE}, "spec": {"hard": {"pods": "4"}}}
        await cluster.client.create(QUOTAS, quota)
        await asyncio.sleep(5)
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=2, size=3))
        await asyncio.sleep(80)
        found = (await status(cluster))["groups"]
        refused = [each for each in found if each["reason"] == "FailedCreate"]
        assert refused, found
        assert all("exceeded quota: few" in each["message"] for each in refused)


@virtual_time
async def test_without_the_right_to_read_events_nobody_asks_again_and_again() -> None:
    """What is forbidden counts as unknown, for a while; then it is asked for once more."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=1, size=2))
        await cluster.available("sample")
        raw = await cluster.client.get(STATEFULSETS, NAMESPACE, "sample-0")
        workers = msgspec.convert(raw, StatefulSet)
        refusing = Refusing()
        inquiries = Inquiries(cast(ApiClient, refusing), cluster.clock)
        assert inquiries.warnings(workers) is None
        await inquiries.ask([Question(Topic.WARNINGS, workers)])
        assert (inquiries.warnings(workers), refusing.asked) == ((), 1)
        await asyncio.sleep(REFUSED + 1)
        assert inquiries.warnings(workers) is None


class Refusing:
    """A client that may read nothing."""

    asked = 0

    async def list(self, resource: Resource, *_: object, **__: object) -> JSON:
        """Refuse."""
        assert resource == CORE_EVENTS
        self.asked += 1
        raise ForbiddenError(403, "Forbidden", "no")
