"""The snapshots taken from the caches. Nothing here asks the API server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.gangs import DEFAULT_QUEUE
from lws.api.leaderworkerset.objects import (
    Pod,
    PodGroup,
    StatefulSet,
    Taint,
    controlled_by,
)
from lws.api.leaderworkerset.status import SuspectNode
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Applied
from lws.apimachinery.names import parent_and_ordinal
from lws.apimachinery.objects import Key
from lws.clock import SystemClock
from lws.planning.leaderworkerset.diagnosis.facts import GangFacts, Holder
from lws.planning.leaderworkerset.diagnosis.gangs import words_of
from lws.planning.leaderworkerset.groups import base_name, gated, group_name, is_hashed, is_leader, marked, size_of
from lws.planning.leaderworkerset.groupstatus import Lookup
from lws.planning.leaderworkerset.podgroup import SchedulerProvider, is_complete, name_of
from lws.planning.leaderworkerset.prerequisites import NOTHING_SEEN, Gangs, Seen
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.services import service_name
from lws.planning.leaderworkerset.snapshots import GroupSnapshot, SetSnapshot
from lws.planning.leaderworkerset.statuspacing import UNKNOWN, Pacing
from lws.planning.leaderworkerset.workloads import groups_of
from lws.reconcilers.leaderworkerset.caches import (
    BY_GROUP,
    BY_HOST,
    BY_LEADER,
    BY_POD_GROUP,
    BY_SET,
    BY_SUBJECT,
    LEADERS_BY_SET,
    Caches,
    by_group,
)
from lws.reconcilers.leaderworkerset.inquiries import Inquiries
from lws.reconcilers.leaderworkerset.memory import GroupMemory
from lws.reconcilers.leaderworkerset.nodes import NodeMemory
from lws.reconcilers.leaderworkerset.records import SetRecords


class Observer:
    """Takes snapshots.

    Args:
        caches: what is read.
        memory: what is remembered of groups.
        provider: the gang scheduler, if there is one.
        records: what is remembered of the failures of sets.
        terminating: how many groups of a set are terminating.
        nodes: since when nodes are lost.
        suspects: nodes that recreated groups of a set avoid.
        inquiries: answers of the API server; without them nothing is asked.
        emptied_since: when a node was first seen with a taint.
    """

    def __init__(
        self,
        caches: Caches,
        memory: GroupMemory,
        provider: SchedulerProvider | None = None,
        records: SetRecords | None = None,
        terminating: Callable[[Key], int] = lambda _: 0,
        nodes: NodeMemory | None = None,
        suspects: Callable[[LeaderWorkerSet], tuple[SuspectNode, ...]] = lambda _: (),
        inquiries: Inquiries | None = None,
        emptied_since: Callable[[str, Taint], datetime | None] = lambda *_: None,
    ) -> None:
        self._inquiries = inquiries
        self._caches = caches
        self._records = SetRecords(SystemClock()) if records is None else records
        self._memory = memory
        self._terminating = terminating
        self._emptied_since = emptied_since
        self._suspects = suspects
        self._nodes = nodes or NodeMemory(caches.nodes, self._records.clock)
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
            suspects=self._suspects(lws),
            lookup=self._lookup(namespace),
            contents=self._contents,
        )

    def _lookup(self, namespace: str) -> Lookup:
        """How to look up what explains trouble in this namespace."""
        caches, groups = self._caches, self._caches.pod_groups

        def members(leader: Pod) -> Sequence[Pod]:
            return tuple(caches.pods.store.by_index(BY_GROUP, by_group(leader)))

        def unlabelled(leader: str) -> Sequence[str]:
            shown = [each.metadata.name for each in caches.pods.store.by_index(BY_LEADER, f"{namespace}/{leader}")]
            return sorted(self._memory.released((namespace, leader), shown))

        return Lookup(
            members,
            self._nodes.known,
            None if groups is None or groups.unavailable else lambda name: self._gang(namespace, name),
            self._topology,
            unlabelled,
            self._emptied_since,
            self._memory.claims,
            lambda workers: "" if self._inquiries is None else self._inquiries.manager(workers),
            lambda workers: () if self._inquiries is None else self._inquiries.warnings(workers),
        )

    def _gang(self, namespace: str, name: str) -> GangFacts | None:
        """A PodGroup and what is said of it; None if it does not exist."""
        groups, queues, events = self._caches.pod_groups, self._caches.queues, self._caches.gang_events
        found = None if groups is None else groups.store.get(namespace, name)
        if found is None:
            return None
        known = None if queues is None or queues.unavailable or not queues.synced else queues.store
        about = () if events is None else events.store.by_index(BY_SUBJECT, f"{namespace}/{name}")
        queue = found.spec.queue or DEFAULT_QUEUE
        return GangFacts(found, None if known is None else known.get("", queue) is not None, words_of(found, about))

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
        if lws.spec.scheduling is None or not caches.typed:
            return NOTHING_SEEN
        if caches.pod_groups is not None and self._provider is not None:
            gangs = {each.metadata.name: each for each in caches.pod_groups.store.by_index(BY_SET, where)}
            return Seen(
                supported=True,
                unavailable=caches.pod_groups.unavailable,
                in_use=self._named(lws, gangs),
                gangs=Gangs(self._provider, gangs),
            )
        if caches.workloads is None or caches.scheduling_groups is None:
            return NOTHING_SEEN
        groups = {each.metadata.name: each for each in caches.scheduling_groups.store.by_index(BY_SET, where)}
        return Seen(
            supported=True,
            unavailable=caches.workloads.unavailable or caches.scheduling_groups.unavailable,
            api=caches.api,
            workloads=tuple(caches.workloads.store.by_index(BY_SET, where)),
            groups=groups,
            in_use=self._named(lws, groups),
        )

    def _named(self, lws: LeaderWorkerSet, groups: Iterable[str]) -> frozenset[str]:
        """Those of these PodGroups that some pod names."""
        namespace, pods = lws.metadata.namespace, self._caches.pods.store
        return frozenset(name for name in groups if pods.by_index(BY_POD_GROUP, f"{namespace}/{name}"))

    def _unprepared(self, leader: Pod) -> str:
        """The PodGroup of its set that a gated leader lacks; empty if it lacks none."""
        groups = self._caches.scheduling_groups
        if groups is None:
            typed = self._caches.typed and leader.metadata.annotation(labels.SCHEDULING_LEVEL)
            return name_of(self._provider, leader) if typed and self._lacks_pod_group(leader) else ""
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
        noted = {each.leader_uid for each in records.failures if not each.healed} | {self._memory.noted(leader_key)}
        chosen = self._records.chosen(snapshot.lws).policies
        healing, failure = None, None
        if chosen.group_recovery_grace and leader is not None:
            healing, uid = self._memory.healing(leader_key), leader.metadata.uid
            failure = None if uid == self._memory.noted(leader_key) else records.open(uid)
            noted -= set() if failure is None else {uid}
        pods = (*snapshot.group_pods, *snapshot.workers.values(), *(() if leader is None else (leader,)))
        names = [pod.spec.node_name for pod in pods if pod.spec.node_name]
        return replace(
            snapshot,
            now=self._records.now(),
            policies=chosen,
            entry=None if leader is None else records.restarts.get(group_name(leader)),
            noted=frozenset(noted),
            healing=healing,
            failure=failure,
            nodes=self._nodes.known(names),
            ended=self._memory.ended(leader_key),
            repairs=self._memory.repairs(leader_key, self._records.now()),
            silent=self._nodes.seen(names) if chosen.release_lost_nodes_after.seconds else None,
            reread=self._memory.reread(pods),
        )
