"""One failure of a group: what is recorded of it, how it counts, and when it is acted upon (resilience 2.1, 3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.status import MESSAGE_BYTES, Failure, GroupRestarts
from lws.apimachinery.actions import EmitEvent, Reference
from lws.apimachinery.conditions import timestamp
from lws.apimachinery.moments import parsed
from lws.apimachinery.resources import PODS
from lws.planning.leaderworkerset import backoff, culprit, events, members, recovery
from lws.planning.leaderworkerset.culprit import Cause, Fault
from lws.planning.leaderworkerset.groups import base_name, group_name, is_leader, revision_key

if TYPE_CHECKING:
    from lws.planning.leaderworkerset.recovery import Failed
    from lws.planning.leaderworkerset.snapshots import GroupSnapshot

_TEXT_BYTES: Final = 253  # of every other member: no name or reason of Kubernetes is longer


@dataclass(frozen=True, slots=True)
class Incident:
    """What came of looking at one.

    Attributes:
        failure: what is recorded; None if that was done before.
        entry: the count of the group's failures, and until when it waits; None if nothing counts.
        told: event that says what failed.
        waits: event that says for how long the group waits; None if it does not.
        retry: in how many seconds it is to be acted upon; 0 for at once.
        cause: as metrics tell it.
        culprit: the pod whose container's last lines may be kept; None if there is none.
        final: whether the leader goes, or would but for a wait; else its group is given time, or has got over it.
    """

    failure: Failure | None
    entry: GroupRestarts | None
    told: EmitEvent
    waits: EmitEvent | None = None
    retry: float = 0.0
    cause: Cause = Cause.DELETED
    culprit: Fault | None = None
    final: bool = True


def of_failed(snapshot: GroupSnapshot, leader: Pod, failed: Failed) -> Incident:
    """The incident that makes a recreating policy take this leader down."""
    return _incident(snapshot, leader, _every_fault(snapshot, leader, failed), begins=True)


def of_ended_leader(snapshot: GroupSnapshot, leader: Pod) -> Incident | None:
    """The incident of a leader that others end: disrupted, Failed, or on a lost node. None for any other end."""
    status_ended = leader.status.phase == "Failed"
    if not (leader.metadata.deleting or status_ended) or leader.metadata.uid in snapshot.noted:
        return None
    disrupted = culprit.disruption(leader) is not None
    lost = culprit.faults(leader, snapshot.nodes, snapshot.now)
    if not (status_ended or disrupted or any(each.kind is culprit.Kind.NODE_LOST for each in lost)):
        return None
    if snapshot.healing is not None and snapshot.healing.failure is not None:
        return not_healed(snapshot, leader, snapshot.healing.failure)
    return _incident(snapshot, leader, [*lost], begins=False)


def begun(snapshot: GroupSnapshot, leader: Pod, failed: Failed, *, healed: bool) -> Incident:
    """The failure of a group that is given time to get over it, or that has already (resilience 7)."""
    now, meta, group = snapshot.now, leader.metadata, group_name(leader)
    over = {} if snapshot.healing is None else snapshot.healing.restarts or {}
    found = _every_fault(replace(snapshot, settled={**(snapshot.settled or {}), **over}), leader, failed)
    cause = culprit.first(found or [culprit.vanished(failed.name, now)])
    failure = _failure(leader, group, cause, 0, _others(found, cause), now).model_copy(update={"healed": healed})
    about, once = _related(cause), f"{meta.uid}/{failure.time}"
    if healed:
        told = events.group_healed(group, cause.words, 0.0, about, once)
    else:
        told = events.group_healing(group, cause.words, snapshot.policies.group_recovery_grace, about, once)
    return Incident(failure, None, told, cause=cause.cause, culprit=cause, final=False)


def healed(snapshot: GroupSnapshot, failure: Failure) -> Incident:
    """The group got over its failure in time."""
    took = (snapshot.now - (parsed(failure.time) or snapshot.now)).total_seconds()
    once = f"{failure.leader_uid}/{failure.time}"
    told = events.group_healed(failure.group, culprit.told(failure), took, None, once)
    update = {"healed": True}
    return Incident(failure.model_copy(update=update), None, told, cause=culprit.cause_of(failure), final=False)


def not_healed(snapshot: GroupSnapshot, leader: Pod, failure: Failure) -> Incident:
    """The group did not get over its failure in time, or its leader is ended meanwhile."""
    entry, number = snapshot.entry, 0
    if culprit.counts(failure):
        entry = backoff.counted(entry, failure.group, leader.metadata.uid, snapshot.now)
        number = entry.restarts
    told = events.group_failed(failure.group, culprit.told(failure), number, None, leader.metadata.uid)
    recorded = failure.model_copy(update={"restarts": number})
    return Incident(recorded, entry, told, cause=culprit.cause_of(failure))


def in_wait(snapshot: GroupSnapshot) -> float | None:
    """In how many seconds the group of the present leader is to be recreated; None if nothing was decided."""
    leader, entry = snapshot.leader, snapshot.entry
    if leader is None or entry is None or entry.leader_uid != leader.metadata.uid or not entry.next_retry_time:
        return None
    return 0.0 if snapshot.policies.restart_backoff.off else backoff.remaining(entry, snapshot.now)


def _incident(snapshot: GroupSnapshot, leader: Pod, found: Sequence[Fault], *, begins: bool) -> Incident:
    now, meta = snapshot.now, leader.metadata
    group = group_name(leader)
    cause = culprit.first(found or [culprit.vanished(meta.name, now)])
    entry = snapshot.entry
    if cause.counts:
        entry = backoff.counted(entry, group, meta.uid, now)
        if begins:
            entry = backoff.waiting(snapshot.policies.restart_backoff, entry, meta.creation_timestamp, now)
    retry = backoff.remaining(entry, now) if begins and cause.counts else 0.0
    number = entry.restarts if entry is not None and cause.counts else 0
    told = events.group_failed(group, cause.words, number, _related(cause), meta.uid)
    waits = None
    if entry is not None and retry:
        waits = events.group_backs_off(group, backoff.words(entry, now), _related(cause), meta.uid)
    known = meta.uid in snapshot.noted
    failure = None if known else _failure(leader, group, cause, number, _others(found, cause), now)
    return Incident(failure, entry, told, waits, retry, cause.cause, cause)


def _every_fault(snapshot: GroupSnapshot, leader: Pod, failed: Failed) -> list[Fault]:
    """The faults of the group's own pods, the failed one's among them."""
    now, settled = snapshot.now, snapshot.settled or {}
    found: list[Fault] = []
    for pod in _own(snapshot, leader, failed):
        found += culprit.faults(pod, snapshot.nodes, now, settled.get(pod.metadata.uid, 0))
    if failed.pod is None:
        last = _last_seen(snapshot, leader, failed.name)
        told = () if last is None else culprit.faults(last, snapshot.nodes, now)
        found += told or (culprit.vanished(failed.name, now),)
    return found


def _last_seen(snapshot: GroupSnapshot, leader: Pod, name: str) -> Pod | None:
    """The member of this name that is gone, if it told why and was the one that was expected."""
    index, last = members.worker_index(name, base_name(leader, snapshot.worker_statefulset)), snapshot.ended.get(name)
    if index is None or last is None or snapshot.record is None:
        return None
    return last if snapshot.record.uids.get(index) == last.metadata.uid else None


def _own(snapshot: GroupSnapshot, leader: Pod, failed: Failed) -> Iterable[Pod]:
    pods = {leader.metadata.uid: leader}
    for pod in snapshot.group_pods:
        if not is_leader(pod) and recovery.belongs(pod, leader, snapshot.worker_statefulset):
            pods[pod.metadata.uid] = pod
    if failed.pod is not None:
        pods[failed.pod.metadata.uid] = failed.pod
    return pods.values()


def _others(found: Iterable[Fault], cause: Fault) -> int:
    return len({each.pod for each in found} - {cause.pod})


def _failure(leader: Pod, group: str, cause: Fault, number: int, others: int, now: datetime) -> Failure:
    ended = cause.ended
    message = f"{cause.by}: {cause.message}" if cause.by and cause.message else cause.by or cause.message
    return Failure(
        time=timestamp(now),
        group=group,
        leader_uid=leader.metadata.uid,
        revision=revision_key(leader),
        restarts=number,
        pod=cause.pod,
        node=cause.node,
        container=cause.container,
        reason=shortened(cause.reason, _TEXT_BYTES),
        exit_code=0 if ended is None else ended.exit_code,
        signal=0 if ended is None else ended.signal,
        message=shortened(message, MESSAGE_BYTES),
        ran_seconds=min(cause.ran_seconds, 2**31 - 1),
        also_failed=others,
    )


def shortened(text: str, limit: int) -> str:
    """The text in at most so many bytes, cut between characters, without white space at its ends."""
    encoded = text.strip().encode()
    return text.strip() if len(encoded) <= limit else encoded[:limit].decode(errors="ignore").rstrip()


def _related(cause: Fault) -> Reference | None:
    return None if cause.meta is None else Reference.to(PODS, cause.meta)
