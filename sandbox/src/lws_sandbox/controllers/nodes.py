"""What happens to nodes that fall silent or go, and to the pods on them."""

from __future__ import annotations

import asyncio
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import LEASES, NODES, PODS
from lws.client.api import MERGE_PATCH, STRATEGIC_MERGE_PATCH
from lws.errors import ConflictError, NotFoundError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import (
    NODE_INDEX,
    Done,
    Key,
    KeyedLoop,
    Raw,
    RequeueAfter,
    Toolbox,
    Verdict,
    key_of,
    node_values,
)
from lws_sandbox.controllers.kubelet.fleet import LEASE_NAMESPACE
from lws_sandbox.controllers.node_health import GRACE, eviction_in, is_silent, silent_conditions, wanted_taints
from lws_sandbox.controllers.objects import (
    condition,
    format_time,
    is_terminating,
    meta,
    name_of,
    namespace_of,
    set_condition,
    uid_of,
)

MONITOR_PERIOD: Final = 5.0
QUARANTINE: Final = 40.0  # seconds that a node must be gone before its pods are given up
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"


class NodeLifecycleLoop(KeyedLoop[str]):
    """Marks nodes whose kubelets fell silent, keeps the taints that follow, and marks their pods as not ready.

    Args:
        tools: shared by all loops.
        heartbeat: seconds between the renewals that are expected; 0: silence means nothing.
    """

    def __init__(self, tools: Toolbox, heartbeat: float) -> None:
        self._tools = tools
        self._nodes: Raw = tools.watch(NODES)
        self._leases: Raw = tools.watch(LEASES)
        self._pods: Raw = tools.watch(PODS)
        self._pods.add_index(NODE_INDEX, node_values)
        super().__init__(
            tools,
            "node-lifecycle-controller",
            self.sync,
            workers=8,
            caches=(self._nodes, self._leases, self._pods),
        )
        self._client = tools.client()
        self._clock = tools.clock
        self._recorder = tools.recorder
        self._grace = max(GRACE, 4 * heartbeat)
        self._watches_leases = heartbeat > 0
        self._nodes.on_change(self._on_node)

    def _on_node(self, _old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is not None:
            self.queue.add(new.metadata.name, initial)

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run())
            if self._watches_leases:
                group.create_task(self._monitor())

    async def _monitor(self) -> None:
        """Wake the nodes that have fallen silent; the others cost one look each."""
        while True:
            await asyncio.sleep(MONITOR_PERIOD)
            now = self._clock.now()
            for node in self._nodes.store:
                lease = self._leases.store.get(LEASE_NAMESPACE, node.metadata.name)
                silent = is_silent(lease.raw if lease else None, node.raw, now, self._grace)
                if silent and (condition(node.raw, "Ready") or {}).get("status") == "True":
                    self.queue.add(node.metadata.name)

    async def sync(self, name: str) -> Verdict:
        """Bring one node's condition and taints into line."""
        found = self._nodes.store.get("", name)
        if found is None or is_terminating(found.raw):
            return Done()
        node, now = found.raw, self._clock.now()
        lease = self._leases.store.get(LEASE_NAMESPACE, name)
        if self._watches_leases and is_silent(lease.raw if lease else None, node, now, self._grace):
            node = await self._mark_silent(name, node)
        taints = wanted_taints(node, now)
        if taints != (node["spec"].get("taints") or []):
            version = meta(node)["resourceVersion"]
            patch = {"metadata": {"resourceVersion": version}, "spec": {"taints": taints or None}}
            written = await self._client.patch(NODES, "", name, patch, content_type=MERGE_PATCH)
            self.wrote(name, self._nodes, written)
        if (condition(node, "Ready") or {}).get("status") != "True":
            await self._unready_pods(name)
        return Done()

    async def _mark_silent(self, name: str, node: JSON) -> JSON:
        conditions = silent_conditions(node, self._clock.now())
        if conditions is None:
            return node
        changed = {**node, "status": {**node["status"], "conditions": conditions}}
        written = await self._client.update(NODES, changed, subresource="status")
        self.wrote(name, self._nodes, written)
        words = f"Node {name} status is now: NodeNotReady"
        self._recorder.record(written, "node-controller", "Normal", "NodeNotReady", words)
        return written

    async def _unready_pods(self, node: str) -> None:
        for pod in self._pods.store.by_index(NODE_INDEX, node):
            ready = condition(pod.raw, "Ready")
            if ready is None or ready.get("status") != "True":
                continue
            entry = {"type": "Ready", "status": "False"}
            conditions = set_condition([ready], entry, self._clock.now())
            patch = {"metadata": {"uid": uid_of(pod.raw)}, "status": {"conditions": conditions}}
            try:
                await self._client.patch(
                    PODS, *key_of(pod), patch, content_type=STRATEGIC_MERGE_PATCH, subresource="status"
                )
            except NotFoundError:
                continue
            self._recorder.record(pod.raw, "node-controller", "Warning", "NodeNotReady", "Node is not ready")


class TaintEvictionLoop(KeyedLoop[Key]):
    """Deletes pods from nodes whose NoExecute taints they do not tolerate, or no longer."""

    def __init__(self, tools: Toolbox) -> None:
        self._nodes: Raw = tools.watch(NODES)
        self._pods: Raw = tools.watch(PODS)
        self._pods.add_index(NODE_INDEX, node_values)
        super().__init__(tools, "taint-eviction-controller", self.sync, workers=8, caches=(self._nodes, self._pods))
        self._client = tools.client()
        self._clock = tools.clock
        self._recorder = tools.recorder
        self._nodes.on_change(self._on_node)
        self._pods.on_change(self._on_pod)

    def _on_node(self, old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is None or (old is not None and _taints(old.raw) == _taints(new.raw)) or not _taints(new.raw):
            return
        for pod in self._pods.store.by_index(NODE_INDEX, new.metadata.name):
            self.queue.add(key_of(pod), initial)

    def _on_pod(self, _old: RawObject | None, new: RawObject | None, initial: bool) -> None:
        if new is None:
            return
        node = self._nodes.store.get("", new.raw["spec"].get("nodeName") or "")
        if node is not None and _taints(node.raw):
            self.queue.add(key_of(new), initial)

    async def sync(self, key: Key) -> Verdict:
        """See to one pod."""
        found = self._pods.store.get(*key)
        if found is None or is_terminating(found.raw):
            return Done()
        node = self._nodes.store.get("", found.raw["spec"].get("nodeName") or "")
        wait = eviction_in(found.raw, _taints(node.raw), self._clock.now()) if node else None
        if wait is None:
            return Done()
        if wait > 0:
            return RequeueAfter(wait)
        await self._evict(found.raw)
        return Done()

    async def _evict(self, pod: JSON) -> None:
        entry = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastProbeTime": None,
            "lastTransitionTime": format_time(self._clock.now()),
        }
        where = (namespace_of(pod), name_of(pod))
        words = f"Marking for deletion Pod {where[0]}/{where[1]}"
        self._recorder.record(pod, "taint-eviction-controller", "Normal", "TaintManagerEviction", words)
        try:
            await self._client.patch(
                PODS,
                *where,
                {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": [entry]}},
                content_type=STRATEGIC_MERGE_PATCH,
                subresource="status",
            )
            await self._client.delete(PODS, *where, uid=uid_of(pod))
        except (NotFoundError, ConflictError):
            return


class PodGcLoop(KeyedLoop[Key]):
    """Gives up pods whose node is gone or out of service: nobody is there to end them."""

    def __init__(self, tools: Toolbox) -> None:
        self._nodes: Raw = tools.watch(NODES)
        self._pods: Raw = tools.watch(PODS)
        self._pods.add_index(NODE_INDEX, node_values)
        super().__init__(
            tools, "pod-garbage-collector-controller", self.sync, workers=4, caches=(self._nodes, self._pods)
        )
        self._client = tools.client()
        self._gone: dict[str, float] = {}
        self._nodes.on_change(self._on_node)
        self._pods.on_change(self._on_pod)

    def _on_node(self, old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        changed = new or old
        if changed is None:
            return
        name = changed.metadata.name
        if new is not None:
            self._gone.pop(name, None)
            if not _out_of_service(new.raw):
                return
        for pod in self._pods.store.by_index(NODE_INDEX, name):
            self.queue.add(key_of(pod))

    def _on_pod(self, _old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        node = new.raw["spec"].get("nodeName") if new is not None else None
        if new is not None and node and self._abandoned(node):
            self.queue.add(key_of(new))

    def _abandoned(self, name: str) -> bool:
        node = self._nodes.store.get("", name)
        return node is None or _out_of_service(node.raw)

    async def sync(self, key: Key) -> Verdict:
        """See to one pod."""
        found = self._pods.store.get(*key)
        name = found.raw["spec"].get("nodeName") if found else None
        if found is None or not name or not self._abandoned(name):
            return Done()
        if self._nodes.store.get("", name) is None:
            now = asyncio.get_running_loop().time()
            wait = self._gone.setdefault(name, now) + QUARANTINE - now
            if wait > 0:
                return RequeueAfter(wait)
        elif not is_terminating(found.raw):
            return Done()
        try:
            await self._client.delete(PODS, *key, uid=found.metadata.uid, grace_period_seconds=0)
        except (NotFoundError, ConflictError):
            return Done()
        return Done()


def _taints(node: JSON) -> list[JSON]:
    taints: list[JSON] = node["spec"].get("taints") or []
    return [taint for taint in taints if taint.get("effect") == "NoExecute"]


def _out_of_service(node: JSON) -> bool:
    silent = (condition(node, "Ready") or {}).get("status") != "True"
    return silent and any(taint["key"] == OUT_OF_SERVICE for taint in node["spec"].get("taints") or ())
