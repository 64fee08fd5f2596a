"""The caches, and the snapshots taken from them. Nothing here asks the API server.

All but the sets themselves and the nodes are selected by the label ``leaderworkerset.sigs.k8s.io/name`` at the server,
so the caches hold what belongs to LeaderWorkerSets and nothing else of the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
    Taint,
    Workload,
    controlled_by,
)
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Applied
from lws.apimachinery.names import parent_and_ordinal
from lws.apimachinery.objects import Key, Object
from lws.clock import SystemClock
from lws.informers.informer import Informer
from lws.informers.kinds import Kind
from lws.informers.registry import InformerRegistry
from lws.planning.leaderworkerset.diagnosis.facts import Holder
from lws.planning.leaderworkerset.groups import base_name, gated, group_name, is_hashed, is_leader, marked, size_of
from lws.planning.leaderworkerset.groupstatus import Lookup
from lws.planning.leaderworkerset.podgroup import SchedulerProvider, is_complete, name_of
from lws.planning.leaderworkerset.retention import held
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.services import service_name
from lws.planning.leaderworkerset.snapshots import GroupSnapshot, SetSnapshot
from lws.planning.leaderworkerset.statuspacing import UNKNOWN, Pacing
from lws.planning.leaderworkerset.workloads import NOTHING_SEEN, Seen, groups_of
from lws.reconcilers.leaderworkerset import kinds
from lws.reconcilers.leaderworkerset.memory import GroupMemory
from lws.reconcilers.leaderworkerset.records import SetRecords

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


def by_host(pod: Pod) -> str:
    """``<namespace>/<host>`` of leaders that are known by a key: what their workers are named after."""
    return f"{pod.metadata.namespace}/{pod.spec.hostname}" if is_hashed(pod) and is_leader(pod) else ""


@dataclass(frozen=True, slots=True)
class Caches:
    """The informers that reconcilers read."""

    sets: Informer[LeaderWorkerSet]
    statefulsets: Informer[StatefulSet]
    pods: Informer[Pod]
    services: Informer[Service]
    revisions: Informer[ControllerRevision]
    nodes: Informer[Node]
    deployments: Informer[Deployment]
    budgets: Informer[DisruptionBudget]
    pod_groups: Informer[PodGroup] | None = None
    workloads: Informer[Workload] | None = None
    scheduling_groups: Informer[SchedulingPodGroup] | None = None

    @classmethod
    def of(cls, registry: InformerRegistry, *, gang: bool = False, typed: bool = False, namespace: str = "") -> Caches:
        """Ask the registry for every informer, with its indexes; PodGroups only with the scheduling they are for."""
        ours = labels.NAME
        pods = registry.informer(kinds.PODS, namespace=namespace, label_selector=ours)
        pods.add_index(LEADERS_BY_SET, leaders_by_set)
        pods.add_index(RETAINED_BY_SET, retained_by_set)
        pods.add_index(BY_GROUP, by_group)
        pods.add_index(BY_LEADER, by_leader)
        pods.add_index(BY_HOST, by_host)
        if typed:
            pods.add_index(BY_POD_GROUP, by_pod_group)
        statefulsets = registry.informer(kinds.STATEFULSETS, namespace=namespace, label_selector=ours)
        statefulsets.add_index(BY_SET, by_set)
        revisions = registry.informer(kinds.CONTROLLERREVISIONS, namespace=namespace, label_selector=OWN_REVISIONS)
        revisions.add_index(BY_SET, by_set)
        groups = _pod_groups(registry, namespace) if gang else None
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
            workloads=_scheduling(registry, kinds.WORKLOADS, namespace) if typed else None,
            scheduling_groups=_scheduling(registry, kinds.SCHEDULING_PODGROUPS, namespace) if typed else None,
        )

    def __iter__(self) -> Iterator[Informer[Any]]:
        every = (self.sets, self.statefulsets, self.pods, self.services, self.revisions, self.nodes, self.deployments)
        optional = (self.budgets, self.pod_groups, self.workloads, self.scheduling_groups)
        return (each for each in (*every, *optional) if each is not None)


def _scheduling(registry: InformerRegistry, kind: Kind[T], namespace: str) -> Informer[T]:
    """The API of Kubernetes for placing pods together, which older servers lack and newer ones may not serve."""
    informer = registry.informer(kind, namespace=namespace, label_selector=labels.NAME, optional=True)
    informer.add_index(BY_SET, by_set)
    return informer


def _pod_groups(registry: InformerRegistry, namespace: str) -> Informer[PodGroup]:
    """PodGroups are somebody else's API: without it, only the groups that need one wait (CD-44)."""
    return registry.informer(kinds.PODGROUPS, namespace=namespace, label_selector=labels.NAME, optional=True)


class Observer:
    """Takes snapshots.

    Args:
        caches: what is read.
        memory: what is remembered of groups.
        provider: the gang scheduler, if there is one.
        records: what is remembered of the failures of sets.
        terminating: how many groups of a set are terminating.
        emptied_since: when a node was first seen with a taint.
    """

    def __init__(
        self,
        caches: Caches,
        memory: GroupMemory,
        provider: SchedulerProvider | None = None,
        records: SetRecords | None = None,
        terminating: Callable[[Key], int] = lambda _: 0,
        emptied_since: Callable[[str, Taint], datetime | None] = lambda *_: None,
    ) -> None:
        self._caches = caches
        self._records = SetRecords(SystemClock()) if records is None else records
        self._memory = memory
        self._terminating = terminating
        self._emptied_since = emptied_since
        self._provider = provider
        self._contents = Contents()

    @property
    def contents(self) -> Contents:
        """What is remembered of revision contents."""
        return self._contents

    def of_set(self, key: Key, applied: Applied | None, pacing: Pacing = UNKNOWN) -> SetSnapshot | None:
        """The set of this key; None if it is gone."""
        namespace, name = key
        caches, where = self._caches, f"{namespace}/{name}"
        lws = caches.sets.store.get(namespace, name)
        if lws is None:
            self._contents.forget(namespace, name)
            return None
        statefulsets = caches.statefulsets.store.by_index(BY_SET, where)
        return SetSnapshot(
            lws=lws,
            leader_statefulset=caches.statefulsets.store.get(namespace, name),
            leader_deployment=caches.deployments.store.get(namespace, name),
            no_deployments=caches.deployments.unavailable,
            statefulsets={each.metadata.name: each for each in statefulsets},
            leaders=tuple(caches.pods.store.by_index(LEADERS_BY_SET, where)),
            revisions=tuple(caches.revisions.store.by_index(BY_SET, where)),
            service=caches.services.store.get(namespace, name),
            applied=applied,
            pacing=pacing,
            no_pod_groups=self._no_pod_groups(lws),
            chosen=self._records.chosen(lws),
            records=self._records.of(lws),
            told=self._records.told(lws),
            scheduling=self._scheduling(lws),
            rollout=self._records.rollout(lws),
            lookup=self._lookup(namespace),
            contents=self._contents,
        )

    def _lookup(self, namespace: str) -> Lookup:
        """How to look up what explains trouble in this namespace."""
        caches, groups = self._caches, self._caches.pod_groups
        nodes = caches.nodes.store

        def members(leader: Pod) -> Sequence[Pod]:
            return tuple(caches.pods.store.by_index(BY_GROUP, by_group(leader)))

        def unlabelled(leader: str) -> Sequence[str]:
            shown = [each.metadata.name for each in caches.pods.store.by_index(BY_LEADER, f"{namespace}/{leader}")]
            return sorted(self._memory.released((namespace, leader), shown))

        present = None if groups is None or groups.unavailable else groups.store
        return Lookup(
            members,
            lambda name: nodes.get("", name),
            None if present is None else lambda name: present.get(namespace, name),
            self._topology,
            unlabelled,
            self._emptied_since,
        )

    def _topology(self, key: str) -> tuple[frozenset[str], tuple[Holder, ...]]:
        """The domains of a node label, and the pods of groups in them."""
        domains = {node.metadata.name: node.metadata.label(key) for node in self._caches.nodes.store}
        found = {name: domain for name, domain in domains.items() if domain}
        held = (pod for pod in self._caches.pods.store if pod.spec.node_name in found)
        return frozenset(found.values()), tuple(
            Holder(
                found[pod.spec.node_name],
                pod.metadata.namespace,
                pod.metadata.label(labels.NAME),
                pod.metadata.label(labels.GROUP_INDEX),
                pod.spec.priority,
            )
            for pod in held
        )

    def _scheduling(self, lws: LeaderWorkerSet) -> Seen:
        """What there is of typed scheduling, for a set that asks for it."""
        caches, where = self._caches, "/".join(lws.metadata.key)
        if lws.spec.scheduling is None or caches.workloads is None or caches.scheduling_groups is None:
            return NOTHING_SEEN
        groups = {each.metadata.name: each for each in caches.scheduling_groups.store.by_index(BY_SET, where)}
        namespace, named = lws.metadata.namespace, caches.pods.store
        return Seen(
            supported=True,
            unavailable=caches.workloads.unavailable or caches.scheduling_groups.unavailable,
            workloads=tuple(caches.workloads.store.by_index(BY_SET, where)),
            groups=groups,
            in_use=frozenset(name for name in groups if named.by_index(BY_POD_GROUP, f"{namespace}/{name}")),
        )

    def _unprepared(self, leader: Pod) -> str:
        """The PodGroup of ``scheduling.k8s.io`` that a gated leader lacks; empty if it lacks none."""
        groups = self._caches.scheduling_groups
        if groups is None:
            return ""
        names = groups_of(leader)
        return next((name for name in names if groups.store.get(leader.metadata.namespace, name) is None), "")

    def waiting_leaders(self) -> Iterator[Pod]:
        """The leaders whose PodGroup is not there."""
        return (pod for pod in self._caches.pods.store if is_leader(pod) and self._lacks_pod_group(pod))

    def _no_pod_groups(self, lws: LeaderWorkerSet) -> str:
        """Why a group of this set that waits for its PodGroup cannot have it; else empty."""
        caches, where = self._caches, "/".join(lws.metadata.key)
        if caches.pod_groups is None:
            return ""
        revisions = tuple(caches.revisions.store.by_index(BY_SET, where))
        for leader in caches.pods.store.by_index(LEADERS_BY_SET, where):
            workers = self._workers_of(leader)
            size = size_of(leader, lws, revisions, self._contents)
            problem = caches.pod_groups.unavailable or self._memory.refusal(leader.metadata.key)
            if problem and self._lacks_pod_group(leader) and not is_complete(leader, workers, size):
                return problem
        return ""

    def _lacks_pod_group(self, leader: Pod) -> bool:
        return bool(name_of(self._provider, leader)) and self._pod_group(leader) is None

    def _pod_group(self, leader: Pod) -> PodGroup | None:
        groups = self._caches.pod_groups
        if groups is None:
            return None
        return groups.store.get(leader.metadata.namespace, name_of(self._provider, leader))

    def pod(self, key: Key) -> Pod | None:
        """One pod."""
        return self._caches.pods.store.get(*key)

    def leader_of(self, key: Key) -> Key:
        """The leader of a worker of this name, there or gone: by what the worker says, else by who has such workers."""
        pod = self.pod(key)
        noted = pod.metadata.annotation(labels.LEADER_NAME) if pod is not None and is_hashed(pod) else ""
        if noted:
            return key[0], noted
        base = parent_and_ordinal(key[1])[0]
        named = self._caches.pods.store.by_index(BY_HOST, f"{key[0]}/{base}")
        return named[0].metadata.key if named else (key[0], base)

    def _workers_of(self, leader: Pod) -> StatefulSet | None:
        """The StatefulSet that has the name of this leader's workers, whoever owns it."""
        store = self._caches.statefulsets.store
        named = store.get(*leader.metadata.key)
        if not is_hashed(leader) or (named is not None and controlled_by(named.metadata, leader)):
            return named
        return store.get(leader.metadata.namespace, base_name(leader))

    def of_group(self, leader_key: Key, set_name: str) -> GroupSnapshot:
        """The group of this leader pod, which may be gone."""
        namespace, name = leader_key
        caches, set_key = self._caches, (namespace, set_name)
        found = caches.pods.store.get(namespace, name)
        leader = found if found is not None and is_leader(found) else None
        worker_set = caches.statefulsets.store.get(namespace, name) if leader is None else self._workers_of(leader)
        base = name if leader is None else base_name(leader, worker_set)
        workers = caches.pods.store.by_index(BY_LEADER, f"{namespace}/{base}")
        group_pods = caches.pods.store.by_index(BY_GROUP, by_group(leader)) if leader is not None else ()
        groups = caches.pod_groups
        waits = leader is not None and is_hashed(leader) and (gated(leader) or marked(leader))
        snapshot = GroupSnapshot(
            lws=caches.sets.store.get(*set_key),
            leader=leader,
            worker_statefulset=worker_set,
            leader_statefulset=caches.statefulsets.store.get(*set_key),
            leader_deployment=caches.deployments.store.get(*set_key),
            peers=tuple(caches.pods.store.by_index(LEADERS_BY_SET, "/".join(set_key))) if waits else (),
            terminating=self._terminating(set_key) if waits else 0,
            unprepared=self._unprepared(leader) if leader is not None and gated(leader) else "",
            group_pods=tuple(group_pods),
            workers={each.metadata.name: each for each in workers},
            revisions=tuple(caches.revisions.store.by_index(BY_SET, "/".join(set_key))),
            service=caches.services.store.get(namespace, name if leader is None else service_name(leader)),
            pod_group=None if leader is None else self._pod_group(leader),
            no_pod_groups="" if groups is None else groups.unavailable,
            node=None if leader is None else caches.nodes.store.get("", leader.spec.node_name),
            record=self._memory.record(leader_key),
            going=self._memory.going(leader_key, leader),
            settled=self._memory.settled(leader_key),
            released=self._memory.released(leader_key, [each.metadata.name for each in workers]),
            contents=self._contents,
        )
        return self._with_records(snapshot, leader_key)

    def _with_records(self, snapshot: GroupSnapshot, leader_key: Key) -> GroupSnapshot:
        """The snapshot with what is remembered of failures, and what tells how they came about."""
        if snapshot.lws is None:
            return snapshot
        records, leader = self._records.of(snapshot.lws), snapshot.leader
        noted = {each.leader_uid for each in records.failures} | {self._memory.noted(leader_key)}
        return replace(
            snapshot,
            now=self._records.now(),
            policies=self._records.chosen(snapshot.lws).policies,
            entry=None if leader is None else records.restarts.get(group_name(leader)),
            noted=frozenset(noted),
            nodes=self._nodes((*snapshot.group_pods, *(() if leader is None else (leader,)))),
            ended=self._memory.ended(leader_key),
            repairs=self._memory.repairs(leader_key, self._records.now()),
        )

    def _nodes(self, pods: Iterable[Pod]) -> dict[str, Node | None]:
        nodes = self._caches.nodes.store
        return {pod.spec.node_name: nodes.get("", pod.spec.node_name) for pod in pods if pod.spec.node_name}
