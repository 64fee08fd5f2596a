"""Management states, health and what is said of them: A15 to A17, A20, A39, A40, A44 to A46, A51 to A54, A57."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONFIGMAPS,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    PODS,
    Resource,
)
from lws.errors import InvalidError
from tests.acceptance.operand.ground import IMAGE, NAMESPACE, NEXT_IMAGE, Ground, fixture, operator_manifest, workload
from tests.acceptance.operand.site import Site
from tests.virtual import virtual_time

RESOURCEQUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
pytestmark = pytest.mark.long


async def user_pods(site: Ground) -> dict[str, str]:
    """Pods of sets, by name, with their UIDs."""
    found = await site.client.list(PODS, "default")
    return {each["metadata"]["name"]: each["metadata"]["uid"] for each in found["items"]}


async def with_sets(site: Ground, count: int = 3) -> dict[str, str]:
    """Make sets of one group of four, and wait until their pods are there; these pods."""
    await site.run_operand()
    for number in range(count):
        await site.client.create(LEADERWORKERSETS, workload(f"set-{number}", replicas=1, size=4))

    async def all_there() -> bool:
        return len(await user_pods(site)) == 4 * count

    await site.until(all_there)
    return await user_pods(site)


@virtual_time
async def test_a15_a_selector_that_no_node_has_is_named_while_the_old_pods_serve() -> None:
    """A15: after two minutes the cause names spec.nodePlacement; the operand stays available."""
    async with Site() as site:
        await site.installed()
        await site.edit(nodePlacement={"nodeSelector": {"no": "node"}})
        changed = site.clock.monotonic()
        degraded = await site.becomes("Degraded", "True", "OperandFailing")
        assert 120 <= site.clock.monotonic() - changed < 150
        assert "spec.nodePlacement" in degraded["message"]
        assert await site.is_condition("Available", "True")
        assert len(await site.ready_pods()) == 2


@virtual_time
async def test_a16_unmanaged_leaves_everything_and_still_observes() -> None:
    """A16: a scaled Deployment stays, availability is told truly, and Managed brings back what was."""
    async with Site() as site:
        await site.installed()
        await site.edit(managementState="Unmanaged")
        await site.client.patch(DEPLOYMENTS, NAMESPACE, names.DEPLOYMENT, {"spec": {"replicas": 3}})
        since = len(site.writes)
        await asyncio.sleep(400)
        assert (await site.deployment())["spec"]["replicas"] == 3
        assert len(await site.ready_pods()) == 3
        assert {each.resource for each in site.counted(since)} <= {f"{names.PLURAL}/status"}
        first, *others = await site.ready_pods()
        await site.drills.pod_hang(first["metadata"]["name"], NAMESPACE)
        await asyncio.sleep(60)
        assert await site.is_condition("Available", "True")
        for pod in others:
            await site.drills.pod_hang(pod["metadata"]["name"], NAMESPACE)
        await site.becomes("Available", "False", "DeploymentUnavailable")
        assert await site.is_condition("Progressing", "False", "Unmanaged")
        await site.edit(managementState="Managed")

        async def as_before() -> bool:
            return bool((await site.deployment())["spec"]["replicas"] == 2)

        await site.until(as_before, seconds=120)


@virtual_time
async def test_a17_removed_keeps_everything_by_default() -> None:
    """A17: nothing is deleted or healed, as with the reference, and the condition says so."""
    async with Site() as site:
        await site.installed()
        await site.edit(managementState="Removed")
        await site.becomes("Progressing", "False", "KeptByPolicy")
        await site.client.patch(DEPLOYMENTS, NAMESPACE, names.DEPLOYMENT, {"spec": {"replicas": 3}})
        await asyncio.sleep(400)
        assert len(await site.ready_pods()) == 3
        assert await site.is_condition("Available", "True")


@virtual_time
async def test_a20_deleting_the_object_never_deletes_a_set() -> None:
    """A20: the operand is collected; definition, sets and pods stay with their UIDs, and no finalizer is anywhere."""
    async with Site() as site:
        await site.installed()
        pods = await with_sets(site)
        sets = {each["metadata"]["uid"] for each in (await site.client.list(LEADERWORKERSETS))["items"]}
        definition = await site.get(CUSTOMRESOURCEDEFINITIONS, names.SETS_CRD)
        assert definition is not None
        assert not (await site.operator())["metadata"].get("finalizers")
        await site.client.delete(OPERATORS, "", names.SINGLETON)

        async def collected() -> bool:
            hooks = await site.get(MUTATINGWEBHOOKCONFIGURATIONS, names.MUTATING)
            return hooks is None and await site.get(DEPLOYMENTS, names.DEPLOYMENT) is None

        await site.until(collected)
        await asyncio.sleep(300)
        live = await site.get(CUSTOMRESOURCEDEFINITIONS, names.SETS_CRD)
        assert live is not None
        assert live["metadata"]["uid"] == definition["metadata"]["uid"]
        assert {each["metadata"]["uid"] for each in (await site.client.list(LEADERWORKERSETS))["items"]} == sets
        assert await user_pods(site) == pods


@virtual_time
async def test_a39_without_an_image_nothing_is_guessed() -> None:
    """A39: a first install has no Deployment, an installed one keeps its image; both say what is missing."""
    async with Site() as site:
        await site.start(image="")
        await site.apply_cr()
        await site.becomes("Degraded", "True", "OperandImageMissing")
        assert await site.get(DEPLOYMENTS, names.DEPLOYMENT) is None
        await site.operators[0].stop()
        await site.start()
        await site.settled()
        await site.operators[0].stop()
        await site.start(image="")
        await site.becomes("Degraded", "True", "OperandImageMissing")
        (container,) = (await site.deployment())["spec"]["template"]["spec"]["containers"]
        assert container["image"] == IMAGE


@virtual_time
async def test_a40_overrides_are_merged_checked_and_block_upgrades() -> None:
    """A40: valid ones reach the file, an unknown member leaves the file as it was, none at all lifts the block."""
    async with Site() as site:
        await site.installed(unsupportedConfigOverrides={"clientConnection": {"qps": 7, "burst": 9}})
        assert "qps: 7" in await mounted_configuration(site)
        assert await site.is_condition("Upgradeable", "False", "UnsupportedConfigOverrides")
        before = await site.deployment()
        await site.edit(unsupportedConfigOverrides={"bogus": True})
        degraded = await site.becomes("Degraded", "True", "ConfigInvalid")
        assert "bogus" in degraded["message"]
        assert (await site.deployment())["spec"] == before["spec"]
        await site.edit(unsupportedConfigOverrides=None)
        await site.becomes("Upgradeable", "True")
        await site.becomes("Degraded", "False")
        await site.settled()
        assert "qps: 7" not in await mounted_configuration(site)


async def mounted_configuration(site: Site) -> str:
    """The configuration file that the operand's pods mount."""
    volumes = (await site.deployment())["spec"]["template"]["spec"]["volumes"]
    name = next(each["configMap"]["name"] for each in volumes if "configMap" in each)
    found = await site.client.get(CONFIGMAPS, NAMESPACE, name)
    return str(found["data"][names.CONFIG_KEY])


@virtual_time
async def test_a44_a_webhook_out_of_reach_makes_the_operand_unavailable() -> None:
    """A44: while pods are Ready and the webhook does not answer, Available turns False; probes store no set."""
    async with Site() as site:
        await site.installed()
        site.reachable = False
        await site.becomes("Available", "False", "WebhookUnready", seconds=120)
        assert len(await site.ready_pods()) == 2
        site.reachable = True
        await site.becomes("Available", "True", seconds=120)
        assert (await site.client.list(LEADERWORKERSETS))["items"] == []


@virtual_time
async def test_a45_one_pod_of_two_is_enough() -> None:
    """A45: a node that goes with one of the two pods leaves the operand available all the time."""
    async with Site() as site:
        await site.installed()
        pod = (await site.ready_pods())[0]
        await site.drills.node_fail(pod["spec"]["nodeName"])
        await site.drills.pod_delete(pod["metadata"]["name"], NAMESPACE, grace=0)
        for _ in range(60):
            await asyncio.sleep(1)
            assert await site.is_condition("Available", "True")


@virtual_time
async def test_a46_crash_loops_and_lack_of_memory_are_named() -> None:
    """A46: a pod that crashes again and again, and one that is killed for its memory, are causes with their names."""
    async with Site() as site:
        await site.installed()
        for drill, word in ((site.drills.pod_crash, "CrashLoopBackOff"), (site.drills.pod_oom, "OOMKilled")):
            deadline = site.clock.monotonic() + 400
            seen = ""
            while word not in seen and site.clock.monotonic() < deadline:
                for pod in await site.ready_pods():
                    await drill(pod["metadata"]["name"], NAMESPACE)
                await asyncio.sleep(2)
                seen = (await site.condition("Degraded")).get("message", "")
            assert word in seen


@pytest.mark.long
@virtual_time
async def test_a46_pods_that_a_quota_refuses_are_told_of() -> None:
    """A46: refused by quota, the new pods are told of in its words; the old ones serve, and with room all is well."""
    async with Site() as site:
        await site.installed()
        quota = {"metadata": {"name": "tight", "namespace": NAMESPACE}, "spec": {"hard": {"pods": "2"}}}
        await site.client.create(RESOURCEQUOTAS, quota)
        await asyncio.sleep(30)
        await site.edit(logLevel="Debug")
        degraded = await site.becomes("Degraded", "True", "OperandFailing")
        assert "pods are refused" in degraded["message"]
        assert "exceeded quota: tight" in degraded["message"]
        assert await site.is_condition("Available", "True")
        await site.client.delete(RESOURCEQUOTAS, NAMESPACE, "tight")
        await site.becomes("Degraded", "False", seconds=900)
        await site.settled()


@virtual_time
async def test_a46_sizing_auto_gives_more_memory_after_a_lack_of_it() -> None:
    """A46: after a pod was killed for its memory the next tier is rolled out, once, and stays through a release."""
    async with Site() as site:
        await site.installed(operand={"sizing": "Auto"})
        assert await memory(site) == "1Gi"
        await site.drills.pod_oom((await site.ready_pods())[0]["metadata"]["name"], NAMESPACE)
        await asyncio.sleep(30)
        await site.settled()
        assert await memory(site) == "2Gi"
        assert await site.is_condition("Degraded", "False")
        await site.operators[0].stop()
        await site.start(image=NEXT_IMAGE, version="1.2.0")
        await asyncio.sleep(30)
        await site.settled()
        assert await memory(site) == "2Gi"
        assert [each["result"] for each in (await site.operator())["status"]["history"]][-1] == "Succeeded"


async def memory(site: Site) -> str:
    """The operand's limit."""
    (container,) = (await site.deployment())["spec"]["template"]["spec"]["containers"]
    return str(container["resources"]["limits"]["memory"])


@virtual_time
async def test_a51_the_operands_namespace_cannot_change() -> None:
    """A51: a namespace that is set, changed or dropped later is refused; one that was chosen holds the operand."""
    async with Site() as site:
        await site.client.create(NAMESPACES, {"metadata": {"name": "elsewhere"}})
        site.serve("elsewhere")
        await site.start()
        await site.apply_cr(operand={"namespace": "elsewhere"})
        await site.becomes("Available", "True")
        assert len(await site.ready_pods("elsewhere")) == 2
        assert await site.get(DEPLOYMENTS, names.DEPLOYMENT) is None
        for change in ({"namespace": "other"}, {"namespace": None}, None):
            with pytest.raises(InvalidError, match=r"operand\.namespace is immutable"):
                await site.edit(operand=change)
        await site.client.delete(OPERATORS, "", names.SINGLETON)
        await site.client.create(OPERATORS, operator_manifest())
        with pytest.raises(InvalidError, match=r"operand\.namespace is immutable"):
            await site.edit(operand={"namespace": "other"})


@virtual_time
async def test_a52_workloads_are_counted() -> None:
    """A52: the counts equal those by hand, and are written at most once in 30 s."""
    async with Site() as site:
        await site.installed()
        await site.run_operand()
        since = len(site.writes)
        for number in range(12):
            await site.client.create(LEADERWORKERSETS, workload(f"set-{number}", replicas=number % 3, size=2))
            await asyncio.sleep(3)
        await asyncio.sleep(90)
        sets = (await site.client.list(LEADERWORKERSETS))["items"]
        counted = (await site.operator())["status"]["workloads"]
        assert counted.pop("observedAt")
        statuses = [each.get("status") or {} for each in sets]
        assert counted == {
            "sets": 12,
            "setsAvailable": sum(is_true(each, "Available") for each in statuses),
            "setsProgressing": sum(is_true(each, "Progressing") for each in statuses),
            "setsBlocked": 0,
            "groupsDesired": sum(each["spec"]["replicas"] for each in sets),
            "groupsReady": sum(each.get("readyReplicas", 0) for each in statuses),
            "groupsUpdated": sum(each.get("updatedReplicas", 0) for each in statuses),
            "pods": sum(2 * each.get("replicas", 0) for each in statuses),
        }
        written = [each.time for each in site.counted(since) if each.resource == f"{names.PLURAL}/status"]
        assert all(later - earlier >= 29 for earlier, later in itertools.pairwise(written)), written


def is_true(status: JSON, kind: str) -> bool:
    """Whether a condition of a set is True."""
    return any(each["type"] == kind and each["status"] == "True" for each in status.get("conditions") or ())


@virtual_time
async def test_a57_an_emptied_status_is_made_whole_without_a_rollout() -> None:
    """A57: with no status at all the mode is read off the live ConfigMap; no pod restarts, the status is complete."""
    async with Site() as site:
        found = await site.installed()
        await site.operators[0].stop()
        before = await site.deployment()
        emptied = {**await site.operator(), "status": {}}
        await site.client.update(OPERATORS, emptied, subresource="status")
        await site.define(fixture("cert-manager"))
        await site.start()
        await site.becomes("Available", "True")
        after = await site.settled()
        assert after["status"].keys() == found["status"].keys()
        assert after["status"]["certificates"]["mode"] == "Internal"
        assert (await site.deployment())["metadata"]["generation"] == before["metadata"]["generation"]
