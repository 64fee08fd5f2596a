"""How the operand is doing: read off its Deployment, ReplicaSets and pods (operator 5.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lws.api.operand import names
from lws.api.operand.types import LeaderWorkerSetOperatorSpec
from lws.apimachinery.manifests import JSON, annotations_of, name_of
from lws.planning.operand.causes import OPERAND_FAILING, Cause

_PULL: Final = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})
_SETUP: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_REVISION: Final = "deployment.kubernetes.io/revision"
_OOM: Final = "OOMKilled"
_MORE_MEMORY: Final = "set spec.operand.sizing to Auto, or raise spec.operand.resources.limits.memory"


def wanted_replicas(deployment: JSON) -> int:
    """Pods that the Deployment asks for."""
    found = (deployment.get("spec") or {}).get("replicas")
    return 1 if found is None else int(found)


def available_replicas(deployment: JSON | None) -> int:
    """Pods that are available."""
    return int(((deployment or {}).get("status") or {}).get("availableReplicas") or 0)


def rolled_out(deployment: JSON | None) -> bool:
    """Whether all pods are of the newest template and available, and no others are left."""
    if deployment is None:
        return False
    status, wanted = deployment.get("status") or {}, wanted_replicas(deployment)
    if int(status.get("observedGeneration") or 0) < int(deployment["metadata"].get("generation") or 0):
        return False
    counts = (int(status.get(name) or 0) for name in ("replicas", "updatedReplicas", "availableReplicas"))
    return all(count == wanted for count in counts)


def image_of(deployment: JSON | None) -> str:
    """The image of the operand's container."""
    containers = (((deployment or {}).get("spec") or {}).get("template") or {}).get("spec", {}).get("containers") or ()
    return next((str(each.get("image") or "") for each in containers if each.get("name") == names.CONTAINER), "")


def pods_of(deployment: JSON, replica_sets: Sequence[JSON], pods: Sequence[JSON]) -> list[JSON]:
    """Pods of the Deployment's newest template."""
    revision = annotations_of(deployment).get(_REVISION)
    newest = {each["metadata"]["uid"] for each in replica_sets if annotations_of(each).get(_REVISION) == revision}
    owners = ((pod, pod["metadata"].get("ownerReferences") or ()) for pod in pods)
    return [pod for pod, found in owners if any(owner.get("uid") in newest for owner in found)]


def image_ids(pods: Sequence[JSON]) -> list[str]:
    """What the pods run, by digest."""
    found = {
        str(status.get("imageID") or "")
        for pod in pods
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
    }
    return sorted(found - {""})


def failing(
    deployment: JSON | None, replica_sets: Sequence[JSON], pods: Sequence[JSON], spec: LeaderWorkerSetOperatorSpec
) -> Cause | None:
    """Why pods of the operand are missing; None while all of them serve."""
    if deployment is None or rolled_out(deployment):
        return None
    reasons = [*dict.fromkeys((*_refused(replica_sets), *(why for pod in pods for why in _pod(pod, spec))))]
    wanted, there = wanted_replicas(deployment), available_replicas(deployment)
    if reasons:
        return Cause(OPERAND_FAILING, "; ".join(reasons))
    if there >= wanted:
        return None  # a rollout that goes on
    return Cause(OPERAND_FAILING, f"{there} of {wanted} pods are available; look at the pods of {names.DEPLOYMENT}")


def _refused(replica_sets: Sequence[JSON]) -> Iterator[str]:
    for each in replica_sets:
        for condition in (each.get("status") or {}).get("conditions") or ():
            if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
                yield f"pods are refused: {condition.get('message')}; change what refuses them"


def _pod(pod: JSON, spec: LeaderWorkerSetOperatorSpec) -> Iterator[str]:
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            yield f"pod {name_of(pod)} cannot be scheduled: {condition.get('message')}; {_placement(spec)}"
    for each in status.get("containerStatuses") or ():
        yield from _container(pod, each)


def _placement(spec: LeaderWorkerSetOperatorSpec) -> str:
    placement = spec.node_placement
    if placement.node_selector or placement.affinity is not None or placement.tolerations is not None:
        return "change spec.nodePlacement, or the nodes"
    return "add nodes, or room on them"


def _container(pod: JSON, status: JSON) -> Iterator[str]:
    waiting = (status.get("state") or {}).get("waiting") or {}
    ended = (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated") or {}
    reason, text = waiting.get("reason"), str(waiting.get("message") or "")
    if ended.get("reason") == _OOM:
        yield f"OOMKilled: pod {name_of(pod)} ran out of memory; {_MORE_MEMORY}"
    elif reason in _PULL:
        image = status.get("image") or image_of({"spec": {"template": {"spec": pod.get("spec") or {}}}})
        yield f"ImagePullBackOff: image {image} cannot be pulled; correct the image, or spec.operand.imagePullSecrets"
    elif reason == "CrashLoopBackOff":
        last = f": {ended['message']}" if ended.get("message") else ""
        yield f"CrashLoopBackOff: pod {name_of(pod)} exits with code {ended.get('exitCode')}{last}; read its log"
    elif reason in _SETUP:
        yield f"{reason}: pod {name_of(pod)}: {text}; create what is missing"
