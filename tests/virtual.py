"""Tests in virtual time."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from lws_sandbox import virtual_time as vt

T = TypeVar("T")


@contextmanager
def by_processor_time() -> Iterator[None]:
    """Count the test's limit in seconds of the processor instead of the wall clock's.

    What never waits hangs only if it computes without end; on a busy machine it is late, which is no fault of it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread
        return
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    before = signal.signal(signal.SIGPROF, lambda *_: os.kill(os.getpid(), signal.SIGALRM))
    signal.setitimer(signal.ITIMER_PROF, left)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        signal.setitimer(signal.ITIMER_REAL, left)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time, limited by the processor's."""
    with by_processor_time():
        return vt.run(main)


def virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a coroutine test on a loop whose time is virtual: no waiting, no sockets, the same trace every time."""

    @functools.wraps(test)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        run(test(*args, **kwargs))

    return wrapped
