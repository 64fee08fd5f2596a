"""Sets of groups of two, healthy unless told otherwise, for tests of the diagnosis and of ``kubectl lws``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, StatefulSet
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset.diagnosis.diagnose import diagnose
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GroupFacts, SetFacts
from lws.planning.leaderworkerset.diagnosis.objects import Event, Metadata, NodeReport, PodReport
from lws.planning.leaderworkerset.diagnosis.words import sentences
from lws.planning.leaderworkerset.groups import ABSENT, own_leaders, state_of

SET_UID = "uid-set"
HEALTHY = object()
READY: JSON = {
    "phase": "Running",
    "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
}


def pod(name: str, *, group: int, worker: int, key: str = "new", **parts: Any) -> PodReport:
    """A pod that is ready on node-1 unless told otherwise."""
    meta = {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-{name}",
        "annotations": {labels.SIZE: "2"},
        **parts.get("metadata", {}),
    }
    identity = {
        labels.NAME: "s",
        labels.GROUP_INDEX: str(group),
        labels.WORKER_INDEX: str(worker),
        labels.REVISION: key,
    }
    meta["labels"] = {**identity, **parts.get("labels", {})}
    spec = {"nodeName": "node-1", **parts.get("spec", {})}
    return msgspec.convert({"metadata": meta, "spec": spec, "status": parts.get("status", READY)}, PodReport)


def waiting(name: str, message: str = "", *, container: str = "main", last: JSON | None = None, **more: Any) -> JSON:
    """The status of a pod whose container waits."""
    status: JSON = {"name": container, "ready": False, "state": {"waiting": {"reason": name, "message": message}}}
    if last is not None:
        status["lastState"] = {"terminated": last}
    return {"phase": "Running", "containerStatuses": [{**status, **more}]}


def terminated(code: int, reason: str = "Error", *, restarts: int = 0, **more: Any) -> JSON:
    """The status of a pod whose container ended: what a kubelet of 1.36 shows during back-off."""
    ended = {"exitCode": code, "reason": reason, **more}
    container = {"name": "main", "ready": False, "restartCount": restarts, "state": {"terminated": ended}}
    return {
        "phase": "Running",
        "conditions": [
            {"type": "Ready", "status": "False", "message": "containers with unready status: [main]"},
            {"type": "PodScheduled", "status": "True"},
        ],
        "containerStatuses": [container],
    }


def unscheduled(message: str, reason: str = "Unschedulable") -> JSON:
    """The status of a pod without a node."""
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return {"phase": "Pending", "conditions": [condition]}


def worker_set(
    index: int, *, available: int = 1, replicas: int = 1, size: int = 0, key: str = "new", **meta: Any
) -> StatefulSet:
    """A worker StatefulSet controlled by its leader; its template names the size of the group, if one is given."""
    owner = {"kind": "Pod", "name": f"s-{index}", "uid": f"uid-s-{index}", "controller": True}
    return msgspec.convert(
        {
            "metadata": {
                "name": f"s-{index}",
                "uid": f"uid-set-s-{index}",
                "labels": {labels.REVISION: key},
                "ownerReferences": [owner],
                **meta,
            },
            "spec": {
                "replicas": replicas,
                "template": {"metadata": {"annotations": {labels.SIZE: str(size)} if size else {}}},
            },
            "status": {"availableReplicas": available, "replicas": replicas},
        },
        StatefulSet,
    )


def leader_set(count: int = 2, partition: int = 0, key: str = "new", **meta: Any) -> StatefulSet:
    """The leader StatefulSet."""
    owner = {"kind": "LeaderWorkerSet", "name": "s", "uid": SET_UID, "controller": True}
    return msgspec.convert(
        {
            "metadata": {
                "name": "s",
                "uid": "uid-sts",
                "labels": {labels.REVISION: key},
                "ownerReferences": [owner],
                **meta,
            },
            "spec": {"replicas": count, "updateStrategy": {"rollingUpdate": {"partition": partition}}},
        },
        StatefulSet,
    )


def set_facts(replicas: int = 2, *, metadata: JSON | None = None, **spec: Any) -> SetFacts:
    """A set of groups of two that the controller has seen."""
    meta = {"name": "s", "namespace": "ns", "uid": SET_UID, "generation": 1, "resourceVersion": "7"}
    facts = SetFacts(
        metadata=msgspec.convert({**meta, **(metadata or {})}, Metadata),
        replicas=replicas,
        size=2,
        observed_generation=1,
        ready=replicas,
        updated=replicas,
        present=replicas,
    )
    return replace(facts, **spec)


def group(
    index: int, leader: Any = HEALTHY, worker: Any = HEALTHY, *, key: str = "new", workers: Any = HEALTHY
) -> GroupFacts:
    """Leader, worker and worker StatefulSet of a group; None is missing."""
    leader = pod(f"s-{index}", group=index, worker=0, key=key) if leader is HEALTHY else leader
    worker = pod(f"s-{index}-1", group=index, worker=1, key=key) if worker is HEALTHY else worker
    if workers is HEALTHY:
        workers = worker_set(index, key=key, available=int(worker is not None and worker.ready))
    counts = leader is not None and own_leaders((leader,), leader_set())
    state = state_of(leader, 2, workers, "new") if counts else ABSENT
    return GroupFacts(index, state, 2, leader, (worker,) if worker is not None else (), workers)


def healthy(replicas: int = 2, **parts: Any) -> Facts:
    """Every group ready and of the current revision; ``parts`` replaces members of the facts."""
    groups = tuple(group(index) for index in range(replicas))
    return replace(Facts(set_facts(replicas), leader_set(replicas), groups), **parts)


def with_group_0(first: GroupFacts, **parts: Any) -> Facts:
    """Group 0 as given, group 1 healthy."""
    return healthy(groups=(first, group(1)), **parts)


def event(kind: str, name: str, reason: str, message: str, *, time: str = "2026-01-01T00:00:00Z", **more: Any) -> Event:
    """A warning about an object."""
    uid = {"LeaderWorkerSet": SET_UID, "StatefulSet": "uid-sts" if name == "s" else f"uid-set-{name}"}
    reference = {"kind": kind, "name": name, "uid": uid.get(kind, f"uid-{name}")}
    raw = {"metadata": {}, "type": "Warning", "reason": reason, "message": message, "involvedObject": reference}
    return msgspec.convert({**raw, "lastTimestamp": time, **more}, Event)


def node(
    name: str = "node-1", *, ready: str = "True", since: str = "2026-01-01T00:00:00Z"
) -> dict[str, NodeReport | None]:
    """A node by its name."""
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": since}
    return {name: msgspec.convert({"metadata": {"name": name}, "status": {"conditions": [condition]}}, NodeReport)}


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


def said(facts: Facts) -> tuple[str, ...]:
    """The diagnosis in sentences, without what is said of every finding of a kind."""
    return sentences(diagnose(facts), general=False)
