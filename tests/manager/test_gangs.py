"""Groups that a gang scheduler places, on four nodes that have room for one pod each (spec 11, CD-31 to CD-34)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, PODGROUPS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.cli.kubectl.observe import observe
from lws.planning.leaderworkerset import podgroup
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose
from lws.planning.leaderworkerset.diagnosis.words import sentences
from lws_sandbox.partners import PRIORITYCLASSES
from tests.acceptance.support import figure
from tests.manager.test_manager import Line
from tests.manager.test_optional_apis import blocked
from tests.simulation.cluster import NAMESPACE, Cluster, manifest
from tests.virtual import virtual_time

READY = {"startupPolicy": "LeaderReady"}


def ganged(name: str, *, cpu: str = "340", scheduler: str = "volcano", **more: Any) -> JSON:
    """A set whose pods leave no room for another on their node, unless they ask for less."""
    container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": cpu}}}
    spec = {"schedulerName": scheduler, "containers": [container], "priorityClassName": more.pop("priority", None)}
    section: JSON = {"workerTemplate": {"spec": {name: value for name, value in spec.items() if value}}}
    return manifest(name, section=section | more.pop("section", {}), **more)


async def placed(cluster: Cluster, name: str) -> dict[str, str]:
    """The node of each pod of a set; empty where it has none."""
    found = await cluster.all(PODS, f"{labels.NAME}={name}")
    return {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in found}


async def members(cluster: Cluster) -> Mapping[str, int]:
    """MinMember of every PodGroup, by the leader that owns it."""
    found = await cluster.all(PODGROUPS)
    return {each["metadata"]["ownerReferences"][0]["name"]: each["spec"]["minMember"] for each in found}


async def explained(cluster: Cluster, name: str) -> str:
    """What ``kubectl lws explain-stuck`` says."""
    return " ".join(sentences(diagnose((await observe(cluster.client, NAMESPACE, name)).facts)))


@virtual_time
async def test_g1_exclusive_topology_starts_and_starves_nobody() -> None:
    """Alone in its rack, a group starts leader first, and a set that fills the rest of the cluster starts too."""
    async with Cluster(gang=True) as cluster:
        await cluster.start()
        noted = {"annotations": {labels.EXCLUSIVE_TOPOLOGY: "rack"}}
        await cluster.client.create(LEADERWORKERSETS, ganged("rack", cpu="300", replicas=1, size=2, metadata=noted))
        await cluster.client.create(LEADERWORKERSETS, ganged("wide", replicas=1, size=3))
        await cluster.available("rack")
        await cluster.available("wide")
        assert len(set((await placed(cluster, "rack")).values())) == 1
        assert await members(cluster) == {"rack-0": 2, "wide-0": 3}


@virtual_time
async def test_g1_without_the_rule_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's scheduler shows the fault: with minMember of the reference both sets wait on an empty cluster."""
    monkeypatch.setattr(podgroup, "_workers_wait", lambda live: live.spec.startup_policy == "LeaderReady")
    async with Cluster(gang=True) as cluster:
        await cluster.start()
        noted = {"annotations": {labels.EXCLUSIVE_TOPOLOGY: "rack"}}
        await cluster.client.create(LEADERWORKERSETS, ganged("rack", replicas=1, size=2, metadata=noted))
        await asyncio.sleep(10)
        await cluster.client.create(LEADERWORKERSETS, ganged("wide", cpu="600", replicas=1, size=4))
        await asyncio.sleep(120)
        assert set((await placed(cluster, "rack")).values()) == set((await placed(cluster, "wide")).values()) == {""}


@pytest.mark.long
@virtual_time
async def test_g5_the_set_of_higher_priority_goes_first() -> None:
    """When room appears, a younger set with a priority class starts before an older one without."""
    async with Cluster(gang=True) as cluster:
        await cluster.start()
        high = {"apiVersion": PRIORITYCLASSES.api_version, "kind": "PriorityClass", "metadata": {"name": "high"}}
        await cluster.client.create(PRIORITYCLASSES, high | {"value": 1000})
        for name, more in (("first", {}), ("low", {}), ("high", {"priority": "high"})):
            await cluster.client.create(LEADERWORKERSETS, ganged(name, replicas=1, size=3, **more))
            await asyncio.sleep(30)
        await cluster.client.delete(LEADERWORKERSETS, NAMESPACE, "first")
        await cluster.available("high")
        assert set((await placed(cluster, "low")).values()) == {""}


@virtual_time
async def test_g6_a_queue_that_does_not_exist_is_named_and_can_be_corrected() -> None:
    """The misspelt queue is named, and correcting the annotation is enough: no leader has to be deleted (CD-34)."""
    async with Cluster(gang=True) as cluster:
        await cluster.start()
        noted = {"annotations": {labels.QUEUE_NAME: "glod"}}
        await cluster.client.create(LEADERWORKERSETS, ganged("web", replicas=1, size=2, metadata=noted))
        await asyncio.sleep(60)
        assert "whose queue glod does not exist" in await explained(cluster, "web")
        before = {each["metadata"]["uid"] for each in await cluster.all(PODS)}
        change = {"metadata": {"annotations": {labels.QUEUE_NAME: "default"}}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "web", change)
        await cluster.available("web")
        assert {each["metadata"]["uid"] for each in await cluster.all(PODS)} == before


@virtual_time
async def test_g6_a_set_larger_than_the_cluster_says_so() -> None:
    """Volcano tells it by an event of the PodGroup alone, and so does explain-stuck."""
    async with Cluster(gang=True, events=True) as cluster:
        await cluster.start()
        await cluster.client.create(LEADERWORKERSETS, ganged("web", cpu="600", replicas=1, size=6))
        await asyncio.sleep(60)
        assert "resource in cluster is overused: overused cpu" in await explained(cluster, "web")


@virtual_time
async def test_g4_of_two_groups_with_room_for_one_and_a_leader_one_is_whole() -> None:
    """Under LeaderReady two groups of three on four nodes are 3 + 1, never 2 + 2; room makes the other whole."""
    async with Cluster(gang=True) as cluster:
        await cluster.start()
        await cluster.client.create(LEADERWORKERSETS, ganged("web", replicas=2, size=3, **READY))
        await asyncio.sleep(120)
        nodes = await placed(cluster, "web")
        by_group = [sum(bool(node) for name, node in nodes.items() if name.startswith(f"web-{i}")) for i in (0, 1)]
        assert sorted(by_group) == [1, 3]
        assert await members(cluster) == {"web-0": 3, "web-1": 3}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "web", {"spec": {"replicas": 1}})

        async def collected() -> bool:
            return await members(cluster) == {"web-0": 3}

        await cluster.until(collected, seconds=60)


@virtual_time
async def test_g2_a_worker_of_a_leader_from_before_comes_back() -> None:
    """The provider is switched on under a running set: a worker that is lost then is replaced and placed."""
    async with Cluster(gang=True) as cluster:
        cluster.configure(gang=False)
        before = await cluster.start()
        section = {"restartPolicy": "None"}
        await cluster.client.create(LEADERWORKERSETS, ganged("old", replicas=1, size=2, section=section))
        await cluster.available("old")
        await before.stop()
        cluster.configure(gang=True)
        await cluster.start()
        (lost,) = await cluster.all(PODS, f"{labels.NAME}=old,{labels.WORKER_INDEX}=1")
        await cluster.client.delete(PODS, NAMESPACE, "old-0-1")

        async def replaced() -> bool:
            pod = await cluster.get(PODS, "old-0-1")
            return pod is not None and pod["metadata"]["uid"] != lost["metadata"]["uid"] and "nodeName" in pod["spec"]

        await cluster.until(replaced, seconds=60)
        assert await members(cluster) == {}


@pytest.mark.long
@virtual_time
async def test_g3_sets_of_another_scheduler_make_no_pod_groups() -> None:
    """With the provider on, what Volcano does not place costs no PodGroup, and holds nothing of a queue."""
    async with Cluster(gang=True) as cluster:
        await cluster.start()
        await cluster.client.create(LEADERWORKERSETS, ganged("plain", scheduler="default-scheduler", size=2))
        await cluster.available("plain")
        assert await cluster.all(PODGROUPS) == []


@virtual_time
async def test_g6_a_pod_group_that_may_not_be_created_is_told() -> None:
    """A refused creation is a Warning event and condition Blocked, and both groups go on when the right is granted."""
    line = Line()
    async with Cluster(gang=True) as cluster:
        await cluster.start(line.wrap)
        line.refused, line.methods = {PODGROUPS.plural}, {"POST"}
        await cluster.client.create(LEADERWORKERSETS, ganged("web", replicas=2, size=2))

        async def told() -> bool:
            return (await blocked(cluster, "web"))[:2] == ("True", "PodGroupsUnavailable")

        await cluster.until(told, seconds=30)
        notes = await cluster.events("FailedCreate")
        assert any(note.startswith("Failed to create pod group for leader pod web-0: ") for note in notes)
        assert "waits for PodGroup web-0-" in await explained(cluster, "web")
        line.refused = set()
        await cluster.available("web", seconds=60)
        assert (await blocked(cluster, "web"))[:2] == ("False", "PodGroupsAvailable")


@virtual_time
async def test_g4_without_the_right_to_patch_groups_start_as_under_the_reference() -> None:
    """MinMember stays 1, the group starts, and one event for the set says what is missing; no write is repeated."""
    line = Line()
    async with Cluster(gang=True) as cluster:
        await cluster.start(line.wrap)
        line.refused, line.methods = {PODGROUPS.plural}, {"PATCH"}
        await cluster.client.create(LEADERWORKERSETS, ganged("web", replicas=2, size=2, **READY))
        await cluster.available("web")
        assert await members(cluster) == {"web-0": 1, "web-1": 1}
        (note,) = await cluster.events("FailedUpdate")
        assert "until the verb patch on podgroups is granted" in note
        seen = len(line.writes)
        await asyncio.sleep(600)
        assert [each.path for each in line.writes[seen:] if PODGROUPS.plural in each.path] == []


async def cost(*, gang: bool, **more: Any) -> tuple[Counter[str], int]:
    """Writes until three groups of two are ready, but for those of the status, and those of ten minutes after that."""
    async with Cluster(gang=True) as cluster:
        cluster.configure(gang=gang)
        await cluster.start()
        await cluster.client.create(LEADERWORKERSETS, ganged("web", cpu="1", replicas=3, size=2, **more))
        await cluster.available("web")
        await cluster.quiet()
        creation = [each for each in cluster.counted() if not each.resource.endswith("/status")]
        before = len(cluster.counted())
        await asyncio.sleep(600)
        return Counter(f"{each.method} {each.resource}" for each in creation), len(cluster.counted()) - before


CREATED: Final = {"POST podgroups": 3}
RAISED: Final = {"POST podgroups": 3, "PATCH podgroups": 3}
RACKS: Final = {"metadata": {"annotations": {labels.EXCLUSIVE_TOPOLOGY: "rack"}}}


@pytest.mark.parametrize(
    ("more", "extra"),
    [
        pytest.param({}, CREATED, id="LeaderCreated"),
        pytest.param(READY, RAISED, id="LeaderReady", marks=pytest.mark.long),
        pytest.param(RACKS, RAISED, id="exclusive topology", marks=pytest.mark.long),
    ],
)
@virtual_time
async def test_a_gang_costs_one_write_a_group_and_none_at_rest(more: Any, extra: Mapping[str, int]) -> None:
    """A group costs its PodGroup, and one raise of minMember where its workers wait (CD-32); rest costs nothing."""
    plain, _ = await cost(gang=False, **more)
    found, rest = await cost(gang=True, **more)
    said = figure(f"3 groups cost {plain.total()} writes, as gangs {found.total()}; {rest} in 10 minutes of rest")
    assert (found - plain, plain - found, rest) == (extra, {}, 0), said


async def told(cluster: Cluster, name: str) -> tuple[str, str]:
    """Reason and message of the first group in a set's status; empty if none is told of."""
    found = (await cluster.client.get(LEADERWORKERSETS, NAMESPACE, name)).get("status") or {}
    return next(((each["reason"], each["message"]) for each in found.get("groups", ())), ("", ""))


@virtual_time
async def test_g6_status_names_a_queue_that_does_not_exist() -> None:
    """A misspelt queue is no queue to wait in: the status names it after a minute, and no more once it is corrected."""
    async with Cluster(gang=True) as cluster:
        await cluster.start()
        noted = {"annotations": {labels.QUEUE_NAME: "glod"}}
        await cluster.client.create(LEADERWORKERSETS, ganged("web", replicas=1, size=2, metadata=noted))
        await asyncio.sleep(90)
        reason, message = await told(cluster, "web")
        assert reason == "QueueMissing"
        assert "whose queue glod does not exist" in message
        assert message.endswith("or create Queue glod.")
        change = {"metadata": {"annotations": {labels.QUEUE_NAME: "default"}}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "web", change)
        await cluster.available("web")
        await cluster.quiet(12)
        assert await told(cluster, "web") == ("", "")


@pytest.mark.long
@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (set(), "to be admitted to queue default: resource in cluster is overused: overused cpu. Free room"),
        ({"events", "queues"}, "to be admitted to queue default. Free room"),
    ],
)
@virtual_time
async def test_g6_status_quotes_volcano(refused: set[str], words: str) -> None:
    """The status of a set that waits quotes what Volcano says of its PodGroup; without the rights it goes without."""
    line = Line()
    async with Cluster(gang=True, events=True) as cluster:
        line.refused, line.methods = refused, {"GET"}
        await cluster.start(line.wrap)
        await cluster.client.create(LEADERWORKERSETS, ganged("web", cpu="600", replicas=1, size=6))
        await asyncio.sleep(1900)
        reason, message = await told(cluster, "web")
        assert reason == "PodGroupPending"
        assert words in message
        seen = len(line.writes)
        await asyncio.sleep(1800)
        assert len(line.writes) == seen, "the same words are no news"
