"""What a set that uses nothing of resilience costs and says, compared with a recording from before (R01).

``tests/data/resilience/before-*.json`` hold every write and event of a fixed life, as the controller of commit 995a4e8
made them, the last one without any of that page. Identities and moments that a server gives are left out of both. What
has changed since for a reason of its own is taken out by name (`LEGITIMATE`), and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws_sandbox.controllers.kubelet.runtime import Delays
from tests.simulation.cluster import NAMESPACE, Cluster, manifest, running
from tests.virtual import virtual_time

DATA: Final = Path(__file__).parents[1] / "data" / "resilience"
GIVEN: Final = {"uid", "resourceVersion", "eventTime", "lastTransitionTime", "series", "deprecatedLastTimestamp"}
LEGITIMATE: Final[Mapping[str, str]] = {
    "role, leader-address": "of leader objects, worker StatefulSets and workers, as in v0.11 (next 3)",
    "Degraded": "condition of the restart budget, which is absent or False here (next 5.4)",
    "counters": "statuses in which nothing but counters changed are fewer (CD-80)",
    "event 11": "worker StatefulSets that come up together are told together (CD-83)",
}
CREATED: Final = re.compile(
    r"Created worker statefulsets? for (?:leader pod (\S+)|\d+ leader pods, \S+-(\d+) to \S+-(\d+))"
)
ADDED: Final = ("leaderworkerset.sigs.k8s.io/role", "leaderworkerset.sigs.k8s.io/leader-address")


async def life(cluster: Cluster) -> list[list[Any]]:
    """Create, scale, roll, shrink, and rest; every write and event in order."""

    async def then(change: dict[str, Any]) -> None:
        await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": change})
        await settled(cluster)

    await cluster.client.create(LEADERWORKERSETS, manifest(replicas=3, size=3))
    await settled(cluster)
    await then({"replicas": 5})
    template = {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}
    await then({"leaderWorkerTemplate": {"workerTemplate": template}})
    await then({"replicas": 2})
    await asyncio.sleep(1800)
    written = [each for each in cluster.writes if "/leases" not in each.path]
    return [[each.method, each.path, [*map(list, each.query)], given_out(json.loads(each.body))] for each in written]


async def settled(cluster: Cluster) -> None:
    """Wait until the set is Available at its generation, and for a while."""

    async def holds() -> bool:
        found = await cluster.client.get(LEADERWORKERSETS, NAMESPACE, "sample")
        status = found.get("status") or {}
        now = status.get("observedGeneration") == found["metadata"]["generation"]
        states = {each["type"]: each["status"] for each in status.get("conditions", ())}
        return now and states.get("Available") == "True"

    await asyncio.sleep(5)
    await cluster.until(holds, seconds=20_000, every=5.0)
    await asyncio.sleep(60)


def given_out(value: Any) -> Any:
    """A body without what servers give: identities, and moments."""
    if isinstance(value, dict):
        kept = {key: given_out(each) for key, each in sorted(value.items()) if key not in GIVEN}
        if kept.get("kind") == "Event" or "preconditions" in kept:
            kept.get("metadata", {}).pop("name", None)
        return kept
    return [given_out(each) for each in value] if isinstance(value, list) else value


def as_before(value: Any) -> Any:
    """A body without the labels and annotations that v0.11 adds."""
    if isinstance(value, dict):
        return {key: as_before(each) for key, each in value.items() if key not in ADDED}
    return [as_before(each) for each in value] if isinstance(value, list) else value


def is_event(one: list[Any]) -> bool:
    """Whether a write is of an event."""
    return str(one[1]).endswith("/events")


def statuses(stream: Iterable[list[Any]]) -> list[Any]:
    """The statuses that were written, but for counters and Degraded, each once in a row."""
    found: list[Any] = []
    for method, path, _, body in stream:
        if not path.endswith("/status"):
            continue
        status = {key: each for key, each in body["status"].items() if key not in ("readyReplicas", "updatedReplicas")}
        status.pop("replicas", None)
        status["conditions"] = [
            {**each, "message": re.sub(r"\d+", "<n>", each["message"])}
            for each in status["conditions"]
            if each["type"] != "Degraded"
        ]
        if not found or found[-1] != [method, status]:
            found.append([method, status])
    return found


def others(stream: Iterable[list[Any]]) -> list[Any]:
    """Every other write, in order."""
    return [as_before(each) for each in stream if not is_event(each) and not each[1].endswith("/status")]


def events(stream: Iterable[list[Any]]) -> list[Any]:
    """The events, but for number 11, in order; their times and counters aside."""
    return [each for each in stream if is_event(each) and not CREATED.match(each[3]["note"])]


def created(stream: Iterable[list[Any]]) -> list[str]:
    """The leaders whose workers events 11 tell of."""
    found: list[str] = []
    for one in filter(is_event, stream):
        told = CREATED.match(one[3]["note"])
        if told is not None:
            low, high = told[2], told[3]
            found += [told[1]] if low is None else [f"sample-{index}" for index in range(int(low), int(high) + 1)]
    return sorted(found)


@pytest.mark.long
@pytest.mark.parametrize(("name", "ready"), [("quick", 0.5), ("slow", 1200.0)])
@virtual_time
async def test_r01_a_set_that_asks_for_nothing_is_served_as_before(name: str, ready: float) -> None:
    """R01: writes and events are those of before, byte for byte but for what has a number; starts may take 20 min."""
    async with running(delays=Delays(ready=ready)) as cluster:
        now = await life(cluster)
    before = json.loads((DATA / f"before-{name}.json").read_text())
    assert others(now) == others(before)
    assert statuses(now) == statuses(before)
    assert len([each for each in now if each[1].endswith("/status")]) <= len(
        [each for each in before if each[1].endswith("/status")]
    )
    assert events(now) == events(before)
    assert created(now) == created(before)


@virtual_time
async def test_r01_creation_costs_six_writes_and_one_for_each_group() -> None:
    """R01: a set of three groups comes up with R+6 writes at most, and costs none at rest."""
    async with running() as cluster:
        await cluster.client.create(LEADERWORKERSETS, manifest(replicas=3, size=3))
        await settled(cluster)
        assert len(cluster.counted()) <= 9
        before = len(cluster.writes)
        await asyncio.sleep(1800)
        assert cluster.counted(before) == []
