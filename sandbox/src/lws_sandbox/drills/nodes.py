"""Drills on nodes: they fail, come back, are cordoned, drained, labelled, added and removed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PODS
from lws.client.api import MERGE_PATCH
from lws.errors import NotFoundError, TooManyRequestsError
from lws_sandbox.drills.base import ClusterAccess, DrillError, Seconds, checked
from lws_sandbox.nodes import HOSTNAME

_RETRY: Final = 1.0


class NodeDrills(ClusterAccess):
    """The drills whose names begin with ``node``."""

    @checked
    async def node_fail(self, name: str) -> JSON:
        """Stop the node's kubelet: no heartbeat, no status, no end of pods."""
        await self._node(name)
        self._cluster.loops.fleet.failed.add(name)
        return {"node": name, "state": "failed"}

    @checked
    async def node_recover(self, name: str) -> JSON:
        """Start the node's kubelet again."""
        await self._node(name)
        self._cluster.loops.fleet.failed.discard(name)
        await self._cluster.loops.heartbeats.recover(name)
        self._cluster.loops.kubelets.wake_node(name)
        return {"node": name, "state": "working"}

    @checked
    async def node_add(self, name: str, like: str | None = None) -> JSON:
        """Add a node with the labels, taints and capacity of another; by default of the first one."""
        fleet = self._cluster.loops.fleet
        if name in fleet.shapes:
            raise DrillError(f"there is a node {name!r} already: give the new one another name")
        model = fleet.shapes.get(like) if like else next(iter(fleet.shapes.values()), None)
        if model is None:
            raise DrillError(f"there is no node {like!r} to take as a model" if like else "there is no node yet")
        labels = {key: value for key, value in model.labels.items() if key != HOSTNAME}
        fleet.add(replace(model, name=name, labels=labels))
        try:
            await self._cluster.loops.heartbeats.register_node(name)
        except BaseException:
            fleet.remove(name)
            raise
        return {"node": name, "state": "added"}

    @checked
    async def node_remove(self, name: str) -> JSON:
        """Remove a node at once, as when a machine is taken away; its pods are deleted about forty seconds later."""
        await self._node(name)
        self._cluster.loops.fleet.remove(name)
        await self._client.delete(NODES, "", name)
        return {"node": name, "state": "removed"}

    @checked
    async def node_cordon(self, name: str) -> JSON:
        """Let no more pods be scheduled to the node."""
        await self._patch_node(name, {"spec": {"unschedulable": True}})
        return {"node": name, "state": "cordoned"}

    @checked
    async def node_uncordon(self, name: str) -> JSON:
        """Let pods be scheduled to the node again."""
        await self._patch_node(name, {"spec": {"unschedulable": None}})
        return {"node": name, "state": "uncordoned"}

    @checked
    async def node_drain(self, name: str, seconds: Seconds = 60.0) -> JSON:
        """Cordon the node and evict its pods; what a budget refuses is tried again until the time is over."""
        await self.node_cordon(name)
        evicted: list[str] = []
        try:
            async with asyncio.timeout(seconds):
                while left := await self._pods_on(name):
                    evicted += [key for pod in left if (key := await self._evict(pod))]
                    await asyncio.sleep(_RETRY)
        except TimeoutError:
            left = await self._pods_on(name)
            raise DrillError(f"{len(left)} pods are still on {name} after {seconds:g} s") from None
        return {"node": name, "state": "drained", "evicted": evicted}

    @checked
    async def node_label(self, name: str, labels: dict[str, str | None]) -> JSON:
        """Set labels of the node; a null removes one."""
        node = await self._patch_node(name, {"metadata": {"labels": labels}})
        return {"node": name, "labels": node["metadata"].get("labels") or {}}

    async def _patch_node(self, name: str, patch: JSON) -> JSON:
        try:
            return await self._client.patch(
                NODES, "", name, patch, content_type=MERGE_PATCH, field_manager="sandbox-drills"
            )
        except NotFoundError:
            raise DrillError(f"there is no node {name!r}") from None

    async def _pods_on(self, node: str) -> list[JSON]:
        found = await self._client.list(PODS, field_selector=f"spec.nodeName={node}")
        return [pod for pod in found["items"] if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]

    async def _evict(self, pod: JSON) -> str | None:
        """Ask for an eviction; None when a budget refuses it for now, or it is underway."""
        meta = pod["metadata"]
        if meta.get("deletionTimestamp"):
            return None
        manifest = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        }
        try:
            await self._client.create(PODS, manifest, name=meta["name"], subresource="eviction")
        except (TooManyRequestsError, NotFoundError):
            return None
        return f"{meta['namespace']}/{meta['name']}"
