"""Reconciles LeaderWorkerSets: observe, plan, apply (spec 5.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import msgspec

from lws.api.leaderworkerset.objects import StatefulSet
from lws.apimachinery.actions import Applied, Plan
from lws.apimachinery.objects import Key
from lws.clock import Clock
from lws.planning.leaderworkerset.sets import plan_leaderworkerset
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from lws.reconcilers.leaderworkerset.group import regarding
from lws.reconcilers.leaderworkerset.observe import Observer
from lws.runtime.controller import Done, Verdict
from lws.runtime.executor import Executor
from lws.runtime.outcomes import FoundError, verdict


class SetListener(Protocol):
    """Hears how sets are doing, for metrics."""

    def planned(self, key: Key, plan: Plan) -> None:
        """A pass over this set was planned; ``plan.facts`` has its numbers."""
        ...

    def gone(self, key: Key) -> None:
        """The set is gone."""
        ...


class LeaderWorkerSetReconciler:
    """Brings one set's leader StatefulSet, Service, revisions and status to what they should be.

    After a start it remembers no apply, so for each set it reads the leader StatefulSet once and applies only if that
    would change something: a restart on a quiet cluster writes nothing, drift that came about meanwhile is mended.

    Args:
        observer: takes snapshots.
        executor: carries out plans.
        clock: stamps conditions.
        listener: hears how sets are doing.
    """

    def __init__(
        self, observer: Observer, executor: Executor[Key], clock: Clock, listener: SetListener | None = None
    ) -> None:
        self._observer = observer
        self._executor = executor
        self._clock = clock
        self._listener = listener
        self._applied: dict[Key, Applied] = {}
        self._status_written: dict[Key, float] = {}  # when the status was last written, by the monotonic clock

    async def reconcile(self, key: Key) -> Verdict:
        """One pass over one set."""
        written = self._status_written.get(key)
        age = None if written is None else self._clock.monotonic() - written
        snapshot = self._observer.of_set(key, self._applied.get(key), age)
        if snapshot is None:
            self._applied.pop(key, None)
            self._status_written.pop(key, None)
            if self._listener is not None:
                self._listener.gone(key)
            return Done()
        try:
            return await self._pass(key, snapshot)
        except FoundError as found:
            live = msgspec.convert(found.live, StatefulSet)
            return await self._pass(key, replace(snapshot, leader_statefulset=live))

    async def _pass(self, key: Key, snapshot: SetSnapshot) -> Verdict:
        plan = plan_leaderworkerset(snapshot, self._clock.now())
        if self._listener is not None:
            self._listener.planned(key, plan)
        outcome = await self._executor.run(key, plan, regarding(snapshot.lws))
        if outcome.applied is not None:
            self._applied[key] = outcome.applied
        if outcome.status_written:
            self._status_written[key] = self._clock.monotonic()
        return verdict(plan, outcome)
