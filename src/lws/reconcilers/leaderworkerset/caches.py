"""The caches that the reconcilers of this API read, and how they are indexed.

All but the sets themselves, the nodes and Volcano's Queues are selected at the server, by the label
``leaderworkerset.sigs.k8s.io/name`` or, of events, by what they are about, so the caches hold what belongs to
LeaderWorkerSets and nothing else of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import (
    ControllerRevision,
    Deployment,
    DisruptionBudget,
    Node,
    Pod,
    PodGroup,
    SchedulingPodGroup,
    Service,
    StatefulSet,
    Workload,
)
from lws.api.leaderworkerset.resources import PODGROUPS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.api.leaderworkerset.workloadapi import V1BETA1, WorkloadApi
from lws.apimachinery.names import parent_and_ordinal
from lws.apimachinery.objects import Object
from lws.informers.informer import Informer
from lws.informers.kinds import Kind, MetadataObject
from lws.informers.registry import InformerRegistry
from lws.planning.leaderworkerset.diagnosis.objects import Event
from lws.planning.leaderworkerset.groups import is_hashed, is_leader
from lws.planning.leaderworkerset.retention import held
from lws.reconcilers.leaderworkerset import kinds

T = TypeVar("T", bound=Object)

# Our revisions, and not those that the StatefulSet controller makes of our StatefulSets: they bear our labels too.
OWN_REVISIONS = f"{labels.NAME},!controller.kubernetes.io/hash"

BY_SET = "set"
LEADERS_BY_SET = "leaders"
BY_GROUP = "group"
BY_LEADER = "leader"
RETAINED_BY_SET = "retained"
BY_HOST = "host"
BY_POD_GROUP = "podgroup"
BY_SUBJECT = "subject"


def by_set(obj: Object) -> str:
    """``<namespace>/<set>`` by label; nothing for an empty label."""
    name = obj.metadata.label(labels.NAME)
    return f"{obj.metadata.namespace}/{name}" if name else ""


def leaders_by_set(pod: Pod) -> str:
    """`by_set` for leader pods only."""
    return by_set(pod) if is_leader(pod) else ""


def retained_by_set(pod: Pod) -> str:
    """`by_set` for the pods that a restart budget holds back (next 5.3)."""
    return by_set(pod) if held(pod) else ""


def by_group(pod: Pod) -> str:
    """``<namespace>/<set>/<group index>`` by labels (spec 9.3)."""
    meta = pod.metadata
    return f"{meta.namespace}/{meta.label(labels.NAME)}/{meta.label(labels.GROUP_INDEX)}"


def by_leader(pod: Pod) -> str:
    """``<namespace>/<base>`` by the name of a pod that is no leader; the leader's name where groups have an index."""
    parent, ordinal = parent_and_ordinal(pod.metadata.name)
    return f"{pod.metadata.namespace}/{parent}" if ordinal >= 0 and not is_leader(pod) else ""


def by_pod_group(pod: Pod) -> str:
    """``<namespace>/<PodGroup>`` of pods in one of ``scheduling.k8s.io``."""
    group = pod.spec.scheduling_group
    return f"{pod.metadata.namespace}/{group.pod_group_name}" if group is not None and group.pod_group_name else ""


def by_gang(pod: Pod) -> str:
    """``<namespace>/<PodGroup>`` of pods in one of a gang scheduler with an API of its own."""
    mark = pod.metadata.annotation(labels.POD_GROUP_NAME)
    return f"{pod.metadata.namespace}/{mark}" if mark else ""


def by_subject(event: Event) -> str:
    """``<namespace>/<name>`` of what an event is about."""
    return f"{event.metadata.namespace}/{event.involved_object.name}"


def by_host(pod: Pod) -> str:
    """``<namespace>/<host>`` of leaders that are known by a key: what their workers are named after."""
    return f"{pod.metadata.namespace}/{pod.spec.hostname}" if is_hashed(pod) and is_leader(pod) else ""


@dataclass(frozen=True, slots=True)
class Caches:
    """The informers that reconcilers read.

    Attributes:
        typed: whether ``spec.scheduling`` is acted upon.
        api: by which version of ``scheduling.k8s.io``, unless by a gang scheduler with an API of its own.
    """

    sets: Informer[LeaderWorkerSet]
    statefulsets: Informer[StatefulSet]
    pods: Informer[Pod]
    services: Informer[Service]
    revisions: Informer[ControllerRevision]
    nodes: Informer[Node]
    deployments: Informer[Deployment]
    budgets: Informer[DisruptionBudget]
    pod_groups: Informer[PodGroup] | None = None
    queues: Informer[MetadataObject] | None = None
    gang_events: Informer[Event] | None = None
    workloads: Informer[Workload] | None = None
    scheduling_groups: Informer[SchedulingPodGroup] | None = None
    typed: bool = False
    api: WorkloadApi = V1BETA1

    @classmethod
    def of(
        cls,
        registry: InformerRegistry,
        *,
        gang: bool = False,
        typed: bool = False,
        api: WorkloadApi = V1BETA1,
        namespace: str = "",
    ) -> Caches:
        """Ask the registry for every informer, with its indexes; PodGroups only with the scheduling they are for.

        Args:
            registry: shares informers.
            gang: whether a gang scheduler with an API of its own is the provider.
            typed: whether ``spec.scheduling`` is acted upon, by that one or else by Kubernetes itself.
            api: the version of ``scheduling.k8s.io``.
            namespace: where; everywhere if empty.
        """
        ours = labels.NAME
        pods = registry.informer(kinds.PODS, namespace=namespace, label_selector=ours)
        pods.add_index(LEADERS_BY_SET, leaders_by_set)
        pods.add_index(RETAINED_BY_SET, retained_by_set)
        pods.add_index(BY_GROUP, by_group)
        pods.add_index(BY_LEADER, by_leader)
        pods.add_index(BY_HOST, by_host)
        if typed:
            pods.add_index(BY_POD_GROUP, by_gang if gang else by_pod_group)
        statefulsets = registry.informer(kinds.STATEFULSETS, namespace=namespace, label_selector=ours)
        statefulsets.add_index(BY_SET, by_set)
        revisions = registry.informer(kinds.CONTROLLERREVISIONS, namespace=namespace, label_selector=OWN_REVISIONS)
        revisions.add_index(BY_SET, by_set)
        groups = _pod_groups(registry, namespace) if gang else None
        if typed and groups is not None:
            groups.add_index(BY_SET, by_set)
        workloads = _scheduling(registry, kinds.workloads(api), namespace) if typed and not gang else None
        members = _scheduling(registry, kinds.scheduling_groups(api), namespace) if typed and not gang else None
        return cls(
            sets=registry.informer(kinds.LEADERWORKERSETS, namespace=namespace),
            statefulsets=statefulsets,
            pods=pods,
            services=registry.informer(kinds.SERVICES, namespace=namespace, label_selector=ours),
            revisions=revisions,
            nodes=registry.informer(kinds.NODES),
            # Optional, so that sets whose groups have an index do without the right to read them.
            deployments=registry.informer(kinds.DEPLOYMENTS, namespace=namespace, label_selector=ours, optional=True),
            # Everybody's, for two over the same pods do harm; and only where some set asks for one.
            budgets=registry.informer(kinds.DISRUPTIONBUDGETS, namespace=namespace, optional=True, on_demand=True),
            pod_groups=groups,
            queues=registry.informer(kinds.QUEUES, optional=True) if gang else None,
            gang_events=_gang_events(registry, namespace) if gang else None,
            workloads=workloads,
            scheduling_groups=members,
            typed=typed,
            api=api,
        )

    def __iter__(self) -> Iterator[Informer[Any]]:
        every = (self.sets, self.statefulsets, self.pods, self.services, self.revisions, self.nodes, self.deployments)
        gangs = (self.pod_groups, self.queues, self.gang_events)
        optional = (self.budgets, *gangs, self.workloads, self.scheduling_groups)
        return (each for each in (*every, *optional) if each is not None)


def _scheduling(registry: InformerRegistry, kind: Kind[T], namespace: str) -> Informer[T]:
    """The API of Kubernetes for placing pods together, which older servers lack and newer ones may not serve."""
    informer = registry.informer(kind, namespace=namespace, label_selector=labels.NAME, optional=True)
    informer.add_index(BY_SET, by_set)
    return informer


def _pod_groups(registry: InformerRegistry, namespace: str) -> Informer[PodGroup]:
    """PodGroups are somebody else's API: without it, only the groups that need one wait (CD-44)."""
    return registry.informer(kinds.PODGROUPS, namespace=namespace, label_selector=labels.NAME, optional=True)


def _gang_events(registry: InformerRegistry, namespace: str) -> Informer[Event]:
    """What is said of PodGroups, which Volcano says nowhere else (CD-115)."""
    about = f"involvedObject.kind={PODGROUPS.kind}"
    informer = registry.informer(kinds.GANG_EVENTS, namespace=namespace, field_selector=about, optional=True)
    informer.add_index(BY_SUBJECT, by_subject)
    return informer
