"""Puts the three controllers of the LeaderWorkerSet API together, and connects them to the caches that wake them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import DisruptionBudget, Node, Pod, StatefulSet
from lws.api.leaderworkerset.policies import PolicySource
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import Key, Object
from lws.client.api import ApiClient
from lws.informers.informer import Informer
from lws.planning.leaderworkerset.disruption import wanted_by
from lws.planning.leaderworkerset.groups import is_leader
from lws.planning.leaderworkerset.nodes import silent
from lws.planning.leaderworkerset.ownership import relation
from lws.planning.leaderworkerset.podgroup import SchedulerProvider
from lws.planning.leaderworkerset.suspects import Suspicion
from lws.reconcilers.leaderworkerset import replacement, triggers
from lws.reconcilers.leaderworkerset.caches import (
    BY_GROUP,
    BY_LEADER,
    LEADERS_BY_SET,
    RETAINED_BY_SET,
    Caches,
    by_group,
)
from lws.reconcilers.leaderworkerset.forensics import BlackBox
from lws.reconcilers.leaderworkerset.group import GroupListener, Shared
from lws.reconcilers.leaderworkerset.inquiries import Inquiries
from lws.reconcilers.leaderworkerset.leader_pod import LeaderPodReconciler
from lws.reconcilers.leaderworkerset.memory import GroupMemory
from lws.reconcilers.leaderworkerset.moves import EmptiedNodes, Places, sets_on_node
from lws.reconcilers.leaderworkerset.nodes import NodeMemory
from lws.reconcilers.leaderworkerset.observe import Observer
from lws.reconcilers.leaderworkerset.parents import Parents
from lws.reconcilers.leaderworkerset.records import SetRecords
from lws.reconcilers.leaderworkerset.replacement import GroupCounts
from lws.reconcilers.leaderworkerset.sets import LeaderWorkerSetReconciler
from lws.reconcilers.leaderworkerset.suspects import SuspectBook, tell
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
    places: Places

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
    suspects: SuspectBook | None = None,
    leading: Callable[[], bool] = lambda: True,
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
        suspects: keeps which nodes are suspect.
        leading: whether this process is the one that tells of them.
    """
    memory = GroupMemory()
    counts = GroupCounts(caches)  # before whatever it is asked for listens to the pods
    caches.pods.on_change(memory.note_end)
    builders = [ControllerBuilder[Key](name, options) for name in (SETS, LEADERS, WORKERS)]
    executors = [builder.executor(client, recorder, ownership=relation) for builder in builders]
    for builder in builders:
        builder.read(*caches)
    by_set, by_leader, by_worker = builders
    records = SetRecords(options.clock, policies, by_set.queue.add)
    emptied = EmptiedNodes(caches, options.clock)
    places = Places(caches, (policies or PolicySource()).evacuations, by_set.queue.add)
    nodes = NodeMemory(caches.nodes, options.clock)
    book = suspects or SuspectBook(caches, policies or PolicySource(), options.clock)
    inquiries = Inquiries(client, options.clock)
    asked = (nodes, book.told, inquiries, emptied.since)
    observer = Observer(caches, memory, provider, records, counts.terminating, *asked)
    shared = Shared(memory, records, groups, BlackBox(client, recorder, options.clock))
    _watch_for_sets(by_set, caches)
    _watch_nodes_and_budgets(by_set, caches, records)
    _watch_for_leaders(by_leader, caches)
    _watch_for_gated(by_leader, caches)
    _watch_for_workers(by_worker, caches)
    for builder, leads in ((by_leader, True), (by_worker, False)):
        _watch_nodes(builder, caches, records, leads=leads)
    for builder, leads in ((by_leader, True), (by_worker, False)):
        _watch_for_retained(builder, caches, leads=leads)
        _watch_for_grace(builder, caches, leads=leads)
    _watch_suspects(by_set, caches, book, recorder, leading)
    _watch_pod_groups(by_set, by_leader, caches, observer)
    _watch_scheduling(by_set, by_leader, caches)
    parents = Parents(client, caches.api, options.clock)
    sets = LeaderWorkerSetReconciler(observer, executors[0], options.clock, places, parents, records, inquiries)
    leaders = LeaderPodReconciler(observer, executors[1], shared, provider, by_set.queue.add)
    return Controllers(
        by_set.build(sets.reconcile),
        by_leader.build(leaders.reconcile),
        by_worker.build(WorkerPodReconciler(observer, executors[2], shared).reconcile),
        memory,
        records,
        places,
    )


def _watch_nodes_and_budgets(builder: ControllerBuilder[Key], caches: Caches, records: SetRecords) -> None:
    """Sets that move groups are looked at when a node is to be emptied, or a budget came or went (resilience 6)."""

    def concerned(lws: LeaderWorkerSet) -> bool:
        status = lws.status
        chosen = records.chosen(lws).policies
        return wanted_by(chosen) or status.evacuation is not None or bool(status.disruption_budget)

    def of_budget(old: DisruptionBudget | None, new: DisruptionBudget | None) -> Keys:
        namespaces = {each.metadata.namespace for each in (old, new) if each is not None}
        found = (lws for namespace in namespaces for lws in caches.sets.store.list(namespace))
        return frozenset(lws.metadata.key for lws in found if concerned(lws))

    builder.watch(caches.nodes, sets_on_node(caches, concerned))
    builder.watch(caches.budgets, of_budget)
    builder.watch_availability(
        caches.budgets, lambda: {lws.metadata.key for lws in caches.sets.store if concerned(lws)}
    )


def _watch_for_sets(builder: ControllerBuilder[Key], caches: Caches) -> None:
    builder.watch(caches.sets, triggers.sets_of_set)
    builder.watch(caches.statefulsets, triggers.sets_of_statefulset)
    builder.watch(caches.services, triggers.sets_of_service)
    builder.watch(caches.revisions, triggers.sets_of_revision)
    builder.watch(caches.pods, triggers.sets_of_pod)
    builder.watch(caches.deployments, triggers.sets_of_deployment)
    builder.watch_availability(
        caches.deployments, lambda: {each.metadata.key for each in caches.sets.store if each.spec.hashed}
    )


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


def _watch_for_retained(builder: ControllerBuilder[Key], caches: Caches, *, leads: bool) -> None:
    """What is held back is released when its set, its leader StatefulSet or its leader says so (next 5.8)."""

    def retained(where: Keys) -> Keys:
        pods = [pod for each in where for pod in caches.pods.store.by_index(RETAINED_BY_SET, "/".join(each))]
        return frozenset(pod.metadata.key for pod in pods if is_leader(pod) is leads)

    def of_set(old: LeaderWorkerSet | None, new: LeaderWorkerSet | None) -> Keys:
        return retained(triggers.sets_of_set(old, new)) if triggers.concerns_retained(old, new) else triggers.NONE

    builder.watch(caches.sets, of_set)
    builder.watch(caches.statefulsets, lambda old, new: retained(triggers.sets_led_by(old, new)))
    builder.watch(caches.deployments, lambda old, new: retained(triggers.sets_of_deployment(old, new)))
    changed = replacement.sets_of_change if leads else triggers.sets_of_leader
    builder.watch(caches.pods, lambda old, new: retained(changed(old, new)))


def _watch_for_grace(builder: ControllerBuilder[Key], caches: Caches, *, leads: bool) -> None:
    """Every pod is judged anew when its set gives failed members another time, or none (resilience 7)."""

    def members(old: LeaderWorkerSet | None, new: LeaderWorkerSet | None) -> Keys:
        if new is None or not triggers.concerns_members(old, new):
            return triggers.NONE
        leaders = caches.pods.store.by_index(LEADERS_BY_SET, "/".join(new.metadata.key))
        pods = [pod for each in leaders for pod in caches.pods.store.by_index(BY_GROUP, by_group(each))]
        return frozenset(pod.metadata.key for pod in pods if is_leader(pod) is leads)

    builder.watch(caches.sets, members)


def _watch_for_gated(builder: ControllerBuilder[Key], caches: Caches) -> None:
    """A leader that waits behind others is looked at when it may be its turn (next 4.3)."""
    following = replacement.next_leader(caches)

    def in_sets(keys: Keys) -> Keys:
        return frozenset(leader for key in keys for leader in following(key))

    def of_set(old: LeaderWorkerSet | None, new: LeaderWorkerSet | None) -> Keys:
        edited = new is not None and (old is None or old.metadata.generation != new.metadata.generation)
        return following(new.metadata.key) if edited and new is not None and new.spec.hashed else triggers.NONE

    builder.watch(caches.pods, lambda old, new: in_sets(replacement.sets_of_change(old, new)))
    builder.watch(caches.pods, replacement.leaders_of_index)
    builder.watch(caches.sets, of_set)
    builder.watch(caches.deployments, lambda old, new: in_sets(triggers.sets_of_deployment(old, new)))


def _watch_nodes(builder: ControllerBuilder[Key], caches: Caches, records: SetRecords, *, leads: bool) -> None:
    """Pods on nodes of which nothing is heard any more, in sets that want them to be let go (resilience 6.2)."""

    def asked(lws: LeaderWorkerSet | None) -> float:
        return 0.0 if lws is None else records.chosen(lws).policies.release_lost_nodes_after.seconds

    def of_node(old: Node | None, new: Node | None) -> Keys:
        if old is None or silent(old) or not silent(new):
            return triggers.NONE
        found = [pod for pod in caches.pods.store if pod.spec.node_name == old.metadata.name]
        sets = {key for pod in found for key in triggers.sets_of_label(None, pod)}
        wanted = {key for key in sets if asked(caches.sets.store.get(*key))}
        return frozenset(pod.metadata.key for pod in found if is_leader(pod) is leads and _of_one(pod, wanted))

    def of_set(old: LeaderWorkerSet | None, new: LeaderWorkerSet | None) -> Keys:
        if old is None or new is None or not asked(new) or asked(old) == asked(new):
            return triggers.NONE
        found = (pod for pod in caches.pods.store if is_leader(pod) is leads and _of_one(pod, {new.metadata.key}))
        nodes = caches.nodes.store
        return frozenset(pod.metadata.key for pod in found if silent(nodes.get("", pod.spec.node_name)))

    builder.watch(caches.nodes, of_node)
    builder.watch(caches.sets, of_set)


def _watch_suspects(
    builder: ControllerBuilder[Key], caches: Caches, book: SuspectBook, recorder: Recorder, leading: Callable[[], bool]
) -> None:
    """Sets that avoid suspect nodes say in their status which these are, and an event says it on the node."""

    def changed(fresh: Mapping[str, Suspicion]) -> None:
        for lws in caches.sets.store:
            if book.asks(lws):
                builder.queue.add(lws.metadata.key)
        if leading():
            tell(caches, recorder, fresh)

    book.on_change(changed)


def _of_one(pod: Pod, sets: set[Key]) -> bool:
    """Whether the pod is of one of these sets."""
    return not sets.isdisjoint(triggers.sets_of_label(None, pod))


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


def _watch_scheduling(by_set: ControllerBuilder[Key], by_leader: ControllerBuilder[Key], caches: Caches) -> None:
    """Sets with typed scheduling go on when what they need is there, and clean up when no pod needs it (next 7.5)."""
    if not caches.typed:
        return
    next_leader = replacement.next_leader(caches)

    def asking() -> set[Key]:
        return {each.metadata.key for each in caches.sets.store if each.spec.scheduling is not None}

    def gated(old: Object | None, new: Object | None) -> Keys:
        return frozenset(each for key in triggers.sets_of_label(old, new) for each in next_leader(key))

    by_set.watch(caches.pods, triggers.sets_of_ended)
    needed: tuple[Informer[Any] | None, ...] = (caches.workloads, caches.scheduling_groups, caches.pod_groups)
    for informer in needed:
        if informer is not None:
            by_set.watch(informer, triggers.sets_of_label)
            by_set.watch_availability(informer, asking)
            by_leader.watch(informer, gated)


def _watch_for_workers(builder: ControllerBuilder[Key], caches: Caches) -> None:
    def workers_of_statefulset(old: StatefulSet | None, new: StatefulSet | None) -> Keys:
        if new is None or (old is not None and old.metadata.uid == new.metadata.uid):
            return triggers.NONE
        workers = caches.pods.store.by_index(BY_LEADER, "/".join(new.metadata.key))
        return frozenset(worker.metadata.key for worker in workers)

    builder.watch(caches.pods, triggers.workers_of_pod)
    builder.watch(caches.statefulsets, workers_of_statefulset)
