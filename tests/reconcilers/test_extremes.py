"""One object with absurd numbers in it: everybody else is served as before."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws.errors import ApiError
from tests.manager.test_manager import Line
from tests.simulation.cluster import Cluster, manifest
from tests.virtual import virtual_time

LOOPS = ("namespace-controller", "garbage-collector-controller")  # no controller makes pods by the billion
CPU_SECONDS = 5.0  # for all of it; one pass in proportion to a billion takes minutes


async def leader_of(cluster: Cluster, name: str, **annotations: str) -> JSON:
    """A leader as the StatefulSet controller makes it, with these annotations written over its own."""
    found = await cluster.client.get(STATEFULSETS, "default", name)
    template, meta = found["spec"]["template"], found["metadata"]
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "uid": meta["uid"], "controller": True}
    metadata: dict[str, Any] = {
        "name": f"{name}-0",
        "namespace": "default",
        "labels": template["metadata"]["labels"],
        "annotations": {**template["metadata"]["annotations"], **annotations},
        "ownerReferences": [owner],
    }
    spec = {**template["spec"], "hostname": f"{name}-0", "subdomain": name}
    return await cluster.client.create(PODS, {"metadata": metadata, "spec": spec})


@virtual_time
async def test_cd_111_absurd_numbers_hold_up_nobody() -> None:
    """With absurd sizes, annotations and scales the lease is renewed, reviews are answered and neighbours served.

    A size of 1,000,000,000; `L/size` and `L/replicas` of 5,000 digits; a StatefulSet scaled to 2,147,483,647 by hand.
    """
    lease = Line()
    async with Cluster(elect=True, loops=LOOPS) as cluster:
        await cluster.start(lease_wrap=lease.wrap)
        client, begun = cluster.client, time.process_time()

        async def replicas(name: str, wanted: int) -> None:
            async def so() -> bool:
                found = await cluster.get(STATEFULSETS, name)
                return found is not None and found["spec"]["replicas"] == wanted

            await cluster.until(so, seconds=10)

        await client.create(LEADERWORKERSETS, manifest("vast", replicas=1, size=1_000_000_000))
        await replicas("vast", 1)
        with pytest.raises(ApiError, match="value out of range"):
            await leader_of(cluster, "vast", **{labels.SIZE: "9" * 5000})
        await leader_of(cluster, "vast")
        await replicas("vast-0", 999_999_999)
        over: JSON = {"metadata": {"annotations": {labels.REPLICAS: "9" * 5000}}, "spec": {"replicas": 2**31 - 1}}
        await client.patch(STATEFULSETS, "default", "vast", over)
        await replicas("vast", 1)
        put_right = await client.get(STATEFULSETS, "default", "vast")
        assert put_right["metadata"]["annotations"][labels.REPLICAS] == "1"
        await client.create(LEADERWORKERSETS, manifest("small", replicas=2))
        await replicas("small", 2)
        await asyncio.sleep(20)
        assert time.process_time() - begun < CPU_SECONDS
    renewals = [when for when, request in lease.requests if request.method == "PUT"]
    assert len(renewals) >= 10
    assert all(later - earlier < 2.5 for earlier, later in itertools.pairwise(renewals))
