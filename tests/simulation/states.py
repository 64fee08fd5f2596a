"""What a cluster looks like once nothing moves any more, without what differs from run to run."""

from __future__ import annotations

import copy
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, PODS, SERVICES, STATEFULSETS
from lws.planning.leaderworkerset.groupstatus import HEALTHY
from lws.reconcilers.leaderworkerset.caches import OWN_REVISIONS
from tests.simulation.cluster import Cluster

_VOLATILE: Final = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "generateName")
_TIMES: Final = ("lastTransitionTime", "lastProbeTime", "startTime", "startedAt", "finishedAt")


async def end_state(cluster: Cluster) -> JSON:
    """Everything of ours in the default namespace, by kind and name, without uids, versions and times."""
    out: JSON = {}
    for resource in (LEADERWORKERSETS, STATEFULSETS, PODS, SERVICES, CONTROLLERREVISIONS):
        selector = {LEADERWORKERSETS: "", CONTROLLERREVISIONS: OWN_REVISIONS}.get(resource, labels.NAME)
        for obj in await cluster.all(resource, selector):
            name = obj["metadata"]["name"]
            out[f"{resource.kind}/{name}"] = normal(resource.kind, obj)
    return out


def normal(kind: str, obj: JSON) -> JSON:
    """One object without what chance and time decide."""
    out = copy.deepcopy(obj)
    meta = out["metadata"]
    for member in _VOLATILE:
        meta.pop(member, None)
    for owner in meta.get("ownerReferences", ()):
        owner.pop("uid", None)
    meta.get("annotations", {}).pop(labels.RESTART_CHARGED, None)  # UIDs
    out.pop("apiVersion", None)
    status = out.get("status") or {}
    if kind == "LeaderWorkerSet":
        out["status"] = _set_status(status)
    elif kind == "StatefulSet":
        out["status"] = {key: status.get(key) for key in ("replicas", "readyReplicas", "availableReplicas")}
    elif kind == "Pod":
        out["status"] = {"phase": status.get("phase"), "ready": pod_ready(obj)}
        spec = out["spec"]
        spec.pop("nodeName", None)
        for volume in spec.get("volumes", ()):
            volume.pop("name", None)
        spec.pop("volumes", None)
        for container in spec.get("containers", ()):
            container.pop("volumeMounts", None)
    elif kind == "Service":
        out["spec"] = {key: out["spec"].get(key) for key in ("selector", "publishNotReadyAddresses")}
        out.pop("status", None)
    elif kind == "ControllerRevision":
        out.pop("revision", None)
        meta["name"] = meta["name"].rpartition("-")[0]
    return out


def _set_status(status: JSON) -> JSON:
    """Counters, and which conditions are True; those that are False tell of the past, as records of failures do."""
    past = ("conditions", "observedGeneration", "failures", "restarts")
    out = {key: value for key, value in status.items() if key not in past}
    out["true"] = _true(status)
    return out


def pod_ready(pod: JSON) -> bool:
    """Whether the pod's Ready condition is True."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def difference(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two states differ, one line each."""
    if isinstance(one, dict) and isinstance(other, dict):
        out = []
        for key in sorted(one.keys() | other.keys()):
            out += difference(one.get(key), other.get(key), f"{path}.{key}" if path else key)
        return out
    return [] if one == other else [f"{path}: {one!r} != {other!r}"]


def expectation(wanted: JSON, pods: list[JSON], sets: list[JSON], found: JSON) -> list[str]:
    """What is wrong with a quiet cluster, judged by the spec of one set alone; nothing if all is as it should be.

    Args:
        wanted: the set as it was last written.
        pods: all pods of it.
        sets: all StatefulSets of it.
        found: the set as it is now, status included.
    """
    name, spec = wanted["metadata"]["name"], wanted["spec"]
    section = spec["leaderWorkerTemplate"]
    replicas, size = spec.get("replicas", 1), section.get("size", 1)
    problems = []
    expected = {f"{name}-{i}" + (f"-{j}" if j else "") for i in range(replicas) for j in range(size)}
    names = {pod["metadata"]["name"] for pod in pods}
    if names != expected:
        problems.append(f"pods missing {sorted(expected - names)}, too many {sorted(names - expected)}")
    set_names = {each["metadata"]["name"] for each in sets}
    wanted_sets = {name} | ({f"{name}-{i}" for i in range(replicas)} if size > 1 else set())
    if set_names != wanted_sets:
        problems.append(f"statefulsets {sorted(set_names)} instead of {sorted(wanted_sets)}")
    leader_set = next((each for each in sets if each["metadata"]["name"] == name), None)
    key = leader_set["metadata"]["labels"].get(labels.REVISION) if leader_set else None
    others = [each for each in (*pods, *sets) if each["metadata"]["labels"].get(labels.REVISION) != key]
    problems += [f"{each['metadata']['name']} has another revision than {key}" for each in others]
    for pod in pods:
        if not pod_ready(pod):
            problems.append(f"pod {pod['metadata']['name']} is not ready")
        problems += _of_pod(pod, section, size)
    if leader_set is not None:
        rolling = leader_set["spec"]["updateStrategy"]["rollingUpdate"].get("partition", 0)
        if (leader_set["spec"]["replicas"], rolling) != (replicas, 0):
            problems.append(f"leader set has {leader_set['spec']['replicas']} replicas, partition {rolling}")
    return problems + _of_status(found, replicas)


def common_expectation(found: JSON, pods: list[JSON]) -> list[str]:
    """What of a quiet cluster does not depend on what groups are known by: images, sizes and the status."""
    section = found["spec"]["leaderWorkerTemplate"]
    problems = [problem for pod in pods for problem in _of_pod(pod, section, section.get("size", 1))]
    return problems + _of_status(found, found["spec"].get("replicas", 1))


def _of_pod(pod: JSON, section: JSON, size: int) -> list[str]:
    leads = pod["metadata"]["labels"].get(labels.WORKER_INDEX) == "0"
    template = (section.get("leaderTemplate") if leads else None) or section["workerTemplate"]
    wanted = template["spec"]["containers"][0]["image"]
    image = pod["spec"]["containers"][0]["image"]
    problems = [] if image == wanted else [f"pod {pod['metadata']['name']} runs {image} instead of {wanted}"]
    if pod["metadata"]["annotations"].get(labels.SIZE) != str(size):
        problems.append(f"pod {pod['metadata']['name']} believes in another size")
    return problems


def _true(status: JSON) -> list[str]:
    """The conditions that are True, but for the one that is so once there was trouble and is over (resilience 4)."""
    found = (each["type"] for each in status.get("conditions", ()) if each["status"] == "True")
    return sorted(each for each in found if each != HEALTHY)


def _of_status(found: JSON, replicas: int) -> list[str]:
    status = found.get("status") or {}
    true = _true(status)
    problems = [] if true == ["Available"] else [f"conditions that are True: {true}"]
    wrong = [each for each in ("replicas", "readyReplicas", "updatedReplicas") if status.get(each, 0) != replicas]
    problems += [f"status.{each} is {status.get(each, 0)} instead of {replicas}" for each in wrong]
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        problems.append("the status does not describe the present generation")
    return problems
