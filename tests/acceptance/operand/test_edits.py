"""Whatever way an installation came about, it is that of its object: A60."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final

import pytest

from lws.api.operand import names
from lws.apimachinery.manifests import JSON
from tests.acceptance.operand.certmanager import CertManager, Tls
from tests.acceptance.operand.site import Site
from tests.simulation.chaos import Chaos, Trouble
from tests.virtual import virtual_time

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

# Each member of a spec, and values that an API server takes; None leaves it out.
CHOICES: Final[dict[str, Callable[[Random], Any]]] = {
    "managementState": lambda r: r.choice(["Managed", "Managed", "Force", "Unmanaged", "Removed"]),
    "removal": lambda r: r.choice([None, {"policy": "Operand"}, {"policy": "WhenUnused"}, {"policy": "Keep"}]),
    "logLevel": lambda r: r.choice([None, "", "Normal", "Debug", "Trace", "TraceAll"]),
    "operatorLogLevel": lambda r: r.choice([None, "Debug"]),
    "unsupportedConfigOverrides": lambda r: r.choice([None, {}, {"clientConnection": {"qps": 9, "burst": 9}}]),
    "nodePlacement": lambda r: r.choice(
        [None, {"nodeSelector": {"zone": "zone-1"}}, {"tolerations": []}, {"tolerations": [{"operator": "Exists"}]}]
    ),
    "certificates": lambda r: {"mode": r.choice(["Internal", "Internal", "CertManager", "Auto"])},
    "operand": lambda r: {
        "replicas": r.choice([1, 2, 3]),
        "sizing": r.choice(["Fixed", "Auto"]),
        "resources": r.choice([None, {"limits": {"memory": "2Gi"}}]),
        "imagePullSecrets": r.choice([None, [{"name": "pull"}]]),
        "configuration": r.choice([None, {"clientConnection": {"qps": 7}}]),
    },
    "tls": lambda r: r.choice([None, {"profile": "Modern"}, {"profile": "Custom", "minVersion": "VersionTLS13"}]),
    "monitoring": lambda r: r.choice([None, {"mode": "Disabled"}, {"alerts": False}]),
    "networkPolicy": lambda r: r.choice([None, {"mode": "Disabled"}]),
    "rollout": lambda r: r.choice([{"strategy": "Immediate"}, {"soakSeconds": 5}, {"onFailure": "Hold"}]),
}
_SERVERS: Final = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
_ALLOCATED: Final = ("clusterIP", "clusterIPs")


def applied(site: Site) -> dict[tuple[str, str], JSON]:
    """What was applied, without what differs between any two clusters and what cert-manager and pods put in."""
    copies = f"{names.CONFIG_MAP}-"
    mounted = next(
        each["configMap"]["name"]
        for resource, live in site.operators[0].operator.caches.labelled()
        if resource.kind == "Deployment"
        for each in live["spec"]["template"]["spec"]["volumes"]
        if each.get("configMap", {}).get("name", "").startswith(copies)
    )
    found = {}
    for resource, live in site.operators[0].operator.caches.labelled():
        name = live["metadata"]["name"]
        if not name.startswith(copies) or name == mounted:  # former configurations are kept for a while
            found[resource.kind, name] = _declared(live)
    return found


def _declared(live: JSON) -> JSON:
    meta = {key: value for key, value in live["metadata"].items() if key not in _SERVERS}
    meta["ownerReferences"] = [{**each, "uid": ""} for each in meta.get("ownerReferences") or ()]
    annotations = meta.get("annotations") or {}
    meta["annotations"] = {key: value for key, value in annotations.items() if not key.startswith("deployment.")}
    result = {key: value for key, value in live.items() if key != "status"} | {"metadata": meta}
    if "webhooks" in result:
        hooks = ((hook, hook["clientConfig"]) for hook in result["webhooks"])
        result["webhooks"] = [{**hook, "clientConfig": {**config, "caBundle": ""}} for hook, config in hooks]
    if live.get("kind") == "Service":
        result["spec"] = {key: value for key, value in live["spec"].items() if key not in _ALLOCATED}
    return result


async def wander(seed: int, edits: int) -> tuple[JSON, dict[tuple[str, str], JSON]]:
    """Edit at random, with faults and restarts; the last spec, with the mode that was decided, and what is applied."""
    chance = Random(seed)
    async with Site(seed, definitions=["cert-manager", "service-monitor", "prometheus-rule"]) as site:
        manager, tls = CertManager(site), Tls(site)
        trouble = Trouble()
        spec: JSON = {}

        async def begin() -> None:
            chaos = Chaos(site.sandbox.transport(), Random(chance.getrandbits(64)), trouble)
            await site.start(transport=chaos, ready=False, hostname=f"operator-{chance.getrandbits(16)}")

        async def supervise() -> None:
            """Start a process anew that ended, as one does that could not renew its lease (OD-19)."""
            while True:
                for running in [each for each in site.operators if each.task.done()]:
                    await running.stop()
                    await begin()
                await asyncio.sleep(5)

        await site.apply_cr()
        await begin()
        supervising = asyncio.create_task(supervise(), name="supervisor")
        for _ in range(edits):
            chosen = chance.sample(sorted(CHOICES), chance.randint(1, 4))
            spec |= {member: CHOICES[member](chance) for member in chosen}
            await site.replace(spec)
            trouble.refused, trouble.unanswered, trouble.broken = (chance.choice([0, 0, 0.1]) for _ in range(3))
            if chance.random() < 0.2:
                for running in [*site.operators]:
                    await chance.choice([running.stop, running.crash])()
                await begin()
            await asyncio.sleep(chance.uniform(0, 90))
        trouble.heal()
        spec |= {"managementState": "Managed", "rollout": {"soakSeconds": 5}}
        await site.replace(spec)
        await asyncio.sleep(400)
        found = await site.settled(seconds=3600)
        await asyncio.sleep(60)
        assert await site.is_condition("Degraded", "False"), await site.condition("Degraded")
        supervising.cancel()
        manager.task.cancel()
        await tls.stop()
        return spec | {"certificates": {"mode": found["status"]["certificates"]["mode"]}}, applied(site)


async def fresh(spec: JSON) -> dict[tuple[str, str], JSON]:
    """What a first installation of a spec applies."""
    async with Site(definitions=["cert-manager", "service-monitor", "prometheus-rule"]) as site:
        manager, tls = CertManager(site), Tls(site)
        await site.apply_cr()
        await site.replace(spec)
        await site.start()
        await asyncio.sleep(60)
        await site.settled(seconds=1200)
        await asyncio.sleep(60)
        manager.task.cancel()
        await tls.stop()
        return applied(site)


@pytest.mark.parametrize(
    ("seed", "edits"), [(1, 10), *(pytest.param(seed, 40, marks=pytest.mark.nightly) for seed in range(2, 7))]
)
def test_a60_any_way_leads_to_the_same_installation(seed: int, edits: int) -> None:
    """A60: after random edits with faults and restarts the objects are those of a fresh installation."""

    @virtual_time
    async def live() -> None:
        spec, found = await wander(seed, edits)
        expected = await fresh(spec)
        assert found.keys() == expected.keys(), spec
        for key, manifest in found.items():
            assert manifest == expected[key], (key, spec)

    live()
