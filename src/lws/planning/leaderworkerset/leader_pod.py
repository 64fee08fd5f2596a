"""What the group of one leader pod needs now (spec 5.5, next 3.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, Pod, StatefulSet, controlled_by
from lws.api.leaderworkerset.types import LEADER_READY, LeaderWorkerSet
from lws.apimachinery.actions import DONE, Action, Create, Delete, EmitEvent, Patch, Plan, Reference, Relabel
from lws.apimachinery.ownership import Relation
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws.planning.leaderworkerset import (
    events,
    group_ready,
    lostnodes,
    ownership,
    podgroup,
    recovery,
    replacement,
    retention,
    services,
    topology,
    worker_statefulset,
)
from lws.planning.leaderworkerset.failures import Review, review
from lws.planning.leaderworkerset.grace import Healing
from lws.planning.leaderworkerset.groups import (
    base_name,
    containers_ready,
    is_hashed,
    pod_ready,
    revision_key,
    size_of,
    workers_scaled,
    workers_wanted,
)
from lws.planning.leaderworkerset.incidents import Incident
from lws.planning.leaderworkerset.members import MemberRecord
from lws.planning.leaderworkerset.metadata import owned_by_pod
from lws.planning.leaderworkerset.podgroup import Gang, SchedulerProvider
from lws.planning.leaderworkerset.recovery import Outcome
from lws.planning.leaderworkerset.revisions import find_by_key
from lws.planning.leaderworkerset.snapshots import GroupSnapshot

REVISION_CHECK: Final = 1.0  # seconds until we look again for the revision of a leader's key (spec 5.8)
MOST_REPAIRS: Final = 3  # of one group's number of workers within an hour
NAME_MISSING: Final = f"{labels.NAME} label is unexpected missing"
INDEX_MISSING: Final = f"{labels.WORKER_INDEX} label is unexpected missing"
INDEX_REMEDY: Final = "the pod was admitted without the webhook: see that its configurations are there, delete the pod"


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """A plan, and what is to be remembered of the group once it has run.

    Attributes:
        plan: what to do.
        record: the group's members.
        settled: by pod UID, how many restarts count no more; None if nothing was looked at.
        incident: the failure that makes the group be recreated, or be waited for.
        judged: the deletion of the leader that was decided, though it may be put off.
        budgeted: whether set and leader are to be read afresh before the leader is deleted (next 5.4).
        exhausted: whether the leader is deleted for good.
        healing: what is to be remembered of a group that is given time to get over failures.
        ask: a pod on a lost node that is to be read afresh before anything is decided (resilience 6.2).
        release: lets such a pod go.
    """

    plan: Plan
    record: MemberRecord | None
    settled: Mapping[str, int] | None = None
    incident: Incident | None = None
    judged: Delete | None = None
    budgeted: bool = False
    exhausted: bool = False
    healing: Healing | None = None
    ask: Pod | None = None
    release: Delete | None = None

    @classmethod
    def of(cls, found: Review) -> GroupPlan:
        """The plan of a review that decides."""
        marks = (found.budgeted and found.retry is None, found.exhausted)
        return cls(concluded(found), found.record, found.settled, found.incident, found.deletion, *marks, found.healing)

    def on(self, standing: lostnodes.Standing) -> GroupPlan:
        """The same, with what becomes of the pod because its node is lost."""
        if standing is lostnodes.NOTHING:
            return self
        moments = [each for each in (self.plan.requeue_after, standing.again) if each is not None]
        plan = replace(
            self.plan,
            actions=(*standing.told, *self.plan.actions),
            requeue_after=min(moments, default=None),
        )
        return replace(self, plan=plan, ask=standing.ask, release=standing.release)


def plan_leader_pod(snapshot: GroupSnapshot, provider: SchedulerProvider | None = None) -> GroupPlan:
    """Plan one pass over a leader pod: first whether its group has failed, then what it lacks."""
    return _plan(snapshot, provider).on(lostnodes.look(snapshot, snapshot.leader))


def _plan(snapshot: GroupSnapshot, provider: SchedulerProvider | None) -> GroupPlan:
    lws, leader = snapshot.lws, snapshot.leader
    if leader is None:
        return GroupPlan(DONE, None)
    problem = unlabelled(leader)
    if problem is not None:
        return GroupPlan(problem, snapshot.record)
    retained = retention.plan_leader(snapshot, leader)
    if retained is not None:
        deletion = next((each for each in retained.actions if isinstance(each, Delete)), None)
        return GroupPlan(retained, None, judged=deletion, budgeted=True, exhausted=True)
    if lws is None or not snapshot.served or of_earlier_set(leader, lws, snapshot.leader_statefulset):
        return GroupPlan(DONE, snapshot.record)
    found = review(snapshot, leader.metadata.name, leader)
    if found.outcome.group_goes or found.error is not None:
        return GroupPlan.of(found)
    if is_hashed(leader) and recovery.over(leader) and not leader.metadata.deleting and not snapshot.going:
        deletion = recovery.remove(leader)
        return GroupPlan(Plan((*found.told, deletion)), found.record, found.settled, found.incident, deletion)
    plan = _complete(snapshot, lws, leader, provider)
    retries = [each for each in (plan.requeue_after, found.retry) if each is not None]
    plan = replace(plan, actions=(*found.told, *plan.actions), requeue_after=min(retries, default=None))
    judged = found.deletion
    return GroupPlan(plan, found.record, found.settled, found.incident, judged, healing=found.healing)


def unlabelled(pod: Pod) -> Plan | None:
    """The failure of a pod without the labels that tell what it is (spec 5.5 step 1)."""
    if not pod.metadata.label(labels.NAME):
        return Plan(error=NAME_MISSING, terminal=True, remedy=f"give {labels.NAME} its set's name, or remove it")
    if labels.WORKER_INDEX not in (pod.metadata.labels or {}):
        return Plan(error=INDEX_MISSING, terminal=True, remedy=INDEX_REMEDY)
    return None


def concluded(found: Review) -> Plan:
    """The plan of a review that decides."""
    if found.error is not None:
        return Plan(error=found.error, terminal=found.outcome is Outcome.NO_ORDINAL, remedy=found.remedy)
    if found.deletion is None or found.retry is not None:
        return Plan((*found.told, *found.meanwhile), requeue_after=found.retry)
    return Plan((*found.told, *found.before, found.deletion))


def of_earlier_set(leader: Pod, lws: LeaderWorkerSet, statefulset: StatefulSet | None) -> bool:
    """Whether this leader was made by a leader StatefulSet before the present one, and is about to be collected."""
    if is_hashed(leader) is not lws.spec.hashed:
        return True  # what its set's groups are known by never changes
    owner = leader.metadata.controller
    return (
        owner is not None
        and owner.kind == "StatefulSet"
        and owner.name == lws.metadata.name
        and statefulset is not None
        and statefulset.metadata.uid != owner.uid
    )


def _complete(snapshot: GroupSnapshot, lws: LeaderWorkerSet, leader: Pod, provider: SchedulerProvider | None) -> Plan:
    """Steps 5 to 13: Service, PodGroup, gate, worker StatefulSet, condition."""
    if leader.metadata.annotation(labels.LEADER_NAME):
        return Plan((events.mistaken_annotation(Reference.to(PODS, leader.metadata)),))
    if leader.metadata.deleting or snapshot.going == leader.metadata.uid:
        return DONE
    in_the_way = services.not_of_leader(lws, leader, snapshot.service)
    if in_the_way:
        return Plan(error=in_the_way, remedy=f"delete the Service {services.service_name(leader)}")
    actions: list[Action] = [*services.per_replica(lws, leader, snapshot.service)]
    size = size_of(leader, lws, snapshot.revisions, snapshot.contents)
    ganged = bool(podgroup.name_of(provider, leader))
    if ganged and snapshot.pod_group is None and snapshot.no_pod_groups:
        if not podgroup.is_complete(leader, snapshot.worker_statefulset, size):
            failed = events.pod_group_failed(Reference.to(PODS, leader.metadata), snapshot.no_pod_groups)
            actions.append(replace(failed, once=f"{leader.metadata.uid} {snapshot.no_pod_groups}"))
        return Plan(tuple(actions))
    gang: Gang | None = None
    revision = find_by_key(lws, snapshot.revisions, revision_key(leader))
    if ganged:
        if revision is None:
            return Plan(tuple(actions), requeue_after=REVISION_CHECK)
        section = snapshot.contents.sections_of(lws, revision)
        gang = podgroup.gang_of(provider, lws, section, leader, snapshot.worker_statefulset, size)
        actions += podgroup.plan_pod_group(provider, lws, section, leader, gang, snapshot.pod_group)
    admitted, told = replacement.plan(snapshot, leader)
    actions += told
    if not admitted:
        return Plan(tuple(actions), requeue_after=replacement.RECHECK)
    if size == 1 or _waits_for_leader(lws, leader):
        return Plan(tuple(actions))
    if revision is None:
        return Plan(tuple(actions), requeue_after=REVISION_CHECK)
    if snapshot.worker_statefulset is not None:
        return _accepted(snapshot, lws, leader, snapshot.worker_statefulset, actions, snapshot.now)
    return _made(snapshot, lws, leader, revision, actions, gang)


def _waits_for_leader(lws: LeaderWorkerSet, leader: Pod) -> bool:
    """Under LeaderReady. A leader that is ready with its group only would wait for it for ever (next 3.6 step 10)."""
    ready = containers_ready(leader) if is_hashed(leader) else pod_ready(leader)
    return lws.spec.startup_policy == LEADER_READY and not ready


def _accepted(
    snapshot: GroupSnapshot,
    lws: LeaderWorkerSet,
    leader: Pod,
    workers: StatefulSet,
    actions: list[Action],
    now: datetime,
) -> Plan:
    """The worker StatefulSet that is there; under the name of a group that is known by a key it must be its own."""
    if not is_hashed(leader):
        return Plan((*actions, *_existing(snapshot, lws, leader, workers)))
    if controlled_by(workers.metadata, leader):
        return Plan((*actions, *group_ready.plan(leader, workers, now)))
    if ownership.orphaned_worker_set(lws, leader, workers):
        return Plan((*actions, *_existing(snapshot, lws, leader, workers)))
    where = f"{workers.metadata.namespace}/{workers.metadata.name}"
    error = f"worker statefulset {where} is not controlled by leader pod {leader.metadata.name}"
    told = events.foreign_worker_set(Reference.to(PODS, leader.metadata), error, once=workers.metadata.uid)
    return Plan((*actions, told), error=error, remedy=f"delete the StatefulSet {where}, or the leader pod")


def _made(
    snapshot: GroupSnapshot,
    lws: LeaderWorkerSet,
    leader: Pod,
    revision: ControllerRevision,
    actions: list[Action],
    gang: Gang | None,
) -> Plan:
    """The worker StatefulSet that is not there yet."""
    if not (leader.spec.hostname and leader.spec.subdomain):
        where = f"{leader.metadata.namespace}/{leader.metadata.name}"
        return Plan(tuple(actions), error=f"leader pod {where} has no hostname or subdomain", remedy=INDEX_REMEDY)
    place = topology.placement(lws, leader, snapshot.node)
    if place.waiting or place.error is not None:
        return Plan(tuple(actions), error=place.error, remedy=place.remedy)
    size = size_of(leader, lws, snapshot.revisions, snapshot.contents)
    taken = worker_statefulset.names_taken(snapshot.workers, leader, size)
    if taken.ending:
        return Plan((*actions, *_hidden(lws, leader, taken.ending)))
    actions += [_name_taken(leader, pod) for pod in taken.foreign]
    mark = gang.name if gang is not None and gang.whole else ""
    revised, section = snapshot.contents.restored(lws, revision), snapshot.contents.sections_of(lws, revision)
    body = worker_statefulset.manifest(lws, revised, section, leader, place.node_selector, mark)
    actions.append(_create(leader, body))
    return Plan((*actions, *(group_ready.plan(leader, None, snapshot.now) if is_hashed(leader) else ())))


def _create(leader: Pod, body: dict[str, object]) -> Create:
    reference = Reference.to(PODS, leader.metadata)
    return Create(
        STATEFULSETS,
        body,
        owner=reference,
        on_success=(events.worker_set_created(reference),),
        on_failure=(events.worker_set_failed(reference),),
        on_foreign=(events.worker_set_failed(reference, _taken(leader)),),
    )


def _hidden(lws: LeaderWorkerSet, leader: Pod, ending: Iterable[Pod]) -> list[Relabel]:
    """The worker StatefulSets that pods name which are not ending: maybe one is there, without our label (K5)."""
    names = {pod.metadata.controller for pod in ending if not pod.metadata.deleting}
    marks = {**worker_statefulset.selector(lws, leader), labels.REVISION: revision_key(leader)}
    return [
        Relabel(STATEFULSETS, leader.metadata.namespace, owner.name, owner.uid, leader.metadata.uid, marks)
        for owner in sorted((each for each in names if each is not None), key=lambda each: each.uid)
        if owner.kind == STATEFULSETS.kind
    ]


def _name_taken(leader: Pod, pod: Pod) -> EmitEvent:
    """A worker that cannot be made, told once for each pod that has its name (CD-28)."""
    meta = pod.metadata
    error = f"pod {meta.namespace}/{meta.name} exists and is not of this group: delete it, or give it another name"
    return events.worker_set_failed(Reference.to(PODS, leader.metadata), error, once=meta.uid)


def _existing(
    snapshot: GroupSnapshot, lws: LeaderWorkerSet, leader: Pod, statefulset: StatefulSet
) -> tuple[Action, ...]:
    """An existing StatefulSet is accepted as it is, and one of ours that lost its controller is adopted (CD-47).

    Someone else's, or one of ours of another revision, is only complained about (CD-26).
    """
    meta, reference = statefulset.metadata, Reference.to(PODS, leader.metadata)
    match ownership.of_worker_set(leader, meta):
        case Relation.OURS:
            return _repaired(snapshot, statefulset)
        case _ if ownership.orphaned_worker_set(lws, leader, statefulset):
            owners = [*(owner.as_json() for owner in meta.owner_references or ()), *owned_by_pod(leader)]
            change = {"metadata": {"ownerReferences": owners}}
            return (Patch(STATEFULSETS, meta.namespace, meta.name, meta.uid, change),)
    return (events.worker_set_failed(reference, _taken(leader), once=meta.uid),)


def _repaired(snapshot: GroupSnapshot, statefulset: StatefulSet) -> tuple[Action, ...]:
    """The number of workers put back where somebody changed it, if the set asks for that (resilience 4).

    Nothing else of the StatefulSet is written, and only as it was seen; a writer that does not let go is left alone.
    """
    wanted, meta = workers_wanted(statefulset), statefulset.metadata
    if wanted is None or not workers_scaled(statefulset) or not snapshot.policies.repair_workers:
        return ()
    if snapshot.repairs >= MOST_REPAIRS:
        return ()
    change = {"metadata": {"resourceVersion": meta.resource_version}, "spec": {"replicas": wanted}}
    told = events.workers_scaled(Reference.to(STATEFULSETS, meta), statefulset.spec.replicas or 0, wanted)
    return (Patch(STATEFULSETS, meta.namespace, meta.name, meta.uid, change, on_success=(told,)),)


def _taken(leader: Pod) -> str:
    where = f"{leader.metadata.namespace}/{base_name(leader)}"
    return f"statefulset {where} exists and is not owned by the leader pod: delete it, and its workers are made anew"
