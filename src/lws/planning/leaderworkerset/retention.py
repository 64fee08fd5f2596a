"""Pods that are held back as evidence of an exhausted restart budget, until they are released (next 5.5, 5.6).

A pod is released at once if nothing can be recovered from it any more: its set or its leader is gone, or its leader is
not marked as exhausted (ND-26).
"""

from __future__ import annotations

from collections.abc import Iterable

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.apimachinery.actions import DONE, Patch, Plan
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset import hash_budget, restartbudget
from lws.planning.leaderworkerset.groups import GroupState, group_index, is_hashed, marked, revision_key
from lws.planning.leaderworkerset.restartbudget import INVALID_REMEDY, entry_of
from lws.planning.leaderworkerset.rollout import LeaderNumbers
from lws.planning.leaderworkerset.snapshots import GroupSnapshot

_FINALIZER = labels.RESTART_BUDGET_CLEANUP


def held(pod: Pod) -> bool:
    """Whether we hold the pod back."""
    return pod.metadata.finalized_by(_FINALIZER)


def plan_leader(snapshot: GroupSnapshot, leader: Pod) -> Plan | None:
    """What becomes of a leader that is marked or held; None for any other (next 3.6 steps 2 and 3, 5.5)."""
    lws = snapshot.lws
    if not marked(leader):
        return Plan(_release(snapshot, leader)) if held(leader) else None
    if torn_down(leader, snapshot):
        return Plan(_release(snapshot, leader))
    if snapshot.going == leader.metadata.uid:
        return DONE
    if not leader.metadata.deleting:
        return Plan(restartbudget.terminate(snapshot, leader))
    if lws is None or not (leader.metadata.annotation(labels.RECOVER) == "true" or _surplus(snapshot, leader)):
        return DONE
    try:
        forgotten = restartbudget.without(lws, [entry_of(leader)])
    except ValueError as error:
        return Plan(error=str(error), remedy=INVALID_REMEDY)
    return Plan((*forgotten, *_release(snapshot, leader)))


def plan_worker(snapshot: GroupSnapshot, pod: Pod | None) -> Plan | None:
    """Release a worker that is held for nobody; None if there is nothing of the kind to do."""
    if pod is None or not held(pod):
        return None
    lws, leader = snapshot.lws, snapshot.leader
    if lws is not None and not lws.metadata.deleting and leader is not None and marked(leader):
        return None
    return Plan((_free(pod),))


def torn_down(leader: Pod, snapshot: GroupSnapshot) -> bool:
    """Whether a marked leader's group is not wanted any more, by its set, a scale-down or a rollout (next 5.6).

    A scale-down of groups that are known by a key is not told by the leader alone: see `plan_leader`.
    """
    lws, statefulset, deployment = snapshot.lws, snapshot.leader_statefulset, snapshot.leader_deployment
    if lws is None or lws.metadata.deleting:
        return True
    if is_hashed(leader):
        return deployment is not None and revision_key(deployment) not in ("", revision_key(leader))
    index = group_index(leader, lws.metadata.name)
    if statefulset is None or index is None:
        return False
    numbers = LeaderNumbers.of(statefulset)
    if index >= numbers.replicas:
        return True
    return revision_key(statefulset) != revision_key(leader) and index >= numbers.partition


def _surplus(snapshot: GroupSnapshot, leader: Pod) -> bool:
    """Whether a scale-down left no place for a group that is known by a key; its count goes with it."""
    lws = snapshot.lws
    return lws is not None and is_hashed(leader) and hash_budget.surplus(lws, leader, snapshot.peers)


def outdated(leaders: Iterable[Pod], set_name: str, key: str) -> dict[int, GroupState]:
    """The exhausted groups of another revision, by index: a rollout replaces them for free, as they are down."""
    found = {group_index(leader, set_name): leader for leader in leaders if marked(leader)}
    return {
        index: GroupState(waiting=True)
        for index, leader in found.items()
        if index is not None and leader.metadata.deleting and revision_key(leader) != key
    }


def _release(snapshot: GroupSnapshot, leader: Pod) -> tuple[Patch, ...]:
    """Workers first: a leader that is gone before them would leave them without anybody to release them."""
    workers = [pod for pod in snapshot.group_pods if held(pod) and pod.metadata.uid != leader.metadata.uid]
    marks = {labels.RESTART_BUDGET_EXHAUSTED: None, labels.RECOVER: None}
    own = (_free(leader, {"annotations": marks}),) if held(leader) or marked(leader) else ()
    return (*map(_free, workers), *own)


def _free(pod: Pod, metadata: JSON | None = None) -> Patch:
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": [_FINALIZER], **(metadata or {})}}
    return Patch(PODS, pod.metadata.namespace, pod.metadata.name, pod.metadata.uid, change, strategic=True)
