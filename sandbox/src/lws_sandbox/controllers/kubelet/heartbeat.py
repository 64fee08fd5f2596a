"""Nodes register themselves, renew their leases, and say that they are healthy again after a silence."""

from __future__ import annotations

import asyncio
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import LEASES, NAMESPACES, NODES
from lws.client.api import MERGE_PATCH, STRATEGIC_MERGE_PATCH
from lws.errors import AlreadyExistsError, ApiError, NotFoundError, TransportError
from lws_sandbox.controllers.base import Raw, Toolbox
from lws_sandbox.controllers.kubelet.fleet import (
    LEASE_NAMESPACE,
    LEASE_SECONDS,
    Fleet,
    healthy_conditions,
    lease_manifest,
)
from lws_sandbox.controllers.node_health import NOT_READY
from lws_sandbox.controllers.objects import condition, format_micro_time, meta

_BATCH: Final = 50
_RETRY: Final = 1.0


class HeartbeatLoop:
    """Speaks for the kubelets of a fleet as far as their nodes go.

    Args:
        tools: shared by all loops.
        fleet: the nodes.
        heartbeat: seconds between renewals of a node's lease; 0 for none.
    """

    name = "kubelet-heartbeat"

    def __init__(self, tools: Toolbox, fleet: Fleet, heartbeat: float) -> None:
        self._client = tools.client("kubelet")
        self._clock = tools.clock
        self._fleet = fleet
        self._heartbeat = heartbeat
        self._nodes: Raw = tools.watch(NODES)
        self._leases: dict[str, JSON] = {}

    async def register(self) -> None:
        """Create the objects of all nodes that have none."""
        names = list(self._fleet.shapes)
        for start in range(0, len(names), _BATCH):
            await asyncio.gather(*(self.register_node(name) for name in names[start : start + _BATCH]))

    async def register_node(self, name: str) -> None:
        """Create the object of a node, if there is none."""
        manifest = self._fleet.manifest(name, self._clock.now())
        try:
            created = await self._client.create(NODES, manifest)
        except AlreadyExistsError:
            return
        taints = [taint for taint in created["spec"].get("taints") or () if taint["key"] != NOT_READY]
        if taints != (created["spec"].get("taints") or []):
            # Every node is born with this taint; one that is healthy at once need not wait for it to be noticed.
            patch = {"spec": {"taints": taints or None}}
            await self._client.patch(NODES, "", name, patch, content_type=MERGE_PATCH)

    async def run(self) -> None:
        """Renew leases until cancelled; the renewals of many nodes are spread over the whole span."""
        await self._nodes.wait_synced()
        if self._heartbeat <= 0:
            await asyncio.Event().wait()
        await self._lease_namespace()
        while True:
            names = [name for name in self._fleet.shapes if self._fleet.runs(name)]
            begin = asyncio.get_running_loop().time()
            for number, name in enumerate(names):
                await self._beat(name)
                if number % _BATCH == _BATCH - 1:
                    due = begin + self._heartbeat * number / len(names)
                    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            await asyncio.sleep(max(_RETRY, begin + self._heartbeat - asyncio.get_running_loop().time()))

    async def recover(self, node: str) -> None:
        """Report at once that a node is back, as a kubelet does that starts."""
        await self._beat(node)

    async def _beat(self, name: str) -> None:
        node = self._nodes.store.get("", name)
        if node is None or not self._fleet.runs(name):
            return
        try:
            await self._renew(name, node.raw)
            if (condition(node.raw, "Ready") or {}).get("status") != "True":
                await self._write_status(name, node.raw)
        except (ApiError, TransportError):
            self._leases.pop(name, None)

    async def _renew(self, name: str, node: JSON) -> None:
        now = self._clock.now()
        known = self._leases.get(name)
        if known is None:
            seconds = max(LEASE_SECONDS, int(4 * self._heartbeat))
            manifest = lease_manifest(name, meta(node)["uid"], now, seconds)
            try:
                self._leases[name] = await self._client.create(LEASES, manifest)
            except AlreadyExistsError:
                self._leases[name] = await self._client.get(LEASES, LEASE_NAMESPACE, name)
            return
        spec = {**known["spec"], "renewTime": format_micro_time(now)}
        self._leases[name] = await self._client.update(LEASES, {**known, "spec": spec})

    async def _write_status(self, name: str, node: JSON) -> None:
        live = (node.get("status") or {}).get("conditions") or ()
        patch = {"status": {"conditions": healthy_conditions(live, self._clock.now())}}
        await self._client.patch(NODES, "", name, patch, content_type=STRATEGIC_MERGE_PATCH, subresource="status")

    async def _lease_namespace(self) -> None:
        try:
            await self._client.get(NAMESPACES, "", LEASE_NAMESPACE)
        except NotFoundError:
            manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": LEASE_NAMESPACE}}
            await self._client.create(NAMESPACES, manifest)
