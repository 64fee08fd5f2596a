"""Pictures of LeaderWorkerSets for the tests of ``kubectl lws``."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.cli.kubectl.picture import Picture

JSON: TypeAlias = dict[str, Any]
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def pod(name: str, *, group: int, worker: int, key: str = "new", uid: str = "", **parts: Any) -> JSON:
    """A pod that is ready on node-1 unless told otherwise."""
    meta = {
        "name": name,
        "namespace": "ns",
        "uid": uid or f"uid-{name}",
        "labels": {
            labels.NAME: "s",
            labels.GROUP_INDEX: str(group),
            labels.WORKER_INDEX: str(worker),
            labels.REVISION: key,
        },
        "annotations": {labels.SIZE: "2"},
    }
    meta |= parts.pop("metadata", {})
    return {
        "metadata": meta,
        "spec": {"nodeName": "node-1", **parts.get("spec", {})},
        "status": parts.get("status", READY),
    }


def group(index: int, *, key: str = "new", leader: JSON | None = None, worker: JSON | None = None) -> tuple[JSON, JSON]:
    """Leader and one worker of a group, ready unless told otherwise."""
    return (
        leader or pod(f"s-{index}", group=index, worker=0, key=key),
        worker or pod(f"s-{index}-1", group=index, worker=1, key=key),
    )


def worker_set(index: int, *, available: int = 1, key: str = "new") -> StatefulSet:
    """A worker StatefulSet of one replica, controlled by its leader."""
    owner = {"kind": "Pod", "name": f"s-{index}", "uid": f"uid-s-{index}", "controller": True}
    return msgspec.convert(
        {
            "metadata": {"name": f"s-{index}", "labels": {labels.REVISION: key}, "ownerReferences": [owner]},
            "spec": {"replicas": 1},
            "status": {"availableReplicas": available, "replicas": 1},
        },
        StatefulSet,
    )


def leader_set(count: int, partition: int = 0, key: str = "new") -> StatefulSet:
    """The leader StatefulSet."""
    return msgspec.convert(
        {
            "metadata": {"name": "s", "labels": {labels.REVISION: key}},
            "spec": {"replicas": count, "updateStrategy": {"rollingUpdate": {"partition": partition}}},
        },
        StatefulSet,
    )


def the_set(replicas: int = 2, **spec: Any) -> LeaderWorkerSet:
    """A set of groups of two that the controller has seen."""
    parts = {"annotations": spec.pop("annotations", {}), "conditions": spec.pop("conditions", [])}
    return LeaderWorkerSet.from_json(
        {
            "metadata": {
                "name": "s",
                "namespace": "ns",
                "generation": spec.pop("generation", 1),
                "resourceVersion": "7",
                "annotations": parts["annotations"],
            },
            "spec": {"replicas": replicas, "leaderWorkerTemplate": {"size": 2, "workerTemplate": {}}, **spec},
            "status": {"observedGeneration": 1, "conditions": parts["conditions"], "readyReplicas": replicas},
        }
    )


def revision(number: int, key: str, image: str) -> ControllerRevision:
    """A stored revision."""
    template = {"$patch": "replace", "size": 2, "workerTemplate": {"spec": {"containers": [{"image": image}]}}}
    return msgspec.convert(
        {
            "metadata": {"name": f"s-{key}-{number}", "labels": {labels.REVISION: key}},
            "revision": number,
            "data": {"spec": {"leaderWorkerTemplate": template}},
        },
        ControllerRevision,
    )


def healthy(replicas: int = 2, **spec: Any) -> Picture:
    """Every group ready and of the current revision."""
    return Picture(
        lws=the_set(replicas, **spec),
        leader_set=leader_set(replicas),
        worker_sets={f"s-{index}": worker_set(index) for index in range(replicas)},
        pods=tuple(member for index in range(replicas) for member in group(index)),
    )
