"""What this process remembers of the failures of sets, and of what their status was last made to say.

Guarantees:
    * What a status says is read once for each set, when this process first looks at it; from then on memory rules, and
      the pass over the set writes it (resilience 1.5).
    * A member of the status that the server pruned is remembered, and not written again for its own sake.
    * Memory is bounded by the sets that exist, and by the groups of them that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pydantic.alias_generators import to_camel

from lws.api.leaderworkerset.policies import Chosen, PolicySource, choose
from lws.api.leaderworkerset.status import RolloutStatus
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Plan, UpdateStatus
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Key
from lws.clock import Clock
from lws.planning.leaderworkerset.incidents import Incident
from lws.planning.leaderworkerset.records import NONE, Records, Settled
from lws.planning.leaderworkerset.sets import SetPlan
from lws.planning.leaderworkerset.statusnews import BEYOND

_BEYOND: Final = {to_camel(name) for name in BEYOND}


@dataclass(slots=True)
class _OfSet:
    """One set, by its UID: another of its name begins anew."""

    uid: str
    records: Records
    ready_since: Mapping[str, datetime] = field(default_factory=dict)
    unready_since: Mapping[int, datetime] = field(default_factory=dict)
    rollout: RolloutStatus | None = None
    changed_at: float | None = None  # when something was noted that no status tells yet
    told: JSON = field(default_factory=dict)  # what our last write of the status said beyond the reference


class SetRecords:
    """Remembers it.

    Args:
        clock: the time.
        source: what the policies file says.
        wake: has a set reconciled.
    """

    def __init__(
        self, clock: Clock, source: PolicySource | None = None, wake: Callable[[Key], None] = lambda _: None
    ) -> None:
        self._clock = clock
        self._source = source or PolicySource()
        self._wake = wake
        self._sets: dict[Key, _OfSet] = {}

    @property
    def clock(self) -> Clock:
        """What tells the time."""
        return self._clock

    def now(self) -> datetime:
        """The time."""
        return self._clock.now()

    def chosen(self, lws: LeaderWorkerSet) -> Chosen:
        """What holds for the set."""
        meta = lws.metadata
        return choose(self._source, meta.namespace, meta.labels, meta.annotations)

    def of(self, lws: LeaderWorkerSet) -> Records:
        """The failures of the set."""
        return self._of(lws).records

    def note(self, lws: LeaderWorkerSet, incident: Incident) -> None:
        """Remember one more, and have the set's status tell it."""
        self.put(lws, self._of(lws).records.noting(incident.failure, incident.entry))

    def acted_upon(self, lws: LeaderWorkerSet, leader_uid: str) -> None:
        """The leader of this UID was deleted."""
        self.put(lws, self._of(lws).records.acted_upon(leader_uid))

    def put(self, lws: LeaderWorkerSet, records: Records) -> None:
        """Remember these instead."""
        known = self._of(lws)
        if records == known.records:
            return
        known.records = records
        if known.changed_at is None:
            known.changed_at = self._clock.monotonic()
        self._wake(lws.metadata.key)

    def ready_since(self, lws: LeaderWorkerSet) -> Mapping[str, datetime]:
        """By group that failed, since when it is known to be ready."""
        return self._of(lws).ready_since

    def settle(self, lws: LeaderWorkerSet, settled: Settled) -> None:
        """Remember what came of looking for settled groups."""
        self._of(lws).ready_since = settled.ready_since
        self.put(lws, settled.records)

    def unready_since(self, lws: LeaderWorkerSet) -> Mapping[int, datetime]:
        """Since when groups are known to be not as wanted of which no object tells, by index."""
        return self._of(lws).unready_since

    def rollout(self, lws: LeaderWorkerSet) -> RolloutStatus | None:
        """What the rollout has to remember."""
        return self._of(lws).rollout

    def saw(self, lws: LeaderWorkerSet, planned: SetPlan) -> None:
        """Remember what came of looking at the groups and the rollout."""
        known = self._of(lws)
        known.unready_since, known.rollout = planned.seen.since, planned.rollout

    def news_age(self, lws: LeaderWorkerSet) -> float | None:
        """For how many seconds something is known that no status tells; None if all is told."""
        changed_at = self._of(lws).changed_at
        return None if changed_at is None else self._clock.monotonic() - changed_at

    def told(self, lws: LeaderWorkerSet) -> JSON:
        """What our last write of the status said beyond the reference."""
        return self._of(lws).told

    def wrote(self, lws: LeaderWorkerSet, plan: Plan, records: Records) -> None:
        """The status was written as the plan has it, which was made when these were the failures."""
        written = next((each for each in plan.actions if isinstance(each, UpdateStatus)), None)
        if written is not None:
            known = self._of(lws)
            if known.records == records:
                known.changed_at = None
            known.told = {name: value for name, value in written.status.items() if name in _BEYOND}

    def forget(self, key: Key) -> None:
        """The set is gone."""
        self._sets.pop(key, None)

    def __len__(self) -> int:
        """How many sets are remembered."""
        return len(self._sets)

    def _of(self, lws: LeaderWorkerSet) -> _OfSet:
        meta = lws.metadata
        known = self._sets.get(meta.key)
        if known is None or known.uid != meta.uid:
            status = lws.status
            records = NONE
            if status.failures or status.restarts:
                records = Records.read(status, self.chosen(lws).policies, self.now())
            known = self._sets[meta.key] = _OfSet(meta.uid, records, rollout=status.rollout)
        return known
