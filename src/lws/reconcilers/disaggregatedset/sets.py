"""Reconciles DisaggregatedSets: observe, plan, apply (disaggregatedset 5.2)."""

from __future__ import annotations

from collections.abc import Sequence

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.apimachinery.actions import FOREIGN_RECHECK, Plan
from lws.apimachinery.objects import Key
from lws.clock import Clock
from lws.errors import ApiError, ConflictError, LwsError, StaleError, TerminalError, TransportError
from lws.planning.disaggregatedset import problems, sets, status
from lws.planning.disaggregatedset.problems import Problem
from lws.planning.disaggregatedset.sets import Part
from lws.planning.disaggregatedset.snapshots import Snapshot
from lws.reconcilers.disaggregatedset.observe import Observer
from lws.runtime.controller import Done, RequeueAfter, Verdict
from lws.runtime.events import ObjectRef
from lws.runtime.executor import Executor
from lws.runtime.outcomes import PlanError


class DisaggregatedSetReconciler:
    """Brings one set's LeaderWorkerSets, Services, scalers and status to what they should be.

    A slice whose pass fails stops no other, and the status is told in any case; the failures are raised together.

    Args:
        observer: takes snapshots.
        executor: carries out plans.
        clock: stamps conditions.
    """

    def __init__(self, observer: Observer, executor: Executor[Key], clock: Clock) -> None:
        self._observer = observer
        self._executor = executor
        self._clock = clock

    async def reconcile(self, key: Key) -> Verdict:
        """One pass over one set."""
        snapshot = self._observer.of(key)
        if snapshot is None or snapshot.ds.metadata.deleting:
            return Done()
        run = _Pass(self._executor, key, snapshot)
        now = self._clock.now()
        if snapshot.fault:
            await run.carry_out([Part(status.unreadable(snapshot, snapshot.fault, now))])
            raise TerminalError(snapshot.fault)
        planned = sets.plan(snapshot, now)
        await run.carry_out(planned.parts)
        await run.carry_out(sets.describe(snapshot, planned, run.refused, now))
        run.raise_failures()
        conflicts = [each.message for each in planned.problems if each.reason == problems.NAME_CONFLICT]
        if conflicts:
            raise TerminalError("; ".join(conflicts))
        return RequeueAfter(FOREIGN_RECHECK) if run.name_taken else Done()


class _Pass:
    """The parts of one pass being carried out."""

    def __init__(self, executor: Executor[Key], key: Key, snapshot: Snapshot) -> None:
        self.refused: list[Problem] = []
        self.name_taken = False
        self._executor = executor
        self._key = key
        self._regarding = ObjectRef.to(DISAGGREGATEDSETS, snapshot.ds.metadata)
        self._failures: list[tuple[str, LwsError]] = []

    async def carry_out(self, parts: Sequence[Part]) -> None:
        """Run the parts in order, each to its first failure."""
        for part in parts:
            if not await self._carry_out(part) and part.decisive:
                return

    async def _carry_out(self, part: Part) -> bool:
        for action in part.actions:
            try:
                outcome = await self._executor.run(self._key, Plan((action,)), self._regarding)
            except (ApiError, StaleError, TransportError) as error:
                self._failures.append((f"{part.name}{problems.attempted(action)}", error))
                problem = None
                if isinstance(error, ApiError) and not isinstance(error, ConflictError):
                    problem = problems.refused(action, str(error))
                if problem is not None and problem.event is not None:
                    self.refused.append(problem)
                    await self._executor.run(self._key, Plan((problem.event,)), self._regarding)
                return False
            self.name_taken |= outcome.name_taken
        return True

    def raise_failures(self) -> None:
        """Raise what went wrong: a single failure as it is, several as one."""
        if not self._failures:
            return
        serious = [each for each in self._failures if not isinstance(each[1], ConflictError | StaleError)]
        if len(self._failures) == 1 or not serious:
            where, error = self._failures[0]
            error.add_note(where)
            raise error
        raise PlanError("; ".join(f"{where}: {error}" for where, error in serious))
