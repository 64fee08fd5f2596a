"""Zone and region of a node on its pods."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PODS
from lws.errors import ConflictError
from lws_sandbox import virtual_time as vt
from lws_sandbox.cluster import Sandbox
from lws_sandbox.nodes import Shape
from tests.virtual import virtual_time

ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"


def _pod(name: str, labels: JSON | None = None, **spec: Any) -> JSON:
    metadata = {"name": name, "namespace": "default", "labels": labels or {"app": "a"}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def _binding(name: str, node: str, **metadata: Any) -> JSON:
    return {"metadata": {"name": name, "namespace": "default", **metadata}, "target": {"kind": "Node", "name": node}}


@virtual_time
async def test_a_pod_gets_zone_and_region_of_its_node() -> None:
    """Bound to a node, or made for one, a pod carries the node's zone and region over its own; nothing else of it."""
    async with Sandbox(shape=Shape(()), clock=vt.VirtualClock(), random=Random(1), loops=()) as sandbox:
        client = sandbox.client()
        labels = {ZONE: "zone-1", REGION: "region-1", "example.com/rack": "rack-1"}
        await client.create(NODES, {"metadata": {"name": "n1", "labels": labels}})
        for pod in (_pod("bound", {ZONE: "mine"}), _pod("made", nodeName="n1"), _pod("lost")):
            await client.create(PODS, pod)
        bindings = {"bound": _binding("bound", "n1", labels={"by": "binding"}), "lost": _binding("lost", "unknown")}
        for name, binding in bindings.items():
            await client.create(PODS, binding, name=name, subresource="binding")
        found = {pod["metadata"]["name"]: pod["metadata"]["labels"] for pod in (await client.list(PODS))["items"]}
        copied = {ZONE: "zone-1", REGION: "region-1"}
        assert found == {"bound": {"by": "binding", **copied}, "made": {"app": "a", **copied}, "lost": {"app": "a"}}


@virtual_time
async def test_a_gated_pod_is_not_bound() -> None:
    """A pod with scheduling gates refuses every binding, in the words of a real server."""
    async with Sandbox(shape=Shape(()), clock=vt.VirtualClock(), random=Random(1), loops=()) as sandbox:
        client = sandbox.client()
        await client.create(PODS, _pod("gated", schedulingGates=[{"name": "example.com/wait"}]))
        with pytest.raises(ConflictError, match=r"pod gated has non-empty \.spec\.schedulingGates"):
            await client.create(PODS, _binding("gated", "n1"), name="gated", subresource="binding")
