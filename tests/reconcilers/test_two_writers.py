"""Somebody else who is a little faster at each step of ours, on the sandbox, in virtual time (R45)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import orjson
import pytest

from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.client.transport import Request, Response, Transport
from tests.forwarding import Forwarding, through
from tests.reconcilers.test_lost_nodes import WORKER, ended, failures, lose, pod, replaced
from tests.reconcilers.test_lost_nodes import up as up_on_nodes
from tests.reconcilers.test_steering import (
    annotate,
    break_rollout,
    condition,
    edit,
    holding,
    images,
    policies,
    revisions,
    told,
    without_room,
)
from tests.reconcilers.test_steering import up as up_steered
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.moving import MOVING, budgets, chosen, cordon, emptied, groups_on, made, settled, up, watching
from tests.virtual import virtual_time

KINDS: Final = pytest.mark.parametrize("kind", ["status", "edit", "annotation"])
TRIES: Final = (1, 3, 5)  # of a write, before which somebody else's comes
Meddle = Callable[[], Awaitable[None]]


class Meddling(Forwarding):
    """A transport before which somebody else is faster: at every other try of each write, for as long as it lasts.

    Args:
        inner: carries the requests.
        meddle: done before such a write.
    """

    def __init__(self, inner: Transport, meddle: Meddle) -> None:
        super().__init__(inner)
        self._meddle = meddle
        self.tries: Counter[tuple[str, str]] = Counter()
        self.begun = False

    async def send(self, request: Request) -> Response:
        """Meddle, and pass on."""
        step = (request.method, request.path)
        if self.begun and request.method != "GET" and "/events" not in request.path:
            self.tries[step] += 1
            if self.tries[step] in TRIES:
                await self._meddle()
        return await self._inner.send(request)


def meddler(cluster: Cluster, kind: str, policy: str) -> Meddle:
    """What another client writes: a condition, a label of the set, or a policy that it takes off and puts on again."""
    times, chosen_value = 0, ""

    async def meddle() -> None:
        nonlocal times, chosen_value
        times += 1
        client, where = cluster.client, (LEADERWORKERSETS, NAMESPACE, "sample")
        live = await cluster.get(LEADERWORKERSETS, "sample")
        if live is None:
            return
        match kind:
            case "status":
                told_of: JSON = {"type": "Foreign", "status": "True", "reason": f"R{times}", "message": ""}
                told_of["lastTransitionTime"] = "2026-01-01T00:00:00Z"
                kept = [each for each in live.get("status", {}).get("conditions", ()) if each["type"] != "Foreign"]
                await client.patch(*where, {"status": {"conditions": [*kept, told_of]}}, subresource="status")
            case "edit":
                await client.patch(*where, {"metadata": {"labels": {"times": str(times)}}})
            case _:
                # Several of our writes may be under way, so what is on the set may be taken off by another of these.
                chosen_value = (live["metadata"].get("annotations") or {}).get(PREFIX + policy, chosen_value)
                for value in (None, chosen_value):
                    await client.patch(*where, {"metadata": {"annotations": {PREFIX + policy: value}}})

    return meddle


async def start(cluster: Cluster, kind: str, policy: str) -> Meddling:
    """Start a controller that will have such a neighbour."""
    return await through(cluster.start, lambda inner: Meddling(inner, meddler(cluster, kind, policy)))


def deletions(cluster: Cluster) -> Counter[str]:
    """How often each pod's deletion was asked for and granted, by UID."""
    asked = [each for each in cluster.counted() if (each.method, each.resource) == ("DELETE", "pods")]
    return Counter(orjson.loads(each.body)["preconditions"]["uid"] for each in asked if each.status == 200)


def conflicts(cluster: Cluster) -> int:
    """How many writes of ours somebody else's came before."""
    return sum(each.status == 409 for each in cluster.writes)


@pytest.mark.long
@KINDS
@virtual_time
async def test_r45_a_stalled_rollout_is_undone_once(kind: str) -> None:
    """R45: at each write of a rollout that stalls, its undoing included, others are faster: once, and right."""
    async with Cluster() as cluster:
        other = await start(cluster, kind, "on-stall")
        await break_rollout(cluster, {"maxUnavailable": 1}, on_stall="Undo", revision_history_limit="3")
        other.begun = True
        await cluster.until(lambda: told(cluster, "RolledBack"), seconds=1500, every=2)
        await cluster.available("sample")
        await cluster.quiet(15)
        assert set((await images(cluster)).values()) == {"app:1"}
        assert len(await cluster.events("RolledBack")) == 1
        assert len(await revisions(cluster)) == 2
        patches = [each for each in cluster.writes if (each.method, each.resource) == ("PATCH", "leaderworkersets")]
        assert Counter(each.status for each in patches) == {409: 1, 200: 1}
        assert set(deletions(cluster).values()) <= {1}


@pytest.mark.long
@KINDS
@virtual_time
async def test_r45_a_pause_holds(kind: str) -> None:
    """R45: paused and resumed while others write between, no old group goes in the pause, and all do after."""
    async with Cluster() as cluster:
        other = await start(cluster, kind, "revision-history-limit")
        await up_steered(cluster, replicas=4, size=2, metadata=policies(rollout="paused", revision_history_limit="3"))
        other.begun = True
        await edit(cluster, "app:2")
        await cluster.until(holding(cluster, "Paused", "True"))
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": 5}})
        await cluster.quiet(10)
        assert await images(cluster) == {**dict.fromkeys(range(4), "app:1"), 4: "app:2"}
        await annotate(cluster, rollout=None)
        await cluster.available("sample")
        assert set((await images(cluster)).values()) == {"app:2"}
        assert await condition(cluster, "Paused") == ("False", "RolloutResumed")
        assert conflicts(cluster) > 0


@pytest.mark.long
@KINDS
@virtual_time
async def test_r45_surge_falls_back_once(kind: str) -> None:
    """R45: a rollout without room for surge ends with one group down at a time, told once, whoever writes meanwhile."""
    async with Cluster(nodes=2) as cluster:
        other = await start(cluster, kind, "surge-fallback")
        await without_room(cluster, surge_fallback="2m")
        other.begun = True
        async with watching(cluster) as seen:
            await cluster.available("sample", seconds=1800)
        assert await images(cluster) == {0: "app:2", 1: "app:2"}
        assert seen["sample"].least >= 1
        assert len(await cluster.events("SurgeUnschedulable")) == 1


@pytest.mark.long
@KINDS
@virtual_time
async def test_r45_groups_are_moved_once(kind: str) -> None:
    """R45: at each write of a move others are faster: no group is missing, each is moved once, no extra one is left."""
    async with Cluster(nodes=6, loops=MOVING) as cluster:
        other = await start(cluster, kind, "evacuate")
        await up(cluster, replicas=4, size=2, metadata=chosen(evacuate="true"))
        other.begun = True
        affected = await groups_on(cluster, "node-0", "node-1")
        async with watching(cluster) as seen:
            await cordon(cluster, "node-0", "node-1")
            await emptied(cluster, "node-0", "node-1")
            await settled(cluster, replicas=4)
            await cluster.available("sample")
            await cluster.quiet(15)
        assert (seen["sample"].least, seen["sample"].most) == (4, 5)
        moved = {group: times for group, times in seen["sample"].moved.items() if group != "4"}  # but for the extra one
        assert moved == dict.fromkeys(affected, 1)
        assert (await made(cluster), await budgets(cluster)) == (4, ["sample"])
        assert set(deletions(cluster).values()) == {1}
        assert conflicts(cluster) > 0


@pytest.mark.long
@KINDS
@virtual_time
async def test_r45_a_budget_disturbs_one_group_at_a_time(kind: str) -> None:
    """R45: the same with a budget of one group and no extra one: never are two groups down, each is moved once."""
    async with Cluster(nodes=5, loops=MOVING) as cluster:
        other = await start(cluster, kind, "disruption-budget")
        await up(cluster, replicas=4, size=2, metadata=chosen(disruption_budget="1"))
        other.begun = True
        affected = await groups_on(cluster, "node-0", "node-1")
        async with watching(cluster) as seen:
            await cordon(cluster, "node-0", "node-1")
            await emptied(cluster, "node-0", "node-1")
            await cluster.available("sample")
            await cluster.quiet(15)
        assert (seen["sample"].down, seen["sample"].most) == (1, 4)
        assert seen["sample"].moved == dict.fromkeys(affected, 1)
        assert await budgets(cluster) == ["sample"]
        assert set(deletions(cluster).values()) == {1}


@pytest.mark.long
@KINDS
@virtual_time
async def test_r45_a_lost_node_costs_one_incident(kind: str) -> None:
    """R45: pods on a lost node are ended once each, and their group is recreated once, whoever writes meanwhile."""
    async with Cluster(nodes=6) as cluster:
        other = await start(cluster, kind, "release-lost-nodes-after")
        await up_on_nodes(cluster)
        other.begun = True
        before = await pod(cluster)
        await lose(cluster, before["spec"]["nodeName"])
        await replaced(cluster, before, within=400)
        await cluster.available("sample")
        await cluster.quiet(15)
        assert [each["reason"] for each in await failures(cluster) if each["group"] == "0"] == ["NodeLost"]
        assert Counter(each.name for each in ended(cluster))[WORKER] == 1
        assert set(deletions(cluster).values()) == {1}
        assert len(await cluster.all(PODS)) == 6
