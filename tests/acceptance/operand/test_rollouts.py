"""Guarded rollouts: A31 to A34, A47, A53, A59."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

import pytest

from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.apimachinery.actions import Apply, Plan
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CLUSTERROLES, STATEFULSETS
from lws.manager.restarts import GroupRestarts
from lws.manager.survey import client_of, survey
from lws.planning.leaderworkerset.sets import plan_leaderworkerset
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from lws.planning.operand.access import covers
from lws.planning.operand.assets import Asset
from lws.planning.operand.rollout import APPROVED
from lws.reconcilers.operand.observe import Surroundings
from lws.reconcilers.operand.preview import Restarts
from tests.acceptance.operand.ground import IMAGE, NEXT_IMAGE, Ground, slim_assets
from tests.acceptance.operand.site import Site
from tests.acceptance.operand.test_states import user_pods, with_sets
from tests.virtual import virtual_time

pytestmark = pytest.mark.long

THIRD_IMAGE = "registry.example/lws:v1.3.0"


async def release(
    site: Ground,
    image: str,
    version: str = "1.2.0",
    objects: list[Asset] | None = None,
    restarts: Restarts | None = None,
) -> None:
    """Replace the operator by one of the next release."""
    for running in [*site.operators]:
        await running.stop()
    await site.start(image=image, version=version, objects=objects, restarts=restarts)


async def image_of(site: Ground) -> str:
    """The image that the Deployment has."""
    (container,) = (await site.deployment())["spec"]["template"]["spec"]["containers"]
    return str(container["image"])


@asynccontextmanager
async def always(site: Ground, least: int = 2) -> AsyncIterator[None]:
    """Check each second that so many pods serve and Available is True."""
    problems: list[str] = []

    async def watch() -> None:
        while True:
            ready = len(await site.ready_pods())
            if ready < least or not await site.is_condition("Available", "True"):
                problems.append(f"{site.clock.monotonic():.0f}: {ready} pods, {await site.condition('Available')}")
            await asyncio.sleep(1)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
    assert problems == []


@asynccontextmanager
async def unpullable(site: Ground, image: str) -> AsyncIterator[None]:
    """Let no pod of this image be pulled."""

    async def break_pods() -> None:
        broken: set[str] = set()
        while True:
            for pod in await site.pods():
                name = pod["metadata"]["name"]
                if (
                    pod["spec"]["containers"][0]["image"] == image
                    and name not in broken
                    and pod["spec"].get("nodeName")
                ):
                    await site.drills.pod_bad_image(name, site.namespace)
                    broken.add(name)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(break_pods())
    try:
        yield
    finally:
        task.cancel()


@virtual_time
async def test_a31_a_new_image_is_rolled_out_without_a_gap() -> None:
    """A31: one pod of surge, Available throughout, RollingOut, then Soaking, then done; the version changes last."""
    async with Site() as site:
        await site.installed()
        before = (await site.operator())["status"]["version"]
        await release(site, NEXT_IMAGE)
        async with always(site):
            await site.becomes("Progressing", "True", "RollingOut")
            assert (await site.operator())["status"]["version"] == before
            assert (await site.operator())["status"]["plan"]["to"]["image"] == NEXT_IMAGE
            await site.becomes("Progressing", "True", "Soaking")
            found = await site.settled()
        assert found["status"]["version"] == "1.2.0"
        assert "plan" not in found["status"]
        (entry,) = found["status"]["history"]
        assert (entry["result"], entry["image"]) == ("Succeeded", NEXT_IMAGE)
        assert await site.events("RolloutPlanned")
        assert await site.events("RolloutFinished")


@virtual_time
async def test_a32_an_image_that_cannot_be_pulled_is_rolled_back() -> None:
    """A32: the old pods serve all the time; after the deadline it is taken back and not tried again; another is."""
    async with Site() as site:
        await site.installed(rollout={"deadlineSeconds": 120})
        async with unpullable(site, NEXT_IMAGE), always(site):
            await release(site, NEXT_IMAGE)
            degraded = await site.becomes("Degraded", "True", "RolledBack")
            assert NEXT_IMAGE in degraded["message"]
            assert "ImagePullBackOff" in degraded["message"]
            await asyncio.sleep(30)
            assert await image_of(site) == IMAGE
            since = len(site.writes)
            await asyncio.sleep(1200)
            assert await image_of(site) == IMAGE
            assert {each.resource for each in site.counted(since)} <= {f"{names.PLURAL}/status"}
            await release(site, NEXT_IMAGE)
            await asyncio.sleep(300)
            assert await image_of(site) == IMAGE
            await release(site, THIRD_IMAGE, "1.3.0")
            await asyncio.sleep(30)
            await site.settled()
        assert await image_of(site) == THIRD_IMAGE
        assert await site.is_condition("Degraded", "False")
        assert [each["result"] for each in (await site.operator())["status"]["history"]] == ["RolledBack", "Succeeded"]
        exported = site.operators[0].operator.metrics.registry.get_sample_value
        assert exported("lws_operator_rollouts_total", {"result": "Succeeded"}) == 1
        assert exported("lws_operator_rollout_phase", {"phase": "Idle"}) == 1


@virtual_time
async def test_a33_pods_that_crash_in_the_soak_are_rolled_back_or_held() -> None:
    """A33: a crash 30 s after all were Ready breaks the soak; with Hold the new pods stay, and that is said."""
    for policy, reason, image in (("Rollback", "RolledBack", IMAGE), ("Hold", "RolloutFailed", NEXT_IMAGE)):
        async with Site() as site:
            await site.installed(rollout={"onFailure": policy})
            await crash_in_the_soak(site, NEXT_IMAGE, reason, after=30)
            await asyncio.sleep(120)
            assert await image_of(site) == image


async def crash_in_the_soak(site: Ground, image: str, reason: str, *, after: float) -> None:
    """A release of which a pod crashes so many seconds into the soak; told with this reason."""
    await release(site, image)
    await site.becomes("Progressing", "True", "Soaking")
    await asyncio.sleep(after)
    await site.drills.pod_crash((await site.ready_pods())[0]["metadata"]["name"], site.namespace)
    degraded = await site.becomes("Degraded", "True", reason)
    assert "restarted" in degraded["message"]


@virtual_time
async def test_a34_manual_approval_waits_for_the_hash_of_the_plan() -> None:
    """A34: nothing changes until the annotation names the plan's hash; any other approves nothing."""
    async with Site() as site:
        await site.installed(rollout={"approval": "Manual"})
        before = await site.deployment()
        await release(site, NEXT_IMAGE)
        waiting = await site.becomes("Progressing", "True", "AwaitingApproval")
        plan = (await site.operator())["status"]["plan"]
        assert plan["hash"] in waiting["message"]
        (deployment,) = [each for each in plan["entries"] if each["resource"] == "deployments.apps"]
        assert deployment["verb"] == "update"
        assert "spec.template.spec.containers[manager].image" in deployment["paths"]
        surroundings = Surroundings(site.namespace, NEXT_IMAGE, "1.2.0")
        client = client_of(site.sandbox.transport())
        seen = await survey(client, surroundings, clock=site.clock, objects=slim_assets())
        assert [*seen.preview.entries] == plan["entries"]
        for given in ("wrong", "0123456789abcdef"):
            await annotate(site, given)
            await asyncio.sleep(120)
            assert (await site.deployment())["metadata"]["generation"] == before["metadata"]["generation"]
        await annotate(site, plan["hash"])
        await asyncio.sleep(10)
        await site.settled()
        assert await image_of(site) == NEXT_IMAGE


def otherwise(snapshot: SetSnapshot, now: datetime) -> Plan:
    """A planner that renders the leader template of two sets otherwise."""
    plan = plan_leaderworkerset(snapshot, now)
    if snapshot.lws.metadata.name == "set-2":
        return plan
    actions = []
    for action in plan.actions:
        if isinstance(action, Apply) and action.resource == STATEFULSETS:
            manifest = copy.deepcopy(action.manifest)
            manifest["spec"]["template"]["metadata"]["annotations"]["new"] = "1"
            action = replace(action, manifest=manifest)
        actions.append(action)
    return replace(plan, actions=tuple(actions))


@virtual_time
async def test_a35_a_rollout_that_restarts_groups_waits() -> None:
    """A35: a release that restarts groups of two sets names both and waits; allowed, it rolls; others never wait."""
    async with Site() as site:
        await site.installed()
        pods = await with_sets(site)
        await asyncio.sleep(60)
        judged = GroupRestarts(site.client, site.clock)
        assert await judged() == ()
        await release(site, NEXT_IMAGE, restarts=GroupRestarts(site.client, site.clock, otherwise))
        waiting = await site.becomes("Progressing", "True", "AwaitingApproval")
        assert waiting["message"].startswith("PlanRestartsGroups: 2 groups restart: default/set-0 (1: ")
        assert "default/set-1" in waiting["message"]
        plan = (await site.operator())["status"]["plan"]
        assert plan["groupsRestarted"] == 2
        assert [each["name"] for each in plan["sets"]] == ["set-0", "set-1"]
        upgradeable = await site.condition("Upgradeable")
        assert upgradeable["status"] == "True"
        assert "PlanRestartsGroups" in upgradeable["message"]
        await asyncio.sleep(600)
        assert await image_of(site) == IMAGE
        await site.edit(rollout={"allowGroupRestarts": True})
        await asyncio.sleep(10)
        await site.settled()
        assert await image_of(site) == NEXT_IMAGE
        assert await user_pods(site) == pods


async def annotate(site: Site, value: str) -> None:
    """Approve a plan."""
    await site.client.patch(OPERATORS, "", names.SINGLETON, {"metadata": {"annotations": {APPROVED: value}}})


@virtual_time
async def test_a47_of_two_operators_one_writes_and_the_other_takes_over() -> None:
    """A47: killed at each of its writes, the leader is followed by the other, which ends in the same state."""
    async with Site() as site:
        await site.installed()
        wanted = (await site.deployment())["spec"]
    for kill_after in (1, 3, 9, 17, 23):
        async with Site() as site:
            first = await site.start(hostname="operator-0")
            await site.apply_cr()

            async def written(count: int = kill_after, site: Site = site) -> bool:
                return len(site.counted()) >= count

            await site.until(written, every=0.01)
            await first.crash()
            await site.start(hostname="operator-1", ready=False)
            await site.settled()
            assert (await site.deployment())["spec"] == wanted


@virtual_time
async def test_a53_the_rule_of_consumers_holds() -> None:
    """A53: unhealthy if Degraded or TargetConfigControllerDegraded is True or Available is False (operator 3.13)."""
    async with Site() as site:
        await site.installed(rollout={"deadlineSeconds": 60})
        assert await healthy(site)
        site.reachable = False
        await site.becomes("Available", "False", "WebhookUnready")
        assert not await healthy(site)
        site.reachable = True
        await site.becomes("Available", "True")
        await release(site, NEXT_IMAGE)
        await site.becomes("Progressing", "True", "RollingOut")
        assert await healthy(site)
        await site.settled()
        async with unpullable(site, THIRD_IMAGE):
            await release(site, THIRD_IMAGE)
            await site.becomes("Degraded", "True", "RolledBack")
        assert not await healthy(site)


async def healthy(site: Site) -> bool:
    """What consumers make of the conditions."""
    conditions = {each["type"]: each["status"] for each in (await site.operator())["status"]["conditions"]}
    degraded = "True" in (conditions["Degraded"], conditions["TargetConfigControllerDegraded"])
    return not degraded and conditions["Available"] == "True"


def with_rules(change: str) -> list[Asset]:
    """The objects of a release whose operand has one right less, or one more."""
    found = []
    for asset in slim_assets():
        manifest = copy.deepcopy(asset.manifest)
        if asset.key == ("ClusterRole", names.MANAGER_ROLE):
            rules: list[JSON] = manifest["rules"]
            extra = {"apiGroups": [""], "resources": ["endpoints"], "verbs": ["get"]}
            manifest["rules"] = rules[1:] if change == "narrower" else [*rules, extra]
        found.append(Asset(asset.resource, manifest, asset.component, asset.without))
    return found


@virtual_time
async def test_a59_old_pods_never_miss_a_right() -> None:
    """A59: releases that narrow or widen a role, taken back in the soak: what old pods need is granted throughout."""
    for change in ("narrower", "wider"):
        async with Site() as site:
            await site.installed()
            role = await site.client.get(CLUSTERROLES, "", names.MANAGER_ROLE)
            needed: list[JSON] = role["rules"]
            missing: list[float] = []

            async def watch(site: Site = site, needed: list[JSON] = needed, missing: list[float] = missing) -> None:
                while True:
                    live = await site.client.get(CLUSTERROLES, "", names.MANAGER_ROLE)
                    if not covers(live["rules"], needed):
                        missing.append(site.clock.monotonic())
                    await asyncio.sleep(0.5)

            watching = asyncio.create_task(watch())
            await release(site, NEXT_IMAGE, objects=with_rules(change))
            await site.becomes("Progressing", "True", "Soaking")
            interim = await site.get(CLUSTERROLES, f"{names.MANAGER_ROLE}-next")
            assert (interim is not None) == (change == "wider")
            await site.drills.pod_crash((await site.ready_pods())[0]["metadata"]["name"], site.namespace)
            await site.becomes("Degraded", "True", "RolledBack")
            await asyncio.sleep(120)
            watching.cancel()
            assert missing == []
            assert await image_of(site) == IMAGE
