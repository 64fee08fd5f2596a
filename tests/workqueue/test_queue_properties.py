"""Properties of the queue under thousands of random operations in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lws.workqueue import RateLimitingQueue
from lws.workqueue.queue import LIVE_RUN
from lws_sandbox.virtual_time import VirtualClock, VirtualTimeLoop

T = TypeVar("T")
KEYS = st.integers(min_value=0, max_value=11)
DELAYS = st.floats(min_value=0.001, max_value=50.0, allow_nan=False)


class QueueMachine(RuleBasedStateMachine):
    """Compares a queue with plain lists that state what it promises."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.queue: RateLimitingQueue[int] = RateLimitingQueue(Random(1), clock=VirtualClock(self.loop))
        self.waiting: dict[bool, list[int]] = {False: [], True: []}  # by background, in order of arrival
        self.held: set[int] = set()
        self.again: dict[int, bool] = {}
        self.delayed: dict[int, tuple[float, bool]] = {}
        self.retry_at: dict[int, float] = {}  # of the last retry that was charged
        self.live_run = 0
        self.asked = False  # whether a worker has ever asked for a key
        self.workers: list[asyncio.Task[int]] = []
        self.loop.run_until_complete(self.begin())

    def turn(self) -> None:
        """Let everything that is ready run."""

        async def idle() -> None:
            for _ in range(6):
                await asyncio.sleep(0)

        self.loop.run_until_complete(idle())
        for worker in [worker for worker in self.workers if worker.done()]:
            self.workers.remove(worker)
            self.took(worker.result())

    def expect(self, key: int, background: bool) -> None:
        """The model's own addition."""
        if key in self.held:
            self.again[key] = background and self.again.get(key, True)
        elif key in self.waiting[False] or (background and key in self.waiting[True]):
            return
        else:
            if key in self.waiting[True]:
                self.waiting[True].remove(key)
            self.waiting[background].append(key)

    def expect_later(self, key: int, delay: float, background: bool) -> None:
        """The model's own delayed addition: the earliest time holds, and ties keep the order in which they came."""
        when = self.loop.time() + delay
        if key not in self.delayed or when < self.delayed[key][0]:
            self.delayed.pop(key, None)
            self.delayed[key] = (when, background)

    def took(self, key: int) -> None:
        """A worker was given a key: check that it was its turn."""
        assert key not in self.held, "a key is with two workers"
        background = key in self.waiting[True]
        assert self.waiting[background][0] == key, "not the first of its class"
        if background and self.waiting[False]:
            assert self.live_run == LIVE_RUN, "a background key went before a live one too early"
        if not background and self.waiting[True]:
            self.live_run += 1
            assert self.live_run <= LIVE_RUN, "a background key was passed over too often"
        else:
            self.live_run = 0
        self.waiting[background].pop(0)
        self.held.add(key)
        if key not in self.delayed:
            self.retry_at.pop(key, None)

    @rule(key=KEYS, background=st.booleans())
    def add(self, key: int, background: bool) -> None:
        """Add a key at once."""
        self.queue.add(key, background)
        self.expect(key, background)
        self.turn()

    @rule(key=KEYS, delay=DELAYS, background=st.booleans())
    def add_after(self, key: int, delay: float, background: bool) -> None:
        """Add a key later."""
        self.on_loop(lambda: self.queue.add_after(key, delay, background))
        self.expect_later(key, delay, background)

    @rule(key=KEYS)
    def fail(self, key: int) -> None:
        """Add a key after its back-off, which doubles with every failure; a retry that waits already stays."""
        failures = self.queue.retries(key)
        waits = key in self.delayed and self.retry_at.get(key, 0.0) > self.loop.time()
        delay = self.on_loop(lambda: self.queue.add_rate_limited(key))
        if waits:
            assert self.queue.retries(key) == failures
            assert abs(self.delayed[key][0] - self.loop.time() - delay) < 1e-6
            return
        self.retry_at[key] = self.loop.time() + delay
        longest = min(1000.0, 0.005 * 2**failures)
        assert longest * 0.8 <= delay <= longest
        self.expect_later(key, delay, False)

    @rule(key=KEYS)
    def forget(self, key: int) -> None:
        """A key's row of failures ends."""
        self.queue.forget(key)
        assert self.queue.retries(key) == 0

    @rule()
    def work(self) -> None:
        """One more worker asks for a key."""
        self.asked = True
        self.workers.append(self.loop.create_task(self.queue.get()))
        self.turn()

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A worker that waits is cancelled, perhaps in the moment in which a key comes for it."""
        worker = data.draw(st.sampled_from(self.workers))
        moment = data.draw(st.sampled_from(["alone", "after a key came", "before a key comes"]))
        if moment == "after a key came":
            self.come(data.draw(KEYS))
        worker.cancel()
        self.workers.remove(worker)
        if moment == "before a key comes":
            self.come(data.draw(KEYS))
        self.turn()

    def come(self, key: int) -> None:
        """Add a key without letting anything run."""
        self.queue.add(key)
        self.expect(key, False)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        """A worker is done with its key."""
        key = data.draw(st.sampled_from(sorted(self.held)))
        self.finish(key)
        self.turn()

    @rule(seconds=DELAYS)
    def wait(self, seconds: float) -> None:
        """Time passes; delayed keys come in the order of their times."""
        end = self.loop.time() + seconds
        while self.delayed:
            key, (when, background) = min(self.delayed.items(), key=lambda item: item[1][0])
            if when > end:
                break
            del self.delayed[key]
            self.sleep_until(when)
            self.expect(key, background)
            self.turn()
        self.sleep_until(end)

    def sleep_until(self, when: float) -> None:
        """Let virtual time pass."""
        reached = self.loop.create_future()
        self.loop.call_at(when, reached.set_result, None)
        self.loop.run_until_complete(reached)

    def finish(self, key: int) -> None:
        """Mark a key done in the queue and the model."""
        self.held.remove(key)
        self.queue.done(key)
        if key in self.again:
            self.expect(key, self.again.pop(key))

    def on_loop(self, call: Callable[[], T]) -> T:
        """Call a function while the loop runs."""

        async def run() -> T:
            return call()

        return self.loop.run_until_complete(run())

    async def begin(self) -> None:
        """Have a worker look in, for the queue tells nothing before."""
        worker = asyncio.create_task(self.queue.get())
        await asyncio.sleep(0)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        """What waits is exactly what was added and not yet handed out, and no worker waits beside a waiting key."""
        assert len(self.queue) == len(self.waiting[False]) + len(self.waiting[True])
        statistics = self.queue.statistics()
        if self.asked:  # nothing counts before somebody takes keys
            assert statistics.live == len(self.waiting[False])
            assert statistics.background == len(self.waiting[True])
            assert statistics.delayed == len(self.delayed)
            assert statistics.in_work == len(self.held)
        assert not (self.workers and len(self.queue)), "a worker waits although a key waits"

    def teardown(self) -> None:
        """In the end every key that was added has been handed out."""
        try:
            self.drain()
        finally:
            self.loop.close()

    def drain(self) -> None:
        """Let all time pass and finish every key."""
        for worker in self.workers:
            worker.cancel()
        self.workers.clear()
        self.turn()
        if self.delayed:
            self.wait(2000.0)
        while len(self.queue) or self.held:
            for key in sorted(self.held):
                self.finish(key)
            if len(self.queue):
                self.took(self.loop.run_until_complete(self.queue.get()))
        self.nothing_is_lost_or_doubled()


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=100,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )


class TestQueue(QueueMachine.TestCase):  # type: ignore[valid-type, misc]
    """2,000 operations: no double hand-out, no lost key, fairness, order of delays."""

    settings = _settings(20)


@pytest.mark.long
class TestQueueInFull(QueueMachine.TestCase):  # type: ignore[valid-type, misc]
    """10,000 operations, with the same promises."""

    settings = _settings(110)
