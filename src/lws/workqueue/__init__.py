"""A queue of keys for level-triggered workers; it knows nothing of Kubernetes.

Layers wrap one another: `RateLimitingQueue` adds a limiter to `DelayingQueue`, which adds a heap and one timer to
`Queue`, which deduplicates. Everything runs on one event loop; only `get` and `wait_idle` wait.
"""

from __future__ import annotations

from lws.workqueue.delay import DelayingQueue
from lws.workqueue.queue import Queue, QueueObserver, QueueShutDown, QueueStatistics
from lws.workqueue.ratelimit import Bucket, ExponentialBackoff, RateLimitingQueue

__all__ = [
    "Bucket",
    "DelayingQueue",
    "ExponentialBackoff",
    "Queue",
    "QueueObserver",
    "QueueShutDown",
    "QueueStatistics",
    "RateLimitingQueue",
]
