"""What is remembered of a set's failures, and when it is forgotten (resilience 2.2, 3.1).

It stands in the set's status, and is read from there once, when a process begins to look after the set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.policies import SetPolicies
from lws.api.leaderworkerset.status import MOST_FAILURES, MOST_RESTARTS, Failure, GroupRestarts
from lws.api.leaderworkerset.types import LeaderWorkerSet, LeaderWorkerSetStatus
from lws.apimachinery.moments import after, parsed
from lws.planning.leaderworkerset import backoff, culprit
from lws.planning.leaderworkerset.groups import (
    gated,
    group_name,
    lives,
    own_leaders,
    revision_key,
    size_of,
    state_of,
    workers_of,
)
from lws.planning.leaderworkerset.recovery import tolerates

if TYPE_CHECKING:
    from lws.planning.leaderworkerset.snapshots import SetSnapshot


@dataclass(frozen=True, slots=True)
class Records:
    """The failures of one set.

    Attributes:
        failures: what is recorded, newest first.
        restarts: by group, how often it failed since it was settled, and until when it waits.
    """

    failures: tuple[Failure, ...] = ()
    restarts: Mapping[str, GroupRestarts] = field(default_factory=dict)

    @classmethod
    def read(cls, status: LeaderWorkerSetStatus, policies: SetPolicies, now: datetime) -> Records:
        """What another process left, as it is first seen."""
        policy = policies.restart_backoff
        return cls(status.failures, {each.index: backoff.capped(policy, each, now) for each in status.restarts})

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.failures or self.restarts)

    def noting(self, failure: Failure | None, entry: GroupRestarts | None) -> Records:
        """With one more failure, and the count of its group."""
        failures = self.failures if failure is None else _with(self.failures, failure)
        return Records(failures, self.restarts if entry is None else {**self.restarts, entry.index: entry})

    def open(self, leader_uid: str) -> Failure | None:
        """What is recorded of a failure of this leader's group that it has not got over."""
        return next((each for each in self.failures if each.leader_uid == leader_uid and not each.healed), None)

    def acted_upon(self, leader_uid: str) -> Records:
        """Once the leader of this UID was deleted: nobody waits for it any more."""
        found = {
            group: each.model_copy(update={"next_retry_time": ""}) if each.leader_uid == leader_uid else each
            for group, each in self.restarts.items()
        }
        return self if found == self.restarts else replace(self, restarts=found)

    @property
    def written_restarts(self) -> tuple[GroupRestarts, ...]:
        """Of the counts, those that the status has room for: the groups that wait, then those that failed most."""
        ranked = sorted(self.restarts.values(), key=lambda each: (not each.next_retry_time, -each.restarts, each.index))
        return tuple(sorted(ranked[:MOST_RESTARTS], key=lambda each: (len(each.index), each.index)))

    def waits(self, leader: Pod) -> bool:
        """Whether the group of this leader waits to be recreated, and so is not ready whatever its probes say."""
        entry = self.restarts.get(group_name(leader))
        return entry is not None and entry.leader_uid == leader.metadata.uid and bool(entry.next_retry_time)


NONE = Records()


def _with(failures: Sequence[Failure], failure: Failure) -> tuple[Failure, ...]:
    """The failures with one more, or with what became of one that its group had not got over."""
    uid = failure.leader_uid
    if any(each.leader_uid == uid and not each.healed for each in failures):
        return tuple(failure if each.leader_uid == uid and not each.healed else each for each in failures)
    return (failure, *failures)[:MOST_FAILURES]


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of looking for groups that are settled.

    Attributes:
        records: without them.
        ready_since: by group, since when it is known to be ready.
        again: in how many seconds the next one may be; None for never.
    """

    records: Records
    ready_since: Mapping[str, datetime] = field(default_factory=dict)
    again: float | None = None


def settle(snapshot: SetSnapshot, ready_since: Mapping[str, datetime], now: datetime) -> Settled:
    """Forget what is over: of groups that are ready for long, are new, are gone, or whose leader a person deleted.

    Args:
        snapshot: the set, with its records.
        ready_since: what came of the last look.
        now: the time.
    """
    records = snapshot.records
    if not records.restarts:
        return Settled(records)
    ending = [pod for pod in snapshot.leaders if pod.metadata.deleting]
    hashed = snapshot.lws.spec.hashed
    living = (
        tuple(filter(lives, snapshot.leaders)) if hashed else own_leaders(snapshot.leaders, snapshot.leader_statefulset)
    )
    leaders = {group_name(pod): pod for pod in (*ending, *living)}
    kept, since, again = {}, {}, []
    for group, entry in records.restarts.items():
        leader = leaders.get(group)
        left = _left(snapshot, entry, leader, now)
        if left is None:
            continue
        if leader is not None and _ready(snapshot, leader) and not left.next_retry_time:
            since[group] = max(ready_since.get(group, now), parsed(entry.time) or now)
            over = after(since[group], snapshot.policies.restart_backoff.reset_after)
            if over <= now:
                continue
            again.append((over - now).total_seconds())
        kept[group] = left
    if hashed:
        kept = _bounded(_passed_on(kept, living, records), leaders, snapshot.lws.spec.replicas)
    found = records if kept == records.restarts else replace(records, restarts=kept)
    return Settled(found, since, min(again, default=None))


def _passed_on(
    kept: Mapping[str, GroupRestarts], living: Iterable[Pod], records: Records
) -> Mapping[str, GroupRestarts]:
    """By key: counts of groups that are gone pass to leaders that came after, the highest first (as in next 5.7)."""
    leaders = sorted((pod for pod in living if not gated(pod)), key=lambda pod: (_created(pod), pod.metadata.name))
    names = {group_name(pod) for pod in leaders}
    unowned = sorted((kept[each] for each in kept if each not in names), key=lambda each: (-each.restarts, each.index))
    out = dict(kept)
    for pod in leaders:
        name = group_name(pod)
        fits = (each for each in unowned if _created(pod) >= each.time and _same(records, each, pod))
        found = None if name in out else next(fits, None)
        if found is not None:
            unowned.remove(found)
            del out[found.index]
            out[name] = found.model_copy(update={"index": name, "next_retry_time": ""})
    return out


def _created(pod: Pod) -> str:
    return pod.metadata.creation_timestamp or ""


def _same(records: Records, entry: GroupRestarts, pod: Pod) -> bool:
    """Whether a leader is of the revision that failed."""
    return _revision(records, entry) in ("", revision_key(pod))


def _bounded(kept: Mapping[str, GroupRestarts], leaders: Mapping[str, Pod], replicas: int) -> dict[str, GroupRestarts]:
    """Of the counts of groups that are gone, for their keys never come back, as many as there are places for groups."""
    gone = sorted((group for group in kept if group not in leaders), key=lambda group: -kept[group].restarts)
    return {group: entry for group, entry in kept.items() if group not in gone[replicas:]}


def _left(snapshot: SetSnapshot, entry: GroupRestarts, leader: Pod | None, now: datetime) -> GroupRestarts | None:
    """The count while nothing but time can settle it; None if it is over."""
    lws = snapshot.lws
    to_come = bool(entry.next_retry_time) and backoff.remaining(entry, now) > 0
    if leader is None:
        gone = to_come or not _wanted(lws, entry.index)
        return None if gone else entry
    meta = leader.metadata
    if meta.uid != entry.leader_uid:
        if to_come or _revision(snapshot.records, entry) not in ("", revision_key(leader)):
            return None
        noted = snapshot.records.open(meta.uid) is not None
        if meta.deleting and not noted and not _by_others(leader):
            return None
        return entry.model_copy(update={"next_retry_time": ""}) if entry.next_retry_time else entry
    if meta.deleting and to_come:
        return entry.model_copy(update={"next_retry_time": ""}) if _by_others(leader) else None
    if entry.next_retry_time and tolerates(lws):
        return None
    return entry


def _by_others(leader: Pod) -> bool:
    """Whether the end of this leader is a failure, and no person's will."""
    return leader.status.phase == "Failed" or culprit.disruption(leader) is not None


def _wanted(lws: LeaderWorkerSet, group: str) -> bool:
    return not group.isdecimal() or int(group) < lws.spec.replicas


def _revision(records: Records, entry: GroupRestarts) -> str:
    return next((each.revision for each in records.failures if each.leader_uid == entry.leader_uid), "")


def _ready(snapshot: SetSnapshot, leader: Pod) -> bool:
    size = size_of(leader, snapshot.lws, snapshot.revisions, snapshot.contents)
    workers = workers_of(leader, snapshot.statefulsets)
    return not leader.metadata.deleting and state_of(leader, size, workers, "").ready
