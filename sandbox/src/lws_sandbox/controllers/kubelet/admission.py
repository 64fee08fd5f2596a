"""Whether a kubelet admits a pod that was given to its node (``pkg/kubelet/lifecycle/predicate.go``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import labels_of, name_of
from lws_sandbox.controllers.scheduler.requests import (
    REQUIRED,
    PodRequest,
    amount,
    matches_node_affinity,
    pod_resources,
    tolerates,
)

Rejection = tuple[str, str]  # reason, message
_NODE_AFFINITY: Final = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
_TAINT: Final = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
_ORDER: Final = ("pods", "cpu", "memory", "ephemeral-storage")


def reject(pod: JSON, node: JSON, others: Iterable[PodRequest]) -> Rejection | None:
    """Why the node cannot take the pod beside the others that it has; None if it can."""
    short = _insufficient(pod, node, others)
    if short is not None:
        return short
    spec, labels = pod["spec"], labels_of(node)
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    selected = all(labels.get(key) == value for key, value in (spec.get("nodeSelector") or {}).items())
    if not selected or not matches_node_affinity(affinity, name_of(node), labels):
        return "NodeAffinity", _NODE_AFFINITY
    for taint in node["spec"].get("taints") or ():
        if taint.get("effect") == "NoExecute" and not tolerates(spec.get("tolerations") or (), taint):
            return "TaintToleration", _TAINT
    return None


def _insufficient(pod: JSON, node: JSON, others: Iterable[PodRequest]) -> Rejection | None:
    allocatable: Mapping[str, str] = (node.get("status") or {}).get("allocatable") or {}
    wanted = pod_resources(pod["spec"])
    used: dict[str, int] = {}
    for other in others:
        for resource, value in other.resources.items():
            used[resource] = used.get(resource, 0) + value
    for resource in sorted(wanted, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)):
        if resource not in allocatable or wanted[resource] == 0:
            continue  # an extended resource that the node does not know is none of the kubelet's
        capacity, taken = amount(resource, allocatable[resource]), used.get(resource, 0)
        if wanted[resource] > capacity - taken:
            amounts = f"requested: {wanted[resource]}, used: {taken}, capacity: {capacity}"
            return f"OutOf{resource}", f"Node didn't have enough resource: {resource}, {amounts}"
    return None
