"""The same examples on the sandbox and on a real control plane: the same objects to the last member."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, PERSISTENTVOLUMECLAIMS, PODS, SERVICES, STATEFULSETS
from lws_sandbox.real.binaries import SCHEDULER
from lws_sandbox.releases import RELEASES
from tests.real.conftest import PLANES, need_binaries
from tests.real.planes import Plane, SandboxPlane
from tests.real.test_examples import EXAMPLES, _come_up
from tests.real.world import World

KINDS: Final = (LEADERWORKERSETS, STATEFULSETS, PODS, SERVICES, CONTROLLERREVISIONS, PERSISTENTVOLUMECLAIMS)
_TIME: Final = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOKEN: Final = re.compile(r"^kube-api-access-[a-z0-9]{5}$")
_CHANCE: Final = frozenset(
    {"uid", "resourceVersion", "containerID", "podIP", "podIPs", "hostIP", "hostIPs", "nodeName", "ip"}
    | {"topology.kubernetes.io/zone", "topology.kubernetes.io/region"}
)
"""Members that differ from run to run, or by where the scheduler put a pod."""
SETTLED: Final = [path for path in EXAMPLES if "exclusive" not in path.stem]
"""Those in whose templates nothing is by chance, as the zone that the scheduler chose for an exclusive group is."""


def plain(value: Any) -> Any:
    """Without identity, time and place."""
    if isinstance(value, dict):
        return {_UID.sub("(uid)", key): _member(key, member) for key, member in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return "(time)" if _TIME.match(value) else _TOKEN.sub("(token)", _UID.sub("(uid)", value))
    return value


def _member(key: str, member: Any) -> Any:
    if key in ("clusterIP", "clusterIPs") and "None" not in member:
        return "(chance)"
    if key in _CHANCE and isinstance(member, str | list):
        return "(chance)"
    if key == "managedFields":
        return sorted(
            _manager(each) for each in member if each["manager"] != SCHEDULER
        )  # wrote only of what had to wait
    return plain(member)


def without_account(pod: JSON) -> JSON:
    """A pod as it is without the admission plugin ServiceAccount, which the sandbox does not have."""
    spec = {key: value for key, value in pod["spec"].items() if key not in ("serviceAccount", "serviceAccountName")}
    kinds = {key: spec[key] for key in ("containers", "initContainers") if key in spec}
    for kind, containers in kinds.items():
        spec[kind] = [_without_tokens(each, "volumeMounts") for each in containers]
    return {**pod, "spec": _without_tokens(spec, "volumes")}


def _without_tokens(value: JSON, member: str) -> JSON:
    left = [each for each in value.get(member) or () if each["name"] != "(token)"]
    others = {key: each for key, each in value.items() if key != member}
    return {**others, member: left} if left else others


def _manager(entry: JSON) -> str:
    return f"{entry['manager']} {entry['operation']} {entry.get('subresource', '')}"


def differences(real: Any, ours: Any, where: str = "") -> list[str]:
    """Every place at which two values differ."""
    if isinstance(real, dict) and isinstance(ours, dict):
        keys = sorted({*real, *ours})
        return [each for key in keys for each in differences(real.get(key), ours.get(key), f"{where}.{key}")]
    if isinstance(real, list) and isinstance(ours, list) and len(real) == len(ours):
        pairs = enumerate(zip(real, ours, strict=True))
        return [each for at, (one, other) in pairs for each in differences(one, other, f"{where}[{at}]")]
    return [] if real == ours else [f"{where.removeprefix('.')}: {real!r} is really what is {ours!r} here"]


def state_of(plane: Plane, path: Path, namespace: str) -> JSON:
    """All objects of an example that has come up, by kind and name."""
    found: JSON = {}

    async def scenario(world: World) -> None:
        await _come_up(world, path)
        await world.rest()
        for kind in KINDS:
            for each in world.all(kind):
                known = plain(each)
                found[f"{kind.kind}/{each['metadata']['name']}"] = without_account(known) if kind is PODS else known

    plane.run(scenario, namespace)
    return found


@pytest.mark.parametrize("plane", PLANES[1:], indirect=True)
@pytest.mark.parametrize("path", SETTLED, ids=lambda path: path.stem)
def test_sandbox_and_real_server_hold_the_same_objects(plane: Plane, path: Path) -> None:
    """Sets, StatefulSets, pods, Services, revisions and claims of an example are equal but for chance and time."""
    namespace, features = f"equal-{path.stem}", RELEASES[need_binaries().release()]
    real, ours = state_of(plane, path, namespace), state_of(SandboxPlane(features), path, namespace)
    found = differences(real, ours)
    assert not found, "\n".join(found)
