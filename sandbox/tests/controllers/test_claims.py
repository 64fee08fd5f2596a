"""Claims as the binder leaves them."""

from __future__ import annotations

import asyncio
from typing import Any

from sandbox.tests.controllers.stage import small_cluster

from lws.apimachinery.resources import NAMESPACES, PERSISTENTVOLUMECLAIMS
from lws_sandbox.controllers.volumes import PROVISIONER, STORAGE_CLASS
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
