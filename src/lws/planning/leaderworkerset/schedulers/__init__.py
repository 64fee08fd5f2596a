"""Scheduler providers by the name that the configuration gives them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Final

from lws.planning.leaderworkerset.podgroup import SchedulerProvider
from lws.planning.leaderworkerset.schedulers.volcano import Volcano

PROVIDERS: Final[Mapping[str, Callable[[Collection[str]], SchedulerProvider]]] = MappingProxyType({"volcano": Volcano})
"""Each takes the names by which pods ask for the scheduler."""
