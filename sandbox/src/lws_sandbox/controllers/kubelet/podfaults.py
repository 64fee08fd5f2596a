"""What drills make go wrong in pods: by the pod's name, so that its successor meets it too, until it is healed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.base import Key
from lws_sandbox.controllers.kubelet.admission import Rejection
from lws_sandbox.controllers.kubelet.references import Lookup, config_error, mount_error
from lws_sandbox.controllers.kubelet.runtime import Obstacles
from lws_sandbox.controllers.objects import name_of

_NO_NETWORK: Final = (
    'rpc error: code = Unknown desc = failed to setup network for sandbox: plugin type="bridge" failed (add): '
    "failed to allocate for range 0: no IP addresses available in range set"
)


@dataclass(frozen=True, slots=True)
class PodFault:
    """What goes wrong in the pods of one name.

    Attributes:
        images: containers whose image cannot be pulled.
        configs: containers that refer to a ConfigMap that is not there.
        exits: containers that exit soon after each start: exit code and reason.
        volume: a volume that cannot be mounted.
        sandbox: no network can be set up.
        rejection: the kubelet does not admit the pod.
    """

    images: frozenset[str] = frozenset()
    configs: frozenset[str] = frozenset()
    exits: Mapping[str, tuple[int, str]] = field(default_factory=lambda: MappingProxyType({}))
    volume: str = ""
    sandbox: bool = False
    rejection: Rejection | None = None


class PodFaults:
    """The faults in force."""

    def __init__(self) -> None:
        self._by_name: dict[Key, PodFault] = {}

    def of(self, key: Key) -> PodFault:
        """What goes wrong in the pod of this namespace and name."""
        return self._by_name.get(key, _NONE)

    def image(self, key: Key, container: str) -> None:
        """Let the image of a container be impossible to pull."""
        known = self.of(key)
        self._by_name[key] = replace(known, images=known.images | {container})

    def config(self, key: Key, container: str) -> None:
        """Let a container refer to a ConfigMap that is not there."""
        known = self.of(key)
        self._by_name[key] = replace(known, configs=known.configs | {container})

    def exit(self, key: Key, container: str, code: int, reason: str) -> None:
        """Let a container exit soon after each start."""
        known = self.of(key)
        self._by_name[key] = replace(known, exits={**known.exits, container: (code, reason)})

    def volume(self, key: Key, name: str) -> None:
        """Let a volume be impossible to mount."""
        self._by_name[key] = replace(self.of(key), volume=name)

    def sandbox(self, key: Key) -> None:
        """Let no network be set up."""
        self._by_name[key] = replace(self.of(key), sandbox=True)

    def rejection(self, key: Key, reason: str, message: str) -> None:
        """Let the kubelet not admit the next pod."""
        self._by_name[key] = replace(self.of(key), rejection=(reason, message))

    def heal(self, key: Key) -> bool:
        """End all faults of the name; tells whether there were any."""
        return self._by_name.pop(key, None) is not None

    def __len__(self) -> int:
        """How many names have faults."""
        return len(self._by_name)


_NONE: Final = PodFault()


def obstacles(pod: JSON, fault: PodFault, lookup: Lookup) -> Obstacles:
    """What stands in the way of a pod: references that lead nowhere, and drills."""
    spec = pod["spec"]
    containers: list[JSON] = [*(spec.get("initContainers") or ()), *spec["containers"]]
    configs = {item["name"]: error for item in containers if (error := config_error(pod, item, lookup))}
    drilled = {name: f'configmap "{name_of(pod)}-config" not found' for name in fault.configs}
    return Obstacles(
        mount=_unmountable(spec, fault.volume) if fault.volume else mount_error(pod, lookup),
        sandbox=_NO_NETWORK if fault.sandbox else "",
        images={
            item["name"]: _not_found(item.get("image") or "") for item in containers if item["name"] in fault.images
        },
        configs=configs | drilled,
        exits=fault.exits,
    )


def _unmountable(spec: JSON, name: str) -> str:
    volume: JSON = next((item for item in spec.get("volumes") or () if item["name"] == name), {})
    cause = "mount failed: exit status 32"
    if volume.get("configMap"):
        cause = f'configmap "{volume["configMap"].get("name", "")}" not found'
    elif volume.get("secret"):
        cause = f'secret "{volume["secret"].get("secretName", "")}" not found'
    return f'MountVolume.SetUp failed for volume "{name}" : {cause}'


def _not_found(image: str) -> str:
    """The words of containerd for an image that no registry has."""
    first = image.partition("/")[0]
    hosted = "/" in image and ("." in first or ":" in first)
    full = image if hosted else f"docker.io/{image}" if "/" in image else f"docker.io/library/{image}"
    pull = f'failed to pull and unpack image "{full}": failed to resolve image: {full}: not found'
    return f"rpc error: code = NotFound desc = {pull}"
