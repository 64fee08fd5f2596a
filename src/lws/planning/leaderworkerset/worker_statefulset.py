"""The worker StatefulSet of one group: content, and when its name is free (spec 5.6, CD-28)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.tpu import requests_tpus
from lws.api.leaderworkerset.types import HASH, LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import STATEFULSETS
from lws.planning.leaderworkerset import templates
from lws.planning.leaderworkerset.groups import base_name, is_hashed
from lws.planning.leaderworkerset.leader_statefulset import PARALLEL
from lws.planning.leaderworkerset.members import by_index
from lws.planning.leaderworkerset.metadata import (
    inherited_annotations,
    merged,
    owned_by_pod,
    topology_annotations,
    with_strings,
)


def selector(lws: LeaderWorkerSet, leader: Pod) -> dict[str, str]:
    """What the worker StatefulSet of this leader selects (spec 1.2)."""
    return {
        labels.GROUP_INDEX: leader.metadata.label(labels.GROUP_INDEX),
        labels.NAME: lws.metadata.name,
        labels.GROUP_KEY: leader.metadata.label(labels.GROUP_KEY),
    }


def manifest(
    live: LeaderWorkerSet,
    revised: LeaderWorkerSet,
    section: JSON,
    leader: Pod,
    node_selector: Mapping[str, str],
    pod_group: str = "",
) -> JSON:
    """The worker StatefulSet as it is created; all that derives from the spec comes from the leader's revision.

    Args:
        live: the live set, for its labels, annotations and topology.
        revised: the revision spec of the leader's key.
        section: normal form of the revision's ``leaderWorkerTemplate``.
        leader: the leader pod.
        node_selector: topology key and value under exclusive placement; it wins over the user's.
        pod_group: the PodGroup of which the workers are members; empty if they are not ganged (CD-33).
    """
    name, namespace = base_name(leader), leader.metadata.namespace
    ours = {**selector(live, leader), labels.REVISION: leader.metadata.label(labels.REVISION)}
    template = templates.pod_template(section["workerTemplate"], ours, _annotations(live, revised, leader, pod_group))
    if node_selector:
        spec = template["spec"]
        template["spec"] = {**spec, "nodeSelector": merged(spec.get("nodeSelector"), node_selector)}
    return {
        "apiVersion": STATEFULSETS.api_version,
        "kind": STATEFULSETS.kind,
        "metadata": with_strings(
            {"name": name, "namespace": namespace, "ownerReferences": owned_by_pod(leader)},
            merged(live.metadata.labels, {**ours, labels.ROLE: labels.ROLE_WORKER}),
            inherited_annotations(live),
        ),
        "spec": {
            "replicas": revised.spec.leader_worker_template.size - 1,
            "ordinals": {"start": 1},
            "serviceName": leader.spec.subdomain,
            "podManagementPolicy": PARALLEL,
            "selector": {"matchLabels": selector(live, leader)},
            "template": template,
            **templates.storage(section, namespace),
        },
    }


def _annotations(live: LeaderWorkerSet, revised: LeaderWorkerSet, leader: Pod, pod_group: str) -> dict[str, str]:
    """Annotations of the worker template (spec 1.3)."""
    template = revised.spec.leader_worker_template
    out = {
        labels.SIZE: str(template.size),
        labels.LEADER_NAME: leader.metadata.name,
        labels.LEADER_ADDRESS: f"{leader.spec.hostname}.{leader.spec.subdomain}.{leader.metadata.namespace}",
        **topology_annotations(live, template.sub_group_policy),
    }
    if is_hashed(leader):
        out[labels.GROUP_IDENTITY] = HASH
    if pod_group:
        out[labels.POD_GROUP_NAME] = pod_group
    for mark in (labels.SCHEDULING_LEVEL, labels.WORKLOAD_NAME):  # as their leader was marked, whenever that was
        if leader.metadata.annotation(mark) is not None:
            out[mark] = leader.metadata.annotation(mark) or ""
    containers = (*(leader.spec.containers or ()), *(leader.spec.init_containers or ()))
    resources = [container.resources for container in containers if container.resources is not None]
    if any(requests_tpus(each.limits, each.requests) for each in resources):
        out[labels.LEADER_REQUESTS_TPUS] = "true"
    return out


@dataclass(frozen=True, slots=True)
class NamesTaken:
    """Pods that bear names of this group's workers and are none of its own (CD-28).

    Attributes:
        ending: those that are on their way out; their end is worth waiting for.
        foreign: those that stay. Each blocks its own name and no other.
    """

    ending: tuple[Pod, ...] = ()
    foreign: tuple[Pod, ...] = ()


def names_taken(workers: Mapping[str, Pod], leader: Pod, size: int) -> NamesTaken:
    """Who has names that the workers of this leader need, while there is no worker StatefulSet.

    A pod is on its way out if it is being deleted, or if what controls it is gone: an earlier leader or worker
    StatefulSet of this name. One without a controller that the new StatefulSet will adopt, because its labels match,
    is in nobody's way.
    """
    group_key = leader.metadata.label(labels.GROUP_KEY)
    found = [pod for index, pod in sorted(by_index(workers, base_name(leader)).items()) if index < size]
    ending = tuple(pod for pod in found if pod.metadata.deleting or _left_behind(pod, leader))
    foreign = tuple(pod for pod in found if pod not in ending and not _adoptable(pod, group_key))
    return NamesTaken(ending, foreign)


def _left_behind(pod: Pod, leader: Pod) -> bool:
    """Whether the pod's controller bore the leader's name and is no more: a leader, or a worker StatefulSet."""
    owner = pod.metadata.controller
    if owner is None or owner.name not in (leader.metadata.name, base_name(leader)):
        return False
    return owner.kind == "StatefulSet" or (owner.kind == "Pod" and owner.uid != leader.metadata.uid)


def _adoptable(pod: Pod, group_key: str) -> bool:
    return pod.metadata.controller is None and bool(group_key) and pod.metadata.label(labels.GROUP_KEY) == group_key
