"""How much an operator holds, found by looking into everything it is made of.

Every container that can be reached from it by way of our own classes is counted under ``Class.member``, so that a leak
is found wherever it is, in what is written tomorrow too. Objects of the API are not looked into: who holds them counts.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Iterator
from random import Random
from types import MethodType
from typing import Any, Final

import msgspec
from pydantic import BaseModel

from lws.manager.manager import ControllerManager

CONTAINERS: Final = (dict, list, set, frozenset, tuple, deque)
ENUMERATED: Final = (
    "rest_client_requests",
    "lws_events_dropped",
)  # by code, method and cause: few, and no names
OPAQUE: Final = (msgspec.Struct, BaseModel, Random, asyncio.Future, str, bytes)


def census(operator: ControllerManager) -> Counter[str]:
    """Entries of every container by ``Class.member``, and tasks and metric series."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [("operator", operator)]
    while waiting:
        name, thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, OPAQUE):
            continue
        seen.add(id(thing))
        if isinstance(thing, CONTAINERS):
            found[name] += len(thing)
            waiting += [(name, each) for each in _entries(thing)]
        elif isinstance(thing, MethodType):
            waiting.append((name, thing.__self__))
        elif _ours(thing):
            waiting += [(f"{type(thing).__name__}.{member}", value) for member, value in _members(thing)]
    found["tasks"] = len(asyncio.all_tasks())
    families = [each for each in operator.metrics.registry.collect() if each.name not in ENUMERATED]
    found["metric series"] = sum(len(family.samples) for family in families)
    return found


def _ours(thing: Any) -> bool:
    module = type(thing).__module__
    return module.startswith("lws.") and not module.startswith("lws_sandbox")


def _entries(thing: Collection[Any]) -> list[Any]:
    """Keys of dictionaries, and plain tuples within, cost what they cost; what they lead to is what matters."""
    return [*thing.values()] if isinstance(thing, dict) else [*thing]


def _members(thing: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        for member in getattr(kind, "__slots__", ()):
            if hasattr(thing, member):
                yield member, getattr(thing, member)
