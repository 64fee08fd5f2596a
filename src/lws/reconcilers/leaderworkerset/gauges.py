"""What is exported of each LeaderWorkerSet, read off the caches when scraped (operations 4).

Guarantees:
    * Every replica exports its own caches, whether it leads or not, and nothing before they are synced: series outlive
      a change of leader and an API server that does not answer.
    * Of a set at rest there are seven series. Beyond these there is one for each reason why groups are not ready (at
      most 8), three for each extended resource that its pods ask for (at most 12), and up to five for a set that is in
      trouble. None of their labels grows with groups, pods or nodes.
    * The samples of one set are of one moment; between two sets others have their turns.
    * A set that is gone leaves no series behind, and what is remembered of it goes with the next scrape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import Key
from lws.clock import Clock
from lws.planning.leaderworkerset import accelerators
from lws.planning.leaderworkerset.accelerators import Amounts
from lws.planning.leaderworkerset.census import Census, take_census
from lws.planning.leaderworkerset.groups import marked
from lws.planning.leaderworkerset.nodes import node_lost
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from lws.reconcilers.leaderworkerset.caches import BY_GROUP, BY_SET, LEADERS_BY_SET, Caches, by_group
from lws.telemetry.metrics import MetricDescription, MetricsRegistry, Sample

ONE: Final = ("namespace", "name")
DESIRED: Final = "lws_groups_desired"
READY: Final = "lws_groups_ready"
UPDATED: Final = "lws_groups_updated"
NOT_READY: Final = "lws_groups_not_ready"
NOT_READY_SINCE: Final = "lws_set_not_ready_since_timestamp_seconds"
BLOCKED: Final = "lws_blocked"
PROGRESS: Final = "lws_rollout_progress_ratio"
LAST_PROGRESS: Final = "lws_rollout_last_progress_timestamp_seconds"
ACCELERATORS: Final = "lws_accelerators"
BACKOFF: Final = "lws_group_restart_backoff"
FAILED: Final = "lws_groups_failed"
STALLED: Final = "lws_rollout_stalled"

FAMILIES: Final = (
    MetricDescription(DESIRED, "gauge", ONE, "Groups that the spec asks for."),
    MetricDescription(READY, "gauge", ONE, "Wanted groups whose pods are all ready."),
    MetricDescription(UPDATED, "gauge", ONE, "Ready groups of the current revision."),
    MetricDescription(NOT_READY, "gauge", (*ONE, "reason"), "Wanted groups that are not ready, by reason."),
    MetricDescription(
        NOT_READY_SINCE, "gauge", ONE, "Since when a wanted group has not been ready, in Unix time; 0 if all are."
    ),
    MetricDescription(
        BLOCKED, "gauge", ONE, "1 while the condition Blocked of a set is True, which says what stands in its way."
    ),
    MetricDescription(PROGRESS, "gauge", ONE, "Updated groups by desired ones."),
    MetricDescription(
        LAST_PROGRESS, "gauge", ONE, "When the rolling update in progress moved last, in Unix time; 0 without one."
    ),
    MetricDescription(
        ACCELERATORS,
        "gauge",
        (*ONE, "resource", "state"),
        "Extended resources, such as GPUs: desired, ready, or held by groups that are not ready.",
    ),
    MetricDescription(BACKOFF, "gauge", ONE, "Groups that failed again and wait to be recreated; absent without one."),
    MetricDescription(FAILED, "gauge", ONE, "Groups that have exhausted their restart budget; absent without one."),
    MetricDescription(
        STALLED, "gauge", ONE, "1 while a rollout makes no progress within its deadline; absent otherwise."
    ),
)


class SetGauges:
    """Takes a census of every set at each scrape; see the module for its guarantees."""

    def __init__(self, metrics: MetricsRegistry, caches: Caches, clock: Clock) -> None:
        self._caches = caches
        self._clock = clock
        self._contents = Contents()
        self._per_group: dict[Key, tuple[str, int, Amounts]] = {}  # by the set's UID and generation
        self._first_seen: dict[Key, Mapping[int, float]] = {}  # groups of which the API does not tell since when
        metrics.sampled(FAMILIES, self._collect)

    def _collect(self) -> Iterator[Sample]:
        caches = self._caches
        if not (caches.sets.synced and caches.statefulsets.synced and caches.pods.synced):
            return
        live = [each.metadata.key for each in caches.sets.store]
        self._forget(frozenset(live))
        for key in live:
            lws = caches.sets.store.get(*key)  # as it is when its turn comes
            if lws is not None and not lws.metadata.deleting:
                yield from self._samples(lws)

    def _samples(self, lws: LeaderWorkerSet) -> Iterator[Sample]:
        key = lws.metadata.key
        snapshot = self._snapshot(lws)
        census = take_census(snapshot, self._members, self._of_group(lws), self._lost)
        yield DESIRED, key, census.desired
        yield READY, key, census.ready
        yield UPDATED, key, census.updated
        for reason, count in census.reasons.items():
            yield NOT_READY, (*key, reason), count
        yield NOT_READY_SINCE, key, self._since(key, census)
        yield BLOCKED, key, float(census.blocked)
        yield PROGRESS, key, census.updated / census.desired if census.desired else 1.0
        yield LAST_PROGRESS, key, _unix(census.rollout_progress)
        waiting = sum(1 for each in lws.status.restarts if each.next_retry_time)
        exhausted = sum(1 for leader in snapshot.leaders if marked(leader))
        stalled = any(each.type == "Stalled" and each.status == "True" for each in lws.status.conditions)
        for name, value in ((BACKOFF, waiting), (FAILED, exhausted), (STALLED, int(stalled))):
            if value:
                yield name, key, value
        for resource in accelerators.first([*census.requested, *census.serving, *census.held]):
            yield ACCELERATORS, (*key, resource, "desired"), census.requested.get(resource, 0.0)
            yield ACCELERATORS, (*key, resource, "ready"), census.serving.get(resource, 0.0)
            yield ACCELERATORS, (*key, resource, "held"), census.held.get(resource, 0.0)

    def _since(self, key: Key, census: Census) -> float:
        """The earliest of what the API tells, and of when this process first saw the others."""
        seen = self._first_seen.pop(key, {})
        if not census.reasons:
            return 0.0
        now = self._clock.now().timestamp()
        unknown = {index: seen.get(index, now) for index in census.unknown}
        if unknown:
            self._first_seen[key] = unknown
        told = [_unix(census.not_ready_since)] if census.not_ready_since else []
        return min([*told, *unknown.values()], default=now)

    def _snapshot(self, lws: LeaderWorkerSet) -> SetSnapshot:
        caches, (namespace, name) = self._caches, lws.metadata.key
        where = f"{namespace}/{name}"
        statefulsets = caches.statefulsets.store.by_index(BY_SET, where)
        return SetSnapshot(
            lws=lws,
            leader_statefulset=caches.statefulsets.store.get(namespace, name),
            leader_deployment=caches.deployments.store.get(namespace, name),
            statefulsets={each.metadata.name: each for each in statefulsets},
            leaders=tuple(caches.pods.store.by_index(LEADERS_BY_SET, where)),
            revisions=tuple(caches.revisions.store.by_index(BY_SET, where)),
            contents=self._contents,
        )

    def _lost(self, name: str) -> bool:
        nodes = self._caches.nodes
        return nodes.synced and node_lost(nodes.store.get("", name), self._clock.now())

    def _members(self, leader: Pod) -> list[Pod]:
        return self._caches.pods.store.by_index(BY_GROUP, by_group(leader))

    def _of_group(self, lws: LeaderWorkerSet) -> Amounts:
        meta = lws.metadata
        known = self._per_group.get(meta.key)
        if known is None or known[:2] != (meta.uid, meta.generation):
            known = self._per_group[meta.key] = (meta.uid, meta.generation, accelerators.of_group(lws))
        return known[2]

    def _forget(self, live: frozenset[Key]) -> None:
        for key in self._per_group.keys() - live:
            del self._per_group[key]
            self._first_seen.pop(key, None)
            self._contents.forget(*key)


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0
