"""How long groups take to become ready, and rolling updates to end: observed by the replica that leads, once each.

Guarantees: nothing is kept of a group once it was ready or is gone; what was there before this process is not counted
as new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod, StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import Condition, Key
from lws.clock import Clock
from lws.planning.leaderworkerset.conditions import UPDATE_IN_PROGRESS
from lws.planning.leaderworkerset.groups import is_hashed, pod_ready
from lws.reconcilers.leaderworkerset.caches import Caches
from lws.telemetry.metrics import MetricsRegistry

ROLLOUT_BUCKETS: Final = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A group that is not ready yet."""

    uid: str
    created: str


class Durations:
    """Listens to the caches; see the module for its guarantees.

    Args:
        metrics: where to observe.
        caches: what is listened to.
        clock: the time of day.
        counting: whether this process is the one that counts, for it leads.
        became_ready: told of each group that has just become ready: its set, and its leader's name.
    """

    def __init__(
        self,
        metrics: MetricsRegistry,
        caches: Caches,
        clock: Clock,
        counting: Callable[[], bool],
        became_ready: Callable[[Key, str], None],
    ) -> None:
        self._group_ready_seconds = metrics.histogram(
            "lws_group_ready_seconds",
            "From the creation of a group's leader pod until the group was ready.",
            buckets=ROLLOUT_BUCKETS,
        )
        self._rollout_seconds = metrics.histogram(
            "lws_rollout_duration_seconds", "From the start of a rolling update to its end.", buckets=ROLLOUT_BUCKETS
        )
        self._caches = caches
        self._clock = clock
        self._counting = counting
        self._became_ready = became_ready
        self._pending: dict[Key, _Pending] = {}  # by leader pod
        caches.sets.on_change(self._set_changed)
        caches.pods.on_change(self._pod_changed)
        caches.statefulsets.on_change(self._statefulset_changed)

    def _set_changed(self, old: LeaderWorkerSet | None, new: LeaderWorkerSet | None, _initial: bool) -> None:
        began, ended = _updating(old), _updating(new)
        if began is not None and new is not None and ended is None and began.last_transition_time and self._counting():
            self._rollout_seconds.observe(self._since(began.last_transition_time))

    def _pod_changed(self, old: Pod | None, new: Pod | None, initial: bool) -> None:
        pod = new or old
        assert pod is not None
        meta = pod.metadata
        if meta.label(labels.WORKER_INDEX) != labels.LEADER_INDEX:
            return
        if new is None:
            self._pending.pop(meta.key, None)
            return
        if (old is None or old.metadata.uid != meta.uid) and not initial and meta.creation_timestamp:
            self._pending[meta.key] = _Pending(meta.uid, meta.creation_timestamp)
        self._look(meta.key)

    def _statefulset_changed(self, _old: StatefulSet | None, new: StatefulSet | None, _initial: bool) -> None:
        owner = None if new is None else new.metadata.controller
        if new is not None and owner is not None and new.metadata.label(labels.GROUP_INDEX):
            self._look((new.metadata.namespace, owner.name))

    def _look(self, leader: Key) -> None:
        """Count a group that has just become ready."""
        pending = self._pending.get(leader)
        if pending is None:
            return
        pod = self._caches.pods.store.get(*leader)
        if pod is None or pod.metadata.uid != pending.uid or not pod_ready(pod):
            return
        alone = is_hashed(pod) or pod.metadata.annotation(labels.SIZE) in (None, "1")  # by key it is ready with them
        if not alone and not self._workers_ready(leader, pending.uid):
            return
        del self._pending[leader]
        if self._counting():
            self._group_ready_seconds.observe(self._since(pending.created))
            self._became_ready((leader[0], pod.metadata.label(labels.NAME)), leader[1])

    def _workers_ready(self, leader: Key, uid: str) -> bool:
        workers = self._caches.statefulsets.store.get(*leader)
        if workers is None:
            return False
        owner = workers.metadata.controller
        wanted = 1 if workers.spec.replicas is None else workers.spec.replicas
        return owner is not None and owner.uid == uid and workers.status.ready_replicas >= wanted

    def _since(self, timestamp: str) -> float:
        return max(0.0, (self._clock.now() - datetime.fromisoformat(timestamp)).total_seconds())


def _updating(lws: LeaderWorkerSet | None) -> Condition | None:
    conditions = lws.status.conditions if lws is not None else ()
    return next((each for each in conditions if each.type == UPDATE_IN_PROGRESS and each.status == "True"), None)
