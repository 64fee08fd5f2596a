"""Sets whose groups are known by a key: leaders that a Deployment makes, scenarios of next 12."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import DEPLOYMENTS, PODS, SERVICES, STATEFULSETS
from lws.errors import ForbiddenError, InvalidError
from tests.acceptance.support import figure
from tests.real.ledger import by_kind
from tests.real.planes import Plane
from tests.real.world import World
from tests.simulation.hashed import gates, going, group_ready, key, noted_leader, ready, revision

ROOT = Path(__file__).parents[2]
BEYOND = 8  # writes of a creation beside worker StatefulSets, gates and conditions


def leaders(world: World) -> list[JSON]:
    """The leader pods, by name."""
    return world.all(PODS, worker_index="0")


def live(world: World) -> list[JSON]:
    """Those that are not ending."""
    return [pod for pod in leaders(world) if not going(pod)]


async def up(world: World, **arguments: Any) -> list[JSON]:
    """Have such a set; its leaders."""
    await world.start()
    await world.create(groupIdentity="Hash", **arguments)
    await world.settled("sample")
    return leaders(world)


def test_n1_n2_a_set_comes_up_at_little_cost(plane: Plane) -> None:
    """A Deployment makes the leaders, each leader its worker set and its readiness; nothing is written twice."""

    async def scenario(world: World) -> None:
        made = await up(world, replicas=2, size=3)
        deployment = await world.client.get(DEPLOYMENTS, world.namespace, "sample")
        assert deployment["status"]["readyReplicas"] == 2
        assert world.get(STATEFULSETS, "sample") is None
        assert world.names(STATEFULSETS) == sorted(leader["spec"]["hostname"] for leader in made)
        assert [gates(leader) for leader in made] == [[], []]
        assert [group_ready(leader) for leader in made] == [("True", "WorkerStatefulSetReady")] * 2
        assert [labels.DELETION_COST in leader["metadata"]["annotations"] for leader in made] == [False, False]
        for leader in made:
            (worker, *_) = [pod for pod in world.all(PODS, group_index=key(leader)) if pod != leader]
            environment = {each["name"]: each.get("value") for each in worker["spec"]["containers"][0]["env"]}
            host = leader["spec"]["hostname"]
            assert environment["LWS_LEADER_ADDRESS"] == f"{host}.sample.{world.namespace}"
            assert noted_leader(worker) == leader["metadata"]["name"]
        writes = world.counted()
        own = [each for each in writes if each.resource not in ("pods", "pods/status")]
        told = figure(f"R=2 size 3 by key: {by_kind(world.requests.writes())}")
        assert len(own) <= 2 + BEYOND, told
        assert len([each for each in writes if each.resource == "pods"]) == 2, told
        assert len([each for each in writes if each.resource == "pods/status"]) <= 4, told

    plane.run(scenario)


@pytest.mark.long
def test_n10_n11_groups_are_replaced_one_by_one(plane: Plane) -> None:
    """With maxUnavailable 1 three of four groups are ready at all times, and every new one waited for its place."""

    async def scenario(world: World) -> None:
        old = revision((await up(world, replicas=4, size=2, rolling={"maxUnavailable": 1, "maxSurge": 0}))[0])
        fewest, most_ending = 4, 0

        def done() -> bool:
            nonlocal fewest, most_ending
            fewest = min(fewest, sum(ready(pod) for pod in live(world)))
            led = {key(pod) for pod in live(world)}
            most_ending = max(most_ending, len({key(pod) for pod in world.all(PODS, name="sample")} - led))
            return all(revision(pod) != old and ready(pod) for pod in live(world)) and len(leaders(world)) == 4

        await world.roll("app:2")
        await world.until(done, "the update")
        await world.settled("sample")
        assert fewest == 3
        assert most_ending == 1
        assert set(world.images("sample").values()) == {"app:2"}
        assert len(world.revisions()) == 1
        admitted = world.notes("GroupReplacementAdmitted")
        assert len(admitted) == len(set(admitted)) == 8

    plane.run(scenario)


@pytest.mark.long
def test_n12_immediate_with_surge(plane: Plane) -> None:
    """Under Immediate nobody waits; with surge both groups stay ready while they are replaced."""

    async def scenario(world: World) -> None:
        rolling = {"maxUnavailable": 0, "maxSurge": 1}
        await up(world, replicas=2, size=2, rolling=rolling, groupReplacementPolicy="Immediate")
        await world.roll("app:2")
        await world.until(lambda: set(world.images("sample").values()) == {"app:2"}, "the update")
        await world.settled("sample")
        assert world.notes("GroupReplacementDeferred") == []
        assert len(live(world)) == 2

    plane.run(scenario)


@pytest.mark.long
def test_n15_n16_a_worker_that_fails_and_a_leader_that_is_deleted(plane: Plane) -> None:
    """Either takes its group along, once; the group that follows has another key."""

    async def scenario(world: World) -> None:
        one, other = await up(world, replicas=2, size=2)
        world.crash(f"{one['spec']['hostname']}-1")
        await world.until(lambda: key(one) not in {key(pod) for pod in leaders(world)}, "the end of the group")
        await world.until(lambda: len(live(world)) == 2, "its successor")
        await world.settled("sample")
        assert len(world.notes("RecreateGroup")) == 1
        assert key(one) in world.notes("RecreateGroup")[0]
        assert key(other) in {key(pod) for pod in leaders(world)}
        await world.delete_pod(other["metadata"]["name"])
        await world.until(lambda: key(other) not in {key(pod) for pod in leaders(world)}, "the end of the leader")
        await world.until(lambda: len(live(world)) == 2, "its successor")
        await world.settled("sample")
        assert len(world.names(STATEFULSETS)) == 2

    plane.run(scenario)


@pytest.mark.long
def test_n18_n22_services_and_scaling(plane: Plane) -> None:
    """Each group has its Service; a scale brings a third one, and takes groups away, revisions untouched."""

    async def scenario(world: World) -> None:
        made = await up(world, replicas=2, size=2, networkConfig={"subdomainPolicy": "UniquePerReplica"})
        assert set(world.names(SERVICES)) == {leader["spec"]["hostname"] for leader in made}
        scale = {"spec": {"replicas": 3}}
        await world.client.patch(LEADERWORKERSETS, world.namespace, "sample", scale, subresource="scale")
        await world.until(lambda: len(leaders(world)) == 3, "a third leader")
        await world.settled("sample")
        assert {key(leader) for leader in made} < {key(leader) for leader in leaders(world)}
        await world.edit(replicas=1)
        await world.until(lambda: len(world.all(PODS)) == 2, "one group")
        await world.settled("sample")
        assert len(world.names(SERVICES)) == len(world.names(STATEFULSETS)) == len(world.revisions()) == 1

    plane.run(scenario)


@pytest.mark.long
def test_n4_groups_of_one(plane: Plane) -> None:
    """Leaders alone need no condition of ours."""

    async def scenario(world: World) -> None:
        made = await up(world, replicas=3, size=1)
        assert [leader["spec"].get("readinessGates") for leader in made] == [None] * 3
        assert world.names(STATEFULSETS) == []

    plane.run(scenario)


@pytest.mark.long
def test_the_example_comes_up(plane: Plane) -> None:
    """The example of groups known by a key becomes Available as it is written."""

    async def scenario(world: World) -> None:
        await world.start()
        (body,) = yaml.safe_load_all((ROOT / "examples/19-group-identity.yaml").read_text())
        body["metadata"]["namespace"] = world.namespace
        await world.client.create(LEADERWORKERSETS, body)
        await world.available("keyed")
        assert len(leaders(world)) == len(world.names(STATEFULSETS)) == 2

    plane.run(scenario)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"groupReplacementPolicy": "Immediate"}, "Immediate is only supported with groupIdentity Hash"),
        ({"groupIdentity": "Hash", "rolling": {"partition": 1}}, "partition is not supported with groupIdentity Hash"),
        ({"groupIdentity": "Name"}, "Unsupported value"),
    ],
)
def test_n7_n9_refusals(plane: Plane, spec: dict[str, Any], words: str) -> None:
    """The server refuses in the words of the specification, and what is no identity by the schema."""

    async def scenario(world: World) -> None:
        with pytest.raises((ForbiddenError, InvalidError), match=words):
            await world.create(**spec)

    plane.run(scenario)


def test_n5_n6_the_identity_stays(plane: Plane) -> None:
    """An Ordinal set cannot become Hash; writing Ordinal into it rolls nothing."""

    async def scenario(world: World) -> None:
        await world.start()
        await world.create(replicas=1, size=2)
        await world.settled("sample")
        before = world.uids()
        with pytest.raises((ForbiddenError, InvalidError), match="groupIdentity is immutable"):
            await world.edit(groupIdentity="Hash")
        await world.edit(groupIdentity="Ordinal", groupReplacementPolicy="PostTermination")
        await world.rest()
        assert world.uids() == before
        assert len(world.revisions()) == 1

    plane.run(scenario)
