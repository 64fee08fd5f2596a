"""A client of objects that lie on a shelf: what the plugin reads, without a server; and what it would write."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, CORE_EVENTS, NODES, PODS, STATEFULSETS, Resource
from lws.client.transport import Request
from lws.errors import BadRequestError, NotFoundError

NOW: Final = "2026-01-01T00:00:00Z"
READY: Final[JSON] = {
    "phase": "Running",
    "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
}


class Shelf:
    """Objects by resource; ``logs`` by pod and container, of which None stands for a container that has none.

    Attributes:
        deleted: names and options of deletions; the objects stay.
        patched: resource, name, patch and options of patches.
        requests: of streams.
    """

    def __init__(self, objects: Mapping[Resource, Iterable[JSON]], logs: Mapping[tuple[str, str], Any] | None = None):
        self.objects = {resource: list(items) for resource, items in objects.items()}
        self.logs = dict(logs or {})
        self.deleted: list[tuple[str, JSON]] = []
        self.patched: list[tuple[str, str, Any, JSON]] = []
        self.requests: list[Request] = []

    async def get(self, resource: Resource, namespace: str, name: str, subresource: str = "") -> JSON:
        """One object."""
        for one in self.objects.get(resource, ()):
            if one["metadata"]["name"] == name:
                return one
        raise NotFoundError(404, "NotFound", f'{resource} "{name}" not found', details={"name": name})

    async def list(
        self, resource: Resource, namespace: str = "", *, label_selector: str = "", field_selector: str = "", **_: Any
    ) -> JSON:
        """Those of the namespace that the labels fit; of fields only ``type`` is known."""
        found = [
            one
            for one in self.objects.get(resource, ())
            if (not namespace or one["metadata"].get("namespace", namespace) == namespace)
            and _fits(one["metadata"].get("labels") or {}, label_selector)
            and (not field_selector or f"type={one.get('type')}" in field_selector)
        ]
        return {"items": found}

    async def delete(self, resource: Resource, namespace: str, name: str, **options: Any) -> JSON:
        """Remember it."""
        self.deleted.append((name, options))
        return {}

    async def patch(self, resource: Resource, namespace: str, name: str, patch: Any, **options: Any) -> JSON:
        """Remember it."""
        self.patched.append((str(resource), name, patch, options))
        return {}

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """A log, in pieces as given."""
        self.requests.append(request)
        pod, container = request.path.split("/")[-2], dict(request.query)["container"]
        chunks = self.logs.get((pod, container))
        if chunks is None:
            raise BadRequestError(400, "BadRequest", f'container "{container}" in pod "{pod}" is waiting to start')
        yield _Chunks(chunks)


class _Chunks:
    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def _fits(own: Mapping[str, str], selector: str) -> bool:
    for term in re.findall(r"[^,(]+(?:\([^)]*\))?", selector):
        name, _, values = term.partition(" in ")
        if values and own.get(name.strip()) not in values.strip("()").split(","):
            return False
        if term.startswith("!"):
            if term[1:] in own:
                return False
            continue
        name, equals, value = term.partition("=")
        if not values and (own.get(name.strip()) != value if equals else name.strip() not in own):
            return False
    return True


def site(replicas: int = 2, size: int = 2, name: str = "web", **more: Any) -> Shelf:
    """A set that is well, on a node for each group; ``more`` goes into its metadata, spec or status."""
    pods = [pod(name, group, worker, size=size) for group in range(replicas) for worker in range(size)]
    sets = [statefulset(name, replicas)]
    sets += [statefulset(name, size - 1, group) for group in range(replicas) if size > 1]
    nodes = [node(f"node-{group}") for group in range(replicas)]
    return Shelf(
        {
            LEADERWORKERSETS: [leaderworkerset(name, replicas, size, **more)],
            STATEFULSETS: sets,
            PODS: pods,
            NODES: nodes,
            CONTROLLERREVISIONS: [revision(name, 1, "old", "app:1"), revision(name, 2, "new", "app:2")],
            CORE_EVENTS: [],
        }
    )


def leaderworkerset(name: str, replicas: int, size: int, **more: Any) -> JSON:
    """The set."""
    status = {"replicas": replicas, "readyReplicas": replicas, "updatedReplicas": replicas, "observedGeneration": 1}
    meta = {"name": name, "namespace": "default", "uid": f"uid-{name}", "generation": 1, "creationTimestamp": NOW}
    return {
        "metadata": {**meta, "resourceVersion": "7", **more.get("metadata", {})},
        "spec": {"replicas": replicas, "leaderWorkerTemplate": {"size": size}, **more.get("spec", {})},
        "status": {**status, **more.get("status", {})},
    }


def pod(name: str, group: int, worker: int = 0, *, size: int = 2, **more: Any) -> JSON:
    """A pod that requests two GPUs."""
    own = f"{name}-{group}" if worker == 0 else f"{name}-{group}-{worker}"
    identity = {
        labels.NAME: name,
        labels.GROUP_INDEX: str(group),
        labels.WORKER_INDEX: str(worker),
        labels.REVISION: "new",
    }
    meta: JSON = {"name": own, "namespace": "default", "uid": f"uid-{own}", "labels": identity}
    if worker == 0:
        meta["ownerReferences"] = [{"kind": "StatefulSet", "name": name, "uid": f"uid-sts-{name}", "controller": True}]
    limits = {"cpu": "500m", "nvidia.com/gpu": "2"}
    spec = {"nodeName": f"node-{group}", "containers": [{"name": "main", "resources": {"limits": limits}}]}
    annotations = {labels.SIZE: str(size)}
    return {
        "metadata": {**meta, "annotations": annotations, **more.get("metadata", {})},
        "spec": {**spec, **more.get("spec", {})},
        "status": more.get("status", READY),
    }


def statefulset(name: str, replicas: int, group: int | None = None) -> JSON:
    """The leader StatefulSet, or with a group its workers'."""
    own = name if group is None else f"{name}-{group}"
    owner = {"kind": "LeaderWorkerSet", "name": name, "uid": f"uid-{name}"}
    if group is not None:
        owner = {"kind": "Pod", "name": own, "uid": f"uid-{own}"}
    identity = {labels.NAME: name, labels.REVISION: "new"}
    meta = {"name": own, "namespace": "default", "uid": f"uid-sts-{own}", "labels": identity}
    return {
        "metadata": {**meta, "ownerReferences": [{**owner, "controller": True}]},
        "spec": {"replicas": replicas},
        "status": {"replicas": replicas, "availableReplicas": replicas},
    }


def node(name: str) -> JSON:
    """A node with eight GPUs."""
    return {"metadata": {"name": name}, "status": {"allocatable": {"cpu": "32", "nvidia.com/gpu": "8", "pods": "110"}}}


def revision(name: str, number: int, key: str, image: str) -> JSON:
    """A stored revision."""
    container = {"name": "main", "image": image}
    template = {"$patch": "replace", "size": 2, "workerTemplate": {"spec": {"containers": [container]}}}
    identity = {labels.NAME: name, labels.REVISION: key}
    meta = {"name": f"{name}-{key}-{number}", "namespace": "default", "labels": identity}
    return {"metadata": meta, "revision": number, "data": {"spec": {"leaderWorkerTemplate": template}}}


def event(kind: str, name: str, reason: str, message: str, *, time: str = NOW, uid: str = "", **more: Any) -> JSON:
    """An event about an object."""
    about = {"kind": kind, "name": name, "namespace": "default", "uid": uid}
    meta = {"name": f"{name}.{reason}.{time}", "namespace": "default", "resourceVersion": str(more.pop("version", 1))}
    return {
        "metadata": meta,
        "type": more.pop("type", "Normal"),
        "reason": reason,
        "message": message,
        "involvedObject": about,
        "lastTimestamp": time,
        "source": {"component": "test"},
        **more,
    }
