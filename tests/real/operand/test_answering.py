"""Whole lives of the operator on a real control plane, whose API server asks the operand's webhook.

The definitions of cert-manager and of the Prometheus operator are the published ones; cert-manager's work is done by
`CertManager`, which needs nothing that would have to be built: `test_certmanager` has its own controllers.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hack.definitions import DefinitionsError, definitions

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.api.operand.messages import MISSING_CERT_MANAGER
from lws.apimachinery.manifests import JSON, annotations_of
from lws.apimachinery.resources import (
    CERTIFICATES,
    CLUSTERROLES,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    ISSUERS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    PROMETHEUSRULES,
    REPLICASETS,
    SECRETS,
    SERVICEMONITORS,
)
from tests.acceptance.operand import reference
from tests.acceptance.operand.certmanager import CertManager
from tests.acceptance.operand.ground import IMAGE, NEXT_IMAGE, VERSION
from tests.acceptance.operand.test_rollouts import always, crash_in_the_soak, image_of, release, unpullable
from tests.acceptance.operand.test_states import user_pods, with_sets
from tests.acceptance.operand.test_takeover import lead, serving, upstream
from tests.real.operand.site import RealSite, site

THIRD_IMAGE = "registry.example/lws:v1.3.0"
pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]


def published(*groups: str) -> tuple[JSON, ...]:
    """Definitions of these groups as their projects publish them."""
    try:
        return definitions(*groups)
    except DefinitionsError as error:
        pytest.skip(str(error))


@asynccontextmanager
async def issuing(real: RealSite, *, issues: bool = True) -> AsyncIterator[CertManager]:
    """Do cert-manager's work meanwhile."""
    manager = CertManager(real, issuing=issues)
    try:
        yield manager
    finally:
        manager.task.cancel()
        await asyncio.gather(manager.task, return_exceptions=True)


async def test_an_installation_is_rolled_out_back_and_away() -> None:
    """A01, A31, A32, A18, A19: available; rolled out without a gap; rolled back; removed, with no set."""
    async with site(answers=True) as real:
        found = await real.installed(rollout={"soakSeconds": 5, "deadlineSeconds": 60})
        assert found["status"]["certificates"]["mode"] == "Internal"
        assert found["status"]["version"] == VERSION
        pods = await with_sets(real, 2)
        async with always(real):
            await release(real, NEXT_IMAGE)
            await real.becomes("Progressing", "True", "RollingOut")
            assert (await real.operator())["status"]["version"] == VERSION
            await real.becomes("Progressing", "True", "Soaking")
            assert (await real.settled())["status"]["version"] == "1.2.0"
            async with unpullable(real, THIRD_IMAGE):
                await release(real, THIRD_IMAGE, "1.3.0")
                degraded = await real.becomes("Degraded", "True", "RolledBack")
        assert "ImagePullBackOff" in degraded["message"]
        await real.until(lambda: has_image(real, NEXT_IMAGE))
        assert [each["result"] for each in (await real.operator())["status"]["history"]] == ["Succeeded", "RolledBack"]
        await removed(real, pods)


@pytest.mark.parametrize(("policy", "reason"), [("Rollback", "RolledBack"), ("Hold", "RolloutFailed")])
async def test_pods_that_crash_in_the_soak(policy: str, reason: str) -> None:
    """A33: a crash 30 s after all were Ready breaks the soak: taken back, or held and told of."""
    async with site(answers=True) as real:
        await real.installed(rollout={"onFailure": policy})
        await crash_in_the_soak(real, NEXT_IMAGE, reason, after=30)
        await real.until(lambda: has_image(real, IMAGE if policy == "Rollback" else NEXT_IMAGE))
        await asyncio.sleep(20)
        assert await image_of(real) == (IMAGE if policy == "Rollback" else NEXT_IMAGE)


async def has_image(real: RealSite, image: str) -> bool:
    """Whether the operand is of an image."""
    return await image_of(real) == image


async def removed(real: RealSite, pods: dict[str, str]) -> None:
    """A19, then A18: kept while a set exists; on request gone, with nothing of a set, and back without a restart."""
    await real.edit(managementState="Removed", removal={"policy": "WhenUnused"})
    await real.becomes("Progressing", "True", "Removing")
    assert await real.get(DEPLOYMENTS, names.DEPLOYMENT) is not None
    await real.edit(removal={"policy": "Operand"})
    await real.becomes("Available", "False", "Removed")

    async def gone() -> bool:
        found = await real.get(CLUSTERROLES, names.MANAGER_ROLE)
        return found is None and await real.get(MUTATINGWEBHOOKCONFIGURATIONS, names.MUTATING) is None

    await real.until(gone)
    assert len((await real.client.list(LEADERWORKERSETS))["items"]) == 2
    assert await user_pods(real) == pods
    await real.edit(managementState="Managed")
    await real.becomes("Available", "True")
    assert await user_pods(real) == pods
    for name in ("set-0", "set-1"):
        await real.client.delete(LEADERWORKERSETS, "default", name)
    await real.edit(managementState="Removed", removal={"policy": "WhenUnused"})
    await real.until(gone)


async def test_certificates_of_cert_manager() -> None:
    """A05 to A08: missed, found within 10 s, used; a Certificate that is not issued is told in its own words."""
    async with site(answers=True) as real:
        await real.start()
        await real.apply_cr(certificates={"mode": "CertManager"})
        degraded = await real.becomes("Degraded", "True", "MissingDependency")
        assert degraded["message"] == MISSING_CERT_MANAGER
        await real.define(published("cert-manager.io", "monitoring.coreos.com"))

        async def requested() -> bool:
            return await real.get(CERTIFICATES, names.SERVING_CERTIFICATE) is not None

        await real.until(requested, seconds=15)
        async with issuing(real, issues=False) as manager:
            degraded = await real.becomes("Degraded", "True", "CertificateNotReady", seconds=240)
            assert manager.complaint in degraded["message"]
            manager.issuing = True
            await real.becomes("Available", "True", seconds=240)
            await real.becomes("Degraded", "False")
        assert await real.get(ISSUERS, names.ISSUER) is not None
        for name in (names.SERVING_SECRET, names.METRICS_SECRET):
            assert await real.get(SECRETS, name) is not None
        hooks = await real.get(MUTATINGWEBHOOKCONFIGURATIONS, names.MUTATING)
        assert hooks is not None
        assert annotations_of(hooks)[names.INJECT_CA] == f"{real.namespace}/{names.SERVING_CERTIFICATE}"
        for resource, name in (
            (SERVICEMONITORS, "lws-controller-manager-metrics-monitor"),
            (SERVICEMONITORS, "lws-operator-metrics-monitor"),
            (PROMETHEUSRULES, "lws-controller-manager-alerts"),
            (PROMETHEUSRULES, "lws-operator-alerts"),
        ):
            assert await real.get(resource, name) is not None, name
        assert await real.is_condition("MonitoringReady", "True")
        await rests(real)


async def rests(real: RealSite) -> None:
    """Nothing is written for a while."""
    await asyncio.sleep(20)
    since = len(real.writes)
    await asyncio.sleep(30)
    assert real.written(since) == []


async def test_the_references_installation_is_taken_over() -> None:
    """A22, A23, A20: one rollout, no pod of a set restarts, the conversion stays; the object's end ends no set."""
    async with site(answers=True, definitions=published("cert-manager.io")) as real, issuing(real):
        await real.apply_cr()
        await reference.install(real)
        await real.until(lambda: trusted(real))
        pods = await with_sets(real, 2)
        before = await real.client.get(CUSTOMRESOURCEDEFINITIONS, "", names.SETS_CRD)
        replicas = len((await real.client.list(REPLICASETS, real.namespace))["items"])
        await real.edit(rollout={"soakSeconds": 5})
        await real.start()
        await real.becomes("Progressing", "True")
        await real.settled()
        after = await real.client.get(CUSTOMRESOURCEDEFINITIONS, "", names.SETS_CRD)
        assert after["spec"]["conversion"] == before["spec"]["conversion"]
        assert not after["metadata"].get("ownerReferences")
        assert len((await real.client.list(REPLICASETS, real.namespace))["items"]) == replicas + 1
        assert await user_pods(real) == pods
        assert await real.get(CLUSTERROLES, "lws-proxy-role") is None
        await rests(real)
        await real.client.delete(OPERATORS, "", names.SINGLETON)

        async def collected() -> bool:
            return await real.get(DEPLOYMENTS, names.DEPLOYMENT) is None

        await real.until(collected)
        assert await user_pods(real) == pods


async def trusted(real: RealSite) -> bool:
    """Whether cert-manager has put its authority into the hooks."""
    hooks = await real.client.get(MUTATINGWEBHOOKCONFIGURATIONS, "", names.MUTATING)
    return all(each["clientConfig"].get("caBundle") for each in hooks["webhooks"])


async def test_another_installation_is_left_alone_or_adopted() -> None:
    """A24: named and not written; on request ended and taken over, and never two operands lead."""
    async with site(answers=True, definitions=published("cert-manager.io")) as real, issuing(real):
        await upstream(real, "lws-system")
        await real.start()
        await real.apply_cr()
        degraded = await real.becomes("Degraded", "True", "OtherInstallation")
        assert re.search(r"namespace lws-system has an installation", degraded["message"])
        assert {each.resource for each in real.counted()} == {f"{names.PLURAL}/status"}
        led: dict[str, bool] = {}
        leaders = [asyncio.create_task(lead(real, each, led)) for each in ("lws-system", real.namespace)]
        await asyncio.sleep(2)
        await real.edit(takeOver="Adopt")
        await real.becomes("Available", "True", seconds=300)
        for task in leaders:
            assert not task.done()
            task.cancel()
        assert not await serving(real, "lws-system")
        assert await image_of(real) == IMAGE
