"""W1 to W7: what a controller is asked to do, and when that is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NAMESPACES, PODS
from lws.client.api import ApiClient

NAMESPACE: Final = "bench"
SET_LABEL: Final = "leaderworkerset.sigs.k8s.io/name"
PATIENCE: Final = 300.0
QUIET: Final = 10.0  # seconds for which a controller is watched at rest
MORE: Final = 2  # groups by which sets are scaled
NAMES: Final = {
    "W1": "create",
    "W2": "rolling update",
    "W3": "scale up by 2",
    "W4": "scale down by 2",
    "W5": "restart a group",
    "W6": "rest for 10 s",
    "W7": "delete",
}


@dataclass
class Fleet:
    """Sets that are all alike.

    Args:
        client: that may do everything.
        sets: how many.
        groups: of each.
        size: pods of each group.
    """

    client: ApiClient
    sets: int
    groups: int
    size: int
    image: str = "app:1"

    def workloads(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """In the order in which they follow one another."""
        return {
            "W1": self.create,
            "W2": self.roll,
            "W3": lambda: self.scale(self.groups + MORE),
            "W4": lambda: self.scale(self.groups),
            "W5": self.restart,
            "W6": self.rest,
            "W7": self.delete,
        }

    async def create(self) -> None:
        """All sets at once."""
        await self.client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        for name in self._names:
            await self.client.create(LEADERWORKERSETS, self._manifest(name))
        await self._settled(self.groups)

    async def roll(self) -> None:
        """Another image for all pods, group by group."""
        self.image = "app:2"
        template = {"spec": {"containers": [{"name": "main", "image": self.image}]}}
        for name in self._names:
            await self._patch(name, {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}})
        await self._settled(self.groups)

    async def scale(self, groups: int) -> None:
        """To so many groups."""
        for name in self._names:
            await self._patch(name, {"spec": {"replicas": groups}})
        await self._settled(groups)

    async def restart(self) -> None:
        """Each set loses a worker."""
        gone = {f"{name}-0-1" for name in self._names}
        uids = {pod["metadata"]["uid"] for pod in await self._pods() if pod["metadata"]["name"] in gone}
        for name in sorted(gone):
            await self.client.delete(PODS, NAMESPACE, name)
        await self._settled(self.groups, without=uids)

    async def rest(self) -> None:
        """Nothing."""
        await asyncio.sleep(QUIET)

    async def delete(self) -> None:
        """All sets."""
        for name in self._names:
            await self.client.delete(LEADERWORKERSETS, NAMESPACE, name)
        await self._until(self._empty)

    async def _settled(self, groups: int, without: set[str] | None = None) -> None:
        async def settled() -> bool:
            sets = (await self.client.list(LEADERWORKERSETS, NAMESPACE))["items"]
            return all(_told(each, groups) for each in sets) and self._whole(await self._pods(), groups, without)

        await self._until(settled)

    def _whole(self, pods: list[JSON], groups: int, without: set[str] | None) -> bool:
        alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return (
            len(alive) == len(pods) == self.sets * groups * self.size
            and all(map(_ready, alive))
            and {pod["spec"]["containers"][0]["image"] for pod in alive} == {self.image}
            and not {pod["metadata"]["uid"] for pod in alive} & (without or set())
        )

    async def _empty(self) -> bool:
        return not await self._pods() and not (await self.client.list(LEADERWORKERSETS, NAMESPACE))["items"]

    async def _until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await holds():  # noqa: ASYNC110 -- a server has no event for it
                await asyncio.sleep(0.5)

    async def _pods(self) -> list[JSON]:
        found: list[JSON] = (await self.client.list(PODS, NAMESPACE, label_selector=SET_LABEL))["items"]
        return found

    async def _patch(self, name: str, change: JSON) -> None:
        await self.client.patch(LEADERWORKERSETS, NAMESPACE, name, change)

    @property
    def _names(self) -> list[str]:
        return [f"set-{number}" for number in range(self.sets)]

    def _manifest(self, name: str) -> JSON:
        template = {"spec": {"containers": [{"name": "main", "image": self.image}]}}
        return {
            "apiVersion": LEADERWORKERSETS.api_version,
            "kind": LEADERWORKERSETS.kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "replicas": self.groups,
                "leaderWorkerTemplate": {"size": self.size, "workerTemplate": template},
            },
        }


def _told(found: JSON, groups: int) -> bool:
    """Whether the status of a set says that all is done."""
    status = found.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
    counted = [status.get(each, 0) for each in ("replicas", "readyReplicas", "updatedReplicas")]
    current = status.get("observedGeneration", found["metadata"]["generation"]) == found["metadata"]["generation"]
    return current and conditions.get("Available") == "True" and counted == [groups] * 3


def _ready(pod: JSON) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))
