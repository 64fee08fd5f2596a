"""``lws-operator``: installs the controller as a LeaderWorkerSetOperator asks for it, and keeps it (operator 5.1).

Exit codes: 0 after SIGTERM or SIGINT; 1 if something is configured wrong or cannot be started, told in one sentence,
and if leadership is lost; 2 if the command line cannot be read. Without a subcommand help is printed: code 1.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from random import Random, SystemRandom
from typing import Final, NoReturn, cast

import structlog

import lws
from lws.api.operand.names import OPERATOR_NAMESPACE
from lws.apimachinery.resources import NAMESPACES
from lws.cli import operand
from lws.cli.output import cannot_be_written
from lws.cli.process import run_process
from lws.client.connection import Connection, connect
from lws.client.incluster import DIRECTORY, in_cluster_namespace, in_cluster_server
from lws.clock import SystemClock
from lws.errors import CommandLineError, ConfigurationError, LwsError, NotFoundError
from lws.manager.operand import OperandManager, OperandSettings
from lws.manager.version import user_agent, version_text
from lws.reconcilers.operand.observe import Surroundings
from lws.telemetry.logs import Format, Level, LogSettings, configure_logging

IMAGE: Final = "RELATED_IMAGE_OPERAND_IMAGE"
CONDITION: Final = "OPERATOR_CONDITION_NAME"
VERSION: Final = "OPERAND_VERSION"
_LEVELS: Final[Mapping[str, Level]] = {"Normal": "info", "Debug": "debug", "Trace": "debug", "TraceAll": "debug"}
_log = structlog.stdlib.get_logger("lws.main")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = make_parser()
    try:
        arguments = parser.parse_args(sys.argv[1:] if argv is None else argv)
        if arguments.command is None:
            parser.print_help(sys.stderr)
            return 1
        handler: Callable[[argparse.Namespace], int] = arguments.handler
        return handler(arguments)
    except ConfigurationError as error:
        sys.stderr.write(f"lws-operator: {error}\n")
        return 2 if isinstance(error, CommandLineError) else 1


def operate(arguments: argparse.Namespace) -> int:
    """Run the operator."""
    logs = LogSettings(format=cast("Format", arguments.log_format or ("console" if sys.stderr.isatty() else "json")))
    configure_logging(logs, cache=False)
    settings = make_settings(arguments, os.environ)

    def set_level(level: str) -> None:
        configure_logging(LogSettings(level=_LEVELS[level], format=logs.format), cache=False)

    async def run() -> None:
        connection = await connect(arguments.kubeconfig or None, arguments.context or None, environ=os.environ)
        lease_transport = connection.separate_transport()
        try:
            await _check(connection, settings)
            _log.info("starting", version=lws.__version__, server=connection.server, found=connection.source)
            operator = OperandManager(
                settings,
                connection.transport,
                clock=SystemClock(),
                random=Random(SystemRandom().getrandbits(128)),  # noqa: S311 -- jitter and names, no secret
                host=connection.host,
                log_level=set_level,
                lease_transport=lease_transport,
            )
            await operator.run()
        finally:
            await lease_transport.close()
            await connection.close()

    return run_process("lws-operator", run)


def surroundings(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Surroundings:
    """What is installed, and where: flags and environment, the first beating the second."""
    inside = in_cluster_server(environ) is not None and not arguments.kubeconfig
    found = in_cluster_namespace(DIRECTORY) if inside else ""
    return Surroundings(
        namespace=arguments.namespace or found or OPERATOR_NAMESPACE,
        image=environ.get(IMAGE, ""),
        version=environ.get(VERSION) or lws.__version__,
        platform=arguments.platform,
    )


def make_settings(arguments: argparse.Namespace, environ: Mapping[str, str]) -> OperandSettings:
    """Everything that a running operator is told."""
    return OperandSettings(
        surroundings(arguments, environ),
        hostname=environ.get("POD_NAME") or socket.gethostname(),
        health=arguments.health_probe_bind_address,
        metrics=arguments.listen,
        operator_condition=environ.get(CONDITION, ""),
    )


async def _check(connection: Connection, settings: OperandSettings) -> None:
    """See that the namespace is there, which nobody else would say in so many words.

    Raises:
        ConfigurationError: it is not.
    """
    namespace = settings.surroundings.namespace
    try:
        await connection.client(user_agent=user_agent(), field_manager=None).get(NAMESPACES, "", namespace)
    except NotFoundError:
        raise ConfigurationError(
            f"namespace {namespace} does not exist; create it, or name another with --namespace"
        ) from None
    except LwsError as error:
        _log.warning("the operator's namespace cannot be looked at", namespace=namespace, cause=str(error))


def _version(_: argparse.Namespace) -> int:
    try:
        sys.stdout.write(version_text() + "\n")
        sys.stdout.flush()
    except OSError as error:
        return cannot_be_written("lws-operator", error)
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandLineError(f"{message}; see {self.prog} --help")


def make_parser() -> argparse.ArgumentParser:
    """The command line.

    Raises:
        CommandLineError: when it parses what it does not take.
    """
    parser = _Parser(prog="lws-operator", description="Installs and keeps the LeaderWorkerSet controller.")
    commands = parser.add_subparsers(dest="command", parser_class=_Parser)
    run = commands.add_parser("operator", help="run until a signal comes")
    run.set_defaults(handler=operate)
    _add_cluster(run)
    run.add_argument("--listen", default=":8443", metavar="ADDR", help="metrics over TLS; 0 for none")
    run.add_argument("--health-probe-bind-address", default=":8081", metavar="ADDR", help="probes; 0 for none")
    run.add_argument("--log-format", default="", choices=("", "json", "console"), help="by the terminal by default")
    for name in ("config", "terminate-on-files"):
        run.add_argument(f"--{name}", metavar="FILE", action="append", help="accepted for the reference's manifests")
    operand.register(commands, _add_cluster, lambda arguments: surroundings(arguments, os.environ))
    commands.add_parser("version", help="print version, build date and commit").set_defaults(handler=_version)
    return parser


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    """The options by which a cluster is found, and what is in it."""
    parser.add_argument(
        "--kubeconfig", default="", metavar="FILE", help="else $KUBECONFIG, the pod's account, ~/.kube/config"
    )
    parser.add_argument("--context", default="", metavar="NAME", help="context of the kubeconfig")
    parser.add_argument("--namespace", default="", metavar="NAME", help="the operator's own; the pod's by default")
    parser.add_argument("--platform", default="", choices=("", "openshift", "kubernetes"), help="found out by default")


if __name__ == "__main__":
    sys.exit(main())
