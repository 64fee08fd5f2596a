"""Claims as the binder leaves them."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from sandbox.tests.controllers.stage import small_cluster

from lws.apimachinery.resources import NAMESPACES, PERSISTENTVOLUMECLAIMS, PODS
from lws.client.api import ApiClient
from lws_sandbox import virtual_time as vt
from lws_sandbox.bootstrap import STORAGE_CLASS
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.pods import is_ready
from lws_sandbox.controllers.volumebinding.binder import VOLUMES
from lws_sandbox.controllers.volumebinding.choice import PROVISIONER, Bind, Provision, Wait, decide
from lws_sandbox.nodes import Shape, uniform
from lws_sandbox.releases import RELEASES
from tests.virtual import virtual_time

CLAIM: dict[str, Any] = {
    "metadata": {"name": "disk", "namespace": "claims", "annotations": {"own": "kept"}},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


@virtual_time
async def test_a_bound_claim_says_so_to_a_real_scheduler() -> None:
    """kube-scheduler believes the annotations of the volume controller, not the phase; ours sets them with the name."""
    async with small_cluster(1) as sandbox:
        client = sandbox.client()
        await client.create(NAMESPACES, {"metadata": {"name": "claims"}})
        await client.create(PERSISTENTVOLUMECLAIMS, CLAIM)
        await asyncio.sleep(1)
        found = await client.get(PERSISTENTVOLUMECLAIMS, "claims", "disk")
    assert found["status"]["phase"] == "Bound"
    assert found["spec"]["storageClassName"] == STORAGE_CLASS
    assert found["metadata"]["annotations"] == {
        "own": "kept",
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
        "volume.beta.kubernetes.io/storage-provisioner": PROVISIONER,
        "volume.kubernetes.io/storage-provisioner": PROVISIONER,
    }


@virtual_time
async def test_a_claim_that_changed_meanwhile_is_bound_to_the_volume_made_for_it() -> None:
    """Once its volume is there, a claim that somebody wrote to before it was bound is told the same as ever."""
    async with small_cluster(1) as sandbox:
        client = sandbox.client()
        await client.create(NAMESPACES, {"metadata": {"name": "claims"}})
        spec = {
            **_volume("made", "1Gi")["spec"],
            "storageClassName": STORAGE_CLASS,
            "claimRef": {"namespace": "claims", "name": "disk"},
            "hostPath": {"path": "/made"},
        }
        made = {"name": "made", "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}}
        await client.create(VOLUMES, {"metadata": made, "spec": spec})
        await client.create(PERSISTENTVOLUMECLAIMS, CLAIM)
        await asyncio.sleep(1)
        found = await client.get(PERSISTENTVOLUMECLAIMS, "claims", "disk")
    assert found["spec"]["volumeName"] == "made"
    assert found["metadata"]["annotations"]["volume.kubernetes.io/storage-provisioner"] == PROVISIONER


def _claim(storage_class: str | None = "fast", **spec: Any) -> dict[str, Any]:
    named = {} if storage_class is None else {"storageClassName": storage_class}
    return {"metadata": CLAIM["metadata"] | {"uid": "u"}, "spec": {**CLAIM["spec"], **named, **spec}}


def _volume(name: str, size: str, **spec: Any) -> dict[str, Any]:
    shape = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "storageClassName": "fast"}
    return {"metadata": {"name": name}, "spec": {**shape, **spec}}


WAITS: list[tuple[dict[str, Any], dict[str, Any] | None, str, str]] = [
    (_claim(""), None, "FailedBinding", "no storage class is set"),
    (_claim(), None, "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found'),
    (_claim(), {"provisioner": "csi.example.com"}, "ExternalProvisioning", "external provisioner 'csi.example.com'"),
    (
        _claim(),
        {"provisioner": PROVISIONER, "volumeBindingMode": "WaitForFirstConsumer"},
        "WaitForFirstConsumer",
        "waiting for first consumer",
    ),
]


@pytest.mark.parametrize(("claim", "storage_class", "reason", "words"), WAITS)
def test_a_claim_that_nobody_provisions_waits_and_says_why(
    claim: dict[str, Any], storage_class: dict[str, Any] | None, reason: str, words: str
) -> None:
    """The reasons and messages are those of the real controller."""
    decision = decide(claim, storage_class, [], used=False)
    assert isinstance(decision, Wait)
    assert decision.reason == reason
    assert words in decision.message


def test_the_first_consumer_ends_the_wait() -> None:
    """A pod that uses the claim is what its class waits for."""
    storage_class = {"provisioner": PROVISIONER, "volumeBindingMode": "WaitForFirstConsumer"}
    assert decide(_claim(), storage_class, [], used=True) == Provision()


def test_the_smallest_volume_that_fits_is_bound() -> None:
    """Size, class, access modes and a reservation for another claim decide which volumes fit."""
    volumes = [
        _volume("large", "5Gi"),
        _volume("right", "2Gi"),
        _volume("small", "1Mi"),
        _volume("elsewhere", "1Gi", storageClassName="slow"),
        _volume("shared", "1Gi", accessModes=["ReadOnlyMany"]),
        _volume("taken", "1Gi", claimRef={"namespace": "claims", "name": "other"}),
    ]
    assert decide(_claim(), None, volumes, used=False) == Bind(volumes[1])
    assert isinstance(decide(_claim(volumeName="large"), None, volumes, used=False), Bind)
    kept = [_volume("kept", "1Gi", claimRef={"namespace": "claims", "name": "disk"})]
    assert decide(_claim(), None, kept, used=False) == Bind(kept[0])


@virtual_time
async def test_a_pod_waits_for_its_claim_until_somebody_makes_a_volume() -> None:
    """An unknown class keeps claim and pod Pending, with the reason; a volume made by hand ends it, and is kept."""
    shape = Shape(uniform(1), heartbeat=0.0)
    async with Sandbox(shape=shape, clock=vt.VirtualClock(), random=Random(1)) as sandbox:
        client = sandbox.client()
        await client.create(PERSISTENTVOLUMECLAIMS, {**_claim(), "metadata": {"name": "disk", "namespace": "default"}})
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "disk"}}]
        spec = {"containers": [{"name": "main", "image": "app:1"}], "volumes": volumes}
        await client.create(PODS, {"metadata": {"name": "p", "namespace": "default"}, "spec": spec})
        await asyncio.sleep(30)
        pod = await client.get(PODS, "default", "p")
        (scheduled,) = pod["status"]["conditions"]
        assert scheduled["message"].startswith("0/1 nodes are available: pod has unbound immediate")
        await client.create(VOLUMES, _volume("hand", "1Gi", hostPath={"path": "/data"}))
        await asyncio.sleep(30)
        assert is_ready(await client.get(PODS, "default", "p"))
        await client.delete(PODS, "default", "p")
        await client.delete(PERSISTENTVOLUMECLAIMS, "default", "disk")
        await asyncio.sleep(30)
        assert (await client.get(VOLUMES, "", "hand"))["status"]["phase"] == "Released"


async def _said_of_use(client: ApiClient) -> list[tuple[str, str]]:
    await asyncio.sleep(5)
    claim = await client.get(PERSISTENTVOLUMECLAIMS, "claims", "disk")
    return [(each["status"], each["reason"]) for each in claim["status"].get("conditions") or ()]


@pytest.mark.parametrize(
    ("release", "unused", "used"),
    [("1.37", [("True", "NoPodsUsingPVC")], [("False", "PodUsingPVC")]), ("1.36", [], [])],
)
@virtual_time
async def test_a_claim_of_1_37_says_whether_a_pod_refers_to_it(release: str, unused: Any, used: Any) -> None:
    """A bound claim is Unused until a pod refers to it, and again when none does; claims of 1.36 say nothing."""
    shape, features = Shape(uniform(1), heartbeat=0.0), RELEASES[release]
    async with Sandbox(shape=shape, clock=vt.VirtualClock(), random=Random(1), features=features) as sandbox:
        client = sandbox.client()
        await client.create(NAMESPACES, {"metadata": {"name": "claims"}})
        await client.create(PERSISTENTVOLUMECLAIMS, CLAIM)
        assert await _said_of_use(client) == unused
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "disk"}}]
        spec = {"containers": [{"name": "main", "image": "app:1"}], "volumes": volumes}
        await client.create(PODS, {"metadata": {"name": "p", "namespace": "claims"}, "spec": spec})
        assert await _said_of_use(client) == used
        await client.delete(PODS, "claims", "p", grace_period_seconds=0)
        assert await _said_of_use(client) == unused
