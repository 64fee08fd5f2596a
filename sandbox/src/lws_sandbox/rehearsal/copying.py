"""A copy of somebody's cluster in a sandbox: objects as they are stored there, with their UIDs and statuses.

What belongs to a set is copied whole; of everything else only what decides where pods go. Nodes that are not ready are
cordoned, and their kubelets go on, so that nothing happens there which nobody asked about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS, ROLESCALERS
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, PODGROUPS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import (
    CONTROLLERREVISIONS,
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    SERVICES,
    STATEFULSETS,
    Resource,
)
from lws.cli.kubectl.plan.world import PRIORITYCLASSES, World
from lws.client.api import MERGE_PATCH, ApiClient
from lws.errors import AlreadyExistsError
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.kubelet.fleet import Fleet
from lws_sandbox.controllers.kubelet.runtime import Delays
from lws_sandbox.copying import copied
from lws_sandbox.nodes import HOSTNAME, NodeShape, Shape

# What a rehearsal copies, owners before what they own.
COPIED: Final = (
    PRIORITYCLASSES,
    DISAGGREGATEDSETS,
    ROLESCALERS,
    LEADERWORKERSETS,
    CONTROLLERREVISIONS,
    PERSISTENTVOLUMECLAIMS,
    SERVICES,
    STATEFULSETS,
    DEPLOYMENTS,
    REPLICASETS,
    PODGROUPS,
    PODDISRUPTIONBUDGETS,
    PODS,
)
_DEFINITIONS: Final = (
    CUSTOMRESOURCEDEFINITIONS.group,
    CUSTOMRESOURCEDEFINITIONS.version,
    CUSTOMRESOURCEDEFINITIONS.plural,
)
AMPLE: Final = {"cpu": "1000000", "memory": "1000Ti", "pods": "100000", "ephemeral-storage": "1000Ti"}
_OF_KUBELETS: Final = (
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/unschedulable",
)


def shape_of(world: World, delays: Delays) -> Shape:
    """Nodes like those of the world; where they could not be read, ample ones of the names that pods tell."""
    nodes = [_node(one) for one in world.of(NODES)]
    if not nodes:
        named = {str(pod["spec"]["nodeName"]) for pod in world.of(PODS) if pod["spec"].get("nodeName")}
        ample = {**AMPLE, **dict.fromkeys(_extended(world.of(PODS)), "100000")}
        nodes = [NodeShape(name, {}, ample) for name in sorted(named or {"node"})]
    return Shape(tuple(nodes), delays, heartbeat=0.0, events=False)


def _node(raw: JSON) -> NodeShape:
    own = raw["metadata"].get("labels") or {}
    taints = [one for one in (raw.get("spec") or {}).get("taints") or () if one.get("key") not in _OF_KUBELETS]
    gives = {name: str(value) for name, value in ((raw.get("status") or {}).get("allocatable") or {}).items()}
    return NodeShape(str(raw["metadata"]["name"]), {HOSTNAME: raw["metadata"]["name"], **own}, gives, taints)


def _extended(pods: Iterable[JSON]) -> Iterator[str]:
    """Names of extended resources that pods request."""
    for pod in pods:
        for container in pod["spec"].get("containers") or ():
            resources = container.get("resources") or {}
            yield from (name for part in ("limits", "requests") for name in resources.get(part) or {} if "/" in name)


def cordoned(world: World) -> list[str]:
    """Nodes that take no new pods: cordoned, or not ready."""
    return [str(one["metadata"]["name"]) for one in world.of(NODES) if _closed(one)]


def _closed(node: JSON) -> bool:
    if (node.get("spec") or {}).get("unschedulable"):
        return True
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") != "True" for one in conditions)


async def define(sandbox: Sandbox, client: ApiClient, manifests: Iterable[tuple[Resource, JSON]]) -> None:
    """Install our APIs. The definitions are our own and not validated again, which would be most of the work."""
    for resource, manifest in manifests:
        if resource == CUSTOMRESOURCEDEFINITIONS:
            _define(sandbox, manifest)
        else:
            await client.create(resource, manifest)


def _define(sandbox: Sandbox, manifest: JSON) -> None:
    served = sandbox.server.catalog.find(*_DEFINITIONS)
    assert served is not None
    strategy, name, made = served.strategy, manifest["metadata"]["name"], copied(manifest)
    made["metadata"] |= {"uid": name, "generation": 1}
    made["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]}
    strategy.default(made)
    strategy.stored(sandbox.server.storage.create(strategy.storage_key, "", name, made), None)


async def fill(sandbox: Sandbox, world: World) -> None:
    """Put the world's objects into a sandbox whose API serves our kinds."""
    client = sandbox.client(user_agent="rehearsal")
    everything = [one for resource in COPIED for one in world.of(resource)] + [*world.strangers]
    for namespace in sorted({str(one["metadata"].get("namespace") or "") for one in everything} - {""}):
        try:
            await client.create(NAMESPACES, {"metadata": {"name": namespace}})
        except AlreadyExistsError:
            continue
    for name in cordoned(world):
        await client.patch(NODES, "", name, {"spec": {"unschedulable": True}}, content_type=MERGE_PATCH)
    owners = {str(one["metadata"].get("uid")) for one in world.of(DISAGGREGATEDSETS)}
    for resource in COPIED:
        for raw in world.of(resource):
            _store(sandbox, resource, _freed(resource, raw, owners))
    fleet = sandbox.loops.fleet
    for raw in world.strangers:
        if fleet.runs(str(raw["spec"]["nodeName"])):
            _store(sandbox, PODS, _stranger(raw))
    _hold(sandbox, world, fleet)


def _store(sandbox: Sandbox, resource: Resource, raw: JSON) -> None:
    """Store an object as it is, past admission; what exists already stays."""
    served = sandbox.server.catalog.find(resource.group, resource.version, resource.plural)
    if served is None:
        return
    meta = raw["metadata"]
    namespace = str(meta.get("namespace") or "") if resource.namespaced else ""
    whole = {"apiVersion": resource.api_version, "kind": resource.kind, **raw}
    strategy, storage = served.strategy, sandbox.server.storage
    if storage.get(strategy.storage_key, namespace, meta["name"]) is None:
        storage.create(strategy.storage_key, namespace, meta["name"], strategy.write(copied(whole)))


def _freed(resource: Resource, raw: JSON, copied_owners: Collection[str]) -> JSON:
    """A set without the owners that are not copied, which the garbage collector would miss."""
    if resource not in (LEADERWORKERSETS, DISAGGREGATEDSETS):
        return raw
    kept = [one for one in raw["metadata"].get("ownerReferences") or () if one.get("uid") in copied_owners]
    return {**raw, "metadata": {**raw["metadata"], "ownerReferences": kept}}


def _stranger(raw: JSON) -> JSON:
    """What of a foreign pod takes room and attracts or repels others."""
    meta = {name: raw["metadata"][name] for name in ("name", "namespace", "uid", "labels") if name in raw["metadata"]}
    kept = ("nodeName", "containers", "initContainers", "overhead", "affinity", "priority", "tolerations")
    spec = {name: raw["spec"][name] for name in kept if name in raw["spec"]}
    return {"metadata": meta, "spec": spec, "status": raw.get("status") or {}}


def _hold(sandbox: Sandbox, world: World, fleet: Fleet) -> None:
    """Let the pods that are not ready stay so, whatever the reason is there."""
    for pod in world.of(PODS):
        conditions = (pod.get("status") or {}).get("conditions") or ()
        ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
        if not ready and fleet.runs(str(pod["spec"].get("nodeName") or "")):
            sandbox.loops.kubelets.withhold(str(pod["metadata"]["uid"]))
