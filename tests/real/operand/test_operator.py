"""The operator on a real control plane: A01 to A03, A05, A20, A21, A26, A27, as far as pretended pods let them be told.

Nobody answers for the operand's webhook here, so the operand is never Available; `test_answering` has the rest.
"""

from __future__ import annotations

import asyncio

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.api.operand.messages import MISSING_CERT_MANAGER, SINGLETON
from lws.apimachinery.resources import (
    CLUSTERROLES,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    SERVICES,
)
from lws.client.api import STRATEGIC_MERGE_PATCH
from lws.errors import InvalidError
from lws.planning.operand.assets import assets
from tests.acceptance.operand.ground import NAMESPACE, operator_manifest, workload
from tests.real.operand.site import RealSite, site

REST = 40.0  # seconds; a minute's probe and several renewals fall into them
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


async def test_the_definition_refuses_what_it_should() -> None:
    """A03: the singleton, states, and the rules between members, as a real API server tells them."""
    async with site() as real:
        for manifest, text in (
            (operator_manifest("other"), SINGLETON),
            (operator_manifest(managementState=""), "should match '^(Managed|Unmanaged|Force|Removed)$'"),
            (operator_manifest(tls={"profile": "Modern", "minVersion": "VersionTLS12"}), "need profile Custom"),
            ({"kind": names.KIND, "metadata": {"name": names.SINGLETON}}, "spec: Required value"),
        ):
            with pytest.raises(InvalidError) as refused:
                await real.client.create(OPERATORS, {"apiVersion": names.API_VERSION, **manifest})
            assert text in str(refused.value)


async def test_an_installation_lives_as_it_should() -> None:
    """A05, A01, A02, A26, A27 and A20: nothing without cert-manager; all of it; rest; healing; an end without loss."""
    async with site() as real:
        await real.start()
        await real.client.create(OPERATORS, operator_manifest(certificates={"mode": "CertManager"}))

        async def missing() -> bool:
            return (await real.condition("Degraded")).get("reason") == "MissingDependency"

        await real.until(missing)
        assert (await real.condition("TargetConfigControllerDegraded"))["message"] == MISSING_CERT_MANAGER
        assert await real.get(DEPLOYMENTS, names.DEPLOYMENT) is None
        await real.client.patch(OPERATORS, "", names.SINGLETON, {"spec": {"certificates": None}})

        async def rolled_out() -> bool:
            return (await real.condition("Progressing")).get("status") == "False" and await serves(real)

        await real.until(rolled_out)
        await asyncio.sleep(5)
        since = len(real.writes)
        await asyncio.sleep(REST)
        assert real.written(since) == []
        await heal(real)
        await end(real)


async def serves(real: RealSite) -> bool:
    """Whether both pods are available."""
    found = await real.get(DEPLOYMENTS, names.DEPLOYMENT)
    return ((found or {}).get("status") or {}).get("availableReplicas") == 2


async def heal(real: RealSite) -> None:
    """Edits, additions and deletions are put right, and after them there is rest again."""
    deployment = await real.get(DEPLOYMENTS, names.DEPLOYMENT)
    service = await real.get(SERVICES, names.WEBHOOK_SERVICE)
    assert deployment is not None
    assert service is not None
    await real.client.delete(CLUSTERROLES, "", names.MANAGER_ROLE)
    extra = {"spec": {"template": {"spec": {"containers": [{"name": "extra", "image": "extra:1"}]}}}}
    await real.client.patch(DEPLOYMENTS, NAMESPACE, names.DEPLOYMENT, extra, content_type=STRATEGIC_MERGE_PATCH)
    ports = {"spec": {"ports": [{"name": "https", "port": 443, "targetPort": 1, "protocol": "TCP"}]}}
    await real.client.patch(SERVICES, NAMESPACE, names.WEBHOOK_SERVICE, ports)

    async def healed() -> bool:
        role = await real.get(CLUSTERROLES, names.MANAGER_ROLE)
        now, again = await real.get(DEPLOYMENTS, names.DEPLOYMENT), await real.get(SERVICES, names.WEBHOOK_SERVICE)
        assert now is not None
        assert again is not None
        same = now["spec"] == deployment["spec"] and again["spec"]["ports"] == service["spec"]["ports"]
        return role is not None and same

    await real.until(healed)
    await real.until(lambda: serves(real))
    await asyncio.sleep(15)
    since = len(real.writes)
    await asyncio.sleep(10)
    assert real.written(since) == []


async def end(real: RealSite) -> None:
    """The object goes, the operand with it, and definition and set stay."""
    assert await real.get(MUTATINGWEBHOOKCONFIGURATIONS, names.MUTATING) is not None
    definition = await real.get(CUSTOMRESOURCEDEFINITIONS, names.SETS_CRD)
    assert definition is not None
    assert not definition["metadata"].get("ownerReferences")
    await real.client.delete(OPERATORS, "", names.SINGLETON)

    async def collected() -> bool:
        hooks = await real.get(MUTATINGWEBHOOKCONFIGURATIONS, names.MUTATING)
        return hooks is None and await real.get(DEPLOYMENTS, names.DEPLOYMENT) is None

    await real.until(collected)
    await asyncio.sleep(5)
    await real.client.create(LEADERWORKERSETS, workload())
    live = await real.get(CUSTOMRESOURCEDEFINITIONS, names.SETS_CRD)
    assert live is not None
    assert live["metadata"]["uid"] == definition["metadata"]["uid"]


async def test_definitions_lose_their_owner_first() -> None:
    """A21: definitions that the object owns are released by the first write, and outlive the object with their sets."""
    async with site() as real:
        made = await real.client.create(OPERATORS, operator_manifest())
        owner = {key: made[key] for key in ("apiVersion", "kind")} | {"name": names.SINGLETON}
        (definition,) = [
            each.manifest for each in assets() if each.key == (CUSTOMRESOURCEDEFINITIONS.kind, names.SETS_CRD)
        ]
        owned = {**definition["metadata"], "ownerReferences": [{**owner, "uid": made["metadata"]["uid"]}]}
        await real.client.create(CUSTOMRESOURCEDEFINITIONS, {**definition, "metadata": owned})
        await real.start()

        async def written() -> bool:
            return bool(real.written(0))

        await real.until(written)
        assert real.written(0)[0] == f"PATCH customresourcedefinitions {names.SETS_CRD}"
        live = await real.get(CUSTOMRESOURCEDEFINITIONS, names.SETS_CRD)
        assert live is not None
        assert not live["metadata"].get("ownerReferences")
