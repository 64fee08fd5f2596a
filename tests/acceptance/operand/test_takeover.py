"""Taking over what others installed: A21 to A24, A47, A48, A54."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson
import pytest
from hack.kustomization import render

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.apimachinery.manifests import JSON, annotations_of
from lws.apimachinery.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    PODS,
    REPLICASETS,
    ROLEBINDINGS,
    ROLES,
    SECRETS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from lws.client.api import STRATEGIC_MERGE_PATCH
from lws.errors import NotFoundError
from lws.runtime.timestamps import micro_time
from tests.acceptance.operand import reference
from tests.acceptance.operand.certmanager import CertManager
from tests.acceptance.operand.ground import NEXT_IMAGE, ROOT, Ground, slim_assets
from tests.acceptance.operand.site import Site
from tests.acceptance.operand.test_drift import everything
from tests.acceptance.operand.test_rights import ACCOUNT, grant
from tests.acceptance.operand.test_rollouts import image_of, release
from tests.acceptance.operand.test_states import user_pods, with_sets
from tests.virtual import virtual_time

pytestmark = pytest.mark.long


@virtual_time
async def test_a21_definitions_lose_their_owner_before_anything_else_is_written() -> None:
    """A21: it is the first write; killed right after it, and the object deleted, every set lives [OD-01]."""
    async with Site(definitions=["cert-manager"]) as site:
        manager = CertManager(site)
        await released(site, rest=300)
        manager.task.cancel()


async def released(site: Ground, *, rest: float) -> None:
    """The first write of ours, and what lives so many seconds after the object was deleted right after it."""
    await site.apply_cr()
    await reference.install(site)
    pods = await with_sets(site, 2)
    running = await site.start()

    async def written() -> bool:
        return bool(site.counted())

    await site.until(written, every=0.001)
    first = site.counted()[0]
    assert (first.resource, first.name) == ("customresourcedefinitions", names.SETS_CRD)
    assert [each["op"] for each in orjson.loads(first.body)] == ["replace", "test", "remove"]
    await running.crash()
    await site.client.delete(OPERATORS, "", names.SINGLETON)

    async def collected() -> bool:
        return await site.get(DEPLOYMENTS, names.DEPLOYMENT) is None

    await site.until(collected)
    await asyncio.sleep(rest)
    assert len((await site.client.list(LEADERWORKERSETS))["items"]) == 2
    assert await user_pods(site) == pods


@pytest.mark.parametrize("state", ["Unmanaged", "Removed"])
def test_a21_what_is_not_managed_is_warned_of(state: str) -> None:
    """Under Unmanaged and Removed the definitions keep their owner, and an event says what that puts at risk."""

    @virtual_time
    async def warn() -> None:
        async with Site(definitions=["cert-manager"]) as site:
            manager = CertManager(site)
            await site.apply_cr(managementState=state)
            await reference.install(site)
            await site.start()
            await asyncio.sleep(30)
            definition = await site.get(CUSTOMRESOURCEDEFINITIONS, names.SETS_CRD)
            assert definition is not None
            assert definition["metadata"]["ownerReferences"]
            (event,) = await site.events("CRDsAtRisk")
            assert event["type"] == "Warning"
            manager.task.cancel()

    warn()


@virtual_time
async def test_a22_the_references_installation_is_taken_over() -> None:
    """A22: one rollout, no pod of a set restarts, its leftovers go, and no field stays that it alone declared."""
    async with Site(definitions=["cert-manager"]) as site:
        manager = CertManager(site)
        await site.apply_cr()
        await reference.install(site)
        pods = await with_sets(site, 2)
        before = len((await site.client.list(REPLICASETS, site.namespace))["items"])
        await site.start()
        await asyncio.sleep(60)
        found = await site.settled()
        assert found["status"]["certificates"]["mode"] == "CertManager"
        assert len((await site.client.list(REPLICASETS, site.namespace))["items"]) == before + 1
        assert await user_pods(site) == pods
        for kind, name in names.LEFTOVERS:
            resource = CLUSTERROLES if kind == "ClusterRole" else CLUSTERROLEBINDINGS
            assert await site.get(resource, name) is None, name
        for name in ("lws-manager-role-next", "lws-manager-rolebinding-next"):
            assert await site.get(CLUSTERROLES, name) is None
        role = await site.get(CLUSTERROLES, names.MANAGER_ROLE)
        assert role is not None
        assert not any("secrets" in rule.get("resources", ()) for rule in role["rules"])
        for resource, live in await everything(site):
            assert fields_of(live, reference.MANAGER, "Update") in ({}, None), (resource.kind, live["metadata"]["name"])
            assert "app.kubernetes.io/created-by" not in live["metadata"]["labels"]
        (container,) = (await site.deployment())["spec"]["template"]["spec"]["containers"]
        assert "command" not in container
        hooks = await site.get(VALIDATINGWEBHOOKCONFIGURATIONS, names.VALIDATING)
        assert hooks is not None
        assert hooks["webhooks"]
        wanted = [each for each in slim_assets() if each.key[1] == names.VALIDATING and not each.component]
        assert [each["name"] for each in hooks["webhooks"]] == [each["name"] for each in wanted[0].manifest["webhooks"]]
        assert {each["clientConfig"]["caBundle"] for each in hooks["webhooks"]} != {None}
        since = len(site.writes)
        await asyncio.sleep(600)
        assert [str(each) for each in site.counted(since)] == []
        manager.task.cancel()


def fields_of(live: JSON, manager: str, operation: str) -> Any:
    """What a manager owns of an object; None if nothing."""
    entries = live["metadata"].get("managedFields") or ()
    mine = (each for each in entries if each["manager"] == manager and each["operation"] == operation)
    return next((each["fieldsV1"] for each in mine if not each.get("subresource")), None)


@pytest.mark.parametrize("conversion", [True, False])
def test_a23_the_conversion_of_the_definition_stays_as_it_was(conversion: bool) -> None:
    """A23: a definition with the reference's conversion webhook, and one with none, are taken over unchanged there."""

    @virtual_time
    async def take_over() -> None:
        async with Site(definitions=["cert-manager"]) as site:
            manager = CertManager(site)
            await site.apply_cr()
            await reference.install(site, conversion=conversion)
            before = await site.get(CUSTOMRESOURCEDEFINITIONS, names.SETS_CRD)
            await site.start()
            await asyncio.sleep(60)
            await site.settled()
            after = await site.get(CUSTOMRESOURCEDEFINITIONS, names.SETS_CRD)
            assert before is not None
            assert after is not None
            assert after["spec"]["conversion"] == before["spec"]["conversion"]
            assert not after["metadata"].get("ownerReferences")
            assert annotations_of(after)["helm.sh/resource-policy"] == "keep"
            manager.task.cancel()

    take_over()


@virtual_time
async def test_a24_another_installation_is_named_and_left_alone() -> None:
    """A24: with upstream in another namespace nothing of it is written, and the condition names where it is."""
    async with Site(definitions=["cert-manager"]) as site:
        await site.client.create(NAMESPACES, {"metadata": {"name": "lws-system"}})
        for resource, manifest in reference.objects("lws-system", {}):
            manifest["metadata"].pop("ownerReferences")
            await site.client.create(resource, manifest, field_manager="kubectl")
        watched = (
            (MUTATINGWEBHOOKCONFIGURATIONS, names.MUTATING),
            (VALIDATINGWEBHOOKCONFIGURATIONS, names.VALIDATING),
            (CLUSTERROLEBINDINGS, names.MANAGER_BINDING),
            (CUSTOMRESOURCEDEFINITIONS, names.SETS_CRD),
        )
        await asyncio.sleep(5)
        before = [await site.get(*each) for each in watched]
        await site.start()
        await site.apply_cr()
        degraded = await site.becomes("Degraded", "True", "OtherInstallation")
        assert "lws-system" in degraded["message"]
        await asyncio.sleep(3600)
        assert [await site.get(*each) for each in watched] == before
        assert {each.resource for each in site.counted()} == {f"{names.PLURAL}/status"}


async def upstream(site: Ground, namespace: str) -> None:
    """An installation of another namespace, made by kubectl, whose pods serve."""
    await site.client.create(NAMESPACES, {"metadata": {"name": namespace}})
    site.serve(namespace)
    for name in (names.SERVING_SECRET, names.METRICS_SECRET):
        await site.client.create(SECRETS, {"metadata": {"name": name, "namespace": namespace}})
    for resource, manifest in reference.objects(namespace, {}):
        manifest["metadata"].pop("ownerReferences")
        await site.client.create(resource, manifest, field_manager="kubectl-client-side-apply")
    await site.until(lambda: serving(site, namespace))


async def serving(site: Ground, namespace: str) -> bool:
    """Whether both pods of an operand are Ready."""
    return len(await site.ready_pods(namespace)) == 2


async def lead(site: Ground, namespace: str, led: dict[str, bool]) -> None:
    """Lead as the operand of a namespace would: while a pod of it is there, and as long as a lease then stands."""
    while True:
        pods = await site.pods(namespace)
        if pods:
            meta = {"name": names.OPERAND_LEASE, "namespace": namespace}
            spec = {"holderIdentity": pods[0]["metadata"]["name"], "leaseDurationSeconds": 15}
            spec["renewTime"] = micro_time(site.clock.now())
            body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": meta, "spec": spec}
            await site.client.apply(LEASES, body, field_manager="operand")
        led[namespace] = bool(pods)
        assert sum(led.values()) < 2, "two operands lead"
        await asyncio.sleep(1)


@virtual_time
async def test_a24_another_installation_is_adopted_on_request() -> None:
    """A24: without the right to end it that is named with its remedy; with it never two lead, and no set restarts."""
    async with Site(definitions=["cert-manager"]) as site:
        await grant(site)
        await upstream(site, "lws-system")
        led: dict[str, bool] = {}
        leaders = [asyncio.create_task(lead(site, each, led)) for each in ("lws-system", site.namespace)]
        pods = await with_sets(site, 2)
        manager = CertManager(site)
        await site.start(transport=site.sandbox.transport(ACCOUNT))
        await site.apply_cr(takeOver="Adopt")
        degraded = await site.becomes("Degraded", "True", "PermissionDenied")
        assert "kubectl create role lws-operator-adopt -n lws-system" in degraded["message"]
        assert await serving(site, "lws-system")
        assert {each.resource for each in site.counted()} == {f"{names.PLURAL}/status"}
        (entry,) = (await site.operator())["status"]["plan"]["entries"]
        assert (entry["verb"], entry["namespace"], entry["name"]) == ("scale", "lws-system", names.DEPLOYMENT)
        await run_printed(site, degraded["message"])
        await site.becomes("Available", "True", seconds=1200)
        await asyncio.sleep(60)
        await site.settled()
        for task in leaders:
            assert not task.done()
            task.cancel()
        scaled = await site.client.get(DEPLOYMENTS, "lws-system", names.DEPLOYMENT)
        assert scaled["spec"]["replicas"] == 0
        assert await user_pods(site) == pods
        (event,) = [each for each in await site.events("TakenOver") if "lws-system" in each["note"]]
        assert "Service/lws-webhook-service" in event["note"]
        binding = await site.get(CLUSTERROLEBINDINGS, names.MANAGER_BINDING)
        assert binding is not None
        assert [each["namespace"] for each in binding["subjects"]] == [site.namespace]
        role = await site.get(CLUSTERROLES, names.MANAGER_ROLE)
        assert role is not None
        assert "app.kubernetes.io/created-by" not in role["metadata"]["labels"]
        manager.task.cancel()


async def run_printed(site: Site, message: str) -> None:
    """Do what the commands of a message do."""
    assert "--verb=get,patch --resource=deployments.apps/scale --resource-name=lws-controller-manager" in message
    assert f"--serviceaccount={site.namespace}:{names.OPERATOR_DEPLOYMENT}" in message
    meta = {"name": "lws-operator-adopt", "namespace": "lws-system"}
    rule = {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]}
    rules = [{**rule, "resourceNames": [names.DEPLOYMENT]}]
    await site.client.create(ROLES, {"metadata": meta, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": names.OPERATOR_DEPLOYMENT, "namespace": site.namespace}
    reference = {"apiGroup": ROLES.group, "kind": "Role", "name": meta["name"]}
    await site.client.create(ROLEBINDINGS, {"metadata": meta, "roleRef": reference, "subjects": [subject]})


@pytest.mark.parametrize("where", [names.OPERATOR_NAMESPACE, "elsewhere"])
def test_a48_while_the_references_operator_leads_ours_waits(where: str) -> None:
    """A48: its lease, here or in any other namespace, keeps ours from writing, until it is no longer renewed."""

    @virtual_time
    async def wait() -> None:
        async with Site() as site:
            await stand_by(site, where, duration=137, rest=900)

    wait()


@virtual_time
async def test_a47_of_two_in_two_namespaces_the_second_stands_aside_and_says_so() -> None:
    """A47: it is ready and writes nothing; when the first is gone it names what still leads there [OD-29]."""
    async with Site() as site:
        await site.installed()
        (first,) = site.operators
        leading = asyncio.create_task(lead(site, site.namespace, {}))
        await asyncio.sleep(60)
        await site.client.create(NAMESPACES, {"metadata": {"name": "elsewhere"}})
        since = len(site.writes)
        second = await site.start(namespace="elsewhere", hostname="operator-1")
        await asyncio.sleep(900)
        assert site.counted(since) == []
        assert second.operator.metrics.registry.get_sample_value("lws_operator_standby", {}) == 1.0
        assert second.operator.readyz.report().status == 200
        events = (await site.client.list(EVENTS, "default"))["items"]
        (told,) = [each["note"] for each in events if each["reason"] == "StandsAside"]
        assert re.match(rf"lws-operator/operator-0_\S+ in namespace {site.namespace} works on this object", told)
        await first.stop()
        degraded = await site.becomes("Degraded", "True", "OtherInstallation")
        assert f"namespace {site.namespace} has an installation" in degraded["message"]
        assert await site.get(DEPLOYMENTS, names.DEPLOYMENT, "elsewhere") is None
        assert len(await site.ready_pods(site.namespace)) == 2
        leading.cancel()


async def stand_by(site: Ground, where: str, *, duration: int, rest: float) -> None:
    """Another operator leads for ``rest`` seconds by a lease of this duration, and nothing is written; then we do."""
    if where != site.namespace:
        await site.client.create(NAMESPACES, {"metadata": {"name": where}})
    renewing = asyncio.create_task(renew(site, where, duration))
    await asyncio.sleep(1)
    running = await site.start(ready=where != site.namespace)
    await site.apply_cr()
    await asyncio.sleep(rest)
    assert site.counted() == []
    if where != site.namespace:
        value = running.operator.metrics.registry.get_sample_value("lws_operator_standby", {})
        assert value == 1.0
    renewing.cancel()
    await site.settled()


async def renew(site: Ground, where: str, duration: int) -> None:
    """Hold the operator's lease as the reference does."""
    meta = {"name": names.OPERATOR_LEASE, "namespace": where}
    spec: JSON = {"holderIdentity": "openshift-lws-operator-7d9_x", "leaseDurationSeconds": duration}
    while True:
        spec["renewTime"] = spec["acquireTime"] = micro_time(site.clock.now())
        try:
            live = await site.client.get(LEASES, where, names.OPERATOR_LEASE)
            await site.client.update(LEASES, {**live, "spec": spec})
        except NotFoundError:
            await site.client.create(LEASES, {"metadata": meta, "spec": spec})
        await asyncio.sleep(duration / 5)


@virtual_time
async def test_a54_the_references_own_checks_pass() -> None:
    """A54: tests 1 to 6 of the reference's e2e suite, replayed as API calls (operator 3.12)."""
    async with Site(definitions=["cert-manager"]) as site:
        manager = CertManager(site)
        await check(site, {"zone": "zone-1"}, rest=120)
        manager.task.cancel()


async def check(site: Ground, selector: dict[str, str], *, rest: float) -> None:
    """The checks; what is scaled by hand must stay so for ``rest`` seconds. Some node has the selector's labels."""
    await site.installed()
    await degraded_by_nothing(site)
    await check_placement(site, selector)
    for pod in await labelled(site):
        await site.client.delete(PODS, site.namespace, pod["metadata"]["name"])
    await site.until(lambda: count(site, 2), seconds=180)
    for state in ("Unmanaged", "Removed"):
        await check_scaling(site, state, rest)
    await check_upgrade(site)


async def check_placement(site: Ground, selector: dict[str, str]) -> None:
    """Test 2: node selector and tolerations are literally on the Deployment, and gone when they are set to null."""
    placement = {"nodeSelector": selector, "tolerations": [{"key": "a", "operator": "Exists"}]}
    await site.edit(nodePlacement=placement)
    await site.settled()
    spec = (await site.deployment())["spec"]["template"]["spec"]
    assert {name: spec[name] for name in placement} == placement
    await site.edit(nodePlacement=None)
    await site.settled()
    spec = (await site.deployment())["spec"]["template"]["spec"]
    assert not spec.get("nodeSelector")
    assert not spec.get("tolerations")


async def check_scaling(site: Ground, state: str, rest: float) -> None:
    """Tests 4 and 5: under this state three replicas by hand stay three; Managed brings back two."""
    await site.edit(managementState=state)
    await asyncio.sleep(5)
    await site.client.patch(DEPLOYMENTS, site.namespace, names.DEPLOYMENT, {"spec": {"replicas": 3}})
    await site.until(lambda: count(site, 3), seconds=300)
    await asyncio.sleep(rest)
    assert await count(site, 3)
    await site.edit(managementState="Managed")
    await site.until(lambda: count(site, 2), seconds=120)
    await degraded_by_nothing(site)


async def check_upgrade(site: Ground) -> None:
    """Test 6: the operator's variable gets another image; sets made before are intact, and scale after it."""
    pods = await with_sets(site, 2)
    before = await sets(site)
    image = await set_operand_image(site, NEXT_IMAGE)
    await release(site, image)

    async def upgraded() -> bool:
        status = (await site.operator())["status"]
        return await image_of(site) == image and status["version"] == "1.2.0"

    await site.until(upgraded, seconds=600)
    await site.settled()
    await degraded_by_nothing(site)
    assert await count(site, 2)
    assert await sets(site) == before
    assert await user_pods(site) == pods
    await site.client.patch(LEADERWORKERSETS, "default", "set-0", {"spec": {"replicas": 2}})

    async def scaled() -> bool:
        return len(await user_pods(site)) == len(pods) + 4

    await site.until(scaled)
    assert pods.items() <= (await user_pods(site)).items()


async def sets(site: Ground) -> dict[str, tuple[str, int, JSON]]:
    """UID, generation and spec of every set."""
    found = (await site.client.list(LEADERWORKERSETS))["items"]
    meta = [(each["metadata"], each["spec"]) for each in found]
    return {each["name"]: (each["uid"], each["generation"], spec) for each, spec in meta}


async def set_operand_image(site: Ground, image: str) -> str:
    """Do what ``oc set env`` does to the operator's Deployment; the image that its next pod is then told."""
    (made,) = [each for each in render(ROOT / "config/operator/manager") if each["kind"] == "Deployment"]
    await site.client.create(DEPLOYMENTS, made)
    variable = {"name": "RELATED_IMAGE_OPERAND_IMAGE", "value": image}
    container = {"name": names.OPERATOR_DEPLOYMENT, "env": [variable]}
    change = {"spec": {"template": {"spec": {"containers": [container]}}}}
    live = await site.client.patch(
        DEPLOYMENTS, site.namespace, names.OPERATOR_DEPLOYMENT, change, content_type=STRATEGIC_MERGE_PATCH
    )
    (told,) = live["spec"]["template"]["spec"]["containers"]
    assert len(told["env"]) == len(made["spec"]["template"]["spec"]["containers"][0]["env"])
    return str(next(each["value"] for each in told["env"] if each["name"] == variable["name"]))


async def labelled(site: Ground) -> list[JSON]:
    """Pods with the label by which the reference's tests count."""
    found = await site.client.list(PODS, site.namespace, label_selector="control-plane=controller-manager")
    pods: list[JSON] = found["items"]
    return pods


async def count(site: Ground, wanted: int) -> bool:
    """Whether so many pods bear the label of the operand and are Ready."""
    live = [each for each in await labelled(site) if not each["metadata"].get("deletionTimestamp")]
    return len(live) == wanted == len(await site.ready_pods())


async def degraded_by_nothing(site: Ground) -> None:
    """Test 1: there is one object, no condition whose type ends in Degraded is True, and Available is."""
    assert [each["metadata"]["name"] for each in (await site.client.list(OPERATORS))["items"]] == [names.SINGLETON]
    conditions = (await site.operator())["status"]["conditions"]
    assert not [each for each in conditions if each["type"].endswith("Degraded") and each["status"] == "True"]
    await site.becomes("Available", "True")
