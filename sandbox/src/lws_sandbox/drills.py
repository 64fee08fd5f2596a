"""What can go wrong in a cluster, made to go wrong: by command, over the API server's control path, or from Python.

Every drill is a method whose arguments are plain values; `Drills.run` calls one by its name, such as ``node.fail``.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from lws.apimachinery.resources import CONFIGMAPS, NODES, PODS, SECRETS
from lws.client.api import MERGE_PATCH
from lws.errors import ApiError, LwsError, NotFoundError, TooManyRequestsError
from lws_sandbox.controllers.base import get_or_none
from lws_sandbox.controllers.kubelet.environment import Lookup, environment
from lws_sandbox.controllers.kubelet.loop import NoSuchPodError
from lws_sandbox.time_travel import TravellingLoop

if TYPE_CHECKING:
    from lws_sandbox.cluster import Cluster
    from lws_sandbox.server import ApiServer

JSON = dict[str, Any]
EVICTION: Final = "eviction"
_SOURCES: Final = {
    "configMapRef": "ConfigMap",
    "configMapKeyRef": "ConfigMap",
    "secretRef": "Secret",
    "secretKeyRef": "Secret",
}
_RETRY: Final = 1.0


class DrillError(LwsError):
    """The drill cannot be done; the message says why, in one sentence."""


class Drills:
    """The drills of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._client = cluster.admin("sandbox-drills")

    async def run(self, name: str, arguments: JSON) -> JSON:
        """Do a drill by its name, such as ``node.fail``; returns what it has to tell.

        Raises:
            DrillError: there is no such drill, an argument is missing or unknown, or it cannot be done.
        """
        method = self._table().get(name)
        if method is None:
            raise DrillError(f"there is no drill {name!r}: there are {', '.join(sorted(self._table()))}")
        try:
            bound = inspect.signature(method).bind(**arguments)
        except TypeError as error:
            raise DrillError(f"{name}: {error}") from None
        try:
            return await method(*bound.args, **bound.kwargs)
        except (ApiError, NoSuchPodError) as error:
            raise DrillError(str(error)) from error

    def _table(self) -> dict[str, Callable[..., Awaitable[JSON]]]:
        names = [name for name in dir(self) if re.match(r"(node|pod|api|clock|metric)_", name)]
        return {name.replace("_", ".", 1).replace("_", "-"): getattr(self, name) for name in names}

    # Nodes.

    async def node_fail(self, name: str) -> JSON:
        """Let the node's kubelet fall silent: no heartbeat, no status, no end of pods."""
        await self._node(name)
        self._cluster.loops.fleet.failed.add(name)
        return {"node": name, "state": "failed"}

    async def node_recover(self, name: str) -> JSON:
        """Let the node's kubelet come back."""
        await self._node(name)
        self._cluster.loops.fleet.failed.discard(name)
        await self._cluster.loops.heartbeats.recover(name)
        self._cluster.loops.kubelets.wake_node(name)
        return {"node": name, "state": "working"}

    async def node_cordon(self, name: str) -> JSON:
        """Let no more pods come to the node."""
        await self._patch_node(name, {"spec": {"unschedulable": True}})
        return {"node": name, "state": "cordoned"}

    async def node_uncordon(self, name: str) -> JSON:
        """Let pods come to the node again."""
        await self._patch_node(name, {"spec": {"unschedulable": None}})
        return {"node": name, "state": "uncordoned"}

    async def node_drain(self, name: str, seconds: float = 60.0) -> JSON:
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

    async def node_label(self, name: str, labels: dict[str, str | None]) -> JSON:
        """Set labels of the node; a null takes one away."""
        node = await self._patch_node(name, {"metadata": {"labels": labels}})
        return {"node": name, "labels": node["metadata"].get("labels") or {}}

    # Pods.

    async def pod_crash(
        self, name: str, namespace: str = "default", container: str | None = None, code: int = 1
    ) -> JSON:
        """Let a container of the pod exit; the pod's restart policy decides what follows."""
        self._cluster.loops.kubelets.crash(namespace, name, container, code)
        return {"pod": f"{namespace}/{name}", "state": "crashed"}

    async def pod_fail(
        self,
        name: str,
        namespace: str = "default",
        reason: str = "Evicted",
        message: str = "The node was low on memory.",
    ) -> JSON:
        """Let the node give the pod up: phase Failed."""
        self._cluster.loops.kubelets.fail(namespace, name, reason, message)
        return {"pod": f"{namespace}/{name}", "state": "failed"}

    async def pod_hang(self, name: str, namespace: str = "default") -> JSON:
        """Let the pod answer no probe and ignore the order to stop."""
        self._cluster.loops.kubelets.hang(namespace, name)
        return {"pod": f"{namespace}/{name}", "state": "hung"}

    async def pod_resume(self, name: str, namespace: str = "default") -> JSON:
        """Let a hung pod come back to itself."""
        self._cluster.loops.kubelets.hang(namespace, name, hung=False)
        return {"pod": f"{namespace}/{name}", "state": "resumed"}

    async def pod_delete(self, name: str, namespace: str = "default", grace: int | None = None) -> JSON:
        """Delete the pod, with its own grace period or this one."""
        await self._client.delete(PODS, namespace, name, grace_period_seconds=grace)
        return {"pod": f"{namespace}/{name}", "state": "deleted"}

    async def pod_env(self, name: str, namespace: str = "default", container: str | None = None) -> JSON:
        """What a container of the pod finds in its environment; the first one if none is named."""
        pod = await self._client.get(PODS, namespace, name)
        every = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
        found = next((item for item in every if container in (None, item["name"])), None)
        if found is None:
            raise DrillError(f"pod {namespace}/{name} has no container {container!r}")
        node = await get_or_none(self._client, NODES, "", pod["spec"].get("nodeName") or "-")
        return environment(pod, found, node, await self._values(namespace, found))

    # The API server.

    async def api_slow(
        self,
        seconds: float,
        share: float = 1.0,
        count: int | None = None,
        verbs: Iterable[str] = (),
        resources: Iterable[str] = (),
    ) -> JSON:
        """Hold requests for so long."""
        where = {"share": share, "count": count, "verbs": frozenset(verbs), "resources": frozenset(resources)}
        self._only_ours().slow(seconds, **where)
        return self._faults()

    async def api_error(
        self,
        code: int = 500,
        share: float = 1.0,
        count: int | None = None,
        verbs: Iterable[str] = (),
        resources: Iterable[str] = (),
        after: bool = False,
    ) -> JSON:
        """Fail requests; ``after`` lets them be done before their answer is lost."""
        where = {"share": share, "count": count, "verbs": frozenset(verbs), "resources": frozenset(resources)}
        self._only_ours().fail(code, after=after, **where)
        return self._faults()

    async def api_heal(self) -> JSON:
        """End all faults of the API server."""
        self._only_ours().heal()
        return self._faults()

    async def api_compact(self) -> JSON:
        """Forget the history of changes: who asks for more of it gets 410."""
        return {"compacted": self._only_ours().compact()}

    async def api_break(self) -> JSON:
        """End every watch as a lost connection does."""
        return {"watches": self._only_ours().break_watches()}

    # The clock.

    async def clock_show(self) -> JSON:
        """What time it is in the sandbox."""
        loop = asyncio.get_running_loop()
        speed = loop.speed if isinstance(loop, TravellingLoop) else 1.0
        return {"now": self._cluster.clock.now().isoformat(), "speed": speed}

    async def clock_forward(self, seconds: float) -> JSON:
        """Let time pass at once, for everything in the sandbox."""
        self._only_ours()
        if seconds < 0:
            raise DrillError(f"the clock only goes forward, not by {seconds:g} s")
        advance = getattr(asyncio.get_running_loop(), "advance", None)
        if advance is None:
            raise DrillError("the clock of this sandbox cannot be moved: it runs on another program's event loop")
        advance(seconds)
        return await self.clock_show()

    async def clock_speed(self, factor: float) -> JSON:
        """Let time run faster or slower."""
        self._only_ours()
        loop = asyncio.get_running_loop()
        if not isinstance(loop, TravellingLoop) or factor <= 0:
            raise DrillError("the speed must be positive, and the sandbox must run by itself: lws-sandbox start")
        loop.run_at(factor)
        return await self.clock_show()

    # Metrics.

    async def metric_set(self, metric: str, value: float, namespace: str = "", name: str = "") -> JSON:
        """Set a metric for autoscalers: percent for a utilisation, else the average per pod."""
        self._cluster.loops.metrics.set(metric, value, namespace=namespace, name=name)
        return {"metric": metric, "value": value}

    # Helpers.

    def _only_ours(self) -> ApiServer:
        """The API server, where it is the sandbox's own and so does what it is told."""
        if self._cluster.server is None:
            raise DrillError("the control plane is a real one, which takes no such drill: start the sandbox's own")
        return self._cluster.server

    async def _node(self, name: str) -> JSON:
        try:
            node = await self._client.get(NODES, "", name)
        except NotFoundError:
            raise DrillError(f"there is no node {name!r}") from None
        if name not in self._cluster.loops.fleet.shapes:
            raise DrillError(f"node {name!r} has no kubelet of the sandbox")
        return node

    async def _values(self, namespace: str, container: JSON) -> Lookup:
        """The ConfigMaps and Secrets that a container's environment refers to."""
        wanted: set[tuple[str, str]] = set()
        sources = [
            *(container.get("envFrom") or ()),
            *(item.get("valueFrom") or {} for item in container.get("env") or ()),
        ]
        for source in sources:
            for member, kind in _SOURCES.items():
                if member in source:
                    wanted.add((kind, source[member].get("name", "")))
        values: dict[tuple[str, str], dict[str, str]] = {}
        for kind, name in sorted(wanted):
            resource = CONFIGMAPS if kind == "ConfigMap" else SECRETS
            live = await get_or_none(self._client, resource, namespace, name) if name else None
            data = (live or {}).get("data") or {}
            plain = kind == "ConfigMap"
            values[kind, name] = {
                key: text if plain else base64.b64decode(text).decode(errors="replace") for key, text in data.items()
            }
        return lambda kind, name: values.get((kind, name))

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
            await self._client.create(PODS, manifest, name=meta["name"], subresource=EVICTION)
        except TooManyRequestsError:
            return None
        except NotFoundError:
            return None
        return f"{meta['namespace']}/{meta['name']}"

    def _faults(self) -> JSON:
        return {"faults": len(self._only_ours().faults.active)}
