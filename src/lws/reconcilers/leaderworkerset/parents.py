"""Finds the Workload that a parent's controller made for a set among others, such as a trainer's (next 7.8).

No cache holds it: it has no label of ours, and its owners may be of any kind. So it is asked for, by a pass over a set
that says it has a parent and by no other, and remembered for a minute.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson

from lws.api.leaderworkerset import scheduling
from lws.api.leaderworkerset.objects import Workload
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.api.leaderworkerset.workloadapi import WorkloadApi
from lws.api.rules import member
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Key, OwnerReference
from lws.apimachinery.resources import Resource
from lws.client.api import ApiClient
from lws.client.transport import Request
from lws.clock import Clock
from lws.errors import ApiError, LwsError, TransportError
from lws.planning.leaderworkerset.prerequisites import Parent

REMEMBERED_SECONDS: Final = 60.0
MOST_OWNERS: Final = 10  # a chain that is longer is taken for one that never ends


class _LostError(LwsError):
    """The chain of owners leads to no Workload; the words say where it ends."""


class Parents:
    """Finds and remembers.

    Args:
        client: asks the API server.
        api: the version of ``scheduling.k8s.io``.
        clock: tells for how long something was remembered.
    """

    def __init__(self, client: ApiClient, api: WorkloadApi, clock: Clock) -> None:
        self._client = client
        self._api = api
        self._clock = clock
        self._found: dict[Key, tuple[str, float, Parent]] = {}

    def forget(self, key: Key) -> None:
        """The set is gone."""
        self._found.pop(key, None)

    async def of(self, lws: LeaderWorkerSet) -> Parent | None:
        """The Workload for this set; None if the set does not say that it has a parent."""
        if not scheduling.template_of_parent(lws.metadata.annotations):
            return None
        key, now = lws.metadata.key, self._clock.monotonic()
        uid, at, parent = self._found.get(key, ("", 0.0, Parent()))
        if uid == lws.metadata.uid and now - at < REMEMBERED_SECONDS:
            return parent
        try:
            parent = Parent(await self._find(lws))
        except (_LostError, ApiError, TransportError) as error:
            return Parent(problem=str(error))
        self._found[key] = lws.metadata.uid, now, parent
        return parent

    async def _find(self, lws: LeaderWorkerSet) -> Workload:
        """The nearest owner that controls a Workload which names it."""
        namespace, owner = lws.metadata.namespace, lws.metadata.controller
        if owner is None:
            raise _LostError(f"{lws.metadata.name} requires a controller owner")
        listed = await self._client.list(self._api.workloads, namespace)
        for _ in range(MOST_OWNERS):
            named = [each for each in listed["items"] if _is_of(each, owner)]
            if len(named) > 1:
                first, second = (f"{namespace}/{each['metadata']['name']}" for each in named[:2])
                raise _LostError(
                    f"multiple parent Workloads match the LWS controller-owner chain: {first} and {second}"
                )
            if named:
                return msgspec.convert(named[0], Workload)
            owner = await self._next(namespace, owner)
            if owner is None:
                break
        raise _LostError("no parent Workload matches the LWS controller-owner chain")

    async def _next(self, namespace: str, owner: OwnerReference) -> OwnerReference | None:
        """The controller of an owner."""
        where = f"{owner.kind} {namespace}/{owner.name}"
        try:
            found = await self._client.get(await self._resource(owner), namespace, owner.name)
        except ApiError as error:
            raise _LostError(f"follow controller owner {where}: {error}") from error
        uid = found["metadata"]["uid"]
        if uid != owner.uid:
            raise _LostError(f'controller owner {where} UID changed from "{owner.uid}" to "{uid}"')
        references = found["metadata"].get("ownerReferences") or ()
        controller = next((each for each in references if each.get("controller")), None)
        return None if controller is None else msgspec.convert(controller, OwnerReference)

    async def _resource(self, owner: OwnerReference) -> Resource:
        """The resource of an owner's kind, by discovery."""
        group, _, version = owner.api_version.rpartition("/")
        answer = await self._client.send(Request("GET", f"/apis/{group}/{version}" if group else f"/api/{version}"))
        served: list[Any] = orjson.loads(answer.body).get("resources") or []
        plural = next((each["name"] for each in served if each["kind"] == owner.kind and "/" not in each["name"]), "")
        if not plural:
            raise _LostError(f"the API server has no {owner.kind} of {owner.api_version}")
        return Resource(group, version, plural, owner.kind)


def _is_of(workload: JSON, owner: OwnerReference) -> bool:
    """Whether this owner controls the Workload, which names it."""
    references = workload["metadata"].get("ownerReferences") or ()
    mine = any(each.get("controller") and each.get("uid") == owner.uid for each in references)
    named = member(member(workload, "spec"), "controllerRef")
    group = owner.api_version.rpartition("/")[0]
    wanted = {"apiGroup": group, "kind": owner.kind, "name": owner.name}
    return mine and {key: named.get(key) or "" for key in wanted} == wanted
