"""What the long-running commands share: they run until a signal, and say in their exit code how that ended."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from types import FrameType
from typing import Any, Final

import structlog

from lws.errors import ConfigurationError
from lws.runtime.blocking import BlockingWatch
from lws.runtime.fence import LeadershipLostError
from lws.runtime.taskdump import dump_tasks_on

WHOLE: Final = 100  # collections of the middle generation between two of everything
_log = structlog.stdlib.get_logger("lws.main")


def run_process(command: str, main: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code: 0 then, 1 if it ended before, told in one sentence.

    A second signal ends the process at once.
    """
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(until_signal(main))
    except ConfigurationError as error:
        sys.stderr.write(f"{command}: {error}\n")
        return 1
    except LeadershipLostError as error:
        _log.error("ending", cause=str(error))
        return 1
    except Exception:
        _log.exception("ending because of an unforeseen error")
        return 1
    except KeyboardInterrupt:
        return 130


async def until_signal(main: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run until a signal comes; returns the exit code.

    Raises:
        Exception: whatever ended it before.
    """
    stopping = asyncio.Event()
    with dump_tasks_on(signal.SIGUSR1), BlockingWatch() as watch:
        _on_signals(stopping, watch)
        running = asyncio.create_task(main(), name="main")
        stopped = asyncio.create_task(stopping.wait(), name="signals")
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            stopped.cancel()
            running.result()
            return 1
        _log.info("stopping")
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        _log.info("stopped")
        return 0


@contextlib.asynccontextmanager
async def passed_over(cached: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Keep the collector of garbage from long pauses: it passes over all that there is once ``cached`` returns.

    Caches are in no cycles, and are freed as ever. But with 1,000 sets the collector takes tens of milliseconds to see
    that, in which nothing else runs: so it looks at everything seldom, and never again at what was cached first.
    """

    async def freeze() -> None:
        await cached()
        gc.collect(1)
        gc.freeze()

    before = gc.get_threshold()
    gc.set_threshold(*before[:2], WHOLE)
    freezing = asyncio.create_task(freeze(), name="collector")
    try:
        yield
    finally:
        freezing.cancel()
        gc.set_threshold(*before)


def loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """The quicker loop where the extra ``fast`` is installed."""
    try:
        factory: type[asyncio.AbstractEventLoop] = importlib.import_module("uvloop").Loop
    except ImportError:
        return None
    return factory


def _on_signals(stopping: asyncio.Event, watch: BlockingWatch) -> None:
    """The first signal stops in order, a second one ends the process, also while the event loop is blocked.

    For that the handlers run between any two steps of the interpreter, and not as callbacks of the loop.
    """
    loop = asyncio.get_running_loop()
    signals = iter(range(2))

    def stop(_number: int, _frame: FrameType | None) -> None:
        if next(signals, 1):
            os._exit(1)
        watch.request_stop()
        loop.call_soon_threadsafe(stopping.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
