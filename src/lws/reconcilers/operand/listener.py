"""Who is told of what the operator sees and does: its metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from lws.api.operand.types import LeaderWorkerSetOperator
from lws.apimachinery.manifests import JSON
from lws.reconcilers.operand.observe import Observation


class Listener(Protocol):
    """Hears how passes went, for metrics and the operator's own log level."""

    def seen(self, operator: LeaderWorkerSetOperator) -> None:
        """The object was read."""
        ...

    def passed(self, observation: Observation, status: JSON, seconds: float) -> None:
        """A pass ended, with this status."""
        ...

    def standby(self, other: str) -> None:
        """Somebody else works on the same object; empty if nobody does any more."""
        ...

    def failed(self, step: str) -> None:
        """A pass failed at this step."""
        ...

    def healed(self, resources: Iterable[str]) -> None:
        """Objects were put right although nothing new was asked for."""
        ...

    def rolled(self, result: str) -> None:
        """A rollout ended."""
        ...
