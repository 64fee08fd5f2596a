"""What changes cost in writes, be groups quick or slow and the server loaded or not (spec 8.5, CD-80)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import PODS
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.acceptance.support import edit_image, figure, rest
from tests.simulation.cluster import NAMESPACE, Cluster, Write, manifest
from tests.virtual import virtual_time

GROUPS = 3
GOALS = {
    "creation": GROUPS + 5,
    "rolling update": 3 * GROUPS + 6,
    "two groups more": 2 + 4,
    "two groups fewer": 3,
    "restart of a group": 5,
}
QUICK, UNEVEN = Delays(), Delays(ready=2.0, jitter=1.0)
LONG = Delays(ready=4.0, stop=8.0, jitter=1.0)
SLOW = 0.3  # seconds that a write takes


@dataclass
class Cost:
    """What a change cost."""

    writes: int
    statuses: int

    def __str__(self) -> str:
        return f"{self.writes} writes, {self.statuses} of them statuses"


async def lives(cluster: Cluster) -> dict[str, Cost]:
    """A set is created, rolled, scaled up and down, and loses a worker; what each costs, events aside."""
    costs = {}

    async def change(name: str, act: Callable[[], Awaitable[object]], pause: float = 0.0) -> None:
        since = len(cluster.writes)
        await act()
        await asyncio.sleep(pause)
        await cluster.available("sample")
        await cluster.until(lambda: _still(cluster))
        await rest(cluster, 8.0)
        writes = cluster.counted(since)
        costs[name] = Cost(len(writes), len(statuses(writes)))

    async def scale(replicas: int) -> None:
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": replicas}})

    await change("creation", lambda: cluster.client.create(LEADERWORKERSETS, manifest(replicas=GROUPS, size=2)))
    await change("rolling update", lambda: edit_image(cluster, "sample", "app:2"))
    await change("two groups more", lambda: scale(GROUPS + 2))
    await change("two groups fewer", lambda: scale(GROUPS), pause=2.0)
    await change("restart of a group", lambda: cluster.drills.pod_delete("sample-0-1"), pause=3.0)
    return costs


async def _still(cluster: Cluster) -> bool:
    """Whether nothing is ending any more."""
    pods = (await cluster.client.list(PODS, NAMESPACE))["items"]
    return not any(pod["metadata"].get("deletionTimestamp") for pod in pods)


def statuses(writes: list[Write]) -> list[Write]:
    """The writes of statuses."""
    return [each for each in writes if each.resource == "leaderworkersets/status"]


@pytest.mark.parametrize(
    ("delays", "slow"),
    [
        pytest.param(UNEVEN, 0.0, id="uneven", marks=pytest.mark.long),
        pytest.param(QUICK, SLOW, id="slow server"),
        pytest.param(QUICK, 0.0, id="quick", marks=pytest.mark.long),
        pytest.param(UNEVEN, SLOW, id="uneven, slow server", marks=pytest.mark.long),
        pytest.param(LONG, 0.0, id="long", marks=pytest.mark.long),
        pytest.param(LONG, SLOW, id="long, slow server", marks=pytest.mark.long),
    ],
)
@virtual_time
async def test_cd_80_writes_of_every_change(delays: Delays, slow: float) -> None:
    """Create ≤ R+5, roll ≤ 3R+6, n groups more ≤ n+4, fewer ≤ 3, a restart ≤ 5, however long each takes."""
    async with Cluster(nodes=1, delays=delays) as cluster:
        await cluster.start()
        if slow:
            await cluster.drills.api_slow(slow, verbs=("create", "update", "patch", "delete"))
        costs = await lives(cluster)
    told = figure("; ".join(f"{name}: {cost} (goal {GOALS[name]})" for name, cost in costs.items()))
    assert {name: cost.writes for name, cost in costs.items() if cost.writes > GOALS[name]} == {}, told


@virtual_time
async def test_cd_80_the_final_state_is_told_within_two_seconds() -> None:
    """When the last pod of a scale-down is gone, the status says so two seconds later at most."""
    async with Cluster(nodes=1, delays=Delays(stop=6.0)) as cluster:
        await cluster.start()
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=3, size=1))
        await cluster.available("sample")
        await rest(cluster)
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": {"replicas": 1}})
        await cluster.until(lambda: _count_is(cluster, 1), every=0.05)
        gone = asyncio.get_running_loop().time()
        await rest(cluster)
        last = statuses(cluster.counted())[-1]
        assert last.time - gone <= 2.0
        status = orjson.loads(last.body)["status"]
        assert [status[each] for each in ("replicas", "readyReplicas", "updatedReplicas")] == [1, 1, 1]


async def _count_is(cluster: Cluster, count: int) -> bool:
    return len((await cluster.client.list(PODS, NAMESPACE))["items"]) == count


@virtual_time
async def test_cd_80_a_condition_is_never_late() -> None:
    """Each turn of a condition is written in the pass that sees it, however full the budget of counters is."""
    async with Cluster(nodes=1, delays=Delays(jitter=1.0)) as cluster:
        await cluster.start()
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=2, size=1))
        await cluster.available("sample")
        pods = await cluster.all(PODS)
        turns = [each for pod in pods for each in pod["status"]["conditions"] if each["type"] == "Ready"]
        ready = max(each["lastTransitionTime"] for each in turns)
        found = await cluster.get(LEADERWORKERSETS, "sample")
        assert found is not None
        (available,) = (each for each in found["status"]["conditions"] if each["type"] == "Available")
        assert available["lastTransitionTime"] == ready
