"""Restart counts of groups known by a key: a replacement has a new index, so counts move to it (next 5.6, 5.7).

An entry is owned while a leader with its index lives, or has exhausted its budget. One that is not belongs to a group
that is gone and whose replacement is still to come, or never will.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lws.api.leaderworkerset import labels, restartcounts
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Action, Patch
from lws.planning.leaderworkerset import events, restartbudget
from lws.planning.leaderworkerset.groups import gated, lives, marked, revision_key
from lws.planning.leaderworkerset.restartbudget import entry_of
from lws.planning.leaderworkerset.rollout import Budget


@dataclass(frozen=True, slots=True)
class Places:
    """The leaders of one revision: admitted, gated, and those whose budget is exhausted."""

    admitted: int
    gated: int
    exhausted: tuple[Pod, ...]

    @classmethod
    def of(cls, leaders: Iterable[Pod], key: str) -> Places:
        """Count them; the exhausted ones with the oldest first."""
        own = [pod for pod in leaders if revision_key(pod) == key]
        ended = sorted((pod for pod in own if marked(pod)), key=_age)
        live = [pod for pod in own if lives(pod) and not marked(pod)]
        waiting = sum(map(gated, live))
        return cls(len(live) - waiting, waiting, tuple(ended))

    @property
    def taken(self) -> int:
        """Places of the set that somebody has."""
        return self.admitted + len(self.exhausted)

    @property
    def pending(self) -> int:
        """Gated leaders that replace no exhausted one."""
        return max(0, self.gated - len(self.exhausted))


def surplus(lws: LeaderWorkerSet, leader: Pod, leaders: Iterable[Pod]) -> bool:
    """Whether a scale-down leaves no place for this exhausted leader: the oldest are kept (next 5.6)."""
    places = Places.of(leaders, revision_key(leader))
    kept = max(0, lws.spec.replicas - places.admitted - places.pending)
    return leader.metadata.uid in {pod.metadata.uid for pod in places.exhausted[kept:]}


def claim(lws: LeaderWorkerSet, leader: Pod, leaders: Sequence[Pod]) -> tuple[Patch, ...]:
    """Have a leader that is admitted take over the highest unowned count of its revision (next 5.7).

    Counts that cannot be read are left alone: no group is recreated until they can be.
    """
    if lws.spec.leader_worker_template.max_group_restarts is None:
        return ()
    try:
        counts = restartbudget.counts_of(lws)
    except ValueError:
        return ()
    entry = entry_of(leader)
    unowned = _unowned(counts, leaders, revision_key(leader))
    if entry in counts or not unowned:
        return ()
    moved = {**{each: count for each, count in counts.items() if each != unowned[0]}, entry: counts[unowned[0]]}
    return (restartbudget.stored(lws, moved, restartcounts.charged(lws.metadata)),)


def prune(lws: LeaderWorkerSet, leaders: Sequence[Pod], key: str, *, done: bool) -> tuple[Action, ...]:
    """Keep as many unowned counts as there are places for replacements, the highest; after an update only its own.

    Args:
        lws: the set.
        leaders: every leader pod of it.
        key: the current revision.
        done: whether the update to it is done.
    """
    if lws.metadata.annotation(labels.GROUP_RESTART_COUNTS) is None:
        return ()
    try:
        counts = restartbudget.counts_of(lws)
    except ValueError as error:
        return (events.invalid_restart_counts(lws, str(error)),)
    places, budget = Places.of(leaders, key), Budget.of(lws)
    limit = max(budget.replicas, min(budget.burst, places.taken + places.pending))
    gone = _unowned(counts, leaders, key)[max(0, limit - places.taken) :]
    if done:
        gone += [entry for entry in counts if restartcounts.parts_of(entry)[0] != key]
    return restartbudget.without(lws, gone)


def _unowned(counts: Mapping[str, int], leaders: Iterable[Pod], key: str) -> list[str]:
    """Unowned entries of a revision, the highest count first."""
    owned = {entry_of(pod) for pod in leaders if lives(pod) or marked(pod)}
    found = [each for each in counts if restartcounts.parts_of(each)[0] == key and each not in owned]
    return sorted(found, key=lambda each: (-counts[each], each))


def _age(pod: Pod) -> tuple[str, str]:
    return pod.metadata.creation_timestamp or "", pod.metadata.name
