"""A registry of metrics that knows what is in it.

A `MetricsRegistry` owns its Prometheus registry, so that many processes' worth of metrics can live in one; nothing
here is global. Whoever has something to count registers it: the framework's parts in `lws.telemetry.controllers` and
`lws.telemetry.serving`, a domain in its own room. Spans are in seconds.
"""

from __future__ import annotations

import asyncio
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

TURN: Final = 100  # samples between two turns of the event loop

Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]  # values of labels, and the number
Sample: TypeAlias = tuple[str, tuple[str, ...], float]  # the same, of a metric of this name
_Family: TypeAlias = GaugeMetricFamily | CounterMetricFamily


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
        self._sampled: list[_Sampled] = []
        self._collecting = asyncio.Lock()

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
        self.sampled([MetricDescription(name, "gauge", labels, help_)], lambda: ((name, *each) for each in samples()))

    def sampled_counter(self, name: str, help_: str, labels: tuple[str, ...], samples: Callable[[], Samples]) -> None:
        """Export a counter that is kept elsewhere and read when scraped; it is exported with the suffix ``_total``."""
        total = f"{name}_total"
        description = MetricDescription(total, "counter", labels, help_)
        self.sampled([description], lambda: ((total, *each) for each in samples()))

    def sampled(self, descriptions: Sequence[MetricDescription], collect: Callable[[], Iterable[Sample]]) -> None:
        """Export gauges and counters that are computed together when scraped: what is given is iterated over.

        Others may have their turns between any two samples; see `collected`.
        """
        sampled = _Sampled(descriptions, collect)
        self.registry.register(sampled)
        self._sampled.append(sampled)
        self.catalogue += descriptions

    def export_process(self) -> None:
        """Export what the process uses: CPU, memory, descriptors, and the collector's work."""
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def exposition(self) -> bytes:
        """All metrics, as they are now, in the Prometheus text format."""
        return generate_latest(self.registry)

    async def collected(self) -> Callable[[], bytes]:
        """All metrics; what is returned writes them as `exposition` does, and may be called in another thread.

        Other tasks have their turns meanwhile, however much there is to collect: each sample is true when it is taken,
        and what was counted after the return is not in it.
        """
        async with self._collecting:
            try:
                for each in self._sampled:
                    await each.prepare()
                families = []
                for family in self.registry.collect():
                    families.append(family)
                    await asyncio.sleep(0)
            finally:
                for each in self._sampled:
                    each.drop()
        return lambda: generate_latest(_Collected(families))


class _Collected(CollectorRegistry):
    """Metrics that were collected before."""

    def __init__(self, families: Sequence[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


class _Sampled(Collector):
    def __init__(self, descriptions: Sequence[MetricDescription], collect: Callable[[], Iterable[Sample]]) -> None:
        self._descriptions = descriptions
        self._collect = collect
        self._prepared: Mapping[str, _Family] | None = None

    def describe(self) -> Iterator[Metric]:
        yield from map(_family, self._descriptions)

    def collect(self) -> Iterator[Metric]:
        families = self._prepared
        if families is None:
            families = self._families()
            for name, values, number in self._collect():
                families[name].add_metric(values, number)
        yield from families.values()

    async def prepare(self) -> None:
        """Do ahead what `collect` would do in one go, a few samples at a time."""
        families = self._families()
        for count, (name, values, number) in enumerate(self._collect(), 1):
            families[name].add_metric(values, number)
            if count % TURN == 0:
                await asyncio.sleep(0)
        self._prepared = families

    def drop(self) -> None:
        """Forget what was prepared."""
        self._prepared = None

    def _families(self) -> dict[str, _Family]:
        return {each.name: _family(each) for each in self._descriptions}


def _family(description: MetricDescription) -> _Family:
    family = GaugeMetricFamily if description.type == "gauge" else CounterMetricFamily
    return family(description.name, description.help, labels=description.labels)
