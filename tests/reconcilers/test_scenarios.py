"""The rollout scenarios of spec 7.7 end to end: StatefulSets and groups on the sandbox, kubelets played by the test.

Without scheduler and kubelets a pod stays Pending until the test says otherwise, so every row's groups can be brought
about; the partition and replicas that the operator applies on the way are compared with the table.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import groupby

import orjson
import pytest

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, STATEFULSETS
from lws.client.api import STRATEGIC_MERGE_PATCH
from lws.errors import NotFoundError
from tests.planning.scenarios import ROWS, Row
from tests.simulation.cluster import NAMESPACE, Cluster, Write, manifest
from tests.virtual import virtual_time

LOOPS = ("namespace-controller", "serviceaccount-controller", "garbage-collector-controller", "statefulset-controller")
AUTOMATIC = ("next pass", "created")


class Stage:
    """One set on a cluster whose pods become ready when the test says so."""

    def __init__(self, cluster: Cluster, row: Row) -> None:
        self.cluster = cluster
        self.first = row
        self.edits = 1

    async def begin(self) -> None:
        """The set at rest, as the scenario begins."""
        row, replicas = self.first, _before(self.first.trigger, "R ") or self.first.replicas
        rolling = {"maxUnavailable": row.max_unavailable, "maxSurge": row.max_surge, "partition": row.partition}
        size = _before(row.trigger, "size ") or 2
        await self.cluster.client.create(LEADERWORKERSETS, manifest(replicas=replicas, size=size, rolling=rolling))
        await self.settle()
        await self.bring_about("U" * replicas)
        await self.cluster.available("sample")
        await self.settle()

    async def perform(self, row: Row) -> None:
        """The row's trigger, and its groups."""
        patch = self._change(row)
        edited = "edited" in row.trigger
        if edited:  # the row's groups are what the operator finds together with the edit
            await self.cluster.operators[0].stop()
            await self.bring_about(row.groups, edited=False)
            await self.settle()
        if patch:
            await self.cluster.client.patch(LEADERWORKERSETS, NAMESPACE, "sample", {"spec": patch})
        if edited:
            await self.cluster.start()
        await self.settle()
        if not patch:
            for _ in range(2):  # a group that is replaced only now is ready after that
                await self.bring_about(row.groups)
                await self.settle()

    def _change(self, row: Row) -> JSON:
        patch: JSON = {}
        if "edited" in row.trigger:
            self.edits += 1
            containers = [{"name": "main", "image": f"app:{self.edits}"}]
            patch["leaderWorkerTemplate"] = {"workerTemplate": {"spec": {"containers": containers}}}
        if _before(row.trigger, "size "):
            patch["leaderWorkerTemplate"] = {"size": 4}
        if _before(row.trigger, "R "):
            patch["replicas"] = row.replicas
        if "partition" in row.trigger:
            patch["rolloutStrategy"] = {"rollingUpdateConfiguration": {"partition": row.partition}}
        return patch

    async def bring_about(self, groups: str, *, edited: bool = True) -> None:
        """Make each group what its letter says; absent ones are left to themselves.

        The table has released groups as old until they are ready; those that were replaced already are left unready.
        """
        current = await self._key()
        for index in reversed(range(len(groups))):
            letter = groups[index]
            pods = await self.cluster.all(PODS, f"{labels.GROUP_INDEX}={index}")
            replaced = any(each["metadata"]["labels"][labels.REVISION] == current for each in pods)
            if letter == "." or not pods or (edited and letter in "ox" and replaced):
                continue
            if letter in "Uu":
                await self._relabel(index, current)
            for pod in pods:
                await self._report(pod["metadata"]["name"], ready=letter in "Uo")

    async def _relabel(self, index: int, key: str) -> None:
        """A group that the table has updated out of order gets the key by hand, as upstream's tests do."""
        patch = {"metadata": {"labels": {labels.REVISION: key}}}
        for resource in (PODS, STATEFULSETS):
            obj = await self.cluster.get(resource, f"sample-{index}")
            if obj is not None and obj["metadata"]["labels"].get(labels.REVISION) != key:
                with suppress(NotFoundError):
                    await self.cluster.client.patch(resource, NAMESPACE, f"sample-{index}", patch)

    async def _report(self, name: str, *, ready: bool) -> None:
        state = "True" if ready else "False"
        pod = await self.cluster.get(PODS, name)
        if pod is None or _ready(pod) == ready:
            return
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": state}]}
        with suppress(NotFoundError):  # it was replaced at this moment
            await self.cluster.client.patch(
                PODS, NAMESPACE, name, {"status": status}, content_type=STRATEGIC_MERGE_PATCH, subresource="status"
            )

    async def _key(self) -> str:
        found = await self.cluster.get(STATEFULSETS, "sample")
        assert found is not None
        return str(found["metadata"]["labels"][labels.REVISION])

    async def settle(self) -> None:
        """Wait until nothing moves."""
        await self.cluster.quiet(3)

    async def numbers(self) -> str:
        """Partition and replicas of the leader StatefulSet now, as the table writes them."""
        found = await self.cluster.get(STATEFULSETS, "sample")
        assert found is not None
        return _numbers(found)


def _ready(pod: JSON) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _before(trigger: str, what: str) -> int:
    """The number before the arrow that follows a word of the trigger; 0 if there is none."""
    number, arrow, _ = trigger.partition(what)[2].partition("→")
    return int(number) if arrow and number.isdigit() else 0


def _numbers(statefulset: JSON) -> str:
    spec = statefulset["spec"]
    return f"{spec['updateStrategy']['rollingUpdate'].get('partition', 0)}/{spec['replicas']}"


def traced(writes: list[Write]) -> list[str]:
    """Partition and replicas of every apply, without repetitions."""
    found = (each for each in writes if str(each) == "PATCH statefulsets sample" and each.status == 200)
    applied = [_numbers(orjson.loads(each.body)) for each in found]
    return [numbers for numbers, _ in groupby(applied)]


def contains(trace: list[str], wanted: list[str]) -> bool:
    """Whether the wanted numbers come in this order."""
    rest = iter(trace)
    return all(any(found == number for found in rest) for number in wanted)


SCENARIOS = {name: list(rows) for name, rows in groupby(ROWS, key=lambda row: row.scenario) if name != "S21"}


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
@virtual_time
async def test_scenario_end_to_end(name: str) -> None:
    """The operator applies the table's partitions and replicas, in order, and rests where each row rests."""
    rows = SCENARIOS[name]
    async with Cluster(loops=LOOPS, nodes=0) as cluster:
        await cluster.start()
        stage = Stage(cluster, rows[0])
        await stage.begin()
        since = len(cluster.writes)
        for position, row in enumerate(rows):
            if any(word in row.trigger for word in AUTOMATIC) and "R " not in row.trigger:
                continue
            await stage.perform(row)
            rest = row
            for following in rows[position + 1 :]:
                if not any(word in following.trigger for word in AUTOMATIC) or "R " in following.trigger:
                    break
                rest = following
            assert await stage.numbers() == rest.after, row.trigger
        wanted = [number for number, _ in groupby(row.after for row in rows)]
        trace = traced(cluster.writes[since:])
        assert contains([rows[0].before, *trace], wanted), (trace, wanted)
