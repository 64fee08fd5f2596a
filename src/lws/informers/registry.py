"""Informers shared by all who ask for the same objects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from lws.apimachinery.objects import Object
from lws.client.api import ApiClient
from lws.clock import Clock
from lws.informers.informer import Informer
from lws.informers.kinds import Kind
from lws.informers.requests import Selection

T = TypeVar("T", bound=Object)


@dataclass(frozen=True, slots=True)
class InformerStatistics:
    """One informer at one moment. Ages in seconds."""

    resource: str
    namespace: str
    label_selector: str
    field_selector: str
    objects: int
    position: int
    synced: bool
    healthy: bool
    trouble: str
    last_event_age: float
    events: int
    lists: int
    watches: int
    faults: int
    unreadable: int


class InformerRegistry:
    """Makes informers, one for equal arguments, and runs them.

    Args:
        client: how the server is reached.
        clock: for ages.
        random: for jitter; each informer gets its own generator, seeded from this one.
        resync: seconds between resyncs of every informer; None for never.
    """

    def __init__(self, client: ApiClient, *, clock: Clock, random: Random, resync: float | None = None) -> None:
        self._client = client
        self._clock = clock
        self._random = random
        self._resync = resync
        self._informers: dict[tuple[int, Selection], Informer[Any]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}  # by identity of the informer
        self._group: asyncio.TaskGroup | None = None

    def informer(
        self,
        kind: Kind[T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        optional: bool = False,
        on_demand: bool = False,
    ) -> Informer[T]:
        """The informer for these objects; while the registry runs, a new one is started at once.

        An ``optional`` one does not keep the process from starting, or from being ready, while the server does not
        serve its resource or does not grant it; see `Informer.unavailable`. One ``on_demand`` asks for nothing before
        `Informer.demand`, and nobody waits for it.
        """
        selection = Selection(namespace, label_selector, field_selector)
        key = (id(kind), selection)
        if key not in self._informers:
            informer = Informer(
                kind,
                selection,
                self._client,
                clock=self._clock,
                random=Random(self._random.getrandbits(64)),  # noqa: S311 -- jitter, no secret
                resync=self._resync,
                optional=optional,
                on_demand=on_demand,
            )
            self._informers[key] = informer
            if self._group is not None:
                self._start(informer)
        found: Informer[T] = self._informers[key]
        return found

    def drop(self, informer: Informer[Any]) -> None:
        """Stop an informer whose objects are no longer needed, such as those of an API that is gone. Idempotent.

        Its handlers are not told that its objects are deleted.
        """
        self._informers = {key: known for key, known in self._informers.items() if known is not informer}
        task = self._tasks.pop(id(informer), None)
        if task is not None:
            task.cancel()

    def __iter__(self) -> Iterator[Informer[Any]]:
        return iter([*self._informers.values()])

    @property
    def synced(self) -> bool:
        """Whether every informer is, but for optional ones that are unavailable, and those on demand."""
        return all(
            informer.synced or informer.unavailable or informer.on_demand for informer in self._informers.values()
        )

    async def wait_synced(self) -> None:
        """Wait until every informer that there is now is synced."""
        for informer in self:
            await informer.wait_synced()

    @property
    def healthy(self) -> bool:
        """Whether every informer is, but for optional ones that are unavailable."""
        return all(informer.healthy or informer.unavailable for informer in self._informers.values())

    @property
    def unavailable(self) -> list[str]:
        """Which optional resources are done without, and why, one sentence each."""
        return [informer.unavailable for informer in self._informers.values() if informer.unavailable]

    @property
    def troubles(self) -> list[str]:
        """What is wrong, one sentence each."""
        return [informer.trouble for informer in self._informers.values() if informer.trouble]

    async def run(self) -> None:
        """Run every informer until cancelled."""
        if self._group is not None:
            raise RuntimeError("the registry runs already")
        try:
            async with asyncio.TaskGroup() as self._group:
                for informer in self:
                    self._start(informer)
                self._group.create_task(asyncio.Event().wait(), name="informers")  # also while there is none
        finally:
            self._group = None
            self._tasks.clear()

    def statistics(self) -> list[InformerStatistics]:
        """How every informer is doing."""
        return [_statistics(informer) for informer in self]

    def _start(self, informer: Informer[Any]) -> None:
        assert self._group is not None
        self._tasks[id(informer)] = self._group.create_task(informer.run(), name=f"informer {informer.kind}")


def _statistics(informer: Informer[Any]) -> InformerStatistics:
    selection, counters = informer.selection, informer.counters
    return InformerStatistics(
        resource=str(informer.kind),
        namespace=selection.namespace,
        label_selector=selection.label_selector,
        field_selector=selection.field_selector,
        objects=len(informer.store),
        position=informer.position,
        synced=informer.synced,
        healthy=informer.healthy or bool(informer.unavailable),
        trouble=informer.trouble,
        last_event_age=informer.last_event_age,
        events=counters.events,
        lists=counters.lists,
        watches=counters.watches,
        faults=counters.faults,
        unreadable=counters.unreadable,
    )
