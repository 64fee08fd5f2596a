"""What is exported of each DisaggregatedSet, read off the caches when scraped (operations 4, DD-38).

Guarantees:
    * Every replica exports its own caches, whether it leads or not, and nothing before they are synced.
    * Of a set there are two series for each role and four more, whatever its slices, revisions and groups.
    * A set that is gone leaves no series behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from lws.planning.disaggregatedset.census import take_census
from lws.planning.disaggregatedset.snapshots import Snapshot
from lws.reconcilers.disaggregatedset.observe import Caches, Observer
from lws.telemetry.metrics import MetricDescription, MetricsRegistry, Sample

ONE: Final = ("namespace", "name")
DESIRED: Final = "lws_disaggregatedset_groups_desired"
READY: Final = "lws_disaggregatedset_groups_ready"
BLOCKED: Final = "lws_disaggregatedset_blocked"
PROGRESS: Final = "lws_disaggregatedset_rollout_progress_ratio"
AWAITED: Final = "lws_disaggregatedset_rollout_awaited_groups"
LAST_PROGRESS: Final = "lws_disaggregatedset_rollout_last_progress_timestamp_seconds"

FAMILIES: Final = (
    MetricDescription(
        DESIRED, "gauge", (*ONE, "role"), "Groups that a role is to have in all slices; none while no scaler tells."
    ),
    MetricDescription(READY, "gauge", (*ONE, "role"), "Ready groups of a role, of every slice and revision."),
    MetricDescription(
        BLOCKED, "gauge", ONE, "1 while the condition Blocked of a DisaggregatedSet is True, which says why."
    ),
    MetricDescription(PROGRESS, "gauge", ONE, "Ready groups of the current revision by desired ones, of all roles."),
    MetricDescription(
        AWAITED, "gauge", ONE, "New groups that are not ready, for which the rollout in progress waits; 0 without one."
    ),
    MetricDescription(
        LAST_PROGRESS, "gauge", ONE, "When the rollout in progress moved last, in Unix time; 0 without one."
    ),
)


class DisaggregatedSetMetrics:
    """Takes a census of every set at each scrape; see the module for its guarantees."""

    def __init__(self, metrics: MetricsRegistry, caches: Caches) -> None:
        self._caches = caches
        self._observer = Observer(caches)
        metrics.sampled(FAMILIES, self._collect)

    def _collect(self) -> Iterator[Sample]:
        caches = self._caches
        if not (caches.sets.synced and caches.children.synced and caches.scalers.synced):
            return
        live = [each.metadata.key for each in caches.sets.store]
        self._observer.keep_only(set(live))
        for key in live:
            ds = caches.sets.store.get(*key)  # as it is when its turn comes
            snapshot = None if ds is None or ds.metadata.deleting else self._observer.of(key)
            if snapshot is not None:
                yield from _samples(snapshot)


def _samples(snapshot: Snapshot) -> Iterator[Sample]:
    key, census = snapshot.ds.metadata.key, take_census(snapshot)
    for role, count in census.desired.items():
        yield DESIRED, (*key, role), count
    for role, count in census.ready.items():
        yield READY, (*key, role), count
    yield BLOCKED, key, float(census.blocked)
    yield PROGRESS, key, census.progress
    yield AWAITED, key, census.awaited
    yield LAST_PROGRESS, key, _unix(census.last_progress)


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0
