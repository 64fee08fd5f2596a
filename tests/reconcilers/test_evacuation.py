"""Groups moved off nodes that are to be emptied, on the sandbox, in virtual time (resilience 6.3, 6.4)."""

from __future__ import annotations

import asyncio

import pytest

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON, annotations_of
from lws.apimachinery.resources import NODES, PODDISRUPTIONBUDGETS, PODS
from tests.simulation.cluster import NAMESPACE, Cluster, running
from tests.simulation.hashed import HASH_LOOPS, hash_cluster, key
from tests.simulation.moving import (
    MOVING,
    annotate,
    budgets,
    chosen,
    cordon,
    edit,
    emptied,
    foreign,
    groups_on,
    kept,
    made,
    nodes_of,
    present,
    settled,
    status,
    taint,
    up,
    watching,
)
from tests.virtual import virtual_time


def needing(cpu: str) -> JSON:
    """The template of pods that ask for so many of the 640 CPUs of a node."""
    container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": cpu}}}
    return {"workerTemplate": {"spec": {"containers": [container]}}}


FULL = needing("300")


async def drain(cluster: Cluster, *nodes: str, seconds: float = 3600.0) -> None:
    """Drain nodes at once, as people do, and wait until that is over."""
    await asyncio.gather(*(cluster.drills.node_drain(name, seconds) for name in nodes))


@virtual_time
async def test_r17_groups_are_moved_one_by_one_while_another_stands_in() -> None:
    """R17: two nodes are drained; at no moment fewer groups are ready, each is moved once, no extra one is left."""
    async with running(nodes=6, loops=MOVING) as cluster:
        await up(cluster, replicas=4, size=2, metadata=chosen(evacuate="true"))
        assert await budgets(cluster) == ["sample"]
        affected = await groups_on(cluster, "node-0", "node-1")
        async with watching(cluster) as seen:
            await drain(cluster, "node-0", "node-1")
            await settled(cluster, replicas=4)
            await cluster.available("sample")
        found = seen["sample"]
        assert (found.least, found.most) == (4, 5)
        assert found.moved == dict.fromkeys(affected, 1)
        assert found.counters == {(4, 4, 4)}
        assert await made(cluster) == 4
        assert (await status(cluster)).get("failures") is None
        assert await groups_on(cluster, "node-0", "node-1") == set()


@pytest.mark.long
@virtual_time
async def test_r18_a_rollout_in_progress_is_finished_first() -> None:
    """R18: nodes that are cordoned during a rollout empty by it, or after it; no extra group is left."""
    async with running(nodes=6, loops=MOVING) as cluster:
        await up(cluster, replicas=4, size=2, rolling={"maxUnavailable": 1}, metadata=chosen(evacuate="true"))
        await edit(cluster, "app:2")
        await asyncio.sleep(1)
        async with watching(cluster) as seen:
            await cordon(cluster, "node-0", "node-1")
            await emptied(cluster, "node-0", "node-1")
            await settled(cluster, replicas=4)
        assert seen["sample"].least >= 3
        assert max(seen["sample"].moved.values()) <= 2  # once by the rollout, once off the node
        assert await made(cluster) == 4


@virtual_time
async def test_r18_a_second_cordon_catches_the_extra_group_too() -> None:
    """R18: the extra group is moved off a node that is cordoned under it; no group is ever missing, none is left."""
    async with running(nodes=6, loops=MOVING) as cluster:
        await up(cluster, replicas=2, size=2, metadata=chosen(evacuate="true"))
        first = sorted(await nodes_of(cluster, "0"))
        async with watching(cluster) as seen:
            await cordon(cluster, first[0])
            await cluster.until(lambda: present(cluster, "sample-2-1"), every=0.1)
            await cluster.quiet(1)
            await cordon(cluster, *(await nodes_of(cluster, "2")))
            await settled(cluster, replicas=2)
        assert seen["sample"].least == 2
        assert await made(cluster) == 2


@virtual_time
async def test_r18_an_uncordon_in_the_middle_takes_the_extra_group_back() -> None:
    """R18: a node that is not to be emptied after all keeps its groups, and the extra group goes."""
    async with running(nodes=4, loops=MOVING) as cluster:
        await up(cluster, replicas=2, size=2, metadata=chosen(evacuate="true"))
        async with watching(cluster) as seen:
            await cordon(cluster, "node-0")
            await cluster.until(lambda: present(cluster, "sample-2"), every=0.1)
            await cordon(cluster, "node-0", on=False)
            await settled(cluster, replicas=2)
        assert (seen["sample"].least, seen["sample"].moved) == (2, {})
        assert await made(cluster) == 2


@pytest.mark.long
@virtual_time
async def test_r18_without_capacity_nothing_is_deleted_and_the_place_is_free() -> None:
    """R18, R36: a full cluster is reported after ten minutes, nothing goes, and with room the move is made."""
    async with running(nodes=3, loops=MOVING) as cluster:
        await up(cluster, replicas=3, size=2, section=FULL, metadata=chosen(evacuate="true"))
        async with watching(cluster) as seen:
            await cordon(cluster, "node-0")
            await asyncio.sleep(660)
            (note,) = await cluster.events("NoRoomToEvacuate")
            assert note.endswith("a drain waits for a person, for room, or for a disruption budget")
            assert seen["sample"].moved == {}
            for name in ("node-8", "node-9"):
                await cluster.drills.node_add(name, "node-1")
            await emptied(cluster, "node-0")
            await settled(cluster, replicas=3)
        assert seen["sample"].least == 3


@virtual_time
async def test_r36_room_for_one_group_less_is_made_by_the_budget() -> None:
    """Where the group that was moved finds no room beside the extra one, that stays; with a budget it makes way."""
    async with running(nodes=3, loops=MOVING) as cluster:
        await up(cluster, replicas=2, size=1, section=needing("400"), metadata=chosen(evacuate="true"))
        async with watching(cluster) as seen:
            await cordon(cluster, *await nodes_of(cluster, "0"))
            await asyncio.sleep(900)
            (note,) = await cluster.events("NoRoomToEvacuate")
            assert note.startswith("Group 0 cannot be moved: pod sample-0 finds no node; an extra group stands in")
            assert seen["sample"].least == 2
        await annotate(cluster, disruption_budget="1")
        await settled(cluster, replicas=2)
        await cluster.available("sample")


@virtual_time
async def test_r19_two_drains_at_once_disturb_one_group_at_a_time() -> None:
    """R19: with a budget of one group both drains end, and never are two groups down."""
    async with running(nodes=5, loops=MOVING) as cluster:
        await up(cluster, replicas=4, size=2, metadata=chosen(disruption_budget="1"))
        affected = await groups_on(cluster, "node-0", "node-1")
        assert len(affected) > 1
        async with watching(cluster) as seen:
            await drain(cluster, "node-0", "node-1")
            await cluster.available("sample")
        found = seen["sample"]
        assert (found.down, found.most) == (1, 4)
        assert found.moved == dict.fromkeys(affected, 1)


@virtual_time
async def test_r19_a_budget_of_none_leaves_it_to_people() -> None:
    """R19: with a budget of 0 nothing is moved, and a drain waits; a person who deletes a leader moves its group."""
    async with running(nodes=4, loops=MOVING) as cluster:
        await up(cluster, replicas=2, size=1, metadata=chosen(disruption_budget="0"))
        (group,) = sorted(await groups_on(cluster, "node-0")) or [""]
        draining = asyncio.create_task(cluster.drills.node_drain("node-0", 900.0))
        await asyncio.sleep(300)
        assert await groups_on(cluster, "node-0") == {group}
        await cluster.client.delete(PODS, NAMESPACE, f"sample-{group}")
        await draining


@virtual_time
async def test_r19_without_a_recreating_policy_only_the_pods_on_the_node_go() -> None:
    """Resilience 6.4: where groups are not recreated as a whole, a worker on the node is replaced by itself."""
    async with running(nodes=4, loops=MOVING) as cluster:
        await up(cluster, replicas=1, size=3, section={"restartPolicy": "None"}, metadata=chosen(disruption_budget="1"))
        before = {each["metadata"]["name"]: each for each in await cluster.all(PODS)}
        node = before["sample-0-1"]["spec"]["nodeName"]
        assert node != before["sample-0"]["spec"]["nodeName"]
        await drain(cluster, node)
        await cluster.available("sample")
        after = {each["metadata"]["name"]: each for each in await cluster.all(PODS)}
        changed = {name for name in before if before[name]["metadata"]["uid"] != after[name]["metadata"]["uid"]}
        assert changed == {name for name in before if before[name]["spec"]["nodeName"] == node}


@virtual_time
async def test_r33_a_budget_of_others_takes_the_place_of_ours() -> None:
    """R33: ours is not made over a foreign one, goes when one comes, and comes back; an eviction never fails by two."""
    async with running(nodes=3, loops=MOVING) as cluster:
        await cluster.client.create(PODDISRUPTIONBUDGETS, foreign("team"))
        await up(cluster, replicas=1, size=1, metadata=chosen(disruption_budget="0"))
        assert await budgets(cluster) == ["team"]
        (note,) = await cluster.events("DisruptionBudgetWithheld")
        assert "PodDisruptionBudget team is over the same pods" in note
        await cluster.client.delete(PODDISRUPTIONBUDGETS, NAMESPACE, "team")
        await cluster.until(lambda: kept(cluster, ["sample"]))
        await cluster.client.create(PODDISRUPTIONBUDGETS, foreign("other"))
        await cluster.until(lambda: kept(cluster, ["other"]))
        await asyncio.sleep(1)
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": "sample-0", "namespace": NAMESPACE},
        }
        await cluster.client.create(PODS, eviction, name="sample-0", subresource="eviction")
        await cluster.client.delete(PODDISRUPTIONBUDGETS, NAMESPACE, "other")
        await cluster.until(lambda: kept(cluster, ["sample"]))
        await annotate(cluster, disruption_budget=None)
        await cluster.until(lambda: kept(cluster, []))


@virtual_time
async def test_r33_a_budget_of_our_name_is_left_alone() -> None:
    """R33: somebody else's budget of the set's name stays as it is, and is reported."""
    async with running(nodes=3, loops=MOVING) as cluster:
        theirs = foreign("sample", {"app": "unrelated"})
        await cluster.client.create(PODDISRUPTIONBUDGETS, theirs)
        await up(cluster, replicas=1, size=1, metadata=chosen(evacuate="true"))
        found = await cluster.client.get(PODDISRUPTIONBUDGETS, NAMESPACE, "sample")
        assert found["spec"]["selector"] == theirs["spec"]["selector"]
        assert len(await cluster.events("DisruptionBudgetWithheld")) == 1
        assert "disruptionBudget" not in await status(cluster)


@virtual_time
async def test_the_closed_budget_is_kept_closed_and_goes_with_the_policy_across_restarts() -> None:
    """Resilience 6.4: what somebody opens is closed again; without the annotation it goes, be it with a new process."""
    async with running(nodes=3, loops=MOVING) as cluster:
        await up(cluster, replicas=1, size=1, metadata=chosen(disruption_budget="50%"))
        await cluster.client.patch(PODDISRUPTIONBUDGETS, NAMESPACE, "sample", {"spec": {"maxUnavailable": 1}})

        async def closed() -> bool:
            found = await cluster.client.get(PODDISRUPTIONBUDGETS, NAMESPACE, "sample")
            return bool(found["spec"]["maxUnavailable"] == 0)

        await cluster.until(closed)
        assert (await status(cluster))["disruptionBudget"] == "sample"
        await cluster.operators[0].crash()
        await annotate(cluster, disruption_budget=None)
        await cluster.start()
        await cluster.until(lambda: kept(cluster, []))
        await cluster.quiet(3)
        assert "disruptionBudget" not in await status(cluster)


@pytest.mark.parametrize("case", ["pressure", "not ready", "tolerated cordon", "kept for inspection"])
@virtual_time
async def test_r34_what_is_no_reason_moves_nothing(case: str) -> None:
    """R34: trouble of a node, a cordon that pods tolerate, and a node that is kept for inspection move nothing."""
    section: JSON = {}
    if case == "tolerated cordon":
        every = {"containers": [{"name": "main", "image": "app:1"}], "tolerations": [{"operator": "Exists"}]}
        section = {"workerTemplate": {"spec": every}}
    async with running(nodes=3, loops=MOVING) as cluster:
        await up(cluster, replicas=2, size=2, section=section, metadata=chosen(evacuate="true", disruption_budget="2"))
        before = len(cluster.writes)
        match case:
            case "pressure":
                await taint(cluster, "node-0", {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"})
            case "not ready":
                await taint(cluster, "node-0", {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"})
            case "tolerated cordon":
                await cordon(cluster, "node-0")
            case "kept for inspection":
                marked = {"metadata": chosen(evacuate="false"), "spec": {"unschedulable": True}}
                await cluster.client.patch(NODES, "", "node-0", marked)
        await asyncio.sleep(120)
        assert cluster.counted(before) == []


@pytest.mark.parametrize("key", ["ToBeDeletedByClusterAutoscaler", "team.example.com/repair"])
@virtual_time
async def test_r34_taints_of_autoscalers_and_people_move_groups(key: str) -> None:
    """R34: a taint that somebody gave a node, which pods do not tolerate, has their groups moved."""
    async with running(nodes=4, loops=MOVING) as cluster:
        await up(cluster, replicas=2, size=1, metadata=chosen(evacuate="true"))
        async with watching(cluster) as seen:
            await taint(cluster, "node-0", {"key": key, "value": "1", "effect": "NoSchedule"})
            await emptied(cluster, "node-0")
            await settled(cluster, replicas=2)
        assert seen["sample"].least == 2


@virtual_time
async def test_r34_a_pod_that_came_on_purpose_is_left_there() -> None:
    """R34: a pod that is bound to a node which had been to be emptied for a minute stays, and is reported."""
    async with running(nodes=2, loops=MOVING) as cluster:
        await cordon(cluster, "node-0")
        await asyncio.sleep(90)
        placed = {"spec": {"nodeName": "node-0", "containers": [{"name": "main", "image": "app:1"}]}}
        await up(cluster, replicas=1, size=1, section={"workerTemplate": placed}, metadata=chosen(evacuate="true"))
        await asyncio.sleep(120)
        assert await groups_on(cluster, "node-0") == {"0"}
        (note,) = await cluster.events("LeftOnNode")
        assert note.startswith("Pod sample-0 came to node node-0")


@pytest.mark.long
@virtual_time
async def test_r36_sets_without_room_do_not_stop_another() -> None:
    """R36: of three sets two find no room, give their places up, and the third is moved; a budget moves one at last."""
    async with running(nodes=4, loops=MOVING) as cluster:
        for name in ("big-1", "big-2"):
            await up(cluster, name, replicas=2, size=1, section=needing("400"), metadata=chosen(evacuate="true"))
        await up(cluster, "small", replicas=5, size=1, metadata=chosen(evacuate="true"))
        nodes = {node for name in ("big-1", "big-2") for node in await nodes_of(cluster, "0", name)}
        async with watching(cluster, "big-1", "big-2", "small") as seen:
            await cordon(cluster, *nodes)
            await asyncio.sleep(1500)
            assert seen["big-1"].moved == seen["big-2"].moved == {}
            assert sorted(note.partition(";")[0] for note in await cluster.events("NoRoomToEvacuate")) == [
                f"Group 0 cannot be moved: pod {name}-2 finds no node" for name in ("big-1", "big-2")
            ]
            assert await groups_on(cluster, *nodes, name="small") == set()
            await annotate(cluster, "big-1", disruption_budget="1")
            await cluster.quiet(30)
            assert (seen["big-1"].moved, await made(cluster, "big-1")) == ({"0": 1}, 2)
        assert seen["small"].least == 5


@virtual_time
async def test_r36_a_set_of_kueue_has_no_extra_group() -> None:
    """R36: Kueue admits no extra group, so none is made: without a budget it is reported, with one groups are moved."""
    async with running(nodes=4, loops=MOVING) as cluster:
        metadata = {**chosen(evacuate="true"), "labels": {labels.KUEUE_QUEUE: "queue"}}
        await up(cluster, replicas=2, size=1, metadata=metadata)
        async with watching(cluster) as seen:
            await cordon(cluster, "node-0")
            await asyncio.sleep(120)
            assert len(await cluster.events("NoRoomToEvacuate")) == 1
            assert seen["sample"].moved == {}
            await annotate(cluster, disruption_budget="1")
            await emptied(cluster, "node-0")
            await cluster.available("sample")
        assert (seen["sample"].most, seen["sample"].down) == (2, 1)


@pytest.mark.long
@virtual_time
async def test_r36_no_more_sets_than_allowed_move_at_once() -> None:
    """R36: of three sets that are affected two at most have an extra group at any moment, and in the end all moved."""
    async with running(nodes=4, loops=MOVING) as cluster:
        for name in ("one", "two", "three"):
            await up(cluster, name, replicas=4, size=1, metadata=chosen(evacuate="true"))
        most = 0

        async def count() -> None:
            nonlocal most
            while True:
                extra = [await made(cluster, name) > 4 for name in ("one", "two", "three")]
                most = max(most, sum(extra))
                await asyncio.sleep(0.2)

        counting = asyncio.create_task(count())
        await drain(cluster, "node-0")
        for name in ("one", "two", "three"):
            await settled(cluster, name, replicas=4)
        counting.cancel()
        assert most == 2


@virtual_time
async def test_r43_a_group_that_is_known_by_a_key_is_moved_in_one_step() -> None:
    """R43, R17: by key a Deployment makes one more and removes the one that is marked; never is one group missing."""
    async with hash_cluster(nodes=6, loops=(*HASH_LOOPS, "disruption-controller")) as found:
        cluster = found.cluster
        before = await found.up(replicas=3, size=2, metadata=chosen(evacuate="true"))
        affected = {
            key(leader)
            for leader in before
            if any(pod["spec"]["nodeName"] in ("node-0", "node-1") for pod in await found.group(leader))
        }
        since = len(cluster.writes)
        async with watching(cluster) as seen:
            await drain(cluster, "node-0", "node-1")
            await settled(cluster, replicas=3)
            await cluster.available("sample")
        after = await found.leaders()
        assert {key(leader) for leader in before} - {key(leader) for leader in after} == affected
        assert (seen["sample"].least, seen["sample"].counters) == (3, {(3, 3, 3)})
        steps = [each for each in cluster.counted(since) if each.resource == "deployments"]
        assert len(steps) == 2 * len(affected)
        assert all(labels.DELETION_COST not in annotations_of(leader) for leader in after)


@virtual_time
async def test_r43_a_budget_moves_groups_by_key_one_at_a_time() -> None:
    """R43, R19: with a budget of one group by key, drains of two nodes never have two groups down."""
    async with hash_cluster(nodes=5, loops=(*HASH_LOOPS, "disruption-controller")) as found:
        cluster = found.cluster
        await found.up(replicas=3, size=2, metadata=chosen(disruption_budget="1"))
        async with watching(cluster) as seen:
            await drain(cluster, "node-0", "node-1")
            await cluster.available("sample")
        assert seen["sample"].least == 2
