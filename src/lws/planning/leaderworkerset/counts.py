"""The groups of a LeaderWorkerSet, counted for its status and conditions (spec 8.1, 8.2, 8.4, CD-06, CD-30)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from lws.api.leaderworkerset.objects import ControllerRevision, Pod, StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.planning.leaderworkerset.conditions import AVAILABLE, PROGRESSING, UPDATE_IN_PROGRESS
from lws.planning.leaderworkerset.groups import group_index, marked, revision_key, size_of, state_of
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.rollout import Budget


@dataclass(frozen=True, slots=True)
class Counts:
    """One pass over the leader pods (spec 8.1, CD-30).

    ``ready`` and ``updated`` are the counters of the status. The others decide the conditions and look at wanted
    groups only: ``current`` at those the user's partition lets go, of which ``moved`` are updated and ``done`` ready
    too; ``serving`` at all that are ready, of which ``renewed`` are updated too, and that have not exhausted their
    restart budget. ``exhausted`` are those that have, surge included, and ``stopped`` the wanted ones of them
    (next 5.4).
    """

    ready: int = 0
    updated: int = 0
    current: int = 0
    moved: int = 0
    done: int = 0
    serving: int = 0
    renewed: int = 0
    exhausted: int = 0
    stopped: int = 0

    def with_exhausted(self, indices: Sequence[int], budget: Budget) -> Counts:
        """The counts, with the groups of these indices told apart (next 5.4)."""
        if not indices:
            return self
        return replace(self, exhausted=len(indices), stopped=sum(index < budget.replicas for index in indices))

    def capped(self, replicas: int) -> Counts:
        """The counts with no more groups than are wanted: an extra one stands in for one that is moved."""
        return replace(self, ready=min(self.ready, replicas), updated=min(self.updated, replicas))

    def wanted_conditions(self, replicas: int) -> tuple[str, ...]:
        """Condition types to be True (spec 8.2, next 5.4)."""
        if self.moved < self.current:
            return (UPDATE_IN_PROGRESS, PROGRESSING)
        if self.serving == replicas and self.done == self.current:
            return (AVAILABLE,)
        if self.exhausted and self.serving + self.stopped >= replicas:
            return ()
        return (PROGRESSING,)

    def halted_conditions(self, replicas: int) -> tuple[str, ...]:
        """Condition types to be False for a reason of their own: automatic recovery has stopped (next 5.4)."""
        wanted = self.wanted_conditions(replicas)
        if not self.exhausted or UPDATE_IN_PROGRESS in wanted or AVAILABLE in wanted:
            return ()
        return tuple(kind for kind in (AVAILABLE, PROGRESSING, UPDATE_IN_PROGRESS) if kind not in wanted)

    def update_done(self, budget: Budget) -> bool:
        """Whether every wanted group is updated and ready, and none is held back (spec 8.4)."""
        return budget.partition == 0 and self.done == budget.replicas


def count(
    lws: LeaderWorkerSet,
    budget: Budget,
    key: str,
    leaders: Sequence[Pod],
    statefulsets: Mapping[str, StatefulSet],
    revisions: Sequence[ControllerRevision],
    contents: Contents | None = None,
    waiting: Collection[str] = (),
) -> Counts:
    """Count the groups of these leaders (`lws.planning.leaderworkerset.groups.own_leaders`), surge included.

    A group whose worker StatefulSet is missing is left out of the counters; for the conditions it is there, unready,
    and updated if its leader is (CD-06). Groups whose leaders are ``waiting`` to be recreated are not ready, whatever
    their probes say (resilience 3.2).
    """
    ready = updated = current = moved = done = serving = renewed = 0
    for leader in leaders:
        index = group_index(leader, lws.metadata.name)
        if index is None:
            continue
        size = size_of(leader, lws, revisions, contents)
        state = state_of(leader, size, statefulsets.get(leader.metadata.name), key)
        if leader.metadata.name in waiting:
            state = replace(state, ready=False)
        is_updated = state.updated if state.present else revision_key(leader) == key
        ready += state.ready
        updated += state.updated
        if index < budget.replicas:
            serving += state.ready and not marked(leader)
            renewed += state.good and not marked(leader)
            if index >= budget.partition:
                current += 1
                moved += is_updated
                done += is_updated and state.ready
    return Counts(ready, updated, current, moved, done, serving, renewed)
