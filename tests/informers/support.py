"""What the informer tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import PODS
from lws.client.api import ApiClient
from lws.informers.informer import Informer
from lws.informers.kinds import Kind
from lws.informers.registry import InformerRegistry
from lws_sandbox.virtual_time import VirtualClock
from tests.informers.server import FakeServer


class Thing(msgspec.Struct, frozen=True):
    """The smallest object that can be cached."""

    metadata: ObjectMeta


def _same(thing: Thing) -> Thing:
    return thing


THINGS: Kind[Thing] = Kind(PODS, Thing, _same)


@dataclass
class Told:
    """Replays what a handler hears, and checks that each change fits the one before."""

    informer: Informer[Any]
    world: dict[tuple[str, str], Any] = field(default_factory=dict)
    changes: list[tuple[str | None, str | None, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.informer.on_change(self.hear)

    def hear(self, old: Any, new: Any, initial: bool) -> None:
        """The handler."""
        key = (new or old).metadata.key
        if old is not None:
            assert self.world.pop(key) is old, "a change starts from what was told last"
        else:
            assert key not in self.world, "an object is new only once"
        if new is not None:
            self.world[key] = new
        self.changes.append((version(old), version(new), initial))


def version(obj: Any) -> str | None:
    """An object's version, or None for none."""
    return obj.metadata.resource_version if obj is not None else None


def held(informer: Informer[Any]) -> dict[tuple[str, str], str]:
    """Versions of the objects in a store."""
    return {obj.metadata.key: obj.metadata.resource_version for obj in informer.store}


@asynccontextmanager
async def following(
    server: FakeServer, *, seed: int = 0, resync: float | None = None, label: str = "", optional: bool = False
) -> AsyncIterator[Informer[Thing]]:
    """An informer at work, checked at the end: it holds the truth, and its handlers were told exactly that."""
    registry = InformerRegistry(
        ApiClient(server, user_agent="test", field_manager=None),
        clock=VirtualClock(),
        random=Random(seed),
        resync=resync,
    )
    informer = registry.informer(THINGS, label_selector=label, optional=optional)
    told = Told(informer)
    task = asyncio.create_task(registry.run())
    try:
        yield informer
        assert held(informer) == server.truth(label)
        assert {key: version(obj) for key, obj in told.world.items()} == server.truth(label)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
