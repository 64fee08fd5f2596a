"""Puts the reconcilers together and connects them to the caches that wake them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lws.api.leaderworkerset.objects import StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import Object
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.informers.informer import Informer
from lws.planning.leaderworkerset.ownership import relation
from lws.planning.leaderworkerset.podgroup import SchedulerProvider
from lws.reconcilers.leaderworkerset import triggers
from lws.reconcilers.leaderworkerset.group import GroupListener
from lws.reconcilers.leaderworkerset.leader_pod import LeaderPodReconciler
from lws.reconcilers.leaderworkerset.memory import GroupMemory
from lws.reconcilers.leaderworkerset.observe import BY_LEADER, LEADERS_BY_SET, Caches, Observer, Sink
from lws.reconcilers.leaderworkerset.sets import LeaderWorkerSetReconciler, SetListener
from lws.reconcilers.leaderworkerset.triggers import Key, Keys
from lws.reconcilers.leaderworkerset.worker_pod import WorkerPodReconciler
from lws.runtime.executor import Executor, Recorder
from lws.runtime.freshness import Ledger

T = TypeVar("T", bound=Object)


@dataclass(frozen=True, slots=True)
class Queues:
    """Where the keys of each reconciler go."""

    sets: Sink
    leaders: Sink
    workers: Sink


@dataclass(frozen=True, slots=True)
class Reconcilers:
    """The reconcilers, and for each the ledger that its controller asks before a key is handed out."""

    sets: LeaderWorkerSetReconciler
    sets_ledger: Ledger[Key]
    leaders: LeaderPodReconciler
    leaders_ledger: Ledger[Key]
    workers: WorkerPodReconciler
    workers_ledger: Ledger[Key]
    memory: GroupMemory


def build(
    caches: Caches,
    client: ApiClient,
    recorder: Recorder,
    clock: Clock,
    queues: Queues,
    *,
    provider: SchedulerProvider | None = None,
    sets: SetListener | None = None,
    groups: GroupListener | None = None,
) -> Reconcilers:
    """Make all reconcilers and have every change in the caches wake its keys.

    Args:
        caches: what is read.
        client: what is written through.
        recorder: takes events.
        clock: stamps conditions.
        queues: where keys go.
        provider: the gang scheduler, if there is one.
        sets: hears how sets are doing.
        groups: hears of recreated groups.
    """
    memory = GroupMemory()
    observer = Observer(caches, memory)
    ledgers = [Ledger[Key](sink.add) for sink in (queues.sets, queues.leaders, queues.workers)]
    executors = [Executor(client, recorder, caches, ledger, ownership=relation) for ledger in ledgers]
    connect(caches, queues)
    return Reconcilers(
        LeaderWorkerSetReconciler(observer, executors[0], clock, sets),
        ledgers[0],
        LeaderPodReconciler(observer, executors[1], memory, provider, groups),
        ledgers[1],
        WorkerPodReconciler(observer, executors[2], memory, groups),
        ledgers[2],
        memory,
    )


def connect(caches: Caches, queues: Queues) -> None:
    """Have every change in the caches wake the keys that `triggers` tells."""
    _wake(caches.sets, triggers.sets_of_set, queues.sets)
    _wake(caches.statefulsets, triggers.sets_of_statefulset, queues.sets)
    _wake(caches.services, triggers.sets_of_service, queues.sets)
    _wake(caches.revisions, triggers.sets_of_revision, queues.sets)
    _wake(caches.pods, triggers.sets_of_pod, queues.sets)
    _wake(caches.pods, triggers.leaders_of_pod, queues.leaders)
    _wake(caches.statefulsets, triggers.leaders_of_statefulset, queues.leaders)
    _wake(caches.services, triggers.leaders_of_dependent, queues.leaders)
    if caches.pod_groups is not None:
        _wake(caches.pod_groups, triggers.leaders_of_dependent, queues.leaders)
    _wake(caches.pods, triggers.workers_of_pod, queues.workers)

    def leaders_of_set(old: LeaderWorkerSet | None, new: LeaderWorkerSet | None) -> Keys:
        if new is None or not triggers.concerns_leaders(old, new):
            return triggers.NONE
        leaders = caches.pods.store.by_index(LEADERS_BY_SET, "/".join(new.metadata.key))
        return frozenset(leader.metadata.key for leader in leaders)

    _wake(caches.sets, leaders_of_set, queues.leaders)

    def workers_of_statefulset(old: StatefulSet | None, new: StatefulSet | None) -> Keys:
        if new is None or (old is not None and old.metadata.uid == new.metadata.uid):
            return triggers.NONE
        workers = caches.pods.store.by_index(BY_LEADER, "/".join(new.metadata.key))
        return frozenset(worker.metadata.key for worker in workers)

    _wake(caches.statefulsets, workers_of_statefulset, queues.workers)


def _wake(informer: Informer[T], trigger: Callable[[T | None, T | None], Keys], sink: Sink) -> None:
    def changed(old: T | None, new: T | None, initial: bool) -> None:
        for key in sorted(trigger(old, new)):
            sink.add(key, background=initial)

    informer.on_change(changed)
