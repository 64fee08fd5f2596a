"""Reconciles worker pods, gone ones included: observe, plan, apply (spec 5.5, 9, CD-01)."""

from __future__ import annotations

from lws.api.leaderworkerset import labels
from lws.apimachinery.objects import Key
from lws.planning.leaderworkerset.leader_pod import GroupPlan
from lws.planning.leaderworkerset.snapshots import GroupSnapshot
from lws.planning.leaderworkerset.worker_pod import plan_worker_pod
from lws.reconcilers.leaderworkerset.group import Shared, carry_out
from lws.reconcilers.leaderworkerset.observe import Observer
from lws.runtime.controller import Done, Verdict
from lws.runtime.executor import Executor


class WorkerPodReconciler:
    """Judges what the failure or end of a worker pod means for its group.

    Args:
        observer: takes snapshots.
        executor: carries out plans.
        shared: what is remembered, shared with the reconciler of leaders.
    """

    def __init__(self, observer: Observer, executor: Executor[Key], shared: Shared) -> None:
        self._observer = observer
        self._executor = executor
        self._shared = shared

    async def reconcile(self, key: Key) -> Verdict:
        """One pass over one worker pod; one that is gone is known by the name it had."""
        name = key[1]
        pod = self._observer.pod(key)
        leader_key = self._observer.leader_of(key)
        witness = pod or self._observer.pod(leader_key)
        if witness is None:
            return Done()
        set_name = witness.metadata.label(labels.NAME)

        def look() -> tuple[GroupSnapshot, GroupPlan]:
            snapshot = self._observer.of_group(leader_key, set_name)
            return snapshot, plan_worker_pod(snapshot, name, self._observer.pod(key))

        return await carry_out(key, leader_key, look, self._executor, self._shared)
