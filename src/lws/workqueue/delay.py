"""A queue whose keys can come later: one heap, one timer, no heartbeat.

Guarantees:
    * A delayed key begins to wait no earlier than its time, and in the order of times among delayed keys; equal times
      keep the order in which they were given.
    * A key is delayed at most once: of several times the earliest holds. Adding a key at once leaves its delay alone.
    * A timer is set only while a key is delayed, so an idle queue does nothing at all.
    * Memory is bounded by the number of delayed keys: superseded heap entries are dropped once they outnumber the rest.

Caveats:
    Delays run on the clock of the running event loop. `DelayingQueue.shut_down` forgets every delayed key.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Hashable
from dataclasses import replace
from typing import Generic, TypeVar

from lws.workqueue.queue import Queue, QueueObserver, QueueStatistics

K = TypeVar("K", bound=Hashable)

_SLACK = 16  # superseded entries that are not worth a rebuild


class DelayingQueue(Generic[K]):
    """Wraps a `Queue`; see the module for what it adds."""

    def __init__(self, queue: Queue[K], *, observer: QueueObserver | None = None) -> None:
        self.queue = queue
        self._observer = observer
        self._due: dict[K, tuple[float, int, bool]] = {}  # the entry that holds for a key: time, sequence, background
        self._heap: list[tuple[float, int, K]] = []  # holds every entry of _due, and superseded ones
        self._sequence = 0
        self._timer: asyncio.TimerHandle | None = None

    def add_after(self, key: K, seconds: float, background: bool = False) -> None:
        """Make a key wait for a worker once so many seconds have passed; at once if they are not positive."""
        if self.queue.shutting_down:
            return
        if seconds <= 0:
            self.queue.add(key, background)
            return
        if self._observer is not None:
            self._observer.retried()
        when = asyncio.get_running_loop().time() + seconds
        held = self._due.get(key)
        if held is not None and held[0] <= when:
            return
        self._sequence += 1
        self._due[key] = (when, self._sequence, background)
        heapq.heappush(self._heap, (when, self._sequence, key))
        self._compact()
        self._set_timer()

    def delay_of(self, key: K) -> float | None:
        """Seconds until a delayed key begins to wait; None if it is not delayed."""
        held = self._due.get(key)
        return None if held is None else max(0.0, held[0] - asyncio.get_running_loop().time())

    def shut_down(self, drain: bool) -> None:
        """Take no more keys and forget the delayed ones; see `Queue.shut_down`. Idempotent."""
        self._due.clear()
        self._heap.clear()
        self._set_timer()
        self.queue.shut_down(drain)

    def statistics(self) -> QueueStatistics:
        """What the queue holds right now."""
        return replace(self.queue.statistics(), delayed=len(self._due))

    def _release(self) -> None:
        """Move every key whose time has come into the queue."""
        self._timer = None
        # The loop runs a timer up to one tick of its clock early; without that allowance it would be set again for the
        # same instant.
        now = asyncio.get_running_loop().time() + 1e-9
        while self._heap and (self._heap[0][0] <= now or self._superseded(self._heap[0])):
            entry = heapq.heappop(self._heap)
            if self._superseded(entry):
                continue
            _, _, background = self._due.pop(entry[2])
            self.queue.add(entry[2], background)
        self._set_timer()

    def _superseded(self, entry: tuple[float, int, K]) -> bool:
        held = self._due.get(entry[2])
        return held is None or held[1] != entry[1]

    def _compact(self) -> None:
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._heap = [(when, sequence, key) for key, (when, sequence, _) in self._due.items()]
            heapq.heapify(self._heap)

    def _set_timer(self) -> None:
        """Have exactly one timer, at the earliest time, or none."""
        when = self._heap[0][0] if self._heap else None
        if self._timer is not None:
            if when == self._timer.when():
                return
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer = asyncio.get_running_loop().call_at(when, self._release)
