"""The processes and mounts of this namespace, as the kernel lists them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

RUN: Final = Path("/run/node")
SANDBOX: Final = b"2147483647"  # how long the container sleeps that holds a pod's namespaces
LOGS: Final = Path("/var/log/pods")
TAIL: Final = 3000  # characters
CGROUP: Final = "lws-node"
SHIM: Final = "containerd-shim"


def of_pod(uid: str) -> list[int]:
    """The processes of a pod's containers, in no order."""
    found = []
    for path in _all():
        with suppress(OSError):
            if uid in (path / "cgroup").read_text() and SANDBOX not in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def ours() -> set[int]:
    """This process, those it stems from and those that it started, without what containerd started for pods."""
    return {os.getpid(), os.getppid(), *_descendants(os.getppid())}


def strangers(family: set[int]) -> list[int]:
    """The processes that live and are none of these."""
    found = []
    for path in _all():
        with suppress(OSError):
            if int(path.name) not in family and _fields(path)[0] != "Z":
                found.append(int(path.name))
    return found


def kill(processes: list[int]) -> None:
    """End processes at once; those that are gone are passed over."""
    for each in processes:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def last_words(namespace: str) -> str:
    """The end of the newest log of a namespace's containers, as the runtime keeps it; empty if there is none."""
    logs = sorted(LOGS.glob(f"{namespace}_*/*/*.log"), key=lambda path: path.stat().st_mtime)
    return logs[-1].read_text(errors="replace")[-TAIL:] if logs else ""


def make_cgroups() -> None:
    """The cgroup that the kubelet keeps pods below, in every hierarchy, with the processors of the one above."""
    for parent in _hierarchies():
        group = parent / CGROUP
        group.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (parent / name).exists():
                (group / name).write_text((parent / name).read_text())


def remove_cgroups() -> None:
    """Remove it and all below; what still has processes stays."""
    for parent in _hierarchies():
        for path, _, _ in os.walk(parent / CGROUP, topdown=False):
            with suppress(OSError):
                Path(path).rmdir()


def _hierarchies() -> Iterator[Path]:
    root = Path("/sys/fs/cgroup")
    return (
        iter([root]) if (root / "cgroup.controllers").exists() else (each for each in root.iterdir() if each.is_dir())
    )


def forget_run() -> None:
    """Empty the node's directory below /run, and end the mounts of its containers, as a new start finds it."""
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        place = line.split()[1]
        if place.startswith(f"{RUN}/") or "/containerd/" in place:
            subprocess.run(["umount", "-l", place], check=False, capture_output=True)
    for each in RUN.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        else:
            each.unlink()


def _all() -> Iterator[Path]:
    return Path("/proc").glob("[0-9]*")


def _fields(path: Path) -> list[str]:
    """State, parent and more."""
    return (path / "stat").read_text().rpartition(")")[2].split()


def _descendants(parent: int) -> set[int]:
    found: set[int] = set()
    for path in _all():
        with suppress(OSError):
            mine = int(_fields(path)[1]) == parent
            if mine and not (path / "comm").read_text().startswith(SHIM):
                found |= {int(path.name), *_descendants(int(path.name))}
    return found
