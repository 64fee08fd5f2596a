"""What processes use, and what the machine does for others meanwhile, as ``/proc`` has it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")
PROC: Final = Path("/proc")


def busy() -> float:
    """Seconds of CPU of the whole machine, neither idle nor waiting; 0 where that is not told."""
    try:
        numbers = [int(each) for each in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return 0.0
    return (sum(numbers) - numbers[3] - numbers[4]) / TICKS


def cpu(pid: int) -> float:
    """Seconds of CPU of a process and all that came of it, ended children included; 0 if it is gone."""
    try:
        found = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        children = [
            int(child)
            for task in (PROC / str(pid) / "task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return 0.0
    return sum(int(each) for each in found[11:15]) / TICKS + sum(cpu(child) for child in children)


def rss(pid: int) -> float:
    """MiB that a process holds in memory."""
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


class Others:
    """What processes that are not of this one's tree use from now on."""

    def __init__(self) -> None:
        self._busy, self._own, self._begun = busy(), cpu(os.getpid()), time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of CPU."""
        return max(0.0, busy() - self._busy - (cpu(os.getpid()) - self._own))

    @property
    def cores(self) -> float:
        """Cores on average."""
        return self.seconds / max(time.monotonic() - self._begun, 1e-3)
