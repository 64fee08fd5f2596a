"""Gang scheduling whose API is not there, comes, and goes: what does not need it is not affected (CD-44)."""

from __future__ import annotations

import asyncio

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, PODGROUPS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, PODS, STATEFULSETS, Resource
from lws.errors import NotFoundError
from tests.api.disaggregatedset.making import role
from tests.manager.test_manager import Line
from tests.simulation.cluster import NAMESPACE, Cluster, Running, manifest
from tests.virtual import virtual_time

CRD = "podgroups.scheduling.volcano.sh"
GANGED = {"workerTemplate": {"spec": {"schedulerName": "volcano", "containers": [{"name": "main", "image": "app:1"}]}}}


async def take_away(cluster: Cluster, resource: Resource = PODGROUPS) -> JSON:
    """Delete a definition; returns it, ready to be created again."""
    name = str(resource)
    found = await cluster.client.get(CUSTOMRESOURCEDEFINITIONS, "", name)
    await cluster.client.delete(CUSTOMRESOURCEDEFINITIONS, "", name)

    async def gone() -> bool:
        try:
            await cluster.client.list(resource)
        except NotFoundError:
            return True
        return False

    await cluster.until(gone, seconds=60)
    return {**{name: found[name] for name in ("apiVersion", "kind", "spec")}, "metadata": {"name": name}}


async def blocked(cluster: Cluster, name: str) -> tuple[str, str, str]:
    """Status, reason and message of a set's condition Blocked; empty if there is none."""
    lws = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, name)
    for each in (lws.get("status") or {}).get("conditions", ()):
        if each["type"] == "Blocked":
            return each["status"], each["reason"], each["message"]
    return "", "", ""


def probes(running: Running) -> tuple[int, int, str]:
    """Both probes' statuses, and what readiness says verbosely."""
    operator = running.operator
    return operator.readyz.report().status, operator.healthz.report().status, operator.readyz.report(verbose=True).text


async def waits(cluster: Cluster, name: str) -> None:
    """The set has its leaders and nothing else, and says why; the events tell it once for each group."""

    async def told() -> bool:
        return (await blocked(cluster, name))[:2] == ("True", "PodGroupsUnavailable")

    await cluster.until(told, seconds=60)
    assert len(await cluster.all(PODS, f"leaderworkerset.sigs.k8s.io/name={name}")) == 2
    assert [each["metadata"]["name"] for each in await cluster.all(STATEFULSETS)].count(name) == 1
    assert "podgroups" in (await blocked(cluster, name))[2]
    notes = [note for note in await cluster.events("FailedCreate") if f"leader pod {name}-" in note]
    assert len(notes) == 2
    assert all(f"pod group for leader pod {name}-" in note and "podgroups" in note for note in notes)


@virtual_time
async def test_g7_without_the_api_only_those_who_need_it_wait() -> None:
    """Without PodGroups the process is ready and alive, groups that need one wait with a reason, and go on later."""
    async with Cluster(gang=True) as cluster:
        definition = await take_away(cluster)
        running = await cluster.start()
        ready, alive, text = probes(running)
        assert (ready, alive) == (200, 200)
        assert f"[+]optional-apis ok: {CRD}" in text
        await cluster.client.create(LEADERWORKERSETS, manifest("web", replicas=2, size=2, section=GANGED))
        await waits(cluster, "web")
        await asyncio.sleep(900)
        await waits(cluster, "web")
        assert probes(running)[:2] == (200, 200)
        registry, resource = running.operator.metrics.registry, {"resource": CRD}
        assert registry.get_sample_value("lws_informer_healthy", resource) == 1, "no alert: nothing is wrong with it"
        assert (registry.get_sample_value("lws_informer_last_event_age_seconds", resource) or 0) < 60
        await cluster.client.create(CUSTOMRESOURCEDEFINITIONS, definition)
        await cluster.available("web", seconds=90)
        assert (await blocked(cluster, "web"))[:2] == ("False", "PodGroupsAvailable")
        assert "optional-apis" not in probes(running)[2]


@virtual_time
async def test_g7_an_api_that_goes_hurts_no_group_that_runs() -> None:
    """When the definition is deleted under us, whole groups stay, new ones wait, and probes stay green."""
    async with Cluster(gang=True) as cluster:
        running = await cluster.start()
        await cluster.client.create(LEADERWORKERSETS, manifest("old", replicas=1, size=2, section=GANGED))
        await cluster.available("old")
        pods = {pod["metadata"]["uid"] for pod in await cluster.all(PODS)}
        await take_away(cluster)
        await asyncio.sleep(120)
        assert probes(running)[:2] == (200, 200)
        assert {pod["metadata"]["uid"] for pod in await cluster.all(PODS)} == pods
        await cluster.client.create(LEADERWORKERSETS, manifest("new", replicas=2, size=2, section=GANGED))
        await waits(cluster, "new")
        assert (await blocked(cluster, "old"))[0] != "True"


@virtual_time
async def test_g7_a_right_that_is_lost_and_granted_again() -> None:
    """A 403 on PodGroups is like a missing API: the remedy is named, and groups go on when the right is back."""
    line = Line()
    async with Cluster(gang=True) as cluster:
        running = await cluster.start(line.wrap)
        line.refused = {PODGROUPS.plural}
        line.break_streams()
        await asyncio.sleep(5)
        await cluster.client.create(LEADERWORKERSETS, manifest("web", replicas=2, size=2, section=GANGED))
        await waits(cluster, "web")
        ready, alive, text = probes(running)
        assert (ready, alive) == (200, 200)
        assert "grant the verbs list and watch" in text
        line.refused = set()
        await cluster.available("web", seconds=90)


@virtual_time
async def test_disaggregatedsets_are_reconciled_from_when_they_are_served() -> None:
    """Without their definitions LeaderWorkerSets work as ever; once they are there, a DisaggregatedSet does too."""
    async with Cluster(disaggregated=True) as cluster:
        definitions = [await take_away(cluster, resource) for resource in (ROLESCALERS, DISAGGREGATEDSETS)]
        running = await cluster.start()
        assert probes(running)[:2] == (200, 200)
        assert str(DISAGGREGATEDSETS) in probes(running)[2]
        await cluster.client.create(LEADERWORKERSETS, manifest("web", replicas=1, size=2))
        await cluster.available("web")
        for definition in definitions:
            await cluster.client.create(CUSTOMRESOURCEDEFINITIONS, definition)
        await asyncio.sleep(60)
        assert "optional-apis" not in probes(running)[2]
        roles = [role("prefill"), role("decode")]
        await cluster.client.create(
            DISAGGREGATEDSETS,
            {
                "apiVersion": DISAGGREGATEDSETS.api_version,
                "kind": DISAGGREGATEDSETS.kind,
                "metadata": {"name": "x", "namespace": NAMESPACE},
                "spec": {"roles": roles},
            },
        )

        async def made() -> bool:
            return len(await cluster.all(LEADERWORKERSETS)) == 3

        await cluster.until(made, seconds=60)
