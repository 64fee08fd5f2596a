"""Kueue, as its own last release and published YAML make it; only addresses and certificates are ours."""

from __future__ import annotations

import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    VALIDATINGWEBHOOKCONFIGURATIONS,
    Resource,
)
from lws.client.api import MERGE_PATCH, ApiClient
from tests.real.partners.processes import (
    free_port,
    install_definitions,
    kubeconfig_for,
    listening,
    process,
    published,
)
from tests.real.planes import RealPlane
from tests.real.world import World
from tests.tools import need

GROUP: Final = "kueue.x-k8s.io"
WORKLOADS: Final = Resource(GROUP, "v1beta2", "workloads", "Workload")
LOCALQUEUES: Final = Resource(GROUP, "v1beta2", "localqueues", "LocalQueue")
CLUSTERQUEUES: Final = Resource(GROUP, "v1beta2", "clusterqueues", "ClusterQueue", namespaced=False)
FLAVORS: Final = Resource(GROUP, "v1beta2", "resourceflavors", "ResourceFlavor", namespaced=False)
TOPOLOGIES: Final = Resource(GROUP, "v1beta2", "topologies", "Topology", namespaced=False)
PRIORITIES: Final = Resource(GROUP, "v1beta2", "workloadpriorityclasses", "WorkloadPriorityClass", namespaced=False)
QUEUE_LABEL: Final = f"{GROUP}/queue-name"
PRIORITY_LABEL: Final = f"{GROUP}/priority-class"
HOOKS: Final = (
    "pod",
    "deployment",
    "statefulset",
    "job",
    "leaderworkerset",
    "workload",
    "clusterqueue",
    "cohort",
    "resourceflavor",
)
_OF_THE_SYSTEM: Final = {
    "matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "kueue-system"]}
    ]
}
# Without certificates of its own making, Kueue wants those of its metrics at a fixed path, which only it shall see.
_HIDDEN: Final = """\
mount -t tmpfs tmpfs /etc && mkdir -p /etc/kueue/metrics && cp -r "$1" /etc/kueue/metrics/certs && shift && exec "$@"
"""


@asynccontextmanager
async def kueue(plane: RealPlane, folder: Path) -> AsyncIterator[None]:
    """Kueue beside a control plane, with its webhooks; ready when they are called."""
    client = plane.env.client("test-kueue")
    await install_definitions(client, published("kueue", "config/components/crd/bases"))
    await client.create(NAMESPACES, {"metadata": {"name": "kueue-system"}})
    hooks, probes = free_port(), free_port()
    certificates = _certificates(plane, folder)
    config = folder / "kueue.yaml"
    config.write_text(yaml.safe_dump(_configuration(hooks, probes, certificates)))
    command = [
        *(need("unshare"), "--map-root-user", "--mount", "sh", "-c", _HIDDEN, "sh", str(certificates)),
        *(need("kueue"), f"--config={config}", f"--kubeconfig={kubeconfig_for(plane.cluster, 'kueue')}"),
        *("--feature-gates=VisibilityOnDemand=false", "--zap-log-level=2"),
    ]
    async with process(command, folder, lambda: listening(hooks)):
        for resource, manifest in _webhooks(plane, hooks):
            await client.apply(resource, manifest, field_manager="test-install")
        for resource, manifest in _defaults():
            await client.apply(resource, manifest, field_manager="test-install")
        yield


def _certificates(plane: RealPlane, folder: Path) -> Path:
    keys = plane.cluster.plane.keys
    made = folder / "certificates"
    made.mkdir()
    shutil.copyfile(keys.certificate("server"), made / "tls.crt")  # it is for 127.0.0.1 too
    shutil.copyfile(keys.key("server"), made / "tls.key")
    return made


def _configuration(hooks: int, probes: int, certificates: Path) -> JSON:
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"127.0.0.1:{probes}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": "127.0.0.1", "port": hooks, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "clientConnection": {"qps": 50, "burst": 100},
        "integrations": {
            "frameworks": ["batch/job", "pod", "deployment", "statefulset", "leaderworkerset.x-k8s.io/leaderworkerset"]
        },
    }


def _webhooks(plane: RealPlane, port: int) -> list[tuple[Resource, JSON]]:
    kinds = {each.kind: each for each in (MUTATINGWEBHOOKCONFIGURATIONS, VALIDATINGWEBHOOKCONFIGURATIONS)}
    bundle = base64.b64encode(plane.cluster.plane.keys.authority.certificate).decode()
    found = []
    for manifest in published("kueue", "config/components/webhook"):
        if manifest.get("kind") in kinds:
            manifest["metadata"]["name"] = f"kueue-{manifest['metadata']['name']}"
            wanted = [each for each in manifest["webhooks"] if each["name"][1:].removesuffix(".kb.io") in HOOKS]
            manifest["webhooks"] = [_by_url(each, port, bundle) for each in wanted]
            found.append((kinds[manifest["kind"]], manifest))
    return found


def _by_url(webhook: JSON, port: int, bundle: str) -> JSON:
    path = webhook["clientConfig"]["service"]["path"]
    changed = {**webhook, "clientConfig": {"url": f"https://127.0.0.1:{port}{path}", "caBundle": bundle}}
    if webhook["name"][1:].removesuffix(".kb.io") in ("pod", "deployment", "statefulset"):
        changed["namespaceSelector"] = _OF_THE_SYSTEM
    return changed


def _defaults() -> list[tuple[Resource, JSON]]:
    priorities = [
        (PRIORITIES, {**_named(PRIORITIES, name), "value": value, "description": name})
        for name, value in (("low", 10), ("high", 1000))
    ]
    return [(FLAVORS, _named(FLAVORS, "default")), *priorities]


def _named(resource: Resource, name: str, namespace: str = "") -> JSON:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


class Queue:
    """A queue of a world's own: a LocalQueue ``q``, and a ClusterQueue with a quota of pods, which is all it counts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.name = f"queue-of-{world.namespace}"

    @property
    def client(self) -> ApiClient:
        """Who may do everything."""
        return self._world.client

    async def open(self, pods: int, flavor: str = "default") -> None:
        """Make both, with room for so many pods."""
        group = {"coveredResources": ["pods"], "flavors": [_flavor(flavor, pods)]}
        spec: dict[str, Any] = {
            "namespaceSelector": {},
            "resourceGroups": [group],
            "preemption": {"withinClusterQueue": "LowerPriority"},
        }
        await self.client.create(CLUSTERQUEUES, {**_named(CLUSTERQUEUES, self.name), "spec": spec})
        local = {**_named(LOCALQUEUES, "q", self._world.namespace), "spec": {"clusterQueue": self.name}}
        await self.client.create(LOCALQUEUES, local)

    async def resize(self, pods: int) -> None:
        """Have room for another number of pods."""
        groups = [{"coveredResources": ["pods"], "flavors": [_flavor("default", pods)]}]
        await self._change({"resourceGroups": groups})

    async def stop(self, policy: str) -> None:
        """``HoldAndDrain``, ``Hold`` or ``None``."""
        await self._change({"stopPolicy": policy})

    async def _change(self, spec: JSON) -> None:
        await self.client.patch(CLUSTERQUEUES, "", self.name, {"spec": spec}, content_type=MERGE_PATCH)

    async def workloads(self) -> dict[str, JSON]:
        """Those of the world, by name."""
        found = await self.client.list(WORKLOADS, self._world.namespace)
        return {each["metadata"]["name"]: each for each in found["items"]}

    async def admitted(self) -> list[str]:
        """Names of the Workloads that may run."""
        return [name for name, each in (await self.workloads()).items() if condition(each, "Admitted") == "True"]


def _flavor(name: str, pods: int) -> JSON:
    return {"name": name, "resources": [{"name": "pods", "nominalQuota": pods}]}


def condition(workload: JSON, kind: str) -> str:
    """The status of a condition; empty where there is none."""
    conditions = (workload.get("status") or {}).get("conditions") or ()
    return next((str(each["status"]) for each in conditions if each["type"] == kind), "")


def queued(**labels: str) -> JSON:
    """The metadata of a set that Kueue shall queue."""
    return {"labels": {QUEUE_LABEL: "q", **labels}}
