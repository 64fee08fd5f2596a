"""What is measured of a controller process: its CPU and memory, its requests, and what the machine did meanwhile."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from lws.apimachinery.manifests import JSON

TICKS: Final = os.sysconf("SC_CLK_TCK")
PROC: Final = Path("/proc")
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
    _busy: float = 0.0
    _bench: float = 0.0
    _begun: float = 0.0
    _skipped: Counter[str] = field(default_factory=Counter)

    def begin(self) -> None:
        """Measure from here."""
        self._requests()
        self._cpu, self._busy, self._bench = self._controller(), _busy(), _tree(os.getpid())
        self._begun = time.monotonic()

    def end(self) -> Figures:
        """What was used since then."""
        wall = time.monotonic() - self._begun
        cpu = self._controller() - self._cpu
        foreign = _busy() - self._busy - (_tree(os.getpid()) - self._bench)
        counts = self._requests()
        writes = counts.total() - counts["reads"]
        return Figures(
            round(wall, 2),
            round(cpu, 2),
            round(max(0.0, foreign), 2),
            round(_rss(self.pid), 1),
            counts["statuses"],
            counts["events"],
            writes - counts["statuses"] - counts["events"],
            counts["reads"],
        )

    def _controller(self) -> float:
        return _tree(self.pid)

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


def _stat(pid: int) -> list[str]:
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _tree(pid: int) -> float:
    """Seconds of CPU of a process and all that came of it, ended children included."""
    try:
        found = _stat(pid)
        children = [
            int(child)
            for task in (PROC / str(pid) / "task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return 0.0
    return sum(int(each) for each in found[11:15]) / TICKS + sum(_tree(child) for child in children)


def _busy() -> float:
    """Seconds of CPU of the whole machine, neither idle nor waiting."""
    numbers = [int(each) for each in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(numbers) - numbers[3] - numbers[4]) / TICKS


def _rss(pid: int) -> float:
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
