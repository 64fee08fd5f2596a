"""The operator on a real control plane: A01 to A03, A05, A20, A21, A26, A27, as far as pretended pods let them be told.

Nobody answers for the operand's webhook here, so the operand is never Available.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.operand import names
from lws.api.operand.crd import LEADERWORKERSETOPERATOR, OPERATORS
from lws.api.operand.messages import MISSING_CERT_MANAGER, SINGLETON
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CLUSTERROLES,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    SERVICES,
    Resource,
)
from lws.client.api import STRATEGIC_MERGE_PATCH, ApiClient
from lws.clock import SystemClock
from lws.errors import InvalidError, NotFoundError, TooManyRequestsError
from lws.manager.operand import OperandManager, OperandSettings
from lws.planning.operand.assets import assets
from lws.reconcilers.operand.observe import Surroundings
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.nodes import preset
from lws_sandbox.real.cluster import RealCluster, real_cluster
from tests.acceptance.operand.site import FREE, IMAGE, NAMESPACE, operator_manifest, workload
from tests.real.conftest import need_binaries
from tests.simulation.recording import Recording, Write

PATIENCE = 90.0
REST = 40.0  # seconds; a minute's probe and several renewals fall into them
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


class RealSite:
    """A real cluster with an operator in this process."""

    def __init__(self, cluster: RealCluster) -> None:
        self.client: ApiClient = cluster.admin("test")
        self.writes: list[Write] = []
        settings = OperandSettings(Surroundings(NAMESPACE, IMAGE, "1.1.0"))
        transport = Recording(cluster.transport, self.writes)
        self._operator = OperandManager(settings, transport, clock=SystemClock(), random=Random(3), sockets=False)
        self._task: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Install the operator's definition and namespace."""
        await self.client.create(CUSTOMRESOURCEDEFINITIONS, LEADERWORKERSETOPERATOR.manifest())
        await self.client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})

        async def served() -> bool:
            try:
                await self.client.list(OPERATORS)
            except (NotFoundError, TooManyRequestsError):  # the second while its storage is being set up
                return False
            return True

        await self.until(served)

    async def start(self) -> None:
        """Start the operator; returns when it leads."""
        self._task = asyncio.create_task(self._operator.run(), name="lws-operator")
        await asyncio.wait_for(self._operator.wait_ready(), PATIENCE)

    async def stop(self) -> None:
        """Stop it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def get(self, resource: Resource, name: str) -> JSON | None:
        """One object; None if it is not there."""
        try:
            return await self.client.get(resource, NAMESPACE if resource.namespaced else "", name)
        except NotFoundError:
            return None

    async def condition(self, kind: str) -> JSON:
        """One condition of the operator's object."""
        found = await self.client.get(OPERATORS, "", names.SINGLETON)
        conditions = (found.get("status") or {}).get("conditions") or ()
        return next((each for each in conditions if each["type"] == kind), {})

    def written(self, since: int) -> list[str]:
        """What the operator wrote, and the server took, but for leases, events and dry runs."""
        counted = (each for each in self.writes[since:] if each.resource not in FREE and not each.dry_run)
        return [str(each) for each in counted if 200 <= each.status < 300]

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(PATIENCE):
            while not await holds():  # noqa: ASYNC110 -- a real server has no event for it
                await asyncio.sleep(0.25)


@asynccontextmanager
async def site() -> AsyncIterator[RealSite]:
    """A real cluster that knows the operator's object."""
    shape = replace(preset("small"), delays=Delays(start=0.05, init=0.05, ready=0.1, stop=0.05))
    async with real_cluster(need_binaries(), shape=shape, random=Random(1)) as cluster:
        made = RealSite(cluster)
        await made.prepare()
        try:
            yield made
        finally:
            await made.stop()


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
