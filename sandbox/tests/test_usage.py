"""The metrics API: what `kubectl top` asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES, NODES, PODS
from lws.client.api import ApiClient
from lws.errors import NotFoundError
from lws_sandbox.cluster import Sandbox
from lws_sandbox.usage import NODE_USE, POD_USE, serve_usage
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time


def pod(name: str, *, namespace: str = "default", label: str = "a", node: str = "n1", **containers: Any) -> JSON:
    """A pod with containers of these resources."""
    spec = {
        "nodeName": node,
        "containers": [{"name": each, "image": "i", "resources": asked} for each, asked in containers.items()],
    }
    return {"metadata": {"name": name, "namespace": namespace, "labels": {"app": label}}, "spec": spec}


@asynccontextmanager
async def begun() -> AsyncIterator[ApiClient]:
    """A sandbox without loops, and three pods of which two run on the first of two nodes."""
    asked = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}}
    pods = (
        pod("a", main=asked, side={"limits": {"cpu": "1", "memory": "100Mi"}}),
        pod("b", namespace="other", label="b", idle={}),
        pod("waiting", main=asked),
    )
    sandbox = Sandbox(clock=VirtualClock(), loops=())
    serve_usage(sandbox.server)
    async with sandbox:
        client = sandbox.client()
        await client.create(NAMESPACES, {"metadata": {"name": "other"}})
        for name in ("n1", "n2"):
            await client.create(NODES, {"metadata": {"name": name}})
        for one in pods:
            made = await client.create(PODS, one)
            if made["metadata"]["name"] != "waiting":
                made["status"]["phase"] = "Running"
                await client.update(PODS, made, subresource="status")
        yield client


@virtual_time
async def test_a_running_pod_uses_a_part_of_what_it_asks_for() -> None:
    """Half of the CPU and three quarters of the memory, by container; a limit counts where there is no request."""
    async with begun() as client:
        found = await client.get(POD_USE, "default", "a")
        idle = await client.get(POD_USE, "other", "b")
    assert [(each["name"], each["usage"]) for each in found["containers"]] == [
        ("main", {"cpu": "250000000n", "memory": "786432Ki"}),
        ("side", {"cpu": "500000000n", "memory": "76800Ki"}),
    ]
    assert idle["containers"][0]["usage"] == {"cpu": "1000000n", "memory": "8192Ki"}


@virtual_time
async def test_lists_are_those_of_a_namespace_and_a_selector() -> None:
    """Running pods alone are listed: of all namespaces or one, and those that a selector takes."""
    async with begun() as client:

        async def names(namespace: str = "", selector: str = "") -> list[str]:
            listed = await client.list(POD_USE, namespace, label_selector=selector)
            return [each["metadata"]["name"] for each in listed["items"]]

        assert await names() == ["a", "b"]
        assert await names("default") == ["a"]
        assert await names("other", "app=a") == []
        assert await names(selector="app in (b)") == ["b"]
        for missing in ("waiting", "nosuch"):
            with pytest.raises(NotFoundError):
                await client.get(POD_USE, "default", missing)


@virtual_time
async def test_a_node_uses_what_its_pods_do_and_a_little_more() -> None:
    """The pods of all namespaces that run on it, and what a bare node uses."""
    async with begun() as client:
        listed = (await client.list(NODE_USE))["items"]
    nodes = {each["metadata"]["name"]: each["usage"] for each in listed}
    assert nodes["n2"] == {"cpu": "50000000n", "memory": "262144Ki"}
    assert nodes["n1"] == {"cpu": "801000000n", "memory": f"{262144 + 786432 + 76800 + 8192}Ki"}
