"""Whatever is changed by others is put right, and what is theirs is left: A25 to A30, A37, A38."""

from __future__ import annotations

import asyncio
import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hack.operand_objects import CONFIG, render

from lws.api.operand import names
from lws.apimachinery.manifests import JSON, labels_of, name_of
from lws.apimachinery.resources import (
    CLUSTERROLES,
    CONFIGMAPS,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    PODDISRUPTIONBUDGETS,
    REPLICASETS,
    SECRETS,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Resource,
)
from lws.planning.operand.assets import Asset, parsed
from tests.acceptance.operand.ground import NAMESPACE, NEXT_IMAGE, slim_assets
from tests.acceptance.operand.site import Site
from tests.virtual import virtual_time

pytestmark = pytest.mark.long

SOON = 5.0  # seconds within which healing begins


async def everything(site: Site) -> list[tuple[Resource, JSON]]:
    """Every object that the operator applied."""
    running = site.operators[0]
    return [(resource, each) for resource, each in running.operator.caches.labelled()]


@virtual_time
async def test_a25_an_object_of_somebody_else_is_named_and_left() -> None:
    """A25: a role of our name that somebody else made is named in the condition and never written."""
    async with Site() as site:
        foreign = {
            "apiVersion": CLUSTERROLES.api_version,
            "kind": CLUSTERROLES.kind,
            "metadata": {"name": names.MANAGER_ROLE},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        }
        before = await site.client.create(CLUSTERROLES, foreign)
        await site.start()
        await site.apply_cr()
        degraded = await site.becomes("Degraded", "True", "ForeignObject")
        assert f"ClusterRole {names.MANAGER_ROLE}" in degraded["message"]
        await asyncio.sleep(600)
        assert await site.get(CLUSTERROLES, names.MANAGER_ROLE) == before


@virtual_time
async def test_a26_what_is_deleted_or_loses_its_label_comes_back() -> None:
    """A26: each object is back within 5 s, told by one event: Created after a deletion, Updated after a lost label."""
    async with Site() as site:
        await site.installed()
        for resource, found in await everything(site):
            kind, name, where = resource.kind, name_of(found), found["metadata"].get("namespace", "")
            if kind == CUSTOMRESOURCEDEFINITIONS.kind or name.startswith(f"{names.CONFIG_MAP}-"):
                continue  # a definition's end takes the sets along; a copied configuration is not for editing
            for what in ("deleted", "unlabelled"):
                before = await site.told()
                if what == "deleted":
                    await site.client.delete(resource, where, name)
                else:
                    change = {"metadata": {"labels": {names.MANAGED_BY: None}}}
                    await site.client.patch(resource, where, name, change)
                await asyncio.sleep(SOON)
                live = await site.get(resource, name)
                assert live is not None, (kind, name, what)
                assert labels_of(live)[names.MANAGED_BY] == names.MANAGED_BY_VALUE, (kind, name)
                told = await site.told() - before
                assert dict(told) == {f"{kind}{'Created' if what == 'deleted' else 'Updated'}": 1}, (kind, name, what)
                await site.settled()


def edits() -> Iterator[tuple[str, str, JSON]]:
    """One edit after another: kind, name, and a merge patch."""
    yield "Service", names.WEBHOOK_SERVICE, {"spec": {"ports": [{"name": "https", "port": 443, "targetPort": 1}]}}
    yield (
        "Service",
        names.WEBHOOK_SERVICE,
        {"spec": {"ports": [{"name": "x", "port": 1}, {"name": "https", "port": 443}]}},
    )
    yield "ClusterRole", names.MANAGER_ROLE, {"rules": []}
    yield "ClusterRoleBinding", names.MANAGER_BINDING, {"subjects": []}
    yield "ConfigMap", names.CONFIG_MAP, {"data": {names.CONFIG_KEY: "x", "more": "y"}}
    yield "ServiceAccount", names.SERVICE_ACCOUNT, {"metadata": {"labels": {"app.kubernetes.io/name": "x"}}}
    yield "Deployment", names.DEPLOYMENT, {"spec": {"replicas": 3}}
    yield "PodDisruptionBudget", names.DEPLOYMENT, {"spec": {"maxUnavailable": 2}}
    yield "NetworkPolicy", names.DEPLOYMENT, {"spec": {"ingress": []}}


@virtual_time
async def test_a27_edits_are_taken_back() -> None:
    """A27: every edited object is as it was within 5 s, told by one DriftHealed or Updated."""
    async with Site() as site:
        await site.installed()
        resources = {(each.kind, name_of(found)): (each, found) for each, found in await everything(site)}
        for kind, name, change in edits():
            await site.settled()
            resource, before = resources[kind, name]
            count = await site.told()
            await site.client.patch(resource, before["metadata"].get("namespace", ""), name, change)
            await asyncio.sleep(SOON)
            live = await site.get(resource, name)
            assert live is not None
            assert bare(live) == bare(before), (kind, name)
            told = await site.told() - count
            assert told.keys() <= {"DriftHealed", f"{kind}Updated"}, told
            assert told, (kind, name)


@virtual_time
async def test_a27_additions_to_closed_sections_are_taken_out() -> None:
    """A27: an extra container, variable, volume, hook and hook policy go; nothing else is written for them."""
    async with Site() as site:
        await site.installed()
        deployment = await site.deployment()
        pod = copy.deepcopy(deployment["spec"]["template"]["spec"])
        pod["containers"].append({"name": "extra", "image": "extra:1"})
        pod["containers"][0]["env"].append({"name": "EXTRA", "value": "1"})
        pod["volumes"].append({"name": "extra", "emptyDir": {}})
        pod["containers"][0]["image"] = "other:1"
        change: Any = {"spec": {"template": {"spec": pod}}}
        await site.client.patch(DEPLOYMENTS, NAMESPACE, names.DEPLOYMENT, change)
        await asyncio.sleep(SOON)
        await site.settled()
        assert bare(await site.deployment()) == bare(deployment)
        hooks = await site.get(VALIDATINGWEBHOOKCONFIGURATIONS, names.VALIDATING)
        assert hooks is not None
        extra = [copy.deepcopy(each) for each in hooks["webhooks"]]
        extra.append({**copy.deepcopy(extra[0]), "name": "extra.example.com"})
        extra[0]["failurePolicy"] = "Ignore"
        await site.client.patch(VALIDATINGWEBHOOKCONFIGURATIONS, "", names.VALIDATING, {"webhooks": extra})
        await asyncio.sleep(SOON)
        live = await site.get(VALIDATINGWEBHOOKCONFIGURATIONS, names.VALIDATING)
        assert live is not None
        assert live["webhooks"] == hooks["webhooks"]
        assert await site.events("DriftHealed")


@virtual_time
async def test_a28_what_others_add_to_open_sections_stays() -> None:
    """A28: foreign labels and annotations on every object, and the bundles of an injector, are left alone."""
    async with Site() as site:
        await site.installed()
        mark = {"metadata": {"labels": {"theirs": "1"}, "annotations": {"theirs": "1"}}}
        for resource, found in await everything(site):
            await site.client.patch(resource, found["metadata"].get("namespace", ""), name_of(found), mark)
        hooks = await site.get(VALIDATINGWEBHOOKCONFIGURATIONS, names.VALIDATING)
        assert hooks is not None
        for hook in hooks["webhooks"]:
            hook["clientConfig"]["caBundle"] = "Y2E="
        await site.client.patch(VALIDATINGWEBHOOKCONFIGURATIONS, "", names.VALIDATING, {"webhooks": hooks["webhooks"]})
        since = len(site.writes)
        await asyncio.sleep(400)
        assert {each.resource for each in site.counted(since)} <= {f"{names.PLURAL}/status"}
        for resource, found in await everything(site):
            assert found["metadata"]["labels"]["theirs"] == "1", (resource.kind, name_of(found))
            assert found["metadata"]["annotations"]["theirs"] == "1", (resource.kind, name_of(found))
        hooks = await site.get(VALIDATINGWEBHOOKCONFIGURATIONS, names.VALIDATING)
        assert hooks is not None
        assert {each["clientConfig"]["caBundle"] for each in hooks["webhooks"]} == {"Y2E="}


@virtual_time
async def test_a29_a_restart_by_hand_happens_once_and_is_not_undone() -> None:
    """A29: kubectl rollout restart makes exactly one more ReplicaSet, and the Deployment stays restarted."""
    async with Site() as site:
        await site.installed()
        before = len((await site.client.list(REPLICASETS, NAMESPACE))["items"])
        stamp = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
        change = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
        await site.client.patch(DEPLOYMENTS, NAMESPACE, names.DEPLOYMENT, change)
        await asyncio.sleep(120)
        await site.settled()
        assert len((await site.client.list(REPLICASETS, NAMESPACE))["items"]) == before + 1
        annotations = (await site.deployment())["spec"]["template"]["metadata"]["annotations"]
        assert stamp.items() <= annotations.items()


@virtual_time
async def test_a30_a_secret_that_changes_rolls_nothing() -> None:
    """A30: neither a label on the serving certificate's Secret nor a new certificate in it restarts a pod."""
    async with Site() as site:
        secret = {"metadata": {"name": names.INTERNAL_SECRET, "namespace": NAMESPACE}, "data": {"tls.crt": "eA=="}}
        await site.client.create(SECRETS, secret)
        await site.installed()
        before = await site.deployment()
        for change in ({"metadata": {"labels": {"a": "b"}}}, {"data": {"tls.crt": "eQ=="}}):
            await site.client.patch(SECRETS, NAMESPACE, names.INTERNAL_SECRET, change)
            await asyncio.sleep(400)
        assert (await site.deployment())["metadata"]["generation"] == before["metadata"]["generation"]


@virtual_time
async def test_a37_what_a_release_no_longer_has_is_pruned_after_its_rollout() -> None:
    """A37: an object that the next release lacks is deleted when that release's pods serve, and not before."""
    async with Site() as site:
        await site.installed()
        await site.operators[0].stop()
        fewer = [each for each in slim_assets() if each.key != ("PodDisruptionBudget", names.DEPLOYMENT)]
        await site.start(objects=fewer, image=NEXT_IMAGE)

        async def rolling() -> bool:
            return (await site.condition("Progressing")).get("reason") == "RollingOut"

        await site.until(rolling)
        assert await site.get(PODDISRUPTIONBUDGETS, names.DEPLOYMENT) is not None
        await site.settled()
        assert await site.get(PODDISRUPTIONBUDGETS, names.DEPLOYMENT) is None


@virtual_time
async def test_a38_a_definition_is_never_narrowed() -> None:
    """A38: a release whose definition lacks a field leaves the live one as it is, and says so."""
    async with Site() as site:
        await site.installed()
        before = await site.get(CUSTOMRESOURCEDEFINITIONS, names.SETS_CRD)
        await site.operators[0].stop()
        await site.start(objects=narrower())
        degraded = await site.becomes("Degraded", "True", "CRDNarrowed")
        assert ".spec.startupPolicy is dropped" in degraded["message"]
        assert await site.get(CUSTOMRESOURCEDEFINITIONS, names.SETS_CRD) == before


def narrower() -> list[Asset]:
    """The objects of a release whose sets have no startup policy."""
    found = []
    for asset in slim_assets():
        manifest = copy.deepcopy(asset.manifest)
        if asset.key == (CUSTOMRESOURCEDEFINITIONS.kind, names.SETS_CRD):
            spec = manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
            del spec["properties"]["startupPolicy"]
        found.append(Asset(asset.resource, manifest, asset.component, asset.without))
    return found


def bare(manifest: JSON) -> JSON:
    """An object without what the server keeps."""
    result = copy.deepcopy(manifest)
    for member in ("generation", "resourceVersion", "managedFields", "uid", "creationTimestamp"):
        result["metadata"].pop(member, None)
    annotations = result["metadata"].get("annotations") or {}
    annotations.pop("deployment.kubernetes.io/revision", None)
    if not annotations:
        result["metadata"].pop("annotations", None)
    result.pop("status", None)
    return result


def test_what_is_added_to_config_is_installed_healed_and_pruned(tmp_path: Path) -> None:
    """An object that is put into config/, and nowhere else, comes, comes back and goes with the release that has it."""

    @virtual_time
    async def follow() -> None:
        config = tmp_path / "config"
        shutil.copytree(CONFIG, config)
        (config / "manager/extra.yaml").write_text(EXTRA)
        kustomization = config / "manager/kustomization.yaml"
        kustomization.write_text(kustomization.read_text().replace("resources:\n", "resources:\n- extra.yaml\n", 1))
        added = parsed(render(config))
        async with Site() as site:
            objects = [*slim_assets(), *(each for each in added if each.key[1] == "lws-extra")]
            await site.start(objects=objects)
            await site.apply_cr()
            await site.settled()
            found = await site.get(CONFIGMAPS, "lws-extra")
            assert found is not None
            assert labels_of(found)[names.MANAGED_BY] == names.MANAGED_BY_VALUE
            await site.client.delete(CONFIGMAPS, NAMESPACE, "lws-extra")
            await asyncio.sleep(SOON)
            assert await site.get(CONFIGMAPS, "lws-extra") is not None
            await site.operators[0].stop()
            await site.start(objects=slim_assets())
            await asyncio.sleep(30)
            assert await site.get(CONFIGMAPS, "lws-extra") is None

    follow()


EXTRA = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: extra
  namespace: system
data:
  some: thing
"""
