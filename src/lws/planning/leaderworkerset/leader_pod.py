"""What the group of one leader pod needs now (spec 5.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod, StatefulSet
from lws.api.leaderworkerset.types import LEADER_READY, LeaderWorkerSet
from lws.apimachinery.actions import DONE, Action, Create, Delete, EmitEvent, Patch, Plan, Reference, Relabel
from lws.apimachinery.ownership import Relation
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws.planning.leaderworkerset import events, ownership, podgroup, services, topology, worker_statefulset
from lws.planning.leaderworkerset.failures import Review, review
from lws.planning.leaderworkerset.groups import pod_ready, revision_key, size_of
from lws.planning.leaderworkerset.incidents import Incident
from lws.planning.leaderworkerset.members import MemberRecord
from lws.planning.leaderworkerset.metadata import owned_by_pod
from lws.planning.leaderworkerset.podgroup import SchedulerProvider
from lws.planning.leaderworkerset.revisions import find_by_key
from lws.planning.leaderworkerset.snapshots import GroupSnapshot

REVISION_CHECK: Final = 1.0  # seconds until we look again for the revision of a leader's key (spec 5.8)
NAME_MISSING: Final = f"{labels.NAME} label is unexpected missing"
INDEX_MISSING: Final = f"{labels.WORKER_INDEX} label is unexpected missing"
INDEX_REMEDY: Final = "the pod was admitted without the webhook: see that its configurations are there, delete the pod"
STRAY_REMEDY: Final = f"no StatefulSet made this pod: remove its label {labels.NAME}, or delete it"


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """A plan, and what is to be remembered of the group once it has run.

    Attributes:
        plan: what to do.
        record: the group's members.
        settled: by pod UID, how many restarts count no more; None if nothing was looked at.
        incident: the failure that makes the group be recreated, or be waited for.
        judged: the deletion of the leader that was decided, though it may be put off.
    """

    plan: Plan
    record: MemberRecord | None
    settled: Mapping[str, int] | None = None
    incident: Incident | None = None
    judged: Delete | None = None


def plan_leader_pod(snapshot: GroupSnapshot, provider: SchedulerProvider | None = None) -> GroupPlan:
    """Plan one pass over a leader pod: first whether its group has failed, then what it lacks."""
    lws, leader = snapshot.lws, snapshot.leader
    if leader is None:
        return GroupPlan(DONE, None)
    problem = unlabelled(leader)
    if problem is not None:
        return GroupPlan(problem, snapshot.record)
    if lws is None or not snapshot.served or of_earlier_set(leader, lws, snapshot.leader_statefulset):
        return GroupPlan(DONE, snapshot.record)
    found = review(snapshot, leader.metadata.name, leader)
    if found.outcome.group_goes or found.error is not None:
        return GroupPlan(concluded(found), found.record, found.settled, found.incident, found.deletion)
    plan = _complete(snapshot, lws, leader, provider)
    actions = (*found.told, *plan.actions)
    return GroupPlan(replace(plan, actions=actions), found.record, found.settled, found.incident)


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
        return Plan(error=found.error, terminal=True, remedy=STRAY_REMEDY)
    if found.deletion is None or found.retry is not None:
        return Plan(found.told, requeue_after=found.retry)
    return Plan((*found.told, found.deletion))


def of_earlier_set(leader: Pod, lws: LeaderWorkerSet, statefulset: StatefulSet | None) -> bool:
    """Whether this leader was made by a leader StatefulSet before the present one, and is about to be collected."""
    owner = leader.metadata.controller
    return (
        owner is not None
        and owner.kind == "StatefulSet"
        and owner.name == lws.metadata.name
        and statefulset is not None
        and statefulset.metadata.uid != owner.uid
    )


def _complete(snapshot: GroupSnapshot, lws: LeaderWorkerSet, leader: Pod, provider: SchedulerProvider | None) -> Plan:
    """Steps 5 to 13: Service, PodGroup, worker StatefulSet."""
    if leader.metadata.annotation(labels.LEADER_NAME):
        return Plan((events.mistaken_annotation(Reference.to(PODS, leader.metadata)),))
    if leader.metadata.deleting or snapshot.going == leader.metadata.uid:
        return DONE
    actions: list[Action] = [*services.per_replica(lws, leader, snapshot.service)]
    size = size_of(leader, lws, snapshot.revisions, snapshot.contents)
    ganged = bool(podgroup.name_of(provider, leader))
    if size == 1 and not ganged:
        return Plan(tuple(actions))
    if ganged and snapshot.pod_group is None and snapshot.no_pod_groups:
        if not podgroup.is_complete(leader, snapshot.worker_statefulset, size):
            failed = events.pod_group_failed(Reference.to(PODS, leader.metadata), snapshot.no_pod_groups)
            actions.append(replace(failed, once=f"{leader.metadata.uid} {snapshot.no_pod_groups}"))
        return Plan(tuple(actions))
    revision = find_by_key(lws, snapshot.revisions, revision_key(leader))
    if revision is None:
        return Plan(tuple(actions), requeue_after=REVISION_CHECK)
    revised = snapshot.contents.restored(lws, revision)
    section = snapshot.contents.sections_of(lws, revision)
    gang = podgroup.gang_of(provider, lws, section, leader, snapshot.worker_statefulset, size)
    actions += podgroup.plan_pod_group(provider, lws, section, leader, gang, snapshot.pod_group)
    waiting = lws.spec.startup_policy == LEADER_READY and not pod_ready(leader)
    if size == 1 or waiting:
        return Plan(tuple(actions))
    if snapshot.worker_statefulset is not None:
        return Plan((*actions, *_existing(lws, leader, snapshot.worker_statefulset)))
    place = topology.placement(lws, leader, snapshot.node)
    if place.waiting or place.error is not None:
        return Plan(tuple(actions), error=place.error, remedy=place.remedy)
    taken = worker_statefulset.names_taken(snapshot.workers, leader, size)
    if taken.ending:
        return Plan((*actions, *_hidden(lws, leader, taken.ending)))
    actions += [_name_taken(leader, pod) for pod in taken.foreign]
    mark = gang.name if gang is not None and gang.whole else ""
    body = worker_statefulset.manifest(lws, revised, section, leader, place.node_selector, mark)
    return Plan((*actions, _create(leader, body)))


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


def _existing(lws: LeaderWorkerSet, leader: Pod, statefulset: StatefulSet) -> tuple[Action, ...]:
    """An existing StatefulSet is accepted as it is, and one of ours that lost its controller is adopted (CD-47).

    Someone else's, or one of ours of another revision, is only complained about (CD-26).
    """
    meta, reference = statefulset.metadata, Reference.to(PODS, leader.metadata)
    match ownership.of_worker_set(leader.metadata.name, meta):
        case Relation.OURS:
            return ()
        case _ if ownership.orphaned_worker_set(lws, leader, statefulset):
            owners = [*(owner.as_json() for owner in meta.owner_references or ()), *owned_by_pod(leader)]
            change = {"metadata": {"ownerReferences": owners}}
            return (Patch(STATEFULSETS, meta.namespace, meta.name, meta.uid, change),)
    return (events.worker_set_failed(reference, _taken(leader), once=meta.uid),)


def _taken(leader: Pod) -> str:
    where = f"{leader.metadata.namespace}/{leader.metadata.name}"
    return f"statefulset {where} exists and is not owned by the leader pod: delete it, and its workers are made anew"
