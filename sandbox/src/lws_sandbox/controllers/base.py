"""What every control loop of the sandbox is made of: our own client, informers, queue and workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Generic, Protocol, TypeVar

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.client.api import ApiClient
from lws.client.transport import Transport
from lws.clock import Clock
from lws.errors import NotFoundError
from lws.informers.informer import Informer
from lws.informers.kinds import RawObject, raw_kind
from lws.informers.registry import InformerRegistry
from lws.runtime.controller import Controller, Done, RequeueAfter, Verdict
from lws.runtime.freshness import Ledger
from lws.workqueue import Bucket, ExponentialBackoff, RateLimitingQueue
from lws_sandbox.controllers.objects import controller_of, name_of, namespace_of
from lws_sandbox.controllers.recorder import Recorder

K = TypeVar("K", bound=Hashable)
Key = tuple[str, str]
Raw = Informer[RawObject]
DEADLINE: Final = 120.0
OWNER_INDEX: Final = "controller uid"
ORPHAN_INDEX: Final = "orphans"
NODE_INDEX: Final = "node"
MANAGER: Final = "kube-controller-manager"

__all__ = ["Done", "RequeueAfter", "Verdict"]


class Loop(Protocol):
    """A control loop: a name, and a run that ends only by cancellation."""

    @property
    def name(self) -> str:
        """As ``--controllers`` of kube-controller-manager names it, where it has it."""
        ...

    async def run(self) -> None:
        """Run until cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What the loops share.

    Attributes:
        transport: how the API server is reached.
        informers: caches of whole objects, shared by all loops.
        recorder: writes core/v1 events.
    """

    transport: Transport
    informers: InformerRegistry
    recorder: Recorder
    clock: Clock
    random: Random

    def client(self, user_agent: str = MANAGER) -> ApiClient:
        """A client under a name; the name is the field manager of what it writes."""
        return ApiClient(self.transport, user_agent=user_agent, field_manager=None)

    def watch(self, resource: Resource) -> Raw:
        """The shared cache of all objects of a resource."""
        return self.informers.informer(raw_kind(resource))


class KeyedLoop(Generic[K]):
    """A loop of keys: a queue, its workers, and the reads and writes of one reconcile function.

    Args:
        tools: shared by all loops.
        name: of the loop.
        reconcile: called with one key at a time, never twice at once for the same.
        workers: keys in work at once.
        caches: awaited before the first key is taken.
    """

    def __init__(
        self,
        tools: Toolbox,
        name: str,
        reconcile: Callable[[K], Awaitable[Verdict]],
        *,
        workers: int = 4,
        caches: Iterable[Informer[Any]] = (),
    ) -> None:
        self.name = name
        self._caches = tuple(caches)
        self.queue: RateLimitingQueue[K] = _queue(tools)
        self._ledger: Ledger[K] = Ledger(self.queue.add)
        self._controller: Controller[K] = Controller(
            name,
            reconcile,
            queue=self.queue,
            clock=tools.clock,
            workers=workers,
            deadline=DEADLINE,
            stop_seconds=1.0,
            ledger=self._ledger,
        )

    async def run(self) -> None:
        """Run until cancelled, once the caches are filled."""
        for cache in self._caches:
            await cache.wait_synced()
        await self._controller.run()

    def wrote(self, key: K, informer: Raw, obj: JSON) -> None:
        """Let the key rest until the cache has seen this write."""
        version = (obj.get("metadata") or {}).get("resourceVersion")
        if version and obj.get("kind") != "Status":
            self._ledger.record(key, informer, namespace_of(obj), name_of(obj), version)


def owner_values(obj: RawObject) -> Iterable[Hashable]:
    """Index by the UID of the controlling owner."""
    owner = obj.metadata.controller
    return (owner.uid,) if owner else ()


def orphan_values(obj: RawObject) -> Iterable[Hashable]:
    """Index objects that nobody controls, by namespace."""
    return () if obj.metadata.controller else (obj.metadata.namespace,)


def node_values(obj: RawObject) -> Iterable[Hashable]:
    """Index pods by their node."""
    node = (obj.raw.get("spec") or {}).get("nodeName")
    return (node,) if node else ()


def raws(objects: Iterable[RawObject]) -> list[JSON]:
    """The whole objects."""
    return [obj.raw for obj in objects]


def key_of(obj: RawObject) -> Key:
    """(namespace, name)."""
    return obj.metadata.key


def owner_key(obj: RawObject, kind: str) -> Key | None:
    """The key of the controlling owner, if it is of this kind."""
    owner = controller_of(obj.raw)
    return (obj.metadata.namespace, owner["name"]) if owner and owner.get("kind") == kind else None


async def get_or_none(client: ApiClient, resource: Resource, namespace: str, name: str) -> JSON | None:
    """The live object, or None."""
    try:
        return await client.get(resource, namespace, name)
    except NotFoundError:
        return None


async def forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


def _queue(tools: Toolbox) -> RateLimitingQueue[Any]:
    """The limits of the real controllers: 5 ms doubling to 1000 s a key, ten retries a second over all."""
    backoff: ExponentialBackoff[Any] = ExponentialBackoff(tools.random, jitter=0.0)
    bucket = Bucket(tools.clock, rate=10.0, burst=100)
    return RateLimitingQueue(tools.random, clock=tools.clock, backoff=backoff, bucket=bucket)
