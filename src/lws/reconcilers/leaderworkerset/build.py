"""Puts the three controllers of the LeaderWorkerSet API together, and connects them to the caches that wake them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import StatefulSet
from lws.api.leaderworkerset.policies import PolicySource
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import Key
from lws.client.api import ApiClient
from lws.planning.leaderworkerset.ownership import relation
from lws.planning.leaderworkerset.podgroup import SchedulerProvider
from lws.reconcilers.leaderworkerset import triggers
from lws.reconcilers.leaderworkerset.group import GroupListener
from lws.reconcilers.leaderworkerset.leader_pod import LeaderPodReconciler
from lws.reconcilers.leaderworkerset.memory import GroupMemory
from lws.reconcilers.leaderworkerset.observe import BY_LEADER, LEADERS_BY_SET, Caches, Observer
from lws.reconcilers.leaderworkerset.records import SetRecords
from lws.reconcilers.leaderworkerset.sets import LeaderWorkerSetReconciler
from lws.reconcilers.leaderworkerset.triggers import Keys
from lws.reconcilers.leaderworkerset.worker_pod import WorkerPodReconciler
from lws.runtime.builder import ControllerBuilder, ControllerOptions
from lws.runtime.controller import Controller
from lws.runtime.events import Recorder

SETS = "leaderworkerset"
LEADERS = "pod"
WORKERS = "pod-worker"


@dataclass(frozen=True, slots=True)
class Controllers:
    """The controllers, and what their reconcilers remember."""

    sets: Controller[Key]
    leaders: Controller[Key]
    workers: Controller[Key]
    memory: GroupMemory
    records: SetRecords

    def __iter__(self) -> Iterator[Controller[Key]]:
        return iter((self.sets, self.leaders, self.workers))


def build(
    caches: Caches,
    client: ApiClient,
    recorder: Recorder,
    options: ControllerOptions,
    *,
    provider: SchedulerProvider | None = None,
    groups: GroupListener | None = None,
    policies: PolicySource | None = None,
) -> Controllers:
    """Make all controllers. Nothing runs yet, but every change in the caches wakes its keys.

    Args:
        caches: what is read.
        client: what is written through.
        recorder: takes events.
        options: what the controllers share.
        provider: the gang scheduler, if there is one.
        groups: hears of recreated groups.
        policies: what the policies file says.
    """
    memory = GroupMemory()
    caches.pods.on_change(memory.note_end)
    builders = [ControllerBuilder[Key](name, options) for name in (SETS, LEADERS, WORKERS)]
    executors = [builder.executor(client, recorder, ownership=relation) for builder in builders]
    for builder in builders:
        builder.read(*caches)
    by_set, by_leader, by_worker = builders
    records = SetRecords(options.clock, policies, by_set.queue.add)
    observer = Observer(caches, memory, provider, records)
    _watch_for_sets(by_set, caches)
    _watch_for_leaders(by_leader, caches)
    _watch_for_workers(by_worker, caches)
    _watch_pod_groups(by_set, by_leader, caches, observer)
    leaders = LeaderPodReconciler(observer, executors[1], memory, records, provider, groups, by_set.queue.add)
    return Controllers(
        by_set.build(LeaderWorkerSetReconciler(observer, executors[0], options.clock, records).reconcile),
        by_leader.build(leaders.reconcile),
        by_worker.build(WorkerPodReconciler(observer, executors[2], memory, records, groups).reconcile),
        memory,
        records,
    )


def _watch_for_sets(builder: ControllerBuilder[Key], caches: Caches) -> None:
    builder.watch(caches.sets, triggers.sets_of_set)
    builder.watch(caches.statefulsets, triggers.sets_of_statefulset)
    builder.watch(caches.services, triggers.sets_of_service)
    builder.watch(caches.revisions, triggers.sets_of_revision)
    builder.watch(caches.pods, triggers.sets_of_pod)


def _watch_for_leaders(builder: ControllerBuilder[Key], caches: Caches) -> None:
    def leaders_of_set(old: LeaderWorkerSet | None, new: LeaderWorkerSet | None) -> Keys:
        if new is None or not triggers.concerns_leaders(old, new):
            return triggers.NONE
        leaders = caches.pods.store.by_index(LEADERS_BY_SET, "/".join(new.metadata.key))
        return frozenset(leader.metadata.key for leader in leaders)

    builder.watch(caches.pods, triggers.leaders_of_pod)
    builder.watch(caches.statefulsets, triggers.leaders_of_statefulset)
    builder.watch(caches.services, triggers.leaders_of_dependent)
    if caches.pod_groups is not None:
        builder.watch(caches.pod_groups, triggers.leaders_of_pod_group)
    builder.watch(caches.sets, leaders_of_set)


def _watch_pod_groups(
    by_set: ControllerBuilder[Key], by_leader: ControllerBuilder[Key], caches: Caches, observer: Observer
) -> None:
    """Groups that wait for a PodGroup go on when the API comes, and say why they wait when it goes (CD-44)."""
    if caches.pod_groups is None:
        return
    by_leader.watch_availability(
        caches.pod_groups, lambda: {leader.metadata.key for leader in observer.waiting_leaders()}
    )
    by_set.watch_availability(
        caches.pod_groups,
        lambda: {
            (leader.metadata.namespace, leader.metadata.label(labels.NAME)) for leader in observer.waiting_leaders()
        },
    )


def _watch_for_workers(builder: ControllerBuilder[Key], caches: Caches) -> None:
    def workers_of_statefulset(old: StatefulSet | None, new: StatefulSet | None) -> Keys:
        if new is None or (old is not None and old.metadata.uid == new.metadata.uid):
            return triggers.NONE
        workers = caches.pods.store.by_index(BY_LEADER, "/".join(new.metadata.key))
        return frozenset(worker.metadata.key for worker in workers)

    builder.watch(caches.pods, triggers.workers_of_pod)
    builder.watch(caches.statefulsets, workers_of_statefulset)
