"""Reconciles leader pods: observe, plan, apply (spec 5.5)."""

from __future__ import annotations

from collections.abc import Callable

from lws.api.leaderworkerset import labels
from lws.apimachinery.actions import Create
from lws.apimachinery.objects import Key
from lws.errors import ApiError
from lws.planning.leaderworkerset.leader_pod import GroupPlan, plan_leader_pod
from lws.planning.leaderworkerset.podgroup import SchedulerProvider
from lws.planning.leaderworkerset.snapshots import GroupSnapshot
from lws.reconcilers.leaderworkerset.group import Shared, carry_out
from lws.reconcilers.leaderworkerset.observe import Observer
from lws.runtime.controller import Done, Verdict
from lws.runtime.executor import Executor
from lws.runtime.outcomes import PASSING, Outcome


class LeaderPodReconciler:
    """Gives each group its Service, PodGroup and worker StatefulSet, or takes it down when it has failed.

    Args:
        observer: takes snapshots.
        executor: carries out plans.
        shared: what is remembered, shared with the reconciler of workers.
        provider: the gang scheduler, if there is one.
        wake_set: has a set reconciled: whether its groups can have their PodGroups is told in its status (CD-44).
    """

    def __init__(
        self,
        observer: Observer,
        executor: Executor[Key],
        shared: Shared,
        provider: SchedulerProvider | None = None,
        wake_set: Callable[[Key], None] = lambda _: None,
    ) -> None:
        self._observer = observer
        self._executor = executor
        self._shared = shared
        self._provider = provider
        self._wake_set = wake_set

    async def reconcile(self, key: Key) -> Verdict:
        """One pass over one leader pod."""
        pod = self._observer.pod(key)
        if pod is None:
            self._shared.memory.forget(key)
            return Done()
        set_name = pod.metadata.label(labels.NAME)

        def look() -> tuple[GroupSnapshot, GroupPlan]:
            snapshot = self._observer.of_group(key, set_name)
            return snapshot, plan_leader_pod(snapshot, self._provider)

        outcome, refusal = Outcome(), ""
        try:
            return await carry_out(key, key, look, self._executor, self._shared, outcome)
        except ApiError as error:
            refusal = self._refusal(outcome, error)
            raise
        finally:
            if self._shared.memory.note_refusal(key, refusal):
                self._wake_set((key[0], set_name))

    def _refusal(self, outcome: Outcome, error: ApiError) -> str:
        """The server's words if it refused the PodGroup, and not just for now."""
        failed, provider = outcome.failed, self._provider
        if provider is None or error.status in PASSING or not isinstance(failed, Create):
            return ""
        return str(error) if failed.resource == provider.resource else ""
