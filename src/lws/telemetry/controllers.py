"""What controllers and their queues count, under the names that controller-runtime and client-go give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from lws.telemetry.metrics import SPAN_BUCKETS, MetricsRegistry, Samples

RECONCILE_BUCKETS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    *(1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60),
)
RESULTS: Final = ("success", "error", "requeue", "requeue_after")


class QueueStatistics(Protocol):
    """What is exported of a queue; `lws.workqueue.QueueStatistics` has it."""

    @property
    def live(self) -> int:
        """Live keys that wait."""
        ...

    @property
    def background(self) -> int:
        """Background keys that wait."""
        ...

    @property
    def unfinished_seconds(self) -> float:
        """Sum over the keys in work of how long they have been there."""
        ...

    @property
    def longest_seconds(self) -> float:
        """How long the longest of them has been there."""
        ...

    @property
    def waiting_seconds(self) -> float:
        """How long the live key that has waited longest has waited."""
        ...


class ControllerMetrics:
    """The metrics of all controllers of a process, and of their queues.

    Args:
        metrics: where to register them.
        prefix: begins the names of those that the Go libraries do not have.
    """

    def __init__(self, metrics: MetricsRegistry, prefix: str) -> None:
        self._count_reconciles(metrics, prefix)
        self._count_keys(metrics, prefix)

    def _count_reconciles(self, metrics: MetricsRegistry, prefix: str) -> None:
        controller = ("controller",)
        self.reconcile_failures = metrics.counter(
            f"{prefix}_reconcile_failures", "Reconciles that failed, by reason.", (*controller, "reason")
        )
        self.reconciles = metrics.counter(
            "controller_runtime_reconcile", "Reconciles by controller and result.", (*controller, "result")
        )
        self.reconcile_errors = metrics.counter(
            "controller_runtime_reconcile_errors", "Reconciles that failed, by controller.", controller
        )
        self.terminal_errors = metrics.counter(
            "controller_runtime_terminal_reconcile_errors", "Failures that retrying cannot help.", controller
        )
        self.panics = metrics.counter(
            "controller_runtime_reconcile_panics", "Reconciles that failed in a way nobody foresaw.", controller
        )
        self.timeouts = metrics.counter(
            "controller_runtime_reconcile_timeouts", "Reconciles cut off at their deadline.", controller
        )
        self.reconcile_seconds = metrics.histogram(
            "controller_runtime_reconcile_time_seconds", "How long a reconcile took.", controller, RECONCILE_BUCKETS
        )
        self.max_workers = metrics.gauge(
            "controller_runtime_max_concurrent_reconciles", "Workers of a controller.", controller
        )
        self.active_workers = metrics.gauge(
            "controller_runtime_active_workers", "Workers that reconcile now.", controller
        )

    def _count_keys(self, metrics: MetricsRegistry, prefix: str) -> None:
        queue = ("name", "controller")
        self.queue_adds = metrics.counter("workqueue_adds", "Keys that began to wait.", queue)
        self.queue_retries = metrics.counter("workqueue_retries", "Keys that were added with a delay.", queue)
        self.queue_seconds = metrics.histogram(
            "workqueue_queue_duration_seconds", "How long a key waited for a worker.", queue, SPAN_BUCKETS
        )
        self.work_seconds = metrics.histogram(
            "workqueue_work_duration_seconds", "How long a worker had a key.", queue, SPAN_BUCKETS
        )
        self._queues: dict[str, Callable[[], QueueStatistics]] = {}
        metrics.sampled_gauge("workqueue_depth", "Keys that wait, by class.", (*queue, "priority"), self._depths)
        metrics.sampled_gauge(
            "workqueue_unfinished_work_seconds",
            "How long the keys in work have been there, summed.",
            queue,
            lambda: self._spans("unfinished_seconds"),
        )
        metrics.sampled_gauge(
            "workqueue_longest_running_processor_seconds",
            "How long the longest of the keys in work has been there.",
            queue,
            lambda: self._spans("longest_seconds"),
        )
        metrics.sampled_gauge(
            f"{prefix}_workqueue_longest_wait_seconds",
            "How long the live key that has waited longest has waited for a worker.",
            queue,
            lambda: self._spans("waiting_seconds"),
        )

    def queue_observer(self, name: str) -> QueueObserver:
        """Hears what one queue does."""
        return QueueObserver(self, name)

    def export_queue(self, name: str, statistics: Callable[[], QueueStatistics]) -> None:
        """Export depth and unfinished work of a queue, read from its ``statistics()`` when scraped."""
        self._queues[name] = statistics

    def _depths(self) -> Samples:
        for name, statistics in self._queues.items():
            now = statistics()
            yield (name, name, "live"), now.live
            yield (name, name, "background"), now.background

    def _spans(self, attribute: str) -> Samples:
        for name, statistics in self._queues.items():
            yield (name, name), getattr(statistics(), attribute)


class QueueObserver:
    """Hears what one queue does; an observer as `lws.workqueue.QueueObserver` describes it."""

    def __init__(self, metrics: ControllerMetrics, name: str) -> None:
        self._adds = metrics.queue_adds.labels(name, name)
        self._retries = metrics.queue_retries.labels(name, name)
        self._queue_seconds = metrics.queue_seconds.labels(name, name)
        self._work_seconds = metrics.work_seconds.labels(name, name)

    def added(self) -> None:
        """A key began to wait."""
        self._adds.inc()

    def handed_out(self, waited: float) -> None:
        """A key was given to a worker."""
        self._queue_seconds.observe(waited)

    def finished(self, worked: float) -> None:
        """A worker was done with a key."""
        self._work_seconds.observe(worked)

    def retried(self) -> None:
        """A key was added with a delay."""
        self._retries.inc()
