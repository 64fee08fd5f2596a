"""Drills on the start of pods: images, volumes, networks, init containers, admission by the node.

Such a fault belongs to the pod's name. A pod that runs is started once more and meets it; so does every pod that takes
the name later, until `pod_heal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws_sandbox.controllers.base import Key, get_or_none
from lws_sandbox.controllers.kubelet.podfaults import PodFaults
from lws_sandbox.controllers.kubelet.runtime import KILLED, OOM_KILLED
from lws_sandbox.drills.base import ClusterAccess, DrillError, ExitCode, checked

_BOTH: Final = ("containers", "initContainers")
_REJECTION: Final = (
    "Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu, which is "
    "unexpected"
)


class PodFailureDrills(ClusterAccess):
    """The drills on how pods start."""

    @checked
    async def pod_crash_loop(
        self, name: str, namespace: str = "default", container: str | None = None, code: ExitCode = 1
    ) -> JSON:
        """Let a container exit soon after each start."""
        target = await self._container((namespace, name), container, _BOTH[:1])
        self._faults.exit((namespace, name), target, code, "")
        return self._restarted((namespace, name), f"container {target} exits with {code} after each start")

    @checked
    async def pod_oom_loop(self, name: str, namespace: str = "default", container: str | None = None) -> JSON:
        """Let the kernel kill a container for its memory soon after each start."""
        target = await self._container((namespace, name), container, _BOTH[:1])
        self._faults.exit((namespace, name), target, KILLED, OOM_KILLED)
        return self._restarted((namespace, name), f"container {target} is killed for its memory after each start")

    @checked
    async def pod_init_fail(
        self, name: str, namespace: str = "default", container: str | None = None, code: ExitCode = 1
    ) -> JSON:
        """Let an init container exit with a code other than 0; by default the first one."""
        if code == 0:
            raise DrillError("an init container that exits with 0 has not failed: give --code from 1 to 255")
        target = await self._container((namespace, name), container, _BOTH[1:])
        self._faults.exit((namespace, name), target, code, "")
        return self._restarted((namespace, name), f"init container {target} exits with {code}")

    @checked
    async def pod_bad_image(self, name: str, namespace: str = "default", container: str | None = None) -> JSON:
        """Let a container's image be impossible to pull; by default the first one's."""
        target = await self._container((namespace, name), container, _BOTH)
        self._faults.image((namespace, name), target)
        return self._restarted((namespace, name), f"the image of container {target} cannot be pulled")

    @checked
    async def pod_missing_config(self, name: str, namespace: str = "default", container: str | None = None) -> JSON:
        """Let a ConfigMap be missing that a container's environment needs; by default the first one's."""
        target = await self._container((namespace, name), container, _BOTH)
        self._faults.config((namespace, name), target)
        return self._restarted((namespace, name), f"a ConfigMap of container {target} is missing")

    @checked
    async def pod_missing_volume(self, name: str, namespace: str = "default", volume: str | None = None) -> JSON:
        """Let a volume be impossible to mount; by default the pod's first one."""
        pod = await get_or_none(self._client, PODS, namespace, name)
        names = [item["name"] for item in ((pod or {}).get("spec") or {}).get("volumes") or ()]
        if pod is not None and volume is not None and volume not in names:
            raise DrillError(f"pod {namespace}/{name} has no volume {volume!r}: it has {', '.join(names) or 'none'}")
        target = volume or next(iter(names), "kube-api-access")
        self._faults.volume((namespace, name), target)
        return self._restarted((namespace, name), f"volume {target} cannot be mounted")

    @checked
    async def pod_no_network(self, name: str, namespace: str = "default") -> JSON:
        """Let the pod's network be impossible to set up: FailedCreatePodSandBox."""
        self._faults.sandbox((namespace, name))
        return self._restarted((namespace, name), "no network can be set up")

    @checked
    async def pod_reject(
        self,
        name: str,
        namespace: str = "default",
        reason: str = "UnexpectedAdmissionError",
        message: str = _REJECTION,
    ) -> JSON:
        """Let the kubelet not admit the next pods of this name: phase Failed; one that runs goes on."""
        self._faults.rejection((namespace, name), reason, message)
        return {"pod": f"{namespace}/{name}", "state": f"the next pod of this name is rejected: {reason}"}

    @checked
    async def pod_heal(self, name: str, namespace: str = "default") -> JSON:
        """End the faults of the pod's name; what they stopped is tried again as a kubelet does, after its back-off."""
        if not self._faults.heal((namespace, name)):
            raise DrillError(f"pod {namespace}/{name} has no fault to heal")
        return {"pod": f"{namespace}/{name}", "state": "healed"}

    @property
    def _faults(self) -> PodFaults:
        return self._cluster.loops.kubelets.faults

    def _restarted(self, key: Key, state: str) -> JSON:
        self._cluster.loops.kubelets.recreate(*key)
        return {"pod": "/".join(key), "state": state}

    async def _container(self, key: Key, name: str | None, members: Sequence[str]) -> str:
        """The container that is meant: of the pod, or as named while there is no pod yet."""
        pod, shown = await get_or_none(self._client, PODS, *key), "/".join(key)
        if pod is None:
            if name is None:
                raise DrillError(f"there is no pod {shown} yet: name the container with --container")
            return name
        names = [item["name"] for member in members for item in pod["spec"].get(member) or ()]
        if not names or (name is not None and name not in names):
            what = "init container" if members == _BOTH[1:] else "container"
            wanted = f" {name!r}" if name else ""
            raise DrillError(f"pod {shown} has no {what}{wanted}: it has {', '.join(names) or 'none'}")
        return name or names[0]
