"""Scenarios A34 to A40: External roles and their scalers (disaggregatedset 13)."""

from __future__ import annotations

import asyncio

import pytest

from lws.api.disaggregatedset.resources import ROLESCALERS
from lws.api.disaggregatedset.revision import revision_of
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws_sandbox.controllers.autoscaling import AUTOSCALERS
from tests.acceptance.disaggregatedset.site import A, B, Site, roles, site
from tests.acceptance.disaggregatedset.stages import on_every_stage
from tests.api.disaggregatedset.making import external, pause, role
from tests.simulation.cluster import NAMESPACE
from tests.virtual import virtual_time

pytestmark = pytest.mark.long

SELECTOR = (
    "disaggregatedset.x-k8s.io/name=x,disaggregatedset.x-k8s.io/role=prefill,leaderworkerset.sigs.k8s.io/worker-index=0"
)


def scaled(image: str = "3.9", decode: int = 1) -> list[JSON]:
    """Prefill External, decode Static."""
    return [external("prefill", template=pause(image)), role("decode", decode, template=pause(image))]


async def replicas(found: Site, name: str, revision: str = A) -> int | None:
    """What the child of a role is to have."""
    return (await found.children()).get(f"x-0-{revision}-{name}")


@on_every_stage
async def test_a34_an_external_role() -> None:
    """Its scaler is there at once, owned by the set, with a scale that answers before anybody wrote it."""
    async with site() as found:
        live = await found.create(*scaled())
        await found.available()
        scaler = await found.scaler("prefill")
        assert scaler is not None
        (owner,) = scaler["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (live["metadata"]["uid"], True, True)
        scale = await found.client.get(ROLESCALERS, NAMESPACE, "x-prefill", subresource="scale")
        assert (scale["spec"]["replicas"], scale["status"]["selector"]) == (1, SELECTOR)
        assert await replicas(found, "prefill") == 1
        assert "ScalerCreated" in await found.reasons()


@on_every_stage
async def test_a35_scaling_a_role() -> None:
    """The role follows its scaler; the scaler tells what there is, and the set is Available with what is asked."""
    async with site() as found:
        await found.create(*scaled())
        await found.available()
        await found.scale("prefill", 3)
        await found.until(lambda: _statuses(found, 3))
        await found.available()
        scaler = await found.scaler("prefill")
        assert scaler is not None
        status = scaler["status"]
        assert (status["replicas"], status["selector"]) == (3, SELECTOR)
        assert [(each["type"], each["status"], each["reason"]) for each in status["conditions"]] == [
            ("Ready", "True", "Bound")
        ]
        assert await replicas(found, "prefill") == 3
        assert len(await found.cluster.all(PODS, SELECTOR)) == 3


async def _statuses(found: Site, count: int) -> bool:
    statuses = (await found.get())["status"]["roleStatuses"]
    return bool(statuses[0].get("readyReplicas") == count)


@on_every_stage
async def test_a36_to_external_and_back() -> None:
    """A running role keeps its groups when a scaler takes over, and when it leaves again."""
    async with site() as found:
        await found.create(*roles(5, 1))
        await found.available()
        uids = {each["metadata"]["uid"] for each in await found.all(PODS)}
        await found.edit(external("prefill", 5, template=pause()), role("decode"))
        await found.available()
        scaler = await found.scaler("prefill")
        assert scaler is not None
        assert scaler["spec"]["replicas"] == 5
        await found.edit(*roles(5, 1))
        await found.available()
        assert await found.scaler("prefill") is None
        assert (
            "ScalerDeleted",
            "Deleted scaler x-prefill (role prefill is no longer External)",
        ) in await found.events()
        assert {each["metadata"]["uid"] for each in await found.all(PODS)} == uids


@on_every_stage
async def test_a37_to_external_in_mid_rollout() -> None:
    """A new scaler begins with what the role had before the rollout, not with both revisions added up (DD-17)."""
    async with site() as found:
        await found.create(*roles(4, 4))
        await found.available()
        await found.edit(*roles(4, 4, "3.10"))
        await found.until(lambda: found.has_replicas(B, prefill=1, decode=1))
        await found.edit(external("prefill", 4, template=pause("3.10")), role("decode", 4, template=pause("3.10")))
        await found.available()
        scaler = await found.scaler("prefill")
        assert scaler is not None
        assert scaler["spec"]["replicas"] == 4
        assert await found.children() == {f"x-0-{B}-{name}": 4 for name in ("prefill", "decode")}


@on_every_stage
async def test_a38_a_role_at_zero() -> None:
    """A role without groups forces no drain of the others and keeps no Service from coming (DD-04, DD-12)."""
    async with site() as found:
        await found.create(*scaled(decode=6))
        await found.available()
        await found.scale("prefill", 0)
        await found.until(lambda: _statuses_gone(found))
        await found.available()
        async with found.measuring():
            await found.edit(*scaled("3.10", decode=6))
            await found.available()
        assert found.lowest["decode"] >= 6
        assert await found.services() == [f"x-0-{B}-decode-prv", f"x-0-{B}-prefill-prv"]


async def _statuses_gone(found: Site) -> bool:
    statuses = (await found.get())["status"]["roleStatuses"]
    return "replicas" not in statuses[0]


@on_every_stage
async def test_a39_scaling_down_in_mid_rollout() -> None:
    """While old groups run the new ones are not cut; afterwards the scaler is followed."""
    async with site() as found:
        await found.create(*scaled(decode=5))
        await found.available()
        await found.scale("prefill", 5)
        await found.until(lambda: _statuses(found, 5))
        await found.available()
        await found.edit(*scaled("3.10", decode=5))
        await found.until(lambda: found.ready_at(B, 3))
        await found.scale("prefill", 2)
        seen = []
        while await found.children(revision=A):
            seen.append(await replicas(found, "prefill", B))
            await asyncio.sleep(0.25)
        assert min(count for count in seen if count is not None) >= 3
        await found.available()
        assert await replicas(found, "prefill", B) == 2


@on_every_stage
async def test_a40_a_foreign_scaler() -> None:
    """Somebody else's scaler is not used: nothing rolls until it is gone, which is noticed by itself (DD-08, DD-15)."""
    async with site() as found:
        foreign = {
            "apiVersion": ROLESCALERS.api_version,
            "kind": ROLESCALERS.kind,
            "metadata": {"name": "x-prefill", "namespace": NAMESPACE},
            "spec": {"replicas": 7},
        }
        await found.client.create(ROLESCALERS, foreign)
        await found.create(*scaled(decode=2))
        await found.until(lambda: found.blocked("ScalerMissing"))
        await found.until(lambda: _decoding(found))
        await found.touch()
        await found.edit(*scaled("3.10", decode=2))
        await asyncio.sleep(60)
        assert await found.children() == {f"x-0-{A}-decode": 2, f"x-0-{A}-prefill": 0}
        assert (await found.reasons()).count("ScalerConflict") == 1
        await found.client.delete(ROLESCALERS, NAMESPACE, "x-prefill")
        await found.available()
        assert set(await found.children()) == {f"x-0-{B}-{name}" for name in ("prefill", "decode")}
        assert (await found.condition("Blocked"))[0] == "False"


async def _decoding(found: Site) -> bool:
    statuses = (await found.get())["status"]["roleStatuses"]
    return bool(statuses[1].get("readyReplicas") == 2)


@virtual_time
async def test_an_autoscaler_drives_a_role() -> None:
    """A HorizontalPodAutoscaler finds scale and selector, and the role follows it."""
    async with site(loops=None) as found:
        await found.create(*scaled())
        await found.available()
        autoscaler = {
            "metadata": {"name": "prefill", "namespace": NAMESPACE},
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": ROLESCALERS.api_version,
                    "kind": ROLESCALERS.kind,
                    "name": "x-prefill",
                },
                "minReplicas": 1,
                "maxReplicas": 4,
                "metrics": [
                    {
                        "type": "External",
                        "external": {
                            "metric": {"name": "queue"},
                            "target": {"type": "AverageValue", "averageValue": "10"},
                        },
                    }
                ],
            },
        }
        await found.client.create(AUTOSCALERS, autoscaler)
        await found.sandbox.drills.metric_set("queue", 20.0)
        await found.until(lambda: _statuses(found, 2), seconds=900)
        await found.sandbox.drills.metric_set("queue", 40.0)
        await found.until(lambda: _statuses(found, 4), seconds=900)
        assert revision_of(scaled()) == A
        assert await replicas(found, "prefill") == 4
