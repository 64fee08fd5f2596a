"""Says from outside the event loop what blocks it, and ends a process that is to stop while it is blocked.

Guarantees:
    * A slice of the loop that takes longer than ``limit`` seconds is logged while it still runs, with the stack of the
      loop's thread, and once more with its length when it has ended.
    * Once `BlockingWatch.request_stop` was called, a loop that is blocked for ``patience`` seconds ends the process.

Caveats:
    It needs a thread, and cannot see anything while a call holds the interpreter's lock all the time.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

LIMIT: Final = 1.0
PATIENCE: Final = 5.0  # well within a grace period of 10 s
BLOCKED: Final = 1  # exit code of a process that could not stop in order
_log = structlog.stdlib.get_logger("lws.watchdog")


class BlockingWatch:
    """Watches the running loop of this thread for as long as its context is open.

    Args:
        limit: seconds that a slice of the loop may take before it is logged.
        patience: seconds that a process that is to stop is given to answer.
        period: seconds between two questions to the loop.
        end: ends the process with an exit code.
    """

    def __init__(
        self,
        *,
        limit: float = LIMIT,
        patience: float = PATIENCE,
        period: float = 0.5,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._limit = limit
        self._patience = patience
        self._period = period
        self._end = end
        self._stop_requested = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="blocking watch", daemon=True)

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()

    def request_stop(self) -> None:
        """The process is to stop from now on. May be called from a signal handler."""
        self._stop_requested.set()

    def _watch(self) -> None:
        while not self._closed.wait(self._period):
            asked_at, answered = time.monotonic(), threading.Event()
            try:
                self._loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # the loop is closed
                return
            if answered.wait(self._limit):
                continue
            _log.warning("event loop blocked", seconds=self._limit, stack=self._stack())
            self._wait_out(asked_at, answered)
            _log.warning("event loop no longer blocked", seconds=round(time.monotonic() - asked_at, 3))

    def _wait_out(self, asked_at: float, answered: threading.Event) -> None:
        """Wait for the loop's answer, or end the process if it is to stop and the answer does not come."""
        stop_seen_at: float | None = None
        while not answered.wait(self._period):
            if self._closed.is_set():
                return
            if not self._stop_requested.is_set():
                continue
            stop_seen_at = stop_seen_at or time.monotonic()
            if time.monotonic() - stop_seen_at >= self._patience:
                seconds = round(time.monotonic() - asked_at, 3)
                _log.error("event loop blocked, ending without an orderly stop", seconds=seconds, stack=self._stack())
                self._end(BLOCKED)
                return

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._watched)
        return "".join(traceback.format_stack(frame)) if frame is not None else ""
