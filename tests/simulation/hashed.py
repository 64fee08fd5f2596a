"""Clusters with a set whose groups are known by a key, and ways to look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON, annotations_of
from lws.apimachinery.resources import DEPLOYMENTS, PODS, STATEFULSETS
from tests.simulation.cluster import LOOPS, NAMESPACE, Cluster, manifest, running

HASH_LOOPS: Final = (*LOOPS, "deployment-controller", "replicaset-controller")
NAME: Final = "sample"


def hash_manifest(**arguments: Any) -> JSON:
    """A set whose groups are known by a key."""
    return manifest(**{"groupIdentity": "Hash", **arguments})


@asynccontextmanager
async def hash_cluster(seed: int = 1, **arguments: Any) -> AsyncIterator[Hashed]:
    """A cluster with an operator that works, and the controllers that leaders by a Deployment need."""
    async with running(seed, **{"loops": HASH_LOOPS, **arguments}) as cluster:
        yield Hashed(cluster)


class Hashed:
    """One such set on a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    async def up(self, **arguments: Any) -> list[JSON]:
        """Create the set and wait until it is Available and nothing moves; its leaders."""
        await self.create(**arguments)
        await self.cluster.available(NAME)
        await self.cluster.quiet(3)
        return await self.leaders()

    async def create(self, **arguments: Any) -> None:
        """Create the set."""
        await self.cluster.client.create(LEADERWORKERSETS, hash_manifest(**arguments))

    async def edit(self, spec: JSON) -> None:
        """Merge this into its spec."""
        await self.cluster.client.patch(LEADERWORKERSETS, NAMESPACE, NAME, {"spec": spec})

    async def edit_image(self, image: str = "app:2") -> None:
        """Have it run another image."""
        template = {"spec": {"containers": [{"name": "main", "image": image}]}}
        await self.edit({"leaderWorkerTemplate": {"workerTemplate": template}})

    async def leaders(self) -> list[JSON]:
        """Its leader pods, terminating ones included, the oldest first."""
        found = await self.cluster.all(PODS, f"{labels.WORKER_INDEX}=0")
        return sorted(found, key=_age)

    async def group(self, leader: JSON) -> list[JSON]:
        """The pods of this leader's group."""
        return await self.cluster.all(PODS, f"{labels.GROUP_INDEX}={key(leader)}")

    async def worker_sets(self) -> list[JSON]:
        """Its worker StatefulSets."""
        return await self.cluster.all(STATEFULSETS)

    async def deployment(self) -> JSON:
        """Its leader Deployment."""
        return await self.cluster.client.get(DEPLOYMENTS, NAMESPACE, NAME)

    async def status(self) -> JSON:
        """Its status."""
        found = await self.cluster.client.get(LEADERWORKERSETS, NAMESPACE, NAME)
        status: JSON = found.get("status") or {}
        return status

    async def conditions(self) -> dict[str, str]:
        """Status of each of its conditions."""
        return {each["type"]: each["status"] for each in (await self.status()).get("conditions") or ()}

    async def counters(self) -> tuple[int, int, int]:
        """Replicas, ready and updated ones."""
        status = await self.status()
        replicas, ready, updated = (status.get(each, 0) for each in ("replicas", "readyReplicas", "updatedReplicas"))
        return replicas, ready, updated


def key(leader: JSON) -> str:
    """The key of the leader's group."""
    return str(leader["metadata"]["labels"][labels.GROUP_KEY])


def gates(pod: JSON) -> list[str]:
    """The scheduling gates of a pod."""
    return [gate["name"] for gate in pod["spec"].get("schedulingGates") or ()]


def group_ready(leader: JSON) -> tuple[str, str] | None:
    """Status and reason of the leader's condition about its group."""
    found = [each for each in leader["status"].get("conditions") or () if each["type"] == labels.GROUP_READY]
    return (found[0]["status"], found[0]["reason"]) if found else None


def ready(pod: JSON) -> bool:
    """Whether the pod is Ready and not ending."""
    conditions = pod["status"].get("conditions") or ()
    going = "deletionTimestamp" in pod["metadata"]
    return not going and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def going(pod: JSON) -> bool:
    """Whether the pod is being deleted."""
    return "deletionTimestamp" in pod["metadata"]


def ended(pod: JSON) -> bool:
    """Whether none of its containers will ever run again: its controller has made another."""
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def revision(pod: JSON) -> str:
    """The revision key of a pod."""
    return str(pod["metadata"]["labels"][labels.REVISION])


def noted_leader(worker: JSON) -> str:
    """The leader that a worker names."""
    return annotations_of(worker)[labels.LEADER_NAME]


def _age(pod: JSON) -> tuple[str, str]:
    return pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]
