"""Metrics: names, labels, and that nothing is global."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lws.manager.metrics import Metrics
from lws.telemetry.serving import MOST_RULES
from lws.workqueue import RateLimitingQueue
from lws_sandbox.virtual_time import VirtualClock
from tests.virtual import virtual_time

# Name -> labels, as controller-runtime and client-go export them (operations 4).
EXPECTED = {
    "controller_runtime_reconcile_total": {"controller", "result"},
    "controller_runtime_reconcile_errors_total": {"controller"},
    "controller_runtime_reconcile_time_seconds": {"controller"},
    "controller_runtime_active_workers": {"controller"},
    "controller_runtime_max_concurrent_reconciles": {"controller"},
    "controller_runtime_webhook_requests_total": {"webhook", "code"},
    "controller_runtime_webhook_latency_seconds": {"webhook"},
    "controller_runtime_webhook_requests_in_flight": {"webhook"},
    "controller_runtime_webhook_panics_total": set(),
    "controller_runtime_reconcile_panics_total": {"controller"},
    "controller_runtime_reconcile_timeouts_total": {"controller"},
    "controller_runtime_terminal_reconcile_errors_total": {"controller"},
    "workqueue_depth": {"name", "controller", "priority"},
    "workqueue_adds_total": {"name", "controller"},
    "workqueue_queue_duration_seconds": {"name", "controller"},
    "workqueue_work_duration_seconds": {"name", "controller"},
    "workqueue_retries_total": {"name", "controller"},
    "workqueue_unfinished_work_seconds": {"name", "controller"},
    "workqueue_longest_running_processor_seconds": {"name", "controller"},
    "rest_client_requests_total": {"code", "method", "host"},
    "leader_election_master_status": {"name"},
    "certwatcher_read_certificate_total": set(),
    "certwatcher_read_certificate_errors_total": set(),
}


async def _exercised() -> Metrics:
    metrics = Metrics()
    queue: RateLimitingQueue[str] = RateLimitingQueue(
        Random(1), clock=VirtualClock(), observer=metrics.controllers.queue_observer("sets")
    )
    metrics.controllers.export_queue("sets", queue.statistics)
    queue.add("taken")
    await queue.get()
    queue.add("a")
    queue.add("b", background=True)
    webhook = metrics.webhook
    webhook.started("/mutate--v1-pod")
    webhook.finished("/mutate--v1-pod", 200, 0.01)
    metrics.client.observe_request("GET", "200", "host:6443", 0.1)
    metrics.leader.leader.labels("lease").set(1)
    metrics.controllers.reconciles.labels("sets", "success").inc()
    metrics.controllers.reconcile_errors.labels("sets").inc()
    for each in (metrics.controllers.panics, metrics.controllers.timeouts, metrics.controllers.terminal_errors):
        each.labels("sets").inc()
    metrics.controllers.reconcile_seconds.labels("sets").observe(0.2)
    metrics.controllers.active_workers.labels("sets").set(1)
    metrics.controllers.max_workers.labels("sets").set(8)
    return metrics


@virtual_time
async def test_names_and_labels_are_those_of_controller_runtime() -> None:
    """Every metric of operations 4 is exported under its name and with its labels."""
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families((await _exercised()).exposition().decode()):
        for sample in family.samples:
            name = sample.name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            labels.setdefault(name, set()).update(set(sample.labels) - {"le"})
    assert {name: labels.get(name) for name in EXPECTED} == EXPECTED


@virtual_time
async def test_depth_is_read_when_scraped_and_told_by_class() -> None:
    """A queue's depth is what waits at the moment of the scrape, live and background apart."""
    registry = (await _exercised()).registry
    for priority in ("live", "background"):
        labels = {"name": "sets", "controller": "sets", "priority": priority}
        assert registry.get_sample_value("workqueue_depth", labels) == 1


@virtual_time
async def test_two_operators_count_apart() -> None:
    """What one operator counts, another in the same process does not."""
    one, other = await _exercised(), Metrics()
    assert one.registry.get_sample_value("controller_runtime_reconcile_errors_total", {"controller": "sets"}) == 1
    assert other.registry.get_sample_value("controller_runtime_reconcile_errors_total", {"controller": "sets"}) is None


def test_a_name_can_be_exported_once_only() -> None:
    """A second gauge of the same name is an error at once, not at the first scrape."""
    metrics = Metrics()
    metrics.sampled_gauge("lws_x", "X.", (), lambda: [((), 1.0)])
    with pytest.raises(ValueError, match="lws_x"):
        metrics.sampled_gauge("lws_x", "X.", (), lambda: [((), 1.0)])


def test_every_metric_says_what_it_is() -> None:
    """Every exported metric has a help text that is a sentence."""
    for family in Metrics().registry.collect():
        assert family.documentation.endswith("."), family.name


def test_webhooks_begin_at_zero() -> None:
    """Both codes of every path are there before the first request, so that the first failure is an increase."""
    metrics = Metrics()
    metrics.webhook.expect(["/mutate--v1-pod"])
    for code in ("200", "500"):
        labels = {"webhook": "/mutate--v1-pod", "code": code}
        assert metrics.registry.get_sample_value("controller_runtime_webhook_requests_total", labels) == 0


def test_rules_that_deny_are_few() -> None:
    """However many fields are named, so many are told apart; the others are counted together."""
    metrics = Metrics()
    for number in range(MOST_RULES + 10):
        metrics.webhook.denied("/v", f"spec.field{number}")
    other = {"webhook": "/v", "rule": "other"}
    assert metrics.registry.get_sample_value("lws_admission_denials_total", other) == 10


@virtual_time
async def test_what_was_collected_is_written_as_it_was() -> None:
    """Counting goes on while another thread writes: the text is of the moment at which it was collected."""
    metrics = Metrics()
    metrics.events_dropped.labels("queue").inc()
    write = await metrics.collected()
    metrics.events_dropped.labels("queue").inc()
    assert b'lws_events_dropped_total{cause="queue"} 1.0' in write()


@virtual_time
async def test_many_samples_are_collected_in_turns() -> None:
    """However many samples there are, others have a turn after a hundred; what comes out is what one go gives."""
    metrics, taken = Metrics(), 0

    def samples() -> Iterator[tuple[tuple[str, ...], float]]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield (str(number),), float(number)

    metrics.sampled_gauge("lws_many", "Many.", ("number",), samples)
    collecting = asyncio.create_task(metrics.collected())
    turns = []
    while not collecting.done():
        turns.append(taken)
        await asyncio.sleep(0)
    assert max(after - before for before, after in pairwise(turns)) == 100
    assert (await collecting)() == metrics.exposition()


@virtual_time
async def test_scrapes_that_meet_are_whole() -> None:
    """Two scrapes at a time, and one whose caller went away, leave each other's samples alone."""
    metrics = Metrics()
    metrics.sampled_gauge("lws_many", "Many.", ("number",), lambda: (((str(each),), 1.0) for each in range(500)))
    first, gone, second = (asyncio.create_task(metrics.collected()) for _ in range(3))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await first)() == (await second)() == metrics.exposition()
