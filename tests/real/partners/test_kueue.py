"""Groups that Kueue queues: admitted whole, held, preempted, drained and rolled out by the real Kueue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson
import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PODS
from lws.client.transport import Request
from lws.planning.leaderworkerset import status
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.real.partners.kueue import (
    FLAVORS,
    PRIORITY_LABEL,
    TOPOLOGIES,
    WORKLOADS,
    Queue,
    condition,
    kueue,
    queued,
)
from tests.real.partners.processes import beside, until
from tests.real.planes import RealPlane
from tests.real.test_kubectl_lws import Plugin
from tests.real.world import World
from tests.simulation.cluster import manifest

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
GROUP: Final = "leaderworkerset.sigs.k8s.io/group-index"
DELAYS: Final = Delays(start=1.0, ready=1.0, stop=0.5)  # slow enough for Kueue to act on what it sees meanwhile
STANDS: Final = 30.0  # seconds after which a rollout that has not ended will not


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    """A control plane with Kueue."""
    with beside(kueue, tmp_path_factory.mktemp("kueue"), DELAYS) as running:
        yield running


def gates(world: World, name: str = "sample") -> list[str]:
    """The pods of a set that wait with a gate."""
    return [pod["metadata"]["name"] for pod in world.all(PODS, name=name) if pod["spec"].get("schedulingGates")]


def ready_groups(world: World, name: str = "sample", size: int = 2) -> set[str]:
    """The indices of groups whose pods are all there and Ready."""
    groups: dict[str, list[bool]] = {}
    for pod in world.all(PODS, name=name):
        conditions = {each["type"]: each["status"] for each in (pod.get("status") or {}).get("conditions") or ()}
        good = conditions.get("Ready") == "True" and not pod["metadata"].get("deletionTimestamp")
        groups.setdefault(pod["metadata"]["labels"][GROUP], []).append(good)
    return {index for index, pods in groups.items() if len(pods) == size and all(pods)}


def updated(world: World, image: str = "app:2", name: str = "sample") -> bool:
    """Whether a set is Available, and all of its pods run an image."""
    return world.is_available(name) and set(world.images(name).values()) == {image}


def test_groups_are_admitted_as_one(plane: RealPlane) -> None:
    """A Workload for each group counts its pods; admitted, the gates are gone; with the set its Workloads go."""

    async def scenario(world: World) -> None:
        await world.start()
        queue = Queue(world)
        await queue.open(6)
        await world.create(replicas=2, size=3, metadata=queued())
        await world.settled("sample")
        workloads = (await queue.workloads()).values()
        assert [[each["count"] for each in one["spec"]["podSets"]] for one in workloads] == [[3], [3]]
        assert len(await queue.admitted()) == 2
        assert gates(world) == []
        await world.client.delete(LEADERWORKERSETS, world.namespace, "sample")
        await world.counts(PODS, 0)

        async def gone() -> bool:
            return not await queue.workloads()

        await until(gone, "the end of all Workloads")

    plane.run(scenario)


def test_a_full_quota_holds_whole_groups(plane: RealPlane) -> None:
    """What fits is Ready and told; what does not waits whole, in Kueue's words, until there is quota."""

    async def scenario(world: World) -> None:
        await world.start()
        queue = Queue(world)
        await queue.open(4)
        await world.create(replicas=3, size=2, metadata=queued())
        await world.until(lambda: len(ready_groups(world)) == 2, "two groups")
        await world.until(lambda: _told(world).get("readyReplicas") == 2, "their count", seconds=10)
        (held,) = {"0", "1", "2"} - ready_groups(world)
        assert set(gates(world)) == {f"sample-{held}", f"sample-{held}-1"} & set(world.names(PODS))
        said = await Plugin(world).explain()
        assert f"leader pod sample-{held} is held by scheduling gates kueue.x-k8s.io/" in said
        assert "insufficient unused quota for pods in flavor default" in said
        assert "finds no node" not in said
        await queue.resize(6)
        await world.settled("sample")

    plane.run(scenario)


def _told(world: World) -> JSON:
    found: JSON = (world.get(LEADERWORKERSETS, "sample") or {}).get("status") or {}
    return found


async def rolled(world: World, replicas: int, surge: int, seconds: float) -> int:
    """Roll a set by surge alone, at a quota that has room for it; the fewest ready groups on the way.

    Raises:
        TimeoutError: the rollout does not end.
    """
    least = replicas
    await world.start()
    await Queue(world).open(2 * (replicas + surge))
    rolling = {"maxSurge": surge, "maxUnavailable": 0}
    await world.create(replicas=replicas, size=2, rolling=rolling, metadata=queued())
    await world.settled("sample")
    await world.roll("app:2")

    def ended() -> bool:
        nonlocal least
        least = min(least, len(ready_groups(world)))
        return updated(world)

    await world.until(ended, "the end of the rollout", seconds)
    await world.until(lambda: len(world.all(PODS)) == 2 * replicas, "the end of the surge")
    return least


@pytest.mark.parametrize(("replicas", "surge"), [(1, 1), (2, 1), (4, 1), (4, 2)])
def test_cd_35_a_rollout_by_surge_ends(plane: RealPlane, replicas: int, surge: int) -> None:
    """With maxUnavailable 0 every group is replaced, and there are never fewer ready groups than asked for."""

    async def scenario(world: World) -> None:
        assert await rolled(world, replicas, surge, 90) == replicas

    plane.run(scenario)


def test_without_cd_35_it_would_not(plane: RealPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counterpart: by the reference's counters the rollout stands, or takes ready groups down."""
    monkeypatch.setattr(status, "is_queued", lambda _: False)

    async def scenario(world: World) -> None:
        try:
            assert await rolled(world, 4, 2, STANDS) < 4
        except TimeoutError:
            assert gates(world)

    plane.run(scenario)


def test_cd_90_a_percentage_of_surge_is_none(plane: RealPlane) -> None:
    """It is warned of when it is written, the rollout stands and says the way out, which ends it."""

    async def scenario(world: World) -> None:
        await world.start()
        await Queue(world).open(6)
        rolling = {"maxSurge": "50%", "maxUnavailable": 0}
        body = manifest(replicas=2, size=2, rolling=rolling, metadata={**queued(), "namespace": world.namespace})
        headers = {"content-type": "application/json"}
        path = LEADERWORKERSETS.path(world.namespace)
        answer = await world.client.send(Request("POST", path, (), headers, orjson.dumps(body)))
        assert any("maxSurge: Kueue takes a percentage for 0" in each for each in answer.warnings)
        await world.settled("sample")
        await world.roll("app:2")
        with pytest.raises(TimeoutError):
            await world.until(lambda: updated(world), seconds=STANDS)
        assert "maxSurge" in await Plugin(world).explain()
        pace = {"rollingUpdateConfiguration": {"maxSurge": 1, "maxUnavailable": 0}}
        await world.edit(rolloutStrategy={"type": "RollingUpdate", **pace})
        await world.until(lambda: updated(world), "the end of the rollout")

    plane.run(scenario)


def test_a_recreated_group_keeps_its_place(plane: RealPlane) -> None:
    """At a full quota a group that lost a worker comes back whole, and another set that waits still waits."""

    async def scenario(world: World) -> None:
        await world.start()
        queue = Queue(world)
        await queue.open(4)
        await world.create(replicas=2, size=2, metadata=queued())
        await world.settled("sample")
        await world.create("other", replicas=1, size=2, metadata=queued())
        await world.until(lambda: bool(gates(world, "other")), "a set that waits")
        admitted, before = set(await queue.admitted()), world.uids()
        await world.delete_pod("sample-1-1")
        await world.replaced("sample-1", before)
        await world.until(lambda: ready_groups(world) == {"0", "1"}, "the group")
        assert set(await queue.admitted()) == admitted
        assert gates(world, "other")
        assert world.uids()["sample-0"] == before["sample-0"]

    plane.run(scenario)


def test_a_preempted_group_comes_back_whole(plane: RealPlane) -> None:
    """A set of higher priority takes the place of a group, which ends, waits whole, and is back when there is room."""

    async def scenario(world: World) -> None:
        await world.start()
        queue = Queue(world)
        await queue.open(4)
        await world.create(replicas=2, size=2, metadata=queued(**{PRIORITY_LABEL: "low"}))
        await world.settled("sample")
        await world.create("urgent", replicas=1, size=2, metadata=queued(**{PRIORITY_LABEL: "high"}))
        await world.settled("urgent")
        await world.until(lambda: len(ready_groups(world)) == 1 and bool(gates(world)), "one group that waits")
        assert "is held by scheduling gates" in await Plugin(world).explain()
        await world.client.delete(LEADERWORKERSETS, world.namespace, "urgent")
        await world.settled("sample")
        assert len(await queue.admitted()) == 2

    plane.run(scenario)


def test_a_drained_queue_holds_all_groups(plane: RealPlane) -> None:
    """Draining ends every group, each waits whole, and an update made meanwhile is what comes back."""

    async def scenario(world: World) -> None:
        await world.start()
        queue = Queue(world)
        await queue.open(4)
        await world.create(replicas=2, size=2, metadata=queued())
        await world.settled("sample")
        await queue.stop("HoldAndDrain")
        await world.until(
            lambda: not ready_groups(world) and {"sample-0", "sample-1"} <= set(gates(world)), "two gates"
        )
        await world.roll("app:2")
        await queue.stop("None")
        await world.until(lambda: updated(world), "both groups, updated")

    plane.run(scenario)


def test_a_topology_request_keeps_groups_in_one_rack(plane: RealPlane) -> None:
    """With a topology each group is placed in one zone, by Kueue's node selectors, which we leave alone."""

    async def scenario(world: World) -> None:
        await world.start()
        zone = "topology.kubernetes.io/zone"
        levels = {"levels": [{"nodeLabel": zone}, {"nodeLabel": "kubernetes.io/hostname"}]}
        made = {"apiVersion": TOPOLOGIES.api_version, "kind": TOPOLOGIES.kind, "metadata": {"name": "zones"}}
        await world.client.apply(TOPOLOGIES, {**made, "spec": levels}, field_manager="test")
        flavor = {"apiVersion": FLAVORS.api_version, "kind": FLAVORS.kind, "metadata": {"name": "topology"}}
        spec = {"nodeLabels": {"kubernetes.io/os": "linux"}, "topologyName": "zones"}
        await world.client.apply(FLAVORS, {**flavor, "spec": spec}, field_manager="test")
        await Queue(world).open(6, flavor="topology")
        wanted = {"annotations": {"kueue.x-k8s.io/podset-required-topology": zone}}
        template = {"metadata": wanted, "spec": {"containers": [{"name": "main", "image": "app:1"}]}}
        await world.create(replicas=2, size=3, metadata=queued(), section={"workerTemplate": template})
        await world.settled("sample")
        nodes = {each["metadata"]["name"]: each for each in (await world.client.list(NODES))["items"]}
        zones: dict[str, set[str]] = {}
        for pod in world.all(PODS):
            labels = nodes[pod["spec"]["nodeName"]]["metadata"]["labels"]
            zones.setdefault(pod["metadata"]["labels"][GROUP], set()).add(labels[zone])
        assert [len(found) for found in zones.values()] == [1, 1]

    plane.run(scenario)


def test_cd_42_a_group_that_grew_is_mended_as_it_says(plane: RealPlane) -> None:
    """Its Workload is Finished (OutOfSync); explain-stuck names it and the remedy, and the remedy helps."""

    async def scenario(world: World) -> None:
        await world.start()
        queue = Queue(world)
        await queue.open(3)
        await world.create(replicas=1, size=2, metadata=queued())
        await world.settled("sample")
        await world.edit(leaderWorkerTemplate={"size": 3})

        async def finished() -> bool:
            return any(condition(each, "Finished") == "True" for each in (await queue.workloads()).values())

        await until(finished, "a Finished Workload")
        await world.until(lambda: bool(gates(world)), "a gate")
        await world.rest()
        (name,) = await queue.workloads()
        said = await Plugin(world).explain()
        assert f"its Workload {name} is Finished (OutOfSync)" in said
        assert f"kubectl delete workload {name}" in said
        await world.client.delete(WORKLOADS, world.namespace, name)
        await world.until(lambda: ready_groups(world, size=3) == {"0"}, "the larger group")

    plane.run(scenario)


def test_nothing_is_written_at_rest(plane: RealPlane) -> None:
    """With one group running and one held, neither side writes to our objects any more."""

    async def scenario(world: World) -> None:
        await world.start()
        await Queue(world).open(2)
        await world.create(replicas=2, size=2, metadata=queued())
        await world.until(lambda: len(ready_groups(world)) == 1 and bool(gates(world)), "one group of two")
        await world.rest()
        seen = world.changes
        with pytest.raises(TimeoutError):
            await world.until(lambda: world.changes != seen, seconds=10)

    plane.run(scenario)
