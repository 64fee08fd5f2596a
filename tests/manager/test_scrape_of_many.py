"""What a scrape of a thousand sets is: samples, bytes and CPU, whatever the sets consist of."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec.structs import replace

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import StatefulSet
from lws.apimachinery.objects import ObjectMeta
from tests.acceptance.support import figure
from tests.manager.test_domain import Bench, a_set, leader, workers
from tests.virtual import virtual_time

pytestmark = pytest.mark.long
SETS = 1000
PER_SET = 13  # 7 gauges and 6 counters


def renamed(obj: Any, number: int) -> Any:
    """An object of set ``vllm`` as one of another set."""
    meta, name = obj.metadata, f"vllm{number}"
    given = {**(meta.labels or {}), labels.NAME: name} if meta.labels else None
    owners = tuple(replace(each, name=each.name.replace("vllm", name)) for each in meta.owner_references or ())
    changed = replace(meta, name=meta.name.replace("vllm", name), labels=given, owner_references=owners)
    if hasattr(obj, "model_copy"):
        return obj.model_copy(update={"metadata": changed})
    return replace(obj, metadata=changed)


def scrape(sets: int, groups: int) -> tuple[int, int, float]:
    """Samples, bytes and CPU seconds of the second of two scrapes."""
    bench = Bench()
    for number in range(sets):
        bench.sets.put(renamed(a_set(groups, uid=f"s{number}"), number))
        made = ObjectMeta(name="vllm", namespace="default", labels={labels.NAME: "vllm"})
        bench.statefulsets.put(renamed(StatefulSet(metadata=made), number))
        for index in range(groups):
            bench.pods.put(renamed(leader(ready=True, index=index), number))
            bench.statefulsets.put(renamed(workers(2, index=index), number))
    bench.metrics.exposition()
    begun = time.process_time()
    text = bench.metrics.exposition()
    seconds = time.process_time() - begun
    return sum(not line.startswith(b"#") for line in text.splitlines()), len(text), seconds


@virtual_time
async def test_a_scrape_of_a_thousand_sets() -> None:
    """Each set adds its thirteen samples, of groups however many; a scrape costs less than a second of CPU."""
    idle, few, many = scrape(0, 0), scrape(SETS, 1), scrape(SETS, 4)
    for what, found in (("no set", idle), (f"{SETS} sets of 1", few), (f"{SETS} sets of 4", many)):
        figure(f"{what}: {found[0]} samples, {found[1] / 1024:.0f} KiB, {found[2] * 1000:.0f} ms of CPU")
    assert few[0] == many[0] == idle[0] + PER_SET * SETS
    assert many[1] < 1.01 * few[1]
    assert many[2] < 1.0
