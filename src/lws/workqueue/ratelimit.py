"""How long a failed key waits for its retry.

Guarantees:
    * The n-th failure of a key in a row (n from 0) delays it by at most ``base * 2**n`` seconds, never more than
      ``cap``, and by at least ``1 - jitter`` times that, unless the bucket asks for more; see `ExponentialBackoff`.
    * `RateLimitingQueue.forget` resets the count; a key that never failed costs no memory.
    * A `Bucket` lets through ``burst`` retries at once and ``rate`` a second in the long run, over all keys. A key
      whose retry waits is charged once, however often it fails meanwhile, so no key can use up what the others need.

Flow:
    A worker calls ``add_rate_limited`` after a failure and ``forget`` after a success, then ``done`` in both cases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from random import Random
from typing import Generic, TypeVar

from lws.clock import Clock, SystemClock
from lws.workqueue.delay import DelayingQueue
from lws.workqueue.queue import Queue, QueueObserver, QueueStatistics

K = TypeVar("K", bound=Hashable)


class ExponentialBackoff(Generic[K]):
    """Doubles a key's delay with every failure in a row, from ``base`` to ``cap`` seconds.

    Args:
        random: source of the jitter.
        base: the first delay.
        cap: the longest delay.
        jitter: the share of a delay, between 0 and 1, that may be taken away at random; it keeps keys that failed
            together from coming back together.
    """

    def __init__(self, random: Random, *, base: float = 0.005, cap: float = 1000.0, jitter: float = 0.2) -> None:
        self._random = random
        self._base = base
        self._cap = cap
        self._jitter = jitter
        self._failures: dict[K, int] = {}

    def next_delay(self, key: K) -> float:
        """Count one more failure of a key; seconds until it may be tried again."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # Beyond 2**64 the cap has long been reached, and a float would overflow one day.
        delay = min(self._cap, self._base * 2.0 ** min(failures, 64))
        return delay * (1.0 - self._jitter * self._random.random())

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure is again the first."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often the key failed in a row."""
        return self._failures.get(key, 0)


class Bucket:
    """Bounds the retries of all keys together: ``burst`` at once, then ``rate`` a second."""

    def __init__(self, clock: Clock, *, rate: float, burst: int) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)  # negative: owed to retries that were given a delay
        self._seen = clock.monotonic()

    def take(self) -> float:
        """Take one token, from the future if need be; seconds until it is there."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._seen) * self._rate)
        self._seen = now
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._rate)


class RateLimitingQueue(Generic[K]):
    """The queue that controllers use: deduplicating, fair, delayable, rate-limited.

    By default a key waits 5 ms to 1000 s, as in client-go, and all keys together have 100 retries a second after a
    burst of 1000. client-go allows 10 a second after 100; that little would let a few hundred keys that always fail
    delay the retries of healthy neighbours. Requests to the server are bounded by the client's own limit.

    Args:
        random: source of the back-off's jitter.
        clock: measures spans; the machine's own if absent.
        backoff: how long one failed key waits.
        bucket: how many retries all keys have together.
        observer: told what the queue does.
    """

    def __init__(
        self,
        random: Random,
        *,
        clock: Clock | None = None,
        backoff: ExponentialBackoff[K] | None = None,
        bucket: Bucket | None = None,
        observer: QueueObserver | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self._queue: Queue[K] = Queue(clock=clock, observer=observer)
        self._delayed = DelayingQueue(self._queue, observer=observer)
        self._backoff = backoff or ExponentialBackoff(random)
        self._bucket = bucket or Bucket(clock, rate=100.0, burst=1000)
        self._retry_at: dict[K, float] = {}  # key that waits for a retry -> loop time of the retry

    def add(self, key: K, background: bool = False) -> None:
        """Make a key wait for a worker, unless it waits already. Never blocks."""
        self._queue.add(key, background)

    def add_after(self, key: K, seconds: float, background: bool = False) -> None:
        """Make a key wait for a worker once so many seconds have passed; at once if they are not positive."""
        self._delayed.add_after(key, seconds, background)

    def add_rate_limited(self, key: K, at_least: float = 0.0, *, charged: bool = True) -> float:
        """Count a failure of a key and retry it when back-off and bucket allow; returns that delay in seconds.

        While a retry of the key waits already, nothing is counted and its delay is returned.

        Args:
            key: what failed.
            at_least: a minimum delay in seconds, such as a server's ``Retry-After``.
            charged: whether the retry counts against all keys' bucket.
        """
        now = asyncio.get_running_loop().time()
        waits = self._delayed.delay_of(key)
        if waits is not None and self._retry_at.get(key, 0.0) > now:
            return waits
        delay = max(at_least, self._backoff.next_delay(key), self._bucket.take() if charged else 0.0)
        self._delayed.add_after(key, delay)
        self._retry_at[key] = now + delay
        return delay

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure is again the first."""
        self._backoff.forget(key)

    def retries(self, key: K) -> int:
        """How often the key failed in a row."""
        return self._backoff.failures(key)

    async def get(self) -> K:
        """Wait for a key and take it; the taker must call `done`.

        Raises:
            QueueShutDown: the queue is shut down, and nothing is left that it may hand out.
        """
        key = await self._queue.get()
        if self._delayed.delay_of(key) is None:
            self._retry_at.pop(key, None)
        return key

    def done(self, key: K) -> None:
        """The worker is finished with a key that `get` gave it.

        Raises:
            KeyError: the key is not in work.
        """
        self._queue.done(key)

    def shut_down(self, drain: bool) -> None:
        """Take no more keys, forget delayed ones; with ``drain`` those that wait are still handed out. Idempotent."""
        self._delayed.shut_down(drain)
        self._retry_at.clear()

    async def wait_idle(self) -> None:
        """Wait until no key is with a worker."""
        await self._queue.wait_idle()

    def delay_of(self, key: K) -> float | None:
        """Seconds until a delayed key begins to wait; None if it is not delayed."""
        return self._delayed.delay_of(key)

    def __len__(self) -> int:
        """How many keys wait; delayed ones and those in work do not count."""
        return len(self._queue)

    def __contains__(self, key: object) -> bool:
        """Whether a key waits, or will wait once its worker is done."""
        return key in self._queue

    def statistics(self) -> QueueStatistics:
        """What the queue holds right now."""
        return self._delayed.statistics()
