"""``lws-controller``: reads what it is told, runs one controller process, and says in its exit code how that ended.

Exit codes: 0 after SIGTERM or SIGINT; 1 if something is configured wrong or cannot be started, told in one sentence,
and if leadership is lost; 2 if the command line cannot be read. A second signal ends the process at once. SIGUSR1 logs
what every task waits for.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from random import Random, SystemRandom
from urllib.parse import urlsplit

import structlog

from lws.cli.flags import AUTO, Flags, overlaid, parse_flags
from lws.cli.output import cannot_be_written
from lws.cli.process import passed_over, run_process
from lws.client.connection import connect
from lws.client.incluster import DIRECTORY, in_cluster_namespace, in_cluster_server
from lws.clock import SystemClock
from lws.errors import CommandLineError, ConfigurationError
from lws.manager.configfile import read_configuration, read_policies, validate
from lws.manager.manager import ControllerManager
from lws.manager.preflight import preflight
from lws.manager.settings import SCRATCH, Settings
from lws.manager.version import version_text
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
        return run_process("lws-controller", lambda: run(flags, settings, os.environ))
    except ConfigurationError as error:
        sys.stderr.write(f"lws-controller: {error}\n")
        return 2 if isinstance(error, CommandLineError) else 1


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
        policies=read_policies(environ.get("LWS_POLICIES", "")),
        namespace=(in_cluster_namespace(DIRECTORY) if inside else "") or NAMESPACE,
        webhooks=environ.get("ENABLE_WEBHOOKS") != "false",
        disaggregated=True,
        development=not inside,
        start_patience=30.0 if inside else 0.0,
        notice=NOTICE_SECONDS if inside else 0.0,
        scratch=SCRATCH if inside else "",
        hostname=socket.gethostname(),
        **({"workers": flags.workers} if flags.workers is not None else {}),
    )


async def run(flags: Flags, settings: Settings, environ: Mapping[str, str]) -> None:
    """Run the manager.

    Raises:
        ConfigurationError: something is configured wrong or cannot be started.
        LeadershipLostError: another may lead now.
    """
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
        settings = settings.model_copy(update={"local_webhook_host": webhook_host(flags, settings, connection.server)})
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
        async with passed_over(manager.registry.wait_synced):
            await manager.run()
    finally:
        await lease_transport.close()
        await connection.close()


def webhook_host(flags: Flags, settings: Settings, server: str) -> str:
    """As what API servers reach this machine, for --serve-webhooks-locally; empty without that flag.

    Raises:
        ConfigurationError: the flag was given inside a cluster, or the machine has no way to the server.
    """
    if flags.serve_webhooks_locally is None:
        return ""
    if not settings.development:
        raise ConfigurationError("--serve-webhooks-locally is for running outside a cluster; remove it")
    if flags.serve_webhooks_locally != AUTO:
        return flags.serve_webhooks_locally
    parts = urlsplit(server)
    try:
        family = socket.AF_INET6 if ":" in (parts.hostname or "") else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as way:
            way.connect((parts.hostname, parts.port or 443))  # sends nothing: the system only picks the way
            return str(way.getsockname()[0])
    except OSError as error:
        raise ConfigurationError(
            f"no address of this machine leads to {server}: {error}; give --serve-webhooks-locally=HOST"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
