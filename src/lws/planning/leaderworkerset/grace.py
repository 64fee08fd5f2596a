"""A failed member is replaced before its group is: how long that may take, and when it is over (resilience 7).

The set's status holds the failure while it lasts, so that another process goes on where this one ended. What is
remembered besides may be lost at any time: then restarts of a group that is whole are over, and those of one that is
not are taken for its failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.status import Failure
from lws.apimachinery.conditions import timestamp
from lws.apimachinery.moments import after, parsed
from lws.planning.leaderworkerset import backoff, culprit, members
from lws.planning.leaderworkerset.groups import running_and_ready, size_of, workers_wanted
from lws.planning.leaderworkerset.recovery import Failed, tolerates
from lws.planning.leaderworkerset.restarts import restarts

if TYPE_CHECKING:
    from lws.planning.leaderworkerset.snapshots import GroupSnapshot

_CUT: Final = 1.0  # seconds by which the API's times may be too early: they have no fractions


@dataclass(frozen=True, slots=True)
class Healing:
    """What is remembered of the group of one leader.

    Attributes:
        leader_uid: the leader.
        failure: what its group has not got over; None while it is whole.
        restarts: by pod UID, restarts of its members that it got over; None before the first look.
    """

    leader_uid: str
    failure: Failure | None = None
    restarts: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What one look comes to.

    Attributes:
        healing: what is to be remembered.
        whole: every pod of the group is there and ready.
        news: what failed is to be recorded.
        left: in how many seconds the time is over; 0 if it is, None if none is running.
    """

    healing: Healing
    whole: bool = False
    news: bool = False
    left: float | None = None


def granted(snapshot: GroupSnapshot) -> bool:
    """Whether members of this group are replaced first: asked for, under a policy that would recreate the group."""
    lws, leader = snapshot.lws, snapshot.leader
    if lws is None or leader is None or leader.metadata.deleting or snapshot.going:
        return False
    return bool(snapshot.policies.group_recovery_grace) and not tolerates(lws)


def known(snapshot: GroupSnapshot, leader: Pod) -> Healing:
    """What is remembered of this leader's group, before anything as the set's status has it."""
    uid, found, failure = leader.metadata.uid, snapshot.healing, snapshot.failure
    if found is not None and found.leader_uid == uid:
        return found
    if failure is not None and (parsed(failure.time) or snapshot.now) > snapshot.now:  # noted by a clock that is ahead
        failure = failure.model_copy(update={"time": timestamp(snapshot.now)})
    return Healing(uid, failure)


def got_over(snapshot: GroupSnapshot, pod: Pod, *, leads: bool) -> int:
    """How many restarts of this pod are over: the group got over them.

    A leader's are so only if they were there when the group was first looked at, for any later one is acted upon.
    """
    assert snapshot.leader is not None
    before = known(snapshot, snapshot.leader).restarts
    if before is not None:
        return before.get(pod.metadata.uid, 0)
    return restarts(pod) if leads and whole(snapshot, snapshot.leader) else 0


def look(snapshot: GroupSnapshot, failed: Failed | None) -> Given:
    """Look at a group that is granted time.

    Args:
        snapshot: the group.
        failed: a member that has failed; None if none has.
    """
    leader = snapshot.leader
    assert leader is not None
    before = known(snapshot, leader)
    first = before.restarts is None
    if not whole(snapshot, leader):
        after_look = replace(before, restarts=before.restarts or {})
        if before.failure is not None:
            return Given(after_look, left=left(snapshot, leader, before.failure))
        return Given(after_look, news=failed is not None)
    pods = _pods(snapshot, leader)
    if before.failure is not None:
        kept = {leader.metadata.uid: (before.restarts or {}).get(leader.metadata.uid, restarts(leader) if first else 0)}
        return Given(Healing(leader.metadata.uid, None, {**_restarts(pods[1:]), **kept}), whole=True)
    if first:
        return Given(Healing(leader.metadata.uid, None, _restarts(pods)), whole=True)
    now_over = {} if failed is None or failed.pod is None else _restarts([failed.pod])
    there = {pod.metadata.uid for pod in pods}
    over = {uid: count for uid, count in {**(before.restarts or {}), **now_over}.items() if uid in there}
    return Given(replace(before, restarts=over), whole=True, news=failed is not None)


def whole(snapshot: GroupSnapshot, leader: Pod) -> bool:
    """Whether every pod of the group is there, its own, and ready; its StatefulSet's status is seen later than that."""
    assert snapshot.lws is not None
    if leader.metadata.deleting or not running_and_ready(leader):
        return False
    workers = snapshot.worker_set_of_leader
    count = None if workers is None else workers_wanted(workers)
    if count is None:
        count = size_of(leader, snapshot.lws, snapshot.revisions, snapshot.contents) - 1
    if not count:
        return True
    if workers is None:
        return False
    own = members.members(members.by_index(snapshot.workers, snapshot.base), workers.metadata.uid)
    return all(
        index in own and not own[index].metadata.deleting and running_and_ready(own[index])
        for index in range(1, count + 1)
    )


def left(snapshot: GroupSnapshot, leader: Pod, failure: Failure) -> float:
    """For how many seconds the group is given time yet: a back-off that it would have to wait for comes in."""
    policies, now = snapshot.policies, snapshot.now
    due = after(parsed(failure.time) or now, policies.group_recovery_grace + _CUT)
    if culprit.counts(failure):
        entry = backoff.counted(snapshot.entry, failure.group, leader.metadata.uid, now)
        created = min(parsed(leader.metadata.creation_timestamp) or now, now)
        due = max(due, after(created, backoff.length(policies.restart_backoff, entry.restarts)))
    return max(0.0, (due - now).total_seconds())


def _pods(snapshot: GroupSnapshot, leader: Pod) -> list[Pod]:
    """The leader, and the workers that have the names of its own."""
    named = members.by_index(snapshot.workers, snapshot.base)
    return [leader, *(named[index] for index in sorted(named))]


def _restarts(pods: Iterable[Pod]) -> dict[str, int]:
    return {pod.metadata.uid: count for pod in pods if (count := restarts(pod))}
