"""What is measured of a controller process: its CPU and memory, its requests, and what the machine did meanwhile."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from hack.machine import Others, cpu, rss
from lws.apimachinery.manifests import JSON

EVENTS: Final = "events"
LEASES: Final = "leases"
WRITES: Final = ("create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True)
class Figures:
    """One workload. Seconds of CPU are the controller's; foreign ones those of processes that are none of the bench's.

    Attributes:
        wall: seconds.
        cpu: seconds of the controller.
        foreign: seconds of CPU of everybody else on the machine.
        rss: MiB that the controller held at the end.
        statuses: writes of statuses of sets.
        events: writes of events.
        others: all other writes, but for the lease.
        reads: requests for one object or a list.
    """

    wall: float
    cpu: float
    foreign: float
    rss: float
    statuses: int
    events: int
    others: int
    reads: int


@dataclass
class Meter:
    """Measures one process, from `begin` to `end`.

    Args:
        pid: the controller; what it starts counts with it.
        audit: the API server's audit log.
        user: as whom the controller sends its requests.
    """

    pid: int
    audit: Path
    user: str
    _read: int = 0
    _cpu: float = 0.0
    _begun: float = 0.0
    _others: Others = field(default_factory=Others)
    _skipped: Counter[str] = field(default_factory=Counter)

    def begin(self) -> None:
        """Measure from here."""
        self._requests()
        self._cpu, self._others, self._begun = cpu(self.pid), Others(), time.monotonic()

    def end(self) -> Figures:
        """What was used since then."""
        wall = time.monotonic() - self._begun
        used, foreign = cpu(self.pid) - self._cpu, self._others.seconds
        counts = self._requests()
        writes = counts.total() - counts["reads"]
        return Figures(
            round(wall, 2),
            round(used, 2),
            round(foreign, 2),
            round(rss(self.pid), 1),
            counts["statuses"],
            counts["events"],
            writes - counts["statuses"] - counts["events"],
            counts["reads"],
        )

    def _requests(self) -> Counter[str]:
        """What the audit log tells of since the last look."""
        with self.audit.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        return Counter(kind for line in whole.splitlines() if (kind := _kind(orjson.loads(line), self.user)))


def _kind(entry: JSON, user: str) -> str:
    """What sort of request of this user an entry tells of; empty for what does not count."""
    target = entry.get("objectRef")
    if entry["user"].get("username") != user or target is None or entry["stage"] != "ResponseComplete":
        return ""
    resource, below = target["resource"], target.get("subresource", "")
    if resource == LEASES or resource.endswith("reviews") or entry["verb"] == "watch":
        return ""
    if entry["verb"] not in WRITES:
        return "reads"
    if resource == EVENTS:
        return "events"
    return "statuses" if (resource, below) == ("leaderworkersets", "status") else "others"
