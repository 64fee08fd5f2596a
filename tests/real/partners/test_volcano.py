"""Gangs beside Volcano's own scheduler: four nodes of four CPUs, of which a pod asks three unless told otherwise."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, PODGROUPS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES as NODE_KIND
from lws.apimachinery.resources import PODS
from lws.cli.kubectl.observe import observe
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose
from lws.planning.leaderworkerset.diagnosis.words import sentences
from lws_sandbox.nodes import RACK
from lws_sandbox.partners import PRIORITYCLASSES
from tests.real.partners.processes import beside, until
from tests.real.partners.volcano import NODES, SCHEDULER, built, ganged, members, pod_groups, volcano
from tests.real.planes import RealPlane
from tests.real.view import View
from tests.real.world import Running, World

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]
GANGS: Final = {"gangSchedulingManagement": {"schedulerProvider": "volcano"}}
FITS_NOT: Final = re.compile(
    r"waits with PodGroup next-0-\w+ for pod next-0(-1)?, which finds no node: \S+ nodes are unavailable"
)
STANDS: Final = 15.0  # seconds in which Volcano would have moved on, were it to


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    """A control plane with Volcano's scheduler."""
    built(SCHEDULER)
    with beside(volcano, tmp_path_factory.mktemp("volcano"), nodes=NODES) as running:
        yield running


@asynccontextmanager
async def working(world: World, **arguments: Any) -> AsyncIterator[Running]:
    """An operator with the provider, which answers reviews too."""
    running = await world.start(configuration=GANGS, **arguments)
    with world.reviewing(running):
        yield running


def placed(view: View, name: str) -> dict[str, str]:
    """The node of each pod of a set; empty where it has none."""
    return {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in view.all(PODS, name=name)}


def holding(view: View, name: str) -> list[int]:
    """How many pods of each group have a node, fewest first."""
    found: dict[str, int] = {}
    for pod in view.all(PODS, name=name):
        index = pod["metadata"]["labels"][labels.GROUP_INDEX]
        found[index] = found.get(index, 0) + bool(pod["spec"].get("nodeName"))
    return sorted(found.values())


async def explained(world: World, name: str) -> str:
    """What ``kubectl lws explain-stuck`` says."""
    return " ".join(sentences(diagnose((await observe(world.client, world.namespace, name)).facts)))


def told(world: World, name: str) -> tuple[str, str]:
    """Reason and message of the first group in a set's status; empty if none is told of."""
    status = (world.get(LEADERWORKERSETS, name) or {}).get("status") or {}
    return next(((each["reason"], each["message"]) for each in status.get("groups", ())), ("", ""))


def test_g1_groups_with_a_rack_of_their_own_start_and_starve_nobody(plane: RealPlane) -> None:
    """Two groups of two run, each on its own rack; a set of four that comes after them fills the cluster."""

    async def scenario(world: World) -> None:
        async with working(world):
            noted = {"annotations": {labels.EXCLUSIVE_TOPOLOGY: RACK}}
            await world.create(**ganged("rack", replicas=2, metadata=noted))
            await world.settled("rack")
            racks = {each["metadata"]["name"]: each["metadata"]["labels"][RACK] for each in await nodes(world)}
            held = {name: racks[node] for name, node in placed(world, "rack").items()}
            assert held["rack-0"] == held["rack-0-1"] != held["rack-1"] == held["rack-1-1"]
            assert await members(world) == {"rack-0": 2, "rack-1": 2}
            await world.edit("rack", replicas=0)
            await world.create(**ganged("wide", size=4))
            await world.settled("wide")

    plane.run(scenario)


async def nodes(world: World) -> list[JSON]:
    """Every node."""
    found: list[JSON] = (await world.client.list(NODE_KIND))["items"]
    return found


def test_g2_a_worker_of_a_leader_from_before_comes_back(plane: RealPlane) -> None:
    """The provider is switched on under a running set: a worker that is lost then is replaced and placed."""

    async def scenario(world: World) -> None:
        before = await world.start()
        alone = ganged("old")
        alone["section"]["restartPolicy"] = "None"
        await world.create(**alone)
        await world.settled("old")
        await before.stop()
        async with working(world):
            uids = world.uids()
            await world.delete_pod("old-0-1")
            await world.replaced("old-0-1", uids)
            await world.settled("old")
            names = [each["metadata"]["name"] for each in await pod_groups(world)]
            assert [name for name in names if not name.startswith("podgroup-")] == [], "Volcano's own, for pods without"

    plane.run(scenario)


def test_g3_sets_of_another_scheduler_hold_nothing_of_a_queue(plane: RealPlane) -> None:
    """A set of the default scheduler that finds no node has no PodGroup; a gang that fills the cluster starts."""

    async def scenario(world: World) -> None:
        async with working(world):
            plain = ganged("plain", size=3, scheduler="default-scheduler")
            plain["section"]["workerTemplate"]["spec"]["nodeSelector"] = {"stage": "open"}
            await world.create(**plain)
            await world.until(lambda: len(world.all(PODS, name="plain")) == 3, "its pods")
            await world.create(**ganged("web", size=4))
            await world.settled("web")
            assert set(placed(world, "plain").values()) == {""}
            assert await members(world) == {"web-0": 4}
            await world.client.delete(LEADERWORKERSETS, world.namespace, "plain")

    plane.run(scenario)


def test_g4_of_two_groups_with_room_for_one_and_a_leader_one_is_whole(plane: RealPlane) -> None:
    """LeaderReady, two groups of three at 2.1 CPUs a pod: one whole, of the other the leader; room makes it whole."""

    async def scenario(world: World) -> None:
        async with working(world):
            await world.create(**ganged("web", cpu="2.1", replicas=2, size=3, startupPolicy="LeaderReady"))
            await world.until(lambda: holding(world, "web") == [1, 3], "one whole group")
            await asyncio.sleep(STANDS)
            assert holding(world, "web") == [1, 3]
            assert await members(world) == {"web-0": 3, "web-1": 3}
            assert "pod group" in (await explained(world, "web")).lower().replace("podgroup", "pod group")
            await world.edit("web", replicas=1)
            await world.settled("web")

    plane.run(scenario)


def test_g5_the_set_of_higher_priority_goes_first(plane: RealPlane) -> None:
    """When room appears, a younger set with a priority class starts before an older one without."""

    async def scenario(world: World) -> None:
        high = {"apiVersion": PRIORITYCLASSES.api_version, "kind": "PriorityClass", "metadata": {"name": "high"}}
        await world.client.create(PRIORITYCLASSES, high | {"value": 1000})
        async with working(world):
            await world.create(**ganged("first", size=3))
            await world.settled("first")
            for name, more in (("low", {}), ("high", {"priority": "high"})):
                await world.create(**ganged(name, size=3, **more))
                await world.until(lambda name=name: len(world.all(PODS, name=name)) == 3, "its pods")  # type: ignore[misc]
                await asyncio.sleep(2)  # PodGroups are as old as the second says
            await world.client.delete(LEADERWORKERSETS, world.namespace, "first")
            await world.settled("high")
            assert set(placed(world, "low").values()) == {""}

    plane.run(scenario)


def test_g6_the_reason_is_told(plane: RealPlane) -> None:
    """A set larger than the cluster, a missing queue: explain-stuck and status say so, in Volcano's words."""

    async def scenario(world: World) -> None:
        async with working(world, policies={"slowStart": "60s"}):
            await world.create(**ganged("large", size=7))
            noted = {"annotations": {labels.QUEUE_NAME: "glod"}}
            await world.create(**ganged("lost", metadata=noted))
            await world.until(lambda: told(world, "large") != ("", ""), "word of a group that waits", seconds=150)
            reason, message = told(world, "large")
            assert reason == "PodGroupPending"
            assert "to be admitted to queue default: resource in cluster is overused: overused cpu" in message
            assert "resource in cluster is overused: overused cpu" in await explained(world, "large")
            reason, message = told(world, "lost")
            assert reason == "QueueMissing"
            assert "whose queue glod does not exist" in message
            assert "whose queue glod does not exist" in await explained(world, "lost")
            change = {"metadata": {"annotations": {labels.QUEUE_NAME: "default"}}}
            await world.client.patch(LEADERWORKERSETS, world.namespace, "lost", change)
            await world.settled("lost")

    plane.run(scenario)


def test_g6_the_member_that_does_not_fit_is_named(plane: RealPlane) -> None:
    """A group that waits for one node: the pod that has one says for which other it waits, and what that lacks."""

    async def scenario(world: World) -> None:
        async with working(world):
            await world.create(**ganged("web", cpu="2.1", size=3))
            await world.settled("web")
            await world.create(**ganged("next", cpu="2.1"))

            async def said() -> bool:
                return FITS_NOT.search(await explained(world, "next")) is not None

            await until(said, "word of the member that does not fit")

    plane.run(scenario)


def test_whole_groups_only_and_nothing_at_rest(plane: RealPlane) -> None:
    """Of two groups of three with room for one, one is placed; one that runs and one that waits cost no write."""

    async def scenario(world: World) -> None:
        async with working(world):
            await world.create(**ganged("web", replicas=2, size=3))
            await world.until(lambda: holding(world, "web") == [0, 3], "one whole group")
            await asyncio.sleep(STANDS)
            assert holding(world, "web") == [0, 3]
            world.requests.clear()
            await asyncio.sleep(60)
            assert world.requests.writes() == []
            await world.edit("web", replicas=1)
            await world.settled("web")
            await world.client.delete(LEADERWORKERSETS, world.namespace, "web")

            async def gone() -> bool:
                return await pod_groups(world) == []

            await until(gone, f"the end of all {PODGROUPS.plural}")

    plane.run(scenario)


def test_a_leader_pod_alone_is_marked_if_it_names_the_scheduler(plane: RealPlane) -> None:
    """As the reference's webhook marks it: by set, index and key; a pod of another scheduler is not marked (CD-31)."""

    async def scenario(world: World) -> None:
        async with working(world):
            marks = {}
            for name, scheduler in (("test-0", "volcano"), ("test-1", "default-scheduler")):
                index = name[-1]
                identity = {labels.NAME: "test", labels.GROUP_INDEX: index, labels.REVISION: "1"}
                pod = {
                    "metadata": {
                        "name": f"{name}-pod-0",
                        "namespace": world.namespace,
                        "labels": {**identity, labels.WORKER_INDEX: "0"},
                        "annotations": {labels.SIZE: "2"},
                    },
                    "spec": {"schedulerName": scheduler, "containers": [{"name": "leader", "image": "app:1"}]},
                }
                made = await world.client.create(PODS, pod)
                marks[name] = made["metadata"]["annotations"].get(labels.POD_GROUP_NAME)
                await world.delete_pod(f"{name}-pod-0")
            assert marks == {"test-0": "test-0-1", "test-1": None}

    plane.run(scenario)
