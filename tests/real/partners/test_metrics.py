"""Metrics that controller-runtime has too are the same here: names, types, labels and buckets, of a running program."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.support import figure
from tests.real.partners.certmanager import certmanager
from tests.real.partners.installed import Ports, replica
from tests.real.partners.processes import beside, free_port, listening, until
from tests.real.planes import RealPlane

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
NOT_OURS: Final = {"controller_runtime_conversion_webhook_panics"}  # there is no conversion webhook
SHARED: Final = ("controller_runtime_", "workqueue_", "rest_client_", "leader_election_", "certwatcher_")


@dataclass
class Family:
    """What a metric looks like."""

    kind: str
    labels: set[str] = field(default_factory=set)
    buckets: set[str] = field(default_factory=set)


def families(text: str) -> dict[str, Family]:
    """The metrics of an exposition that both have to have."""
    found = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith(SHARED):
            made = found[family.name] = Family(family.type)
            for sample in family.samples:
                made.labels |= set(sample.labels) - {"le"}
                made.buckets |= {f"{float(sample.labels['le']):.6g}"} if "le" in sample.labels else set()
    return found


@pytest.fixture(scope="module")
def expositions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """What a program of controller-runtime exports, and what ours does beside it."""
    port, ours = free_port(), []

    async def scrape(plane: RealPlane) -> None:
        async with replica(plane, Ports()) as manager:
            await until(lambda: _asked(manager.metrics.exposition()), "requests of our own", 30)
            await until(lambda: listening(port), "their metrics", 30)
            ours.append(manager.metrics.exposition().decode())

    life = partial(certmanager, metrics=f"127.0.0.1:{port}")
    with beside(life, Path(tmp_path_factory.mktemp("metrics"))) as plane:
        plane.call(scrape(plane))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            yield answer.read().decode(), ours[0]


async def _asked(text: bytes) -> bool:
    return b"rest_client_requests_total{" in text


def test_metrics_of_controller_runtime_are_ours(expositions: tuple[str, str]) -> None:
    """A dashboard made for controller-runtime finds the same here."""
    theirs, ours = map(families, expositions)
    different = []
    for name, family in sorted(theirs.items()):
        if name in NOT_OURS:
            continue
        mine = ours.get(name, Family("absent"))
        figure(f"{name}: {family.kind}, {sorted(family.labels)}, {len(family.buckets)} buckets")
        if (mine.kind, mine.labels, mine.buckets) != (family.kind, family.labels, family.buckets):
            different.append(f"{name}: {mine} is {family} there")
    assert len(theirs) > 10
    assert not different, "\n".join(different)
