"""What tests of moves look at: how many groups are ready at every moment, and which leaders they had."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import PREFIX
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PODDISRUPTIONBUDGETS, PODS, STATEFULSETS
from lws.informers.kinds import RawObject, raw_kind
from lws.informers.registry import InformerRegistry
from tests.simulation.cluster import LOOPS, NAMESPACE, Cluster, manifest

MOVING: Final = (*LOOPS, "disruption-controller")


def chosen(**values: str) -> JSON:
    """Metadata with these annotations of ours."""
    return {"annotations": {f"{PREFIX}{key.replace('_', '-')}": value for key, value in values.items()}}


async def annotate(cluster: Cluster, name: str = "sample", **values: str | None) -> None:
    """Set or remove annotations of ours."""
    given = {f"{PREFIX}{key.replace('_', '-')}": value for key, value in values.items()}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, name, {"metadata": {"annotations": given}})


async def up(cluster: Cluster, name: str = "sample", **arguments: Any) -> None:
    """Bring a set up."""
    await cluster.client.create(LEADERWORKERSETS, manifest(name, **arguments))
    await cluster.available(name)
    await cluster.quiet(3)


async def cordon(cluster: Cluster, *nodes: str, on: bool = True) -> None:
    """Cordon nodes, or have pods come to them again."""
    for node in nodes:
        await (cluster.drills.node_cordon(node) if on else cluster.drills.node_uncordon(node))


async def groups_on(cluster: Cluster, *nodes: str, name: str = "sample") -> set[str]:
    """The groups of a set with pods on these nodes."""
    pods = await cluster.all(PODS, f"{labels.NAME}={name}")
    return {each["metadata"]["labels"][labels.GROUP_INDEX] for each in pods if each["spec"].get("nodeName") in nodes}


async def status(cluster: Cluster, name: str = "sample") -> JSON:
    """The status of a set."""
    found: JSON = (await cluster.client.get(LEADERWORKERSETS, NAMESPACE, name)).get("status") or {}
    return found


async def budgets(cluster: Cluster) -> list[str]:
    """Names of the PodDisruptionBudgets."""
    return [each["metadata"]["name"] for each in await cluster.all(PODDISRUPTIONBUDGETS)]


async def made(cluster: Cluster, name: str = "sample") -> int:
    """How many groups the leader StatefulSet is to have."""
    return int((await cluster.client.get(STATEFULSETS, NAMESPACE, name))["spec"]["replicas"])


async def settled(cluster: Cluster, name: str = "sample", *, replicas: int) -> None:
    """Wait until no move is under way and no extra group is left."""

    async def holds() -> bool:
        found = await cluster.all(PODS, f"{labels.NAME}={name},{labels.WORKER_INDEX}=0")
        return "evacuation" not in await status(cluster, name) and len(found) == replicas

    await cluster.until(holds, seconds=3600, every=1)


@dataclass(slots=True)
class Watched:
    """What was seen of one set.

    Attributes:
        least: the fewest ready groups at any moment.
        most: the most groups at any moment.
        down: the most groups that were not ready at any moment, of those that the set wants.
        counters: every triple of replicas, ready and updated groups that its status had.
        leaders: UIDs of the leaders that each group had.
    """

    least: int = 10**6
    most: int = 0
    down: int = 0
    counters: set[tuple[int, int, int]] = field(default_factory=set)
    leaders: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def look(self, lws: JSON, pods: list[JSON]) -> None:
        """Note one moment."""
        size, replicas = lws["spec"]["leaderWorkerTemplate"]["size"], lws["spec"]["replicas"]
        ready: dict[str, int] = defaultdict(int)
        present = set()
        for pod in pods:
            group = pod["metadata"]["labels"].get(labels.GROUP_INDEX, "")
            if pod["metadata"]["labels"].get(labels.WORKER_INDEX) == "0":
                present.add(group)
                if pod["metadata"]["uid"] not in self.leaders[group]:
                    self.leaders[group].append(pod["metadata"]["uid"])
            ready[group] += not pod["metadata"].get("deletionTimestamp") and _ready(pod)
        whole = [group for group, count in ready.items() if count == size]
        self.least = min(self.least, len(whole))
        self.most = max(self.most, len(present))
        if all(group.isdecimal() for group in ready):
            self.down = max(self.down, replicas - sum(int(group) < replicas for group in whole))
        found = lws.get("status") or {}
        self.counters.add(tuple(found.get(each, 0) for each in ("replicas", "readyReplicas", "updatedReplicas")))

    @property
    def moved(self) -> dict[str, int]:
        """How often each group got another leader, of those that did."""
        return {group: len(uids) - 1 for group, uids in self.leaders.items() if len(uids) > 1}


def _ready(pod: JSON) -> bool:
    found = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in found)


@asynccontextmanager
async def watching(cluster: Cluster, *names: str) -> AsyncIterator[dict[str, Watched]]:
    """Look at these sets at every change of them and of their pods."""
    seen = {name: Watched() for name in names or ("sample",)}
    registry = InformerRegistry(cluster.client, clock=cluster.clock, random=Random(1))
    sets, pods = registry.informer(raw_kind(LEADERWORKERSETS)), registry.informer(raw_kind(PODS))
    pods.add_index("set", lambda pod: (pod.metadata.labels or {}).get(labels.NAME, ""))

    def look(old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        changed = new or old
        assert changed is not None
        name = (changed.metadata.labels or {}).get(labels.NAME, changed.metadata.name)
        lws = sets.store.get(NAMESPACE, name)
        if name in seen and lws is not None:
            seen[name].look(lws.raw, [each.raw for each in pods.store.by_index("set", name)])

    task = asyncio.create_task(registry.run())
    await registry.wait_synced()
    for informer in (sets, pods):
        informer.on_change(look)
    try:
        yield seen
    finally:
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def taint(cluster: Cluster, node: str, *taints: JSON) -> None:
    """Give a node these taints beside its own."""
    live = await cluster.client.get(NODES, "", node)
    kept = live["spec"].get("taints") or []
    await cluster.client.patch(NODES, "", node, {"spec": {"taints": [*kept, *taints]}})


async def edit(cluster: Cluster, image: str, name: str = "sample") -> None:
    """Give a set another image."""
    template = {"spec": {"containers": [{"name": "main", "image": image}]}}
    change = {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, name, change)


async def emptied(cluster: Cluster, *nodes: str) -> None:
    """Wait until there is no pod on these nodes."""

    async def holds() -> bool:
        return not any(each["spec"].get("nodeName") in nodes for each in await cluster.all(PODS))

    await cluster.until(holds, seconds=3600, every=1)


async def nodes_of(cluster: Cluster, group: str, name: str = "sample") -> set[str]:
    """The nodes that a group is on."""
    pods = await cluster.all(PODS, f"{labels.NAME}={name},{labels.GROUP_INDEX}={group}")
    return {each["spec"].get("nodeName", "") for each in pods} - {""}


async def present(cluster: Cluster, pod: str) -> bool:
    """Whether a pod of this name is there."""
    return await cluster.get(PODS, pod) is not None


async def kept(cluster: Cluster, names: list[str]) -> bool:
    """Whether there are just these PodDisruptionBudgets."""
    return await budgets(cluster) == names


def foreign(name: str, found: dict[str, str] | None = None) -> JSON:
    """A PodDisruptionBudget as a team makes one, open and over the pods of the set unless told otherwise."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": found or {labels.NAME: "sample"}}},
    }
