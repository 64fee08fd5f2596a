"""What the controller counts, under the names that controller-runtime gives them (operations 4).

A `Metrics` owns its registry, so that many operators can live in one process; nothing here is global. Spans are in
seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

RECONCILE_BUCKETS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    *(1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60),
)
SPAN_BUCKETS: Final = tuple(10.0**exponent for exponent in range(-8, 4))  # 10 ns to 1000 s, as Kubernetes has them
REQUEST_BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
ROLLOUT_BUCKETS: Final = (1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
RESULTS: Final = ("success", "error", "requeue", "requeue_after")

# When a series began is of no use to anybody, and neither controller-runtime nor a simulation has it.
disable_created_metrics()  # type: ignore[no-untyped-call]

Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class Described:
    """A metric as its readers meet it; a histogram is also exported as ``_bucket``, ``_sum`` and ``_count``."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


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


class Metrics:
    """Every metric of one operator, and the registry that holds them."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry(auto_describe=True)
        self.catalogue: list[Described] = []  # every metric of ours, in the order in which they were made
        self._reconciling()
        self._queues()
        self._serving()
        self._process()
        self._domain()

    def _reconciling(self) -> None:
        controller = ("controller",)
        self.reconciles = self._counter(
            "controller_runtime_reconcile", "Reconciles by controller and result.", (*controller, "result")
        )
        self.reconcile_errors = self._counter(
            "controller_runtime_reconcile_errors", "Reconciles that failed, by controller.", controller
        )
        self.terminal_errors = self._counter(
            "controller_runtime_terminal_reconcile_errors", "Failures that retrying cannot help.", controller
        )
        self.panics = self._counter(
            "controller_runtime_reconcile_panics", "Reconciles that failed in a way nobody foresaw.", controller
        )
        self.timeouts = self._counter(
            "controller_runtime_reconcile_timeouts", "Reconciles cut off at their deadline.", controller
        )
        self.reconcile_seconds = self._histogram(
            "controller_runtime_reconcile_time_seconds", "How long a reconcile took.", controller, RECONCILE_BUCKETS
        )
        self.max_workers = self._gauge(
            "controller_runtime_max_concurrent_reconciles", "Workers of a controller.", controller
        )
        self.active_workers = self._gauge(
            "controller_runtime_active_workers", "Workers that reconcile now.", controller
        )

    def _queues(self) -> None:
        queue = ("name", "controller")
        self.queue_adds = self._counter("workqueue_adds", "Keys that began to wait.", queue)
        self.queue_retries = self._counter("workqueue_retries", "Keys that were added with a delay.", queue)
        self.queue_seconds = self._histogram(
            "workqueue_queue_duration_seconds", "How long a key waited for a worker.", queue, SPAN_BUCKETS
        )
        self.work_seconds = self._histogram(
            "workqueue_work_duration_seconds", "How long a worker had a key.", queue, SPAN_BUCKETS
        )
        self._watched_queues: dict[str, Callable[[], QueueStatistics]] = {}
        self.watch("workqueue_depth", "Keys that wait, by class.", (*queue, "priority"), self._queue_depths)
        self.watch(
            "workqueue_unfinished_work_seconds",
            "How long the keys in work have been there, summed.",
            queue,
            lambda: self._queue_spans("unfinished_seconds"),
        )
        self.watch(
            "workqueue_longest_running_processor_seconds",
            "How long the longest of the keys in work has been there.",
            queue,
            lambda: self._queue_spans("longest_seconds"),
        )

    def _serving(self) -> None:
        self.requests = self._counter(
            "rest_client_requests",
            "Requests to the API server by status code, method and host.",
            ("code", "method", "host"),
        )
        self.request_seconds = self._histogram(
            "rest_client_request_duration_seconds", "How long requests took.", ("verb", "host"), REQUEST_BUCKETS
        )
        self.webhook_requests = self._counter(
            "controller_runtime_webhook_requests",
            "Admission requests by path and HTTP status code.",
            ("webhook", "code"),
        )
        self.webhook_seconds = self._histogram(
            "controller_runtime_webhook_latency_seconds", "How long admission took.", ("webhook",), SPAN_BUCKETS
        )
        self.webhook_in_flight = self._gauge(
            "controller_runtime_webhook_requests_in_flight", "Admission requests being served.", ("webhook",)
        )

    def _process(self) -> None:
        self.leader = self._gauge("leader_election_master_status", "1 while this process leads, else 0.", ("name",))
        self.leader_slow_path = self._counter(
            "leader_election_slowpath", "Renewals that had to read the lease first.", ("name",)
        )
        self.certificate_reads = self._counter("certwatcher_read_certificate", "Certificate files read.", ())
        self.certificate_read_errors = self._counter(
            "certwatcher_read_certificate_errors", "Certificate files that could not be read.", ()
        )
        self.certificate_expiry = self._gauge(
            "lws_certificate_expiry_timestamp_seconds", "When a certificate ends, in Unix time.", ("certificate",)
        )
        self.loop_lag = self._histogram(
            "lws_event_loop_lag_seconds", "How late the event loop ran a timer.", (), SPAN_BUCKETS
        )
        self.events_dropped = self._counter("lws_events_dropped", "Kubernetes events given up, by cause.", ("cause",))

    def _domain(self) -> None:
        one = ("namespace", "name")
        self.group_ready_seconds = self._histogram(
            "lws_group_ready_seconds",
            "From the creation of a group's leader pod until the group was ready.",
            (),
            ROLLOUT_BUCKETS,
        )
        self.rollout_seconds = self._histogram(
            "lws_rollout_duration_seconds", "From the start of a rolling update to its end.", (), ROLLOUT_BUCKETS
        )
        self.group_recreations = self._counter(
            "lws_group_recreations", "Groups recreated, by reason.", (*one, "reason")
        )

    def watch_queue(self, name: str, statistics: Callable[[], QueueStatistics]) -> None:
        """Export depth and unfinished work of a queue, read from its ``statistics()`` when scraped."""
        self._watched_queues[name] = statistics

    def _queue_depths(self) -> Samples:
        for name, statistics in self._watched_queues.items():
            now = statistics()
            yield (name, name, "live"), now.live
            yield (name, name, "background"), now.background

    def _queue_spans(self, attribute: str) -> Samples:
        for name, statistics in self._watched_queues.items():
            yield (name, name), getattr(statistics(), attribute)

    def observe_request(self, method: str, code: str, host: str, seconds: float) -> None:
        """Count a request that ended; ``code`` is the HTTP status, or ``<error>`` when there was no answer."""
        self.requests.labels(code, method, host).inc()
        self.request_seconds.labels(method, host).observe(seconds)

    def watch(self, name: str, help_: str, labels: tuple[str, ...], samples: Callable[[], Samples]) -> None:
        """Export a gauge whose samples, label values and number, are computed when scraped."""
        self.registry.register(_SampledGauge(name, help_, labels, samples))
        self.catalogue.append(Described(name, "gauge", labels, help_))

    def watch_process(self) -> None:
        """Export what the process uses: CPU, memory, descriptors, and the collector's work."""
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, help_: str, labels: tuple[str, ...]) -> Counter:
        self.catalogue.append(Described(f"{name}_total", "counter", labels, help_))
        return Counter(name, help_, labels, registry=self.registry)

    def _gauge(self, name: str, help_: str, labels: tuple[str, ...]) -> Gauge:
        self.catalogue.append(Described(name, "gauge", labels, help_))
        return Gauge(name, help_, labels, registry=self.registry)

    def _histogram(self, name: str, help_: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
        self.catalogue.append(Described(name, "histogram", labels, help_))
        return Histogram(name, help_, labels, buckets=buckets, registry=self.registry)


class QueueMetrics:
    """Hears what one queue does; an observer as `lws.workqueue.QueueObserver` describes it."""

    def __init__(self, metrics: Metrics, name: str) -> None:
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


class WebhookMetrics:
    """Hears of admission reviews; an observer as `lws.webhook.server.Observer` describes it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def started(self, webhook: str) -> None:
        """A review began."""
        self._metrics.webhook_in_flight.labels(webhook).inc()

    def finished(self, webhook: str, code: int, seconds: float) -> None:
        """It was answered."""
        self._metrics.webhook_in_flight.labels(webhook).dec()
        self._metrics.webhook_requests.labels(webhook, str(code)).inc()
        self._metrics.webhook_seconds.labels(webhook).observe(seconds)


class _SampledGauge(Collector):
    def __init__(self, name: str, help_: str, labels: tuple[str, ...], samples: Callable[[], Samples]) -> None:
        self._family = (name, help_, labels)
        self._samples = samples

    def describe(self) -> Iterator[Metric]:
        name, help_, labels = self._family
        yield GaugeMetricFamily(name, help_, labels=labels)

    def collect(self) -> Iterator[Metric]:
        name, help_, labels = self._family
        family = GaugeMetricFamily(name, help_, labels=labels)
        for values, number in self._samples():
            family.add_metric(values, number)
        yield family
