"""``python -m hack.slices REPORT [FLAG …]``: the controller, each slice of its event loop measured.

SIGUSR2 writes to REPORT, as JSON, what the longest slice since the last report was in milliseconds of CPU, what ran in
it, and the longest pause of the garbage collector, which may be part of a slice or of another thread.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from lws.cli.controller import main as run_controller


class Slices:
    """Measures every callback that event loops of this process run, for as long as it lives."""

    def __init__(self, report: Path) -> None:
        self._report = report
        self._run = asyncio.Handle._run
        self._pause_begun = 0.0
        self._forget()

    def install(self) -> None:
        """Measure from now on."""
        measure = self._measured

        def run(self: asyncio.Handle) -> None:
            measure(self)

        asyncio.Handle._run = run  # type: ignore[method-assign]
        gc.callbacks.append(self._collected)
        signal.signal(signal.SIGUSR2, lambda *_: self._write())

    def _forget(self) -> None:
        self._longest, self._what, self._pause = 0.0, "", 0.0

    def _measured(self, handle: asyncio.Handle) -> None:
        callback, begun = handle._callback, time.thread_time()  # type: ignore[attr-defined]
        self._run(handle)
        used = time.thread_time() - begun
        if used > self._longest:
            self._longest, self._what = used, _name(callback)

    def _collected(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._pause_begun = time.thread_time()
        else:
            self._pause = max(self._pause, time.thread_time() - self._pause_begun)

    def _write(self) -> None:
        told = {"slice": self._longest * 1000, "what": self._what, "pause": self._pause * 1000}
        fresh = self._report.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(told))
        fresh.replace(self._report)
        self._forget()


def _name(callback: Any) -> str:
    """The task that a callback continues, by what it runs where nobody gave it a name, or the function that it is."""
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        name = task.get_name()
        return str(getattr(task.get_coro(), "__qualname__", name)) if name.startswith("Task-") else name
    return str(getattr(callback, "__qualname__", callback))


def main() -> int:
    """Run the controller with the flags after the name of the report."""
    Slices(Path(sys.argv[1])).install()
    gc.freeze()  # as the image does: what is imported stays
    return run_controller(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
