"""Groups avoid nodes on which groups failed, on the sandbox, in virtual time (resilience 6.5)."""

from __future__ import annotations

from typing import Final

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, EVENTS, NODES, PODS, STATEFULSETS
from tests.simulation.cluster import NAMESPACE, Cluster, keys_of, manifest, running
from tests.virtual import virtual_time

AVOID: Final = {"annotations": {PREFIX + "avoid-suspect-nodes": "true"}}


async def up(cluster: Cluster) -> None:
    """Bring up a set that avoids suspect nodes and one that does not."""
    await cluster.client.create(LEADERWORKERSETS, manifest("wary", replicas=4, size=2, metadata=AVOID))
    await cluster.client.create(LEADERWORKERSETS, manifest("plain", replicas=4, size=2, image="app:2"))
    for name in ("wary", "plain"):
        await cluster.available(name)
    await cluster.quiet(3)


async def on(cluster: Cluster, node: str, name: str) -> list[JSON]:
    """Pods of a set on a node."""
    found = await cluster.all(PODS, f"{labels.NAME}={name}")
    return [each for each in found if each["spec"].get("nodeName") == node]


async def fail(cluster: Cluster, pod: JSON) -> list[JSON]:
    """Have a pod be killed for its memory; the pods of its group once all of it is ready again."""
    meta = pod["metadata"]
    name, group = meta["labels"][labels.NAME], meta["labels"][labels.GROUP_INDEX]
    selector = f"{labels.NAME}={name},{labels.GROUP_INDEX}={group}"
    before = {each["metadata"]["uid"] for each in await cluster.all(PODS, selector)}
    await cluster.drills.pod_oom(meta["name"])

    async def replaced() -> bool:
        found = await cluster.all(PODS, selector)
        return len(found) == len(before) and before.isdisjoint(each["metadata"]["uid"] for each in found)

    await cluster.until(replaced)
    await cluster.available(name)
    await cluster.quiet(12)
    return await cluster.all(PODS, selector)


def avoided(pod: JSON) -> list[str]:
    """Host names that a pod prefers not to be on."""
    of_node = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    assert "requiredDuringSchedulingIgnoredDuringExecution" not in of_node
    terms = of_node.get("preferredDuringSchedulingIgnoredDuringExecution") or []
    return [host for term in terms for each in term["preference"]["matchExpressions"] for host in each["values"]]


async def suspects(cluster: Cluster, name: str) -> list[JSON]:
    """What a set's status tells of suspect nodes."""
    return list((await cluster.client.get(LEADERWORKERSETS, NAMESPACE, name))["status"].get("suspectNodes", ()))


@virtual_time
async def test_r20_recreated_groups_avoid_a_node_on_which_groups_fail() -> None:
    """R20: after three incidents on a node in two sets the recreated group of the set that asks prefers other nodes."""
    async with running(nodes=3) as cluster:
        await up(cluster)
        sets = await cluster.all(STATEFULSETS)
        revisions = keys_of(await cluster.all(CONTROLLERREVISIONS, labels.NAME))
        node = (await on(cluster, "node-0", "wary"))[0]["spec"]["nodeName"]
        host = (await cluster.client.get(NODES, "", node))["metadata"]["labels"]["kubernetes.io/hostname"]
        for pod in (await on(cluster, node, "plain"))[:2]:
            assert [avoided(each) for each in await fail(cluster, pod)] == [[], []]
        assert await suspects(cluster, "wary") == []
        made = await fail(cluster, (await on(cluster, node, "wary"))[0])
        assert [avoided(each) for each in made] == [[host], [host]]
        assert node not in {each["spec"]["nodeName"] for each in made}
        (told,) = await suspects(cluster, "wary")
        assert (told["node"], told["reason"]) == (node, "Incidents")
        assert await suspects(cluster, "plain") == []
        events = [each for each in (await cluster.client.list(EVENTS))["items"] if each["reason"] == "SuspectNode"]
        assert [(each["regarding"]["name"], each["type"]) for each in events] == [(node, "Warning")]
        left = await on(cluster, node, "plain")
        if left:
            assert [avoided(each) for each in await fail(cluster, left[0])] == [[], []]
        # Nothing of it is in a template.
        assert keys_of(await cluster.all(CONTROLLERREVISIONS, labels.NAME)) == revisions
        leaders = {each["metadata"]["name"]: each["spec"]["template"] for each in sets}
        for each in await cluster.all(STATEFULSETS):
            assert each["spec"]["template"] == leaders[each["metadata"]["name"]]


@pytest.mark.long
@virtual_time
async def test_r20_a_new_controller_and_the_end_of_the_hour() -> None:
    """R20: what is suspect follows from statuses, so the next controller knows it; after an hour it is forgotten."""
    async with running(nodes=3) as cluster:
        await up(cluster)
        for pod in (await on(cluster, "node-0", "plain"))[:2]:
            await fail(cluster, pod)
        await fail(cluster, (await on(cluster, "node-0", "wary"))[0])
        await cluster.operators[0].crash()
        running_again = await cluster.start()
        await cluster.quiet(12)
        exposition = running_again.operator.metrics.exposition().decode()
        assert 'lws_suspect_node{node="node-0",reason="Incidents"} 1.0' in exposition
        events = [each for each in (await cluster.client.list(EVENTS))["items"] if each["reason"] == "SuspectNode"]
        assert len(events) == 1

        async def over() -> bool:
            return await suspects(cluster, "wary") == []

        assert len(await suspects(cluster, "wary")) == 1
        await cluster.until(over, seconds=3700, every=30)
        assert "lws_suspect_node{" not in running_again.operator.metrics.exposition().decode()
