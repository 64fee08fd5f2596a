"""``lws-controller``: reads what it is told, runs one controller process, and says in its exit code how that ended.

Exit codes: 0 after SIGTERM or SIGINT; 1 if something is configured wrong or cannot be started, told in one sentence,
and if leadership is lost. A second signal ends the process at once. SIGUSR1 logs what every task waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from random import Random, SystemRandom
from types import FrameType

import structlog

from lws.cli.flags import Flags, overlaid, parse_flags
from lws.cli.output import cannot_be_written
from lws.client.connection import connect
from lws.client.incluster import DIRECTORY, in_cluster_namespace, in_cluster_server
from lws.clock import SystemClock
from lws.errors import ConfigurationError
from lws.manager.configfile import read_configuration, validate
from lws.manager.manager import ControllerManager
from lws.manager.preflight import preflight
from lws.manager.settings import Settings
from lws.manager.version import version_text
from lws.runtime.blocking import BlockingWatch
from lws.runtime.fence import LeadershipLostError
from lws.runtime.taskdump import dump_tasks_on
from lws.telemetry.logs import configure_logging

NAMESPACE = "lws-system"
NOTICE_SECONDS = 3.0  # nodes usually hear within so long that a pod is no endpoint any more; its grace period is 10 s
_log = structlog.stdlib.get_logger("lws.main")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        flags = parse_flags(sys.argv[1:] if argv is None else argv, terminal=sys.stderr.isatty())
        if flags.version:
            return _tell_version()
        configure_logging(flags.logs)
        settings = make_settings(flags, os.environ)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(run(flags, settings, os.environ))
    except ConfigurationError as error:
        sys.stderr.write(f"lws-controller: {error}\n")
        return 1
    except LeadershipLostError as error:
        _log.error("ending", cause=str(error))
        return 1
    except Exception:
        _log.exception("ending because of an unforeseen error")
        return 1
    except KeyboardInterrupt:
        return 130


def _tell_version() -> int:
    try:
        sys.stdout.write(version_text() + "\n")
        sys.stdout.flush()
    except OSError as error:
        return cannot_be_written("lws-controller", error)
    return 0


def make_settings(flags: Flags, environ: Mapping[str, str]) -> Settings:
    """Defaults, configuration file, flags and environment, each beating those before it.

    Raises:
        ConfigurationError: something in them is wrong.
    """
    document = read_configuration(flags.config) if flags.config else {}
    where = "flags" if not flags.config else f"configuration file {flags.config} with flags" if flags.overlay else ""
    configuration = validate(overlaid(document, flags.overlay), where or f"configuration file {flags.config}")
    inside = in_cluster_server(environ) is not None
    return Settings(
        configuration=configuration,
        namespace=(in_cluster_namespace(DIRECTORY) if inside else "") or NAMESPACE,
        webhooks=environ.get("ENABLE_WEBHOOKS") != "false",
        disaggregated=True,
        development=not inside,
        start_patience=30.0 if inside else 0.0,
        notice=NOTICE_SECONDS if inside else 0.0,
        hostname=socket.gethostname(),
        **({"workers": flags.workers} if flags.workers is not None else {}),
    )


async def run(flags: Flags, settings: Settings, environ: Mapping[str, str]) -> int:
    """Run the manager until a signal comes; returns the exit code.

    Raises:
        ConfigurationError: something is configured wrong or cannot be started.
        LeadershipLostError: another may lead now.
    """
    with dump_tasks_on(signal.SIGUSR1):
        return await _run_until_signal(flags, settings, environ)


async def _run_until_signal(flags: Flags, settings: Settings, environ: Mapping[str, str]) -> int:
    stopping = asyncio.Event()
    with BlockingWatch() as watch:
        _on_signals(stopping, watch)
        return await _run_until_stopped(flags, settings, environ, stopping)


async def _run_until_stopped(
    flags: Flags, settings: Settings, environ: Mapping[str, str], stopping: asyncio.Event
) -> int:
    running = asyncio.create_task(_run_manager(flags, settings, environ), name="manager")
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


async def _run_manager(flags: Flags, settings: Settings, environ: Mapping[str, str]) -> None:
    # Finding credentials may wait for a plugin, and so for people: a signal ends that too.
    connection = await connect(flags.kubeconfig or None, flags.context or None, environ=environ)
    lease_transport = connection.separate_transport()
    try:
        _log.info(
            "starting",
            version=version_text().splitlines()[0].removeprefix("Version: "),
            server=connection.server,
            found=connection.source,
        )
        manager = ControllerManager(
            settings,
            connection.transport,
            clock=SystemClock(),
            random=Random(SystemRandom().getrandbits(128)),  # noqa: S311 -- jitter and names, no secret
            host=connection.host,
            lease_transport=lease_transport,
        )
        if settings.development:
            await preflight(manager.client, connection.server, connection.source, settings)
        await manager.run()
    finally:
        await lease_transport.close()
        await connection.close()


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


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """The quicker loop where the extra ``fast`` is installed."""
    try:
        factory: type[asyncio.AbstractEventLoop] = importlib.import_module("uvloop").Loop
    except ImportError:
        return None
    return factory


if __name__ == "__main__":
    sys.exit(main())
