"""What the LeaderWorkerSet controllers watch, and how small it is kept.

Of annotations, pods keep those that planners read and nodes those of ours; Services and PodGroups keep none.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import force_setattr

from lws.api.leaderworkerset import labels, objects
from lws.api.leaderworkerset import resources as own
from lws.api.leaderworkerset.status import MESSAGE_BYTES
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.api.leaderworkerset.workloadapi import WorkloadApi
from lws.apimachinery import resources
from lws.apimachinery.objects import Condition
from lws.informers.kinds import (
    Kind,
    every_annotation,
    metadata_kind,
    no_annotation,
    packed_kind,
    pool_condition,
    pool_member,
    typed_kind,
)
from lws.planning.leaderworkerset.diagnosis.objects import Event
from lws.planning.leaderworkerset.emptying import of_control_plane

_RUNNING: Final = objects.ContainerState(running={})


def _leaderworkerset(raw: Any) -> LeaderWorkerSet:
    return LeaderWorkerSet.from_json(bytes(raw))


def _pool_pod(pod: objects.Pod) -> None:
    pool_member(pod.spec, "node_name")
    pool_member(pod.spec, "scheduler_name")
    pool_member(pod.spec, "subdomain")
    if pod.spec.hostname == pod.metadata.name:  # as a StatefulSet sets it
        force_setattr(pod.spec, "hostname", pod.metadata.name)
    pool_member(pod.status, "phase")
    for condition in pod.status.conditions or ():
        pool_condition(condition)
    kept = tuple(each for each in pod.spec.tolerations or () if not of_control_plane(each.key))  # every pod has these
    for toleration in kept:
        for member in ("key", "operator", "value", "effect"):
            pool_member(toleration, member)
    force_setattr(pod.spec, "tolerations", kept)
    for container in (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())):
        _shrink(container)


def _shrink(container: objects.ContainerStatus) -> None:
    """Keep little of a container: one that runs says no more than that, one that ended has a limit to its words."""
    pool_member(container, "name")
    pool_member(container, "image")
    if container.state is not None and container.state.running is not None:
        force_setattr(container, "state", _RUNNING)
    if container.last_state is not None and container.last_state.terminated is None:
        force_setattr(container, "last_state", None)  # what the server writes of a container that never ended
    for state in (container.state, container.last_state):
        ended = None if state is None else state.terminated
        if ended is not None and len(ended.message) > MESSAGE_BYTES:
            force_setattr(ended, "message", ended.message[:MESSAGE_BYTES])


def _shrink_node(node: objects.Node) -> None:
    """Keep little of a node: its readiness, and of the conditions that tell of trouble those that are True."""
    told = tuple(each for each in node.status.conditions or () if each.type == "Ready" or each.status == "True")
    for condition in told:
        pool_condition(condition)
    force_setattr(node.status, "conditions", told)
    for taint in node.spec.taints or ():
        for member in ("key", "value", "effect"):
            pool_member(taint, member)


def _own_annotation(key: str) -> bool:
    return key.startswith(labels.EXTENSION)


def _only_trouble(pod_group: objects.PodGroup) -> None:
    """Of a PodGroup's conditions only why it could not be placed is looked at."""
    words = pod_group.unschedulable[:MESSAGE_BYTES]
    kept = (Condition(type="Unschedulable", status="True", message=words),) if words else ()
    force_setattr(pod_group.status, "conditions", kept)


def _short_event(event: Event) -> None:
    pool_member(event, "reason")
    pool_member(event, "type")
    force_setattr(event, "message", event.message[:MESSAGE_BYTES])


def _of_leaders(statefulset: objects.StatefulSet) -> bool:
    """Whether it is a leader StatefulSet, which alone has no group (spec 1.2)."""
    return not statefulset.metadata.label(labels.GROUP_INDEX)


def _pod_annotation(key: str) -> bool:
    return key.startswith(labels.PREFIX) or key in (labels.POD_GROUP_NAME, labels.DELETION_COST)


LEADERWORKERSETS: Final[Kind[LeaderWorkerSet]] = Kind(own.LEADERWORKERSETS, msgspec.Raw, _leaderworkerset)
PODS: Final = typed_kind(resources.PODS, objects.Pod, annotations=_pod_annotation, finish=_pool_pod)
STATEFULSETS: Final = packed_kind(
    typed_kind(resources.STATEFULSETS, objects.StatefulSet, annotations=every_annotation), whole=_of_leaders
)
DEPLOYMENTS: Final = typed_kind(resources.DEPLOYMENTS, objects.Deployment, annotations=every_annotation)
SERVICES: Final = typed_kind(resources.SERVICES, objects.Service, annotations=no_annotation)
CONTROLLERREVISIONS: Final = typed_kind(
    resources.CONTROLLERREVISIONS, objects.ControllerRevision, annotations=every_annotation
)
NODES: Final = typed_kind(resources.NODES, objects.Node, annotations=_own_annotation, finish=_shrink_node)
DISRUPTIONBUDGETS: Final = typed_kind(
    resources.PODDISRUPTIONBUDGETS, objects.DisruptionBudget, annotations=no_annotation
)
PODGROUPS: Final = typed_kind(own.PODGROUPS, objects.PodGroup, annotations=no_annotation, finish=_only_trouble)
GANG_EVENTS: Final = typed_kind(resources.CORE_EVENTS, Event, annotations=no_annotation, finish=_short_event)
QUEUES: Final = metadata_kind(own.QUEUES)


def workloads(api: WorkloadApi) -> Kind[objects.Workload]:
    """Workloads of this version of ``scheduling.k8s.io``."""
    return typed_kind(api.workloads, objects.Workload, annotations=no_annotation)


def scheduling_groups(api: WorkloadApi) -> Kind[objects.SchedulingPodGroup]:
    """PodGroups of this version of ``scheduling.k8s.io``."""
    return typed_kind(api.groups, objects.SchedulingPodGroup, annotations=no_annotation)
