"""Installing and resting: A01 to A04, A12 to A14."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import Final

import pytest

from lws.api.operand import names
from lws.api.operand.crd import OPERATORS
from lws.api.operand.types import LeaderWorkerSetOperator
from lws.apimachinery.manifests import labels_of
from lws.apimachinery.resources import LEASES
from lws.client.transport import Request, Response, Transport
from lws.errors import InvalidError
from lws.planning.operand.desired import desired
from lws.planning.operand.facts import Facts
from tests.acceptance.operand.ground import NAMESPACE, VERSION, operator_manifest, slim_assets
from tests.acceptance.operand.site import Site
from tests.forwarding import Forwarding
from tests.simulation.recording import Recording, Write
from tests.virtual import virtual_time

MOST_AT_REST: Final = 900  # requests an hour


@virtual_time
async def test_a01_a_fresh_cluster_gets_everything_that_needs_no_optional_api() -> None:
    """A01: all objects are there with name, namespace, labels and owner; two pods serve, and the status says so."""
    async with Site() as site:
        found = await site.installed()
        operator = LeaderWorkerSetOperator.from_json(found)
        facts = Facts(NAMESPACE, NAMESPACE, operator.metadata.uid)
        for wanted in desired(operator.spec, facts, slim_assets()).objects:
            kind, name = wanted.key
            live = await site.get(wanted.resource, name)
            assert live is not None, wanted.key
            assert labels_of(live).items() >= {**names.LABELS, names.MANAGED_BY: "lws-operator"}.items()
            owners = [each["uid"] for each in live["metadata"].get("ownerReferences") or ()]
            assert owners == ([] if kind == "CustomResourceDefinition" else [found["metadata"]["uid"]])
        assert len(await site.ready_pods()) == 2
        status = found["status"]
        assert {each["type"]: each["status"] for each in status["conditions"]} == {
            "Available": "True",
            "Degraded": "False",
            "MonitoringReady": "False",
            "Progressing": "False",
            "TargetConfigControllerDegraded": "False",
            "Upgradeable": "True",
        }
        assert status["certificates"]["mode"] == "Internal"
        assert status["version"] == VERSION
        assert status["readyReplicas"] == 2
        assert status["operand"]["webhook"]["reachable"] is True


@pytest.mark.long
@virtual_time
async def test_a02_at_rest_nothing_is_written() -> None:
    """A02: in an hour at rest the operator writes its lease and nothing else; what it asks meanwhile is printed."""
    async with Site() as site:
        counting = Counting(site.sandbox.transport())
        await site.start(transport=counting)
        await site.installed()
        await asyncio.sleep(60)
        since = len(site.writes)
        counting.asked.clear()
        await asyncio.sleep(3600)
        assert [str(each) for each in site.counted(since)] == []
        for what, times in counting.asked.most_common():
            sys.stdout.write(f"{times:6} {what}\n")
        assert counting.asked["PUT leases"] <= 3600 / 26 + 2
        assert counting.asked["POST leaderworkersets"] <= 2 * 62  # two dry runs a minute
        assert counting.asked.total() <= MOST_AT_REST


class Counting(Forwarding):
    """A transport that counts requests by method and resource."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.asked: Counter[str] = Counter()

    async def send(self, request: Request) -> Response:
        """Count and pass on."""
        parts = request.path.strip("/").split("/")
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        rest = rest[2:] if rest[:1] == ["namespaces"] and len(rest) > 2 else rest
        self.asked[f"{request.method} {rest[0] if rest else 'discovery'}"] += 1
        return await self._inner.send(request)


STATES = "spec.managementState in body should match '^(Managed|Unmanaged|Force|Removed)$'"
REFUSED = {
    "name": (operator_manifest("other"), "LeaderWorkerSetOperator is a singleton, .metadata.name must be 'cluster'"),
    "empty state": (
        operator_manifest(managementState=""),
        f'spec.managementState: Invalid value: "": {STATES}',
    ),
    "unknown state": (
        operator_manifest(managementState="Paused"),
        f'spec.managementState: Invalid value: "Paused": {STATES}',
    ),
    "unknown level": (
        operator_manifest(logLevel="Loud"),
        'spec.logLevel: Unsupported value: "Loud": supported values: "", "Normal", "Debug", "Trace", "TraceAll"',
    ),
    "no spec": (
        {key: value for key, value in operator_manifest().items() if key != "spec"},
        "spec: Required value",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a03_what_is_not_allowed_is_refused(case: str) -> None:
    """A03: the definition refuses other names, states and levels with the words of a real API server."""

    @virtual_time
    async def refuse() -> None:
        manifest, text = REFUSED[case]
        async with Site() as site:
            with pytest.raises(InvalidError) as refused:
                await site.client.create(OPERATORS, manifest)
            assert text in str(refused.value)

    refuse()


@virtual_time
async def test_the_lease_has_a_way_of_its_own() -> None:
    """Renewals of the operator's lease share no connection with other requests, so none of those can delay them."""
    async with Site() as site:
        renewals: list[Write] = []
        await site.start(lease_transport=Recording(site.sandbox.transport(), renewals))
        await asyncio.sleep(120)
        assert {each.resource for each in renewals} == {LEASES.plural}
        assert len(renewals) >= 4
        assert LEASES.plural not in {each.resource for each in site.writes}


@virtual_time
async def test_a04_without_its_object_the_operator_does_nothing() -> None:
    """A04: the process is ready, creates nothing and logs no error; the object made later is heeded."""
    async with Site() as site:
        running = await site.start()
        await asyncio.sleep(600)
        assert site.counted() == []
        assert running.operator.readyz.failures() == {}
        assert running.operator.metrics.registry.get_sample_value(
            "controller_runtime_reconcile_errors_total", {"controller": "operand"}
        ) in (None, 0.0)
        await site.apply_cr()
        assert (await site.settled())["status"]["readyReplicas"] == 2


@pytest.mark.long
@virtual_time
async def test_a12_log_levels_reach_the_operand_and_the_operator() -> None:
    """A12: each level of the operand is its flag; the operator's own changes without a restart, told by one event."""
    levels: list[str] = []
    async with Site() as site:
        await site.start(log_level=levels.append)
        await site.installed()
        for level, number in (("Debug", 4), ("Trace", 6), ("TraceAll", 9), ("", 2), ("Normal", 2)):
            await site.edit(logLevel=level)
            await site.settled()
            arguments = (await site.deployment())["spec"]["template"]["spec"]["containers"][0]["args"]
            assert arguments == ["--config=/controller_manager_config.yaml", f"--zap-log-level={number}"]
        await site.edit(operatorLogLevel="Debug")
        await asyncio.sleep(10)
        assert levels == ["Debug"]
        (event,) = await site.events("OperatorLogLevelChange")
        assert event["note"] == 'Operator log level changed from "Normal" to "Debug"'
        assert event["reportingController"] == "openshift-lws-operator-loggingsyncer"


@pytest.mark.long
@virtual_time
async def test_a13_node_placement_arrives_and_goes() -> None:
    """A13: selector and tolerations stand literally on the Deployment; set back to null, both are empty again."""
    placement = {"nodeSelector": {"zone": "zone-1"}, "tolerations": [{"key": "a", "operator": "Exists"}]}
    async with Site() as site:
        await site.installed(nodePlacement=placement)
        spec = (await site.deployment())["spec"]["template"]["spec"]
        assert {name: spec[name] for name in placement} == placement
        await site.edit(nodePlacement=None)
        await site.settled()
        spec = (await site.deployment())["spec"]["template"]["spec"]
        assert not spec.get("nodeSelector")
        assert not spec.get("tolerations")


@pytest.mark.long
@virtual_time
async def test_a14_an_invalid_toleration_leaves_the_operand_as_it_is() -> None:
    """A14: the condition names the field of the object that is wrong, and the Deployment stays as it was."""
    async with Site() as site:
        await site.installed()
        before = await site.deployment()
        await site.edit(nodePlacement={"tolerations": [{"operator": "Bogus"}]})
        degraded = await site.becomes("Degraded", "True", "ConfigInvalid")
        assert "spec.nodePlacement.tolerations[0].operator" in degraded["message"]
        assert await site.deployment() == before
        since = len(site.writes)
        await asyncio.sleep(600)
        assert [str(each) for each in site.counted(since)] == []
        await site.edit(nodePlacement=None)
        await site.becomes("Degraded", "False")
