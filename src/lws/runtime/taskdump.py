"""What every task of the process waits for, logged when a signal asks for it.

Guarantees:
    * The stacks of all threads are printed to standard error at once, even while the event loop is blocked.
    * As soon as the loop runs, every task is logged with the calls in which it waits, at level warning, so that the
      usual levels show it. Nothing is stopped or changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import signal
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import structlog

STANDARD_ERROR: Final = 2
_log = structlog.stdlib.get_logger("lws.taskdump")
# Where a coroutine, a generator or an asynchronous generator keeps its frame, and what it waits for.
_FRAMES: Final = ("cr_frame", "gi_frame", "ag_frame")
_AWAITED: Final = ("cr_await", "gi_yieldfrom", "ag_await")


@contextlib.contextmanager
def dump_tasks_on(number: signal.Signals) -> Iterator[None]:
    """Dump on this signal for as long as the context is open; to be entered in the main thread, in a running loop."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, log_tasks)
    # Registered second and chained: prints from within the signal handler, then hands the signal on to the loop.
    faulthandler.register(number, file=STANDARD_ERROR, all_threads=True, chain=True)
    try:
        yield
    finally:
        faulthandler.unregister(number)
        loop.remove_signal_handler(number)


def log_tasks() -> None:
    """Log where the tasks of the running loop wait: a line for each place, with the names of the tasks there."""
    places: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for task in asyncio.all_tasks():
        places[tuple(waiting_calls(task))].append(task.get_name())
    _log.warning("task dump", tasks=sum(map(len, places.values())), places=len(places))
    for calls, names in sorted(places.items(), key=lambda place: min(place[1])):
        _log.warning("tasks waiting", tasks=sorted(names), waiting_in=list(calls))


def waiting_calls(task: asyncio.Task[Any]) -> list[str]:
    """The calls in which a task waits, outermost first, each as ``module.function:line``."""
    calls = []
    waiting: object = task.get_coro()
    while waiting is not None:
        if frame := _first(waiting, _FRAMES):
            calls.append(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}:{frame.f_lineno}")
        waiting = _first(waiting, _AWAITED)
    return calls


def _first(holder: object, names: tuple[str, ...]) -> Any:
    """The first of these attributes that the object has and that is not None."""
    found = (getattr(holder, name, None) for name in names)
    return next((each for each in found if each is not None), None)
