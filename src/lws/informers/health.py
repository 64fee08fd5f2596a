"""How an informer is doing: its counts, what is wrong, since when, and whether a restart could help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lws.apimachinery.resources import Resource
from lws.clock import Clock
from lws.informers.inputs import Trouble
from lws.informers.requests import remedy

FAULT_GRACE: Final = 60.0  # seconds that a broken connection may last before it is unhealthy


@dataclass(slots=True)
class Counters:
    """Counts since the start."""

    events: int = 0  # changes passed to handlers
    lists: int = 0
    watches: int = 0
    faults: int = 0
    unreadable: int = 0


class WatchHealth:
    """Kept by an informer, read by probes and metrics.

    Args:
        resource: what is watched.
        clock: measures ages.
        optional: whether the process does without these objects while the server does not serve or grant them.
    """

    def __init__(self, resource: Resource, clock: Clock, *, optional: bool) -> None:
        self._resource = resource
        self._clock = clock
        self._optional = optional
        self._trouble: Trouble | None = None
        self._trouble_since = 0.0
        self._refusal = ""  # the last 403 or 404 since all was well, in one sentence
        self._failing_since: float | None = None  # since when the informer keeps failing by an internal error
        self._heard_at = clock.monotonic()

    # What the informer notes.

    def heard(self) -> None:
        """The server said something."""
        self._heard_at = self._clock.monotonic()

    def failed(self) -> None:
        """The informer itself failed; it is broken if that goes on."""
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()

    def troubled(self, trouble: Trouble) -> bool:
        """The watch does not work; returns whether that is news."""
        news = self._trouble is None or self._trouble.status != trouble.status
        if self._trouble is None:
            self._trouble_since = self._clock.monotonic()
        self._trouble = trouble
        if trouble.status in (403, 404):
            self._refusal = self.problem
        return news

    def recovered(self) -> bool:
        """The watch works; returns whether that is news."""
        self._failing_since = None
        news = self._trouble is not None
        self._trouble, self._refusal = None, ""
        return news

    # What others read.

    @property
    def age(self) -> float:
        """Seconds since the server last said anything."""
        return self._clock.monotonic() - self._heard_at

    @property
    def problem(self) -> str:
        """What is wrong now, in one sentence; empty if nothing is."""
        if self._trouble is None:
            return ""
        return f"{self._resource}: {self._trouble.problem}{remedy(self._trouble.status, self._resource)}"

    @property
    def missing(self) -> bool:
        """Whether the server does not serve the resource, such as before its CustomResourceDefinition is installed."""
        return self._trouble is not None and self._trouble.status == 404

    @property
    def unavailable(self) -> str:
        """Why an optional resource is done without, in one sentence; empty if it is not, or is not optional."""
        return self._refusal if self._optional else ""

    @property
    def healthy(self) -> bool:
        """False while the server refuses us, or has been out of reach for a minute. A restart mends neither."""
        if self._trouble is None:
            return True
        refused = 400 <= self._trouble.status < 500 and self._trouble.status != 429
        return not refused and self._clock.monotonic() - self._trouble_since < FAULT_GRACE

    @property
    def broken(self) -> bool:
        """Whether an internal error has kept the informer from working for a minute, so that a restart may help."""
        return self._failing_since is not None and self._clock.monotonic() - self._failing_since >= FAULT_GRACE
