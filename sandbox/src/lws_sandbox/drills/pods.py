"""Drills on pods that run: they crash, are killed for their memory, hang, are evicted or deleted."""

from __future__ import annotations

from typing import Final, Literal

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, NODES, PODS, SECRETS
from lws_sandbox.controllers.base import get_or_none
from lws_sandbox.controllers.kubelet.environment import Lookup, environment
from lws_sandbox.controllers.kubelet.references import values_of
from lws_sandbox.controllers.kubelet.runtime import KILLED, OOM_KILLED
from lws_sandbox.drills.base import ClusterAccess, DrillError, ExitCode, Grace, checked

_SOURCES: Final = {
    "configMapRef": "ConfigMap",
    "configMapKeyRef": "ConfigMap",
    "secretRef": "Secret",
    "secretKeyRef": "Secret",
}
_THRESHOLDS: Final = {
    "memory": "Threshold quantity: 100Mi, available: 92Mi. ",
    "ephemeral-storage": "Threshold quantity: 10Gi, available: 9Gi. ",
    "pids": "Threshold quantity: 3276, available: 3200. ",
}


class PodDrills(ClusterAccess):
    """The drills on pods that run."""

    @checked
    async def pod_crash(
        self, name: str, namespace: str = "default", container: str | None = None, code: ExitCode = 1
    ) -> JSON:
        """Let a container of the pod exit; the pod's restart policy decides what follows."""
        self._cluster.loops.kubelets.crash(namespace, name, container, code)
        return {"pod": f"{namespace}/{name}", "state": "crashed"}

    @checked
    async def pod_oom(self, name: str, namespace: str = "default", container: str | None = None) -> JSON:
        """Let the kernel kill a container of the pod for its memory: OOMKilled, exit code 137."""
        self._cluster.loops.kubelets.crash(namespace, name, container, KILLED, OOM_KILLED)
        return {"pod": f"{namespace}/{name}", "state": "killed for its memory"}

    @checked
    async def pod_evict(
        self,
        name: str,
        namespace: str = "default",
        resource: Literal["memory", "ephemeral-storage", "pids"] = "memory",
    ) -> JSON:
        """Let the node evict the pod because it is short of something: phase Failed, reason Evicted."""
        message = f"The node was low on resource: {resource}. {_THRESHOLDS[resource]}"
        self._cluster.loops.kubelets.fail(namespace, name, "Evicted", message)
        return {"pod": f"{namespace}/{name}", "state": "evicted"}

    @checked
    async def pod_fail(
        self,
        name: str,
        namespace: str = "default",
        reason: str = "Terminated",
        message: str = "Pod was terminated in response to imminent node shutdown.",
    ) -> JSON:
        """Let the node give the pod up, by default as it shuts down: phase Failed."""
        self._cluster.loops.kubelets.fail(namespace, name, reason, message)
        return {"pod": f"{namespace}/{name}", "state": "failed"}

    @checked
    async def pod_hang(self, name: str, namespace: str = "default") -> JSON:
        """Let the pod answer no probe and ignore the signal to stop."""
        self._cluster.loops.kubelets.hang(namespace, name)
        return {"pod": f"{namespace}/{name}", "state": "hung"}

    @checked
    async def pod_resume(self, name: str, namespace: str = "default") -> JSON:
        """Let a hung pod recover."""
        self._cluster.loops.kubelets.hang(namespace, name, hung=False)
        return {"pod": f"{namespace}/{name}", "state": "resumed"}

    @checked
    async def pod_restart(self, name: str, namespace: str = "default") -> JSON:
        """Let the pod lose its network, as when its node reboots: everything in it starts once more."""
        self._cluster.loops.kubelets.recreate(namespace, name)
        return {"pod": f"{namespace}/{name}", "state": "restarted"}

    @checked
    async def pod_delete(self, name: str, namespace: str = "default", grace: Grace | None = None) -> JSON:
        """Delete the pod, with its own grace period or this one, in seconds."""
        await self._client.delete(PODS, namespace, name, grace_period_seconds=grace)
        return {"pod": f"{namespace}/{name}", "state": "deleted"}

    @checked
    async def pod_env(self, name: str, namespace: str = "default", container: str | None = None) -> JSON:
        """What a container of the pod finds in its environment; the first one if none is named."""
        pod = await self._client.get(PODS, namespace, name)
        every = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
        found = next((item for item in every if container in (None, item["name"])), None)
        if found is None:
            raise DrillError(f"pod {namespace}/{name} has no container {container!r}")
        node = await get_or_none(self._client, NODES, "", pod["spec"].get("nodeName") or "-")
        return environment(pod, found, node, await self._values(namespace, found))

    async def _values(self, namespace: str, container: JSON) -> Lookup:
        """The ConfigMaps and Secrets that a container's environment refers to."""
        sources = [
            *(container.get("envFrom") or ()),
            *(item.get("valueFrom") or {} for item in container.get("env") or ()),
        ]
        wanted = {
            (kind, source[member].get("name", ""))
            for source in sources
            for member, kind in _SOURCES.items()
            if member in source
        }
        values: dict[tuple[str, str], dict[str, str]] = {}
        for kind, name in sorted(wanted):
            resource = CONFIGMAPS if kind == "ConfigMap" else SECRETS
            live = await get_or_none(self._client, resource, namespace, name) if name else None
            values[kind, name] = values_of(kind, live or {})
        return lambda kind, name: values.get((kind, name))
