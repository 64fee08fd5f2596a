"""Scenarios of resilience 11 that cross its sections, on the sandbox, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import orjson
import pytest
import yaml

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import PREFIX, RECOVERY_GRACE
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, PODS
from lws.client.api import ApiClient
from lws.planning.leaderworkerset.handback import OUR_CONDITIONS
from tests.cli.sessions import Plugin
from tests.reconcilers.test_backoff import moment, status
from tests.reconcilers.test_restart_budget import conditions, counts, limited, retained
from tests.reference import KNOWN
from tests.simulation.cluster import LEADERWORKERSET, NAMESPACE, ROOT, Cluster, manifest, running
from tests.simulation.hashed import NAME, Hashed, hash_cluster
from tests.virtual import virtual_time


async def up(cluster: Cluster, **arguments: object) -> None:
    """Bring a set up."""
    await cluster.client.create(LEADERWORKERSETS, manifest(**arguments))  # type: ignore[arg-type]
    await cluster.available("sample")
    await cluster.quiet(3)


def anew(cluster: Cluster, name: str, uid: str) -> Callable[[], Awaitable[bool]]:
    """Whether there is another pod of the name."""

    async def holds() -> bool:
        found = await cluster.get(PODS, name)
        return found is not None and found["metadata"]["uid"] != uid

    return holds


async def pod(cluster: Cluster, name: str) -> JSON:
    """A pod that is there."""
    return await cluster.client.get(PODS, NAMESPACE, name)


async def groups(cluster: Cluster) -> list[JSON]:
    """What the status tells of groups."""
    found: list[JSON] = (await status(cluster)).get("groups", [])
    return found


@pytest.mark.long
@virtual_time
async def test_r05_a_budget_and_a_back_off_go_together() -> None:
    """R05: of a budget of three two are spent at once, the third after its wait; the fourth failure does not wait."""
    async with running() as cluster:
        await up(cluster, size=3, **limited(3))
        for spent in (1, 2):
            before = await pod(cluster, "sample-1")
            await cluster.drills.pod_crash("sample-1-2")
            await cluster.until(anew(cluster, "sample-1", before["metadata"]["uid"]))
            await cluster.available("sample")
            await cluster.quiet(3)
            assert await counts(cluster) == {"1": spent}
        before = await pod(cluster, "sample-1")
        await cluster.drills.pod_crash("sample-1-2")

        async def waits() -> bool:
            return bool(await cluster.events("GroupBackOff"))

        await cluster.until(waits)
        assert await counts(cluster) == {"1": 2}
        await cluster.until(anew(cluster, "sample-1", before["metadata"]["uid"]))
        after = await pod(cluster, "sample-1")
        made = [moment(each["metadata"]["creationTimestamp"]) for each in (before, after)]
        assert 10 <= made[1] - made[0] <= 20
        assert await counts(cluster) == {"1": 3}
        await cluster.available("sample")
        await cluster.quiet(3)
        await cluster.drills.pod_crash("sample-1-2", code=9)
        await cluster.quiet(5)
        assert sorted(await retained(cluster)) == ["sample-1", "sample-1-1", "sample-1-2"]
        assert len(await cluster.events("GroupBackOff")) == 1
        await cluster.quiet(12)
        (group,) = await groups(cluster)
        assert (group["index"], group["state"], group["pod"]) == ("1", "Failed", "sample-1-2")
        assert "exited with 9" in group["message"]
        assert group["message"].endswith("`kubectl lws restart sample --group 1` recreates it.")
        plugin = Plugin(cluster.client)
        await plugin.run("restart sample --group 1 --now")
        await cluster.available("sample")
        assert (await counts(cluster), await retained(cluster)) == ({}, {})
        assert (await conditions(cluster))["Degraded"] == "False"


@pytest.mark.long
@pytest.mark.timeout(900)
@virtual_time
async def test_r07_a_storm_has_a_back_off_for_each_group_and_few_writes() -> None:
    """R07: 50 groups lose a pod at once, three times: each waits by itself; one additional status in 10 s at most."""
    async with running(nodes=8) as cluster:
        await up(cluster, replicas=50, size=2)
        for wave in range(3):
            since = len(cluster.writes)
            for index in range(50):
                await cluster.client.delete(PODS, NAMESPACE, f"sample-{index}-1", grace_period_seconds=0)
            await asyncio.sleep(100)
            times = additional(cluster, since)
            assert all(later - earlier >= 10 for earlier, later in pairwise(times)), (wave, times)
            assert (await status(cluster))["readyReplicas"] == 50
        found = await status(cluster)
        assert len(found["restarts"]) == 50
        assert {each["restarts"] for each in found["restarts"]} == {3}
        assert len({each["leaderUID"] for each in found["restarts"]}) == 50
        assert len(found["failures"]) == 10


LONG = "n" * 50


def additional(cluster: Cluster, since: int) -> list[float]:
    """When statuses were written that say nothing new that the reference says too: its members and its conditions."""
    written = [each for each in cluster.counted(since) if each.resource == "leaderworkersets/status"]
    told = [(each.time, plain(orjson.loads(each.body)["status"])) for each in written]
    return [time for (_, before), (time, after) in pairwise(told) if before == after]


def plain(status: JSON) -> JSON:
    """What of a status the reference writes too."""
    kept = [each for each in status.get("conditions", ()) if each["type"] not in OUR_CONDITIONS]
    return {key: each for key, each in status.items() if key in KNOWN} | {"conditions": kept}


@pytest.mark.long
@virtual_time
async def test_r12_a_name_that_is_too_long_is_foretold_and_named() -> None:
    """R12: a warning on create and on the update that sets surge; ignored, the group is told as NameTooLong."""
    async with running() as cluster:
        surge = {"maxSurge": 1, "maxUnavailable": 0}
        found = manifest(LONG, replicas=10, size=2, rolling=surge)
        assert ["metadata.name" in each for each in await warned(cluster, "POST", found)] == [True]
        assert await warned(cluster, "POST", manifest(LONG, replicas=10, size=2)) == []
        await cluster.client.create(LEADERWORKERSETS, manifest(LONG, replicas=10, size=2))
        await cluster.available(LONG)
        template = {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}
        rolling = {"rolloutStrategy": {"rollingUpdateConfiguration": surge}}
        change = {"spec": {**rolling, "leaderWorkerTemplate": {"workerTemplate": template}}}
        assert ["metadata.name" in each for each in await warned(cluster, "PATCH", change)] == [True]
        await asyncio.sleep(60)
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, LONG, {"spec": {"replicas": 16}})
        await asyncio.sleep(90)
        found = (await cluster.client.get(LEADERWORKERSETS, NAMESPACE, LONG))["status"]["groups"]
        # A StatefulSet's hash has up to ten characters: with a shorter one the name fits by chance.
        assert {each["reason"] for each in found} == {"NameTooLong"}
        assert all(int(each["index"]) >= 10 for each in found)
        assert found[0]["message"].endswith("it may have 51 characters.")


async def warned(cluster: Cluster, method: str, body: JSON) -> list[str]:
    """Write the set, a creation as a dry run; the warnings."""
    told: list[str] = []
    client = ApiClient(cluster.sandbox.transport(), user_agent="user", field_manager=None, warn=told.append)
    if method == "POST":
        await client.create(LEADERWORKERSETS, body, dry_run=True)
    else:
        await client.patch(LEADERWORKERSETS, NAMESPACE, LONG, body)
    return told


def of_reference() -> JSON:
    """The definition of the API without the members of the status that go beyond the reference."""
    document: JSON = yaml.safe_load((ROOT / f"config/crd/{LEADERWORKERSET}.yaml").read_text())
    for version in document["spec"]["versions"]:
        members = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
        for name in ("failures", "groups", "groupsNotShown", "restarts", "rollout"):
            del members[name]
    return document


async def swap(cluster: Cluster) -> None:
    """Put the reference's definition in the place of ours."""
    wanted = of_reference()
    live = await cluster.client.get(CUSTOMRESOURCEDEFINITIONS, "", wanted["metadata"]["name"])
    await cluster.client.update(CUSTOMRESOURCEDEFINITIONS, {**live, "spec": wanted["spec"]})
    await cluster.quiet(3)


async def life(*, swapped: bool) -> tuple[list[float], int, list[str]]:
    """Four failures and a healed one: times from leader to leader, writes of the status, and groups that were told."""
    async with running() as cluster:
        await up(cluster, size=3)
        if swapped:
            await swap(cluster)
        since, operator = len(cluster.writes), cluster.operators[0]
        gaps, told = [], []
        for _ in range(4):
            before = await pod(cluster, "sample-1")
            await cluster.drills.pod_oom("sample-1-2")
            await cluster.until(anew(cluster, "sample-1", before["metadata"]["uid"]))
            after = await pod(cluster, "sample-1")
            made = [moment(each["metadata"]["creationTimestamp"]) for each in (before, after)]
            gaps.append(made[1] - made[0])
            await cluster.available("sample")
            await cluster.quiet(3)
        told = sorted(each.partition("; ")[0] for each in await cluster.events("GroupBackOff"))
        assert ("failures" in await status(cluster)) is not swapped
        change = {"metadata": {"annotations": {RECOVERY_GRACE: "5m"}}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", change)
        await cluster.quiet(3)
        leader = (await pod(cluster, "sample-1"))["metadata"]["uid"]
        await cluster.drills.pod_oom("sample-1-1")
        await cluster.quiet(15)
        assert (await pod(cluster, "sample-1"))["metadata"]["uid"] == leader
        assert len(await cluster.events("GroupHealed")) == 1
        assert not operator.task.done()
        later = cluster.writes[since:]
        assert [str(each) for each in later if each.status >= 400 and each.status != 409] == []
        return gaps, sum(each.resource == "leaderworkersets/status" for each in later), told


@pytest.mark.long
@virtual_time
async def test_r23_under_the_definition_of_the_reference_all_works_from_memory() -> None:
    """R23: with the reference's definition swapped in, waits and healing are the same, with no more statuses."""
    ours, theirs = await life(swapped=False), await life(swapped=True)
    assert theirs[0][2:] == ours[0][2:] == [10.0, 20.0]
    assert max(*theirs[0][:2], *ours[0][:2]) < 10
    assert theirs[2] == ours[2] == ["Group 1 failed 3 times", "Group 1 failed 4 times"]
    assert theirs[1] <= ours[1]


@pytest.mark.long
@virtual_time
async def test_r43_groups_by_key_wait_and_their_counts_pass_to_successors() -> None:
    """R43 (R02): by key two failures are recovered at once, the third and fourth wait; each record names its key."""
    async with hash_cluster() as found:
        cluster = found.cluster
        await found.up(replicas=1, size=3)
        keys, gaps = [], []
        for _ in range(4):
            (leader,) = await found.leaders()
            keys.append(leader["metadata"]["labels"][labels.GROUP_INDEX][:8])
            await cluster.drills.pod_oom(f"{leader['spec']['hostname']}-2")
            after = await successor(found, leader)
            gaps.append(
                moment(after["metadata"]["creationTimestamp"]) - moment(leader["metadata"]["creationTimestamp"])
            )
            await cluster.available(NAME)
            await cluster.quiet(3)
        await cluster.quiet(12)
        told = await found.status()
        assert [each["group"] for each in told["failures"]] == keys[::-1]
        assert [each["restarts"] for each in told["failures"]] == [4, 3, 2, 1]
        assert {(each["container"], each["exitCode"]) for each in told["failures"]} == {("main", 137)}
        assert gaps[2] >= 10
        assert gaps[3] >= 20
        waits = await cluster.events("GroupBackOff")
        assert [note.partition("; ")[0] for note in waits] == [
            f"Group {keys[2]} failed 3 times",
            f"Group {keys[3]} failed 4 times",
        ]


async def successor(found: Hashed, leader: JSON) -> JSON:
    """Wait until the group of this leader is replaced; the leader of the other."""
    made: JSON = {}

    async def holds() -> bool:
        nonlocal made
        others = [each for each in await found.leaders() if each["metadata"]["uid"] != leader["metadata"]["uid"]]
        made = others[0] if others else {}
        return bool(others)

    await found.cluster.until(holds)
    return made


@virtual_time
async def test_r43_a_pause_is_the_deployments() -> None:
    """R43 (R14): a pause is the Deployment's: added groups come, no old one goes; resumed, the rollout ends."""
    async with hash_cluster() as found:
        cluster = found.cluster
        before = await found.up(replicas=2, size=2, metadata={"annotations": {f"{PREFIX}rollout": "paused"}})
        await cluster.quiet(3)
        assert (await found.deployment())["spec"]["paused"] is True
        await found.edit_image()
        await cluster.quiet(5)
        assert (await found.conditions())["Paused"] == "True"
        assert [each["metadata"]["uid"] for each in await found.leaders()] == [
            each["metadata"]["uid"] for each in before
        ]
        await found.edit({"replicas": 3})
        await cluster.quiet(5)
        there = {each["metadata"]["uid"] for each in await found.leaders()}
        assert {each["metadata"]["uid"] for each in before} < there
        assert len(there) == 3
        change = {"metadata": {"annotations": {f"{PREFIX}rollout": None}}}
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, NAME, change)
        await cluster.available(NAME)
        assert "paused" not in (await found.deployment())["spec"]
        assert {each["spec"]["containers"][0]["image"] for each in await found.leaders()} == {"app:2"}
