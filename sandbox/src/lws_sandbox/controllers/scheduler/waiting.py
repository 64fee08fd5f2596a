"""Pods that wait for a node, and when each is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.scheduler.requests import PodRequest

FIRST_RETRY: Final = 1.0
LAST_RETRY: Final = 10.0


@dataclass(slots=True)
class Waiting:
    """A pod without a node.

    Attributes:
        failures: how often in a row it found none.
        seen: the cache's version at its last failure.
        retry_at: loop time before which it is not tried again.
    """

    pod: JSON
    request: PodRequest
    failures: int = 0
    seen: int = -1
    retry_at: float = 0.0

    def failed(self, version: int, now: float) -> None:
        """It found no node: the next try is a second later, then after twice as long each time, up to ten seconds."""
        self.seen = version
        self.retry_at = now + min(LAST_RETRY, FIRST_RETRY * 2**self.failures)
        self.failures = min(self.failures + 1, 8)
