"""A registry of metrics that knows what is in it.

A `MetricsRegistry` owns its Prometheus registry, so that many processes' worth of metrics can live in one; nothing
here is global. Whoever has something to count registers it: the framework's parts in `lws.telemetry.controllers` and
`lws.telemetry.serving`, a domain in its own room. Spans are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

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
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

SPAN_BUCKETS: Final = tuple(10.0**exponent for exponent in range(-8, 4))  # 10 ns to 1000 s, as Kubernetes has them

# When a series began is of no use to anybody, and neither controller-runtime nor a simulation has it.
disable_created_metrics()  # type: ignore[no-untyped-call]

Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class MetricDescription:
    """A metric as its readers meet it; a histogram is also exported as ``_bucket``, ``_sum`` and ``_count``."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


class MetricsRegistry:
    """Every metric of one process.

    Attributes:
        registry: the Prometheus registry that holds them.
        catalogue: what was registered, in order.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry(auto_describe=True)
        self.catalogue: list[MetricDescription] = []

    def counter(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> Counter:
        """A counter; it is exported with the suffix ``_total``."""
        self.catalogue.append(MetricDescription(f"{name}_total", "counter", labels, help_))
        return Counter(name, help_, labels, registry=self.registry)

    def gauge(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> Gauge:
        """A gauge that is set."""
        self.catalogue.append(MetricDescription(name, "gauge", labels, help_))
        return Gauge(name, help_, labels, registry=self.registry)

    def histogram(
        self, name: str, help_: str, labels: tuple[str, ...] = (), buckets: tuple[float, ...] = SPAN_BUCKETS
    ) -> Histogram:
        """A histogram."""
        self.catalogue.append(MetricDescription(name, "histogram", labels, help_))
        return Histogram(name, help_, labels, buckets=buckets, registry=self.registry)

    def sampled_gauge(self, name: str, help_: str, labels: tuple[str, ...], samples: Callable[[], Samples]) -> None:
        """Export a gauge whose samples, label values and number, are computed when scraped."""
        self.sampled([MetricDescription(name, "gauge", labels, help_)], lambda: {name: samples()})

    def sampled_counter(self, name: str, help_: str, labels: tuple[str, ...], samples: Callable[[], Samples]) -> None:
        """Export a counter that is kept elsewhere and read when scraped; it is exported with the suffix ``_total``."""
        total = f"{name}_total"
        self.sampled([MetricDescription(total, "counter", labels, help_)], lambda: {total: samples()})

    def sampled(self, descriptions: Sequence[MetricDescription], collect: Callable[[], Mapping[str, Samples]]) -> None:
        """Export gauges and counters that one call computes when scraped: samples by the name of the metric."""
        self.registry.register(_Sampled(descriptions, collect))
        self.catalogue += descriptions

    def export_process(self) -> None:
        """Export what the process uses: CPU, memory, descriptors, and the collector's work."""
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return self.collected()()

    def collected(self) -> Callable[[], bytes]:
        """All metrics as they are now; what is returned writes them, and may be called in another thread."""
        families = [*self.registry.collect()]
        return lambda: generate_latest(_Collected(families))


class _Collected(CollectorRegistry):
    """Metrics that were collected before."""

    def __init__(self, families: Sequence[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


class _Sampled(Collector):
    def __init__(self, descriptions: Sequence[MetricDescription], collect: Callable[[], Mapping[str, Samples]]) -> None:
        self._descriptions = descriptions
        self._collect = collect

    def describe(self) -> Iterator[Metric]:
        yield from map(_family, self._descriptions)

    def collect(self) -> Iterator[Metric]:
        collected = self._collect()
        for description in self._descriptions:
            family = _family(description)
            for values, number in collected.get(description.name, ()):
                family.add_metric(values, number)
            yield family


def _family(description: MetricDescription) -> GaugeMetricFamily | CounterMetricFamily:
    family = GaugeMetricFamily if description.type == "gauge" else CounterMetricFamily
    return family(description.name, description.help, labels=description.labels)
