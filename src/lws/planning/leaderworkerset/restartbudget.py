"""Bounded recovery: what the failure of a group costs, and what happens when nothing is left (next 5.4, 5.7, ND-25).

Recovery asks `spend` at one place, once it has decided that a group is to be recreated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from lws.api.leaderworkerset import labels, restartcounts
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Action, Delete, Patch, Reference
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset import events
from lws.planning.leaderworkerset.groups import group_index, marked, revision_key
from lws.planning.leaderworkerset.recovery import belongs
from lws.planning.leaderworkerset.snapshots import GroupSnapshot

INVALID_REMEDY: Final = f"correct or remove annotation {labels.GROUP_RESTART_COUNTS} of the LeaderWorkerSet"


@dataclass(frozen=True, slots=True)
class Spending:
    """What a failure leads to.

    Attributes:
        before: what is written before the leader is deleted.
        deletion: the deletion of the leader; None if the counts cannot be read.
        exhausted: whether that is the end of the group.
        error: why the counts cannot be read.
    """

    before: tuple[Action, ...] = ()
    deletion: Delete | None = None
    exhausted: bool = False
    error: str | None = None


def entry_of(leader: Pod) -> str:
    """The group's entry in the counts."""
    return restartcounts.key_of(revision_key(leader), leader.metadata.label(labels.GROUP_INDEX))


def counts_of(lws: LeaderWorkerSet) -> dict[str, int]:
    """The stored counts.

    Raises:
        ValueError: they cannot be read.
    """
    return restartcounts.counts(lws.metadata, ordinal=not lws.spec.hashed)


def exhausted(lws: LeaderWorkerSet, leader: Pod) -> bool:
    """Whether the next failure of this group is its last (rows 8a, 9a).

    Raises:
        ValueError: the stored counts cannot be read.
    """
    if marked(leader):
        return True
    limit, entry = lws.spec.leader_worker_template.max_group_restarts, entry_of(leader)
    if limit is None or restartcounts.charged(lws.metadata).get(entry) == leader.metadata.uid:
        return False
    return counts_of(lws).get(entry, 0) >= limit


def ends(lws: LeaderWorkerSet | None, leader: Pod) -> bool:
    """Whether the next failure ends the group, or cannot be charged: nothing is gained by waiting then."""
    try:
        return lws is not None and exhausted(lws, leader)
    except ValueError:
        return True


def spend(snapshot: GroupSnapshot, leader: Pod, deletion: Delete) -> Spending:
    """Charge the recreation of this leader's group, or terminate the group (rows 8a to 9c).

    Args:
        snapshot: the group; ``lws`` is set.
        leader: the leader that was judged.
        deletion: what recreates the group.
    """
    lws = snapshot.lws
    assert lws is not None
    try:
        if exhausted(lws, leader):
            return Spending(_retain(snapshot, leader), _terminate(leader, deletion), exhausted=True)
        return Spending(_charge(lws, leader), deletion)
    except ValueError as error:
        return Spending(error=str(error))


def terminate(snapshot: GroupSnapshot, leader: Pod) -> tuple[Action, ...]:
    """Go on with what a crash has left undone (next 5.5)."""
    meta = leader.metadata
    deletion = Delete(PODS, meta.namespace, meta.name, meta.uid, "Foreground")
    return (*_retain(snapshot, leader), _terminate(leader, deletion))


def stored(lws: LeaderWorkerSet, wanted: Mapping[str, int], leaders: Mapping[str, str]) -> Patch:
    """Have these counts stored, if nobody has written the set meanwhile."""
    meta = lws.metadata
    annotations = restartcounts.as_annotations(wanted, leaders)
    change: JSON = {"metadata": {"resourceVersion": meta.resource_version, "annotations": annotations}}
    return Patch(LEADERWORKERSETS, meta.namespace, meta.name, meta.uid, change)


def without(lws: LeaderWorkerSet, entries: Iterable[str]) -> tuple[Patch, ...]:
    """Forget these entries.

    Raises:
        ValueError: the stored counts cannot be read.
    """
    counts, gone = counts_of(lws), set(entries)
    kept = {entry: count for entry, count in counts.items() if entry not in gone}
    return () if kept == counts else (stored(lws, kept, restartcounts.charged(lws.metadata)),)


def prune(lws: LeaderWorkerSet, groups: int, key: str, *, done: bool) -> tuple[Action, ...]:
    """Drop what belongs to groups that are no more, and after an update to other revisions (next 5.6, 5.7).

    Counts that cannot be read are told of, and stay (ND-14).

    Args:
        lws: the set.
        groups: how many groups there are or are to be, surge included.
        key: the current revision.
        done: whether the update to it is done.
    """
    if lws.metadata.annotation(labels.GROUP_RESTART_COUNTS) is None:
        return ()
    try:
        counts = counts_of(lws)
    except ValueError as error:
        return (events.invalid_restart_counts(lws, str(error)),)

    def stays(entry: str) -> bool:
        revision, index = restartcounts.parts_of(entry)
        return int(index) < groups and (revision == key or not done)

    return without(lws, [entry for entry in counts if not stays(entry)])


def exhausted_groups(leaders: Iterable[Pod], set_name: str) -> tuple[int, ...]:
    """Indices of the groups that have exhausted their budget, terminating ones included (next 5.4)."""
    found = {group_index(leader, set_name) for leader in leaders if marked(leader)}
    return tuple(sorted(index for index in found if index is not None))


def _charge(lws: LeaderWorkerSet, leader: Pod) -> tuple[Action, ...]:
    entry, uid = entry_of(leader), leader.metadata.uid
    leaders = restartcounts.charged(lws.metadata)
    if lws.spec.leader_worker_template.max_group_restarts is None or leaders.get(entry) == uid:
        return ()
    counts = counts_of(lws)
    return (stored(lws, {**counts, entry: counts.get(entry, 0) + 1}, {**leaders, entry: uid}),)


def _retain(snapshot: GroupSnapshot, leader: Pod) -> tuple[Action, ...]:
    """Mark the leader, then hold every live pod of its group, so that all stay as evidence when they end."""
    key = revision_key(leader)
    members = [
        pod
        for pod in snapshot.group_pods
        if pod.metadata.uid != leader.metadata.uid
        and not pod.metadata.deleting
        and revision_key(pod) == key
        and belongs(pod, leader, snapshot.worker_set_of_leader)
    ]
    held = [_hold(pod, {}) for pod in members if not pod.metadata.finalized_by(labels.RESTART_BUDGET_CLEANUP)]
    if marked(leader) and leader.metadata.finalized_by(labels.RESTART_BUDGET_CLEANUP):
        return tuple(held)
    # Recovery that was asked for before there was anything to recover from would undo the end at once.
    early = {} if marked(leader) else {labels.RECOVER: None}
    return (_hold(leader, {"annotations": {labels.RESTART_BUDGET_EXHAUSTED: "true", **early}}), *held)


def _hold(pod: Pod, metadata: JSON) -> Patch:
    change = {"metadata": {"finalizers": [labels.RESTART_BUDGET_CLEANUP], **metadata}}
    return Patch(PODS, pod.metadata.namespace, pod.metadata.name, pod.metadata.uid, change, strategic=True)


def _terminate(leader: Pod, deletion: Delete) -> Delete:
    """The deletion, told as the end of the group; what failed is told as ever."""
    reference = Reference.to(PODS, leader.metadata)
    ended = events.restart_budget_exceeded(reference, leader.metadata.label(labels.GROUP_INDEX))
    told = tuple(event for event in deletion.on_success if event.reason != events.RECREATE_GROUP)
    return replace(deletion, on_success=(ended, *told))
