"""Reconciles LeaderWorkerSets: observe, plan, apply (spec 5.2)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import msgspec

from lws.api.leaderworkerset.objects import Deployment, StatefulSet
from lws.api.leaderworkerset.resources import PODGROUPS, WORKLOADS
from lws.apimachinery.actions import Applied, Apply, Delete, Plan
from lws.apimachinery.objects import Key
from lws.clock import Clock
from lws.errors import ApiError, ConflictError, TransportError
from lws.planning.leaderworkerset import prerequisites
from lws.planning.leaderworkerset.prerequisites import Problem
from lws.planning.leaderworkerset.records import settle
from lws.planning.leaderworkerset.sets import plan_refused, plan_set, plan_unprepared
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from lws.planning.leaderworkerset.statuspacing import PacedPlan
from lws.reconcilers.leaderworkerset.group import regarding
from lws.reconcilers.leaderworkerset.inquiries import Inquiries
from lws.reconcilers.leaderworkerset.moves import Places
from lws.reconcilers.leaderworkerset.observe import Observer
from lws.reconcilers.leaderworkerset.onebyone import OneByOne
from lws.reconcilers.leaderworkerset.parents import Parents
from lws.reconcilers.leaderworkerset.records import SetRecords
from lws.reconcilers.leaderworkerset.statuspace import StatusPace
from lws.runtime.controller import Done, RequeueAfter, Verdict
from lws.runtime.executor import Executor
from lws.runtime.outcomes import PASSING, FoundError, Outcome, sooner, verdict


class LeaderWorkerSetReconciler:
    """Brings one set's leader StatefulSet, Service, revisions and status to what they should be.

    After a start it remembers no apply, so for each set it looks once at the leader StatefulSet that the cache holds,
    and applies only if that would change something: a restart on a quiet cluster writes nothing and reads no set by
    itself, drift that came about meanwhile is mended.

    Args:
        observer: takes snapshots.
        executor: carries out plans.
        clock: stamps conditions.
        parents: finds the Workloads of parents.
        records: what is remembered of failures.
        places: which sets move groups.
        inquiries: asks the API server for what is to be told and no cache holds.
    """

    def __init__(
        self,
        observer: Observer,
        executor: Executor[Key],
        clock: Clock,
        places: Places,
        parents: Parents,
        records: SetRecords | None = None,
        inquiries: Inquiries | None = None,
    ) -> None:
        self._inquiries = inquiries
        self._parents = parents
        self._observer = observer
        self._records = SetRecords(clock) if records is None else records
        self._places = places
        self._executor = executor
        self._clock = clock
        self._applied: dict[Key, Applied] = {}
        self._pace = StatusPace()
        self._one_by_one = OneByOne()

    async def reconcile(self, key: Key) -> Verdict:
        """One pass over one set."""
        pacing = self._pace.of(key, self._clock.monotonic())
        snapshot = self._observer.of_set(key, self._applied.get(key), pacing)
        if snapshot is None:
            self._applied.pop(key, None)
            self._pace.forget(key)
            self._one_by_one.forget(key)
            self._records.forget(key)
            self._parents.forget(key)
            return Done()
        if snapshot.scheduling.supported and snapshot.scheduling.gangs is None:
            parent = await self._parents.of(snapshot.lws)
            snapshot = replace(snapshot, scheduling=replace(snapshot.scheduling, parent=parent))
        settled = settle(snapshot, self._records.ready_since(snapshot.lws), self._clock.now())
        self._records.settle(snapshot.lws, settled)
        news_age = self._records.news_age(snapshot.lws)
        since = self._records.unready_since(snapshot.lws)
        snapshot = replace(
            snapshot,
            records=settled.records,
            news_age=news_age,
            unready_since=since,
            one_by_one=self._one_by_one.believed(pacing.now),
        )
        snapshot = self._places.around(snapshot)
        try:
            return sooner(await self._pass(key, snapshot), settled.again)
        except FoundError as found:
            if snapshot.lws.spec.hashed:
                made = msgspec.convert(found.live, Deployment)
                return await self._pass(key, replace(snapshot, leader_deployment=made))
            live = msgspec.convert(found.live, StatefulSet)
            return await self._pass(key, replace(snapshot, leader_statefulset=live))

    async def _pass(self, key: Key, snapshot: SetSnapshot) -> Verdict:
        outcome = Outcome()
        planned = plan_set(snapshot, self._clock.now())
        if planned.seen.asked and self._inquiries is not None:
            await self._inquiries.ask(planned.seen.asked)
            return RequeueAfter(0.0)  # the world went on meanwhile
        plan = planned.plan
        self._records.saw(snapshot.lws, planned)
        self._places.planned(key, planned.moves)
        try:
            await self._run(key, snapshot, plan, outcome)
        except ApiError as error:
            if isinstance(outcome.failed, Apply) and not isinstance(error, ConflictError):
                await self._tell_refusal(key, snapshot, error)
            problem = _problem(outcome, error)
            if problem is not None:
                with suppress(ApiError, TransportError):
                    await self._run(key, snapshot, plan_unprepared(snapshot, self._clock.now(), problem), Outcome())
            raise
        self._places.done(planned.moves)
        owed = plan.owed if isinstance(plan, PacedPlan) else None
        return sooner(verdict(plan, outcome), self._one_by_one.noted(key, self._clock.monotonic(), owed=owed))

    async def _tell_refusal(self, key: Key, snapshot: SetSnapshot, error: ApiError) -> None:
        """Write the status all the same: groups come and go though the leader StatefulSet cannot be written (S7)."""
        plan = plan_refused(snapshot, self._clock.now(), str(error), final=error.status not in PASSING)
        with suppress(ApiError, TransportError):  # the error that is about to be raised has the key tried again
            await self._run(key, snapshot, plan, Outcome())

    async def _run(self, key: Key, snapshot: SetSnapshot, plan: Plan, outcome: Outcome) -> None:
        begun = self._clock.monotonic()
        try:
            await self._executor.run(key, plan, regarding(snapshot.lws), outcome)
        finally:
            if outcome.applied is not None:
                self._applied[key] = outcome.applied
            look = plan.look if isinstance(plan, PacedPlan) else None
            self._pace.looked(key, look, outcome, begun, self._clock.monotonic())
            if outcome.status_written:
                self._records.wrote(snapshot.lws, plan, snapshot.records)


def _problem(outcome: Outcome, error: ApiError) -> Problem | None:
    """What the failure of a pass says of typed scheduling, if it is about that."""
    resource = getattr(outcome.failed, "resource", None)
    kind = "" if resource is None else resource.kind
    if kind == WORKLOADS.kind:
        return Problem(prerequisites.WORKLOAD_FAILED, str(error))
    if kind != PODGROUPS.kind:
        return None
    cleanup = isinstance(outcome.failed, Delete)
    return Problem(prerequisites.CLEANUP_BLOCKED if cleanup else prerequisites.POD_GROUP_FAILED, str(error))
