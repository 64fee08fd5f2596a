"""The flags of ``lws-controller`` (operations 1), read as Go's flag package reads them.

One dash or two; a truth value stands alone or after ``=``; a flag given explicitly beats the configuration file.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, cast

from lws.apimachinery.durations import format_duration, parse_duration
from lws.apimachinery.manifests import JSON
from lws.errors import CommandLineError
from lws.telemetry.logs import Format, Level, LogSettings, TimeFormat

AUTO: Final = ""
_BOOLEANS: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_LEVELS: Final[dict[str, Level]] = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "panic": "critical",
}
_TIMES: Final[dict[str, TimeFormat]] = {
    "epoch": "epoch",
    "millis": "millis",
    "nano": "nanos",
    "nanos": "nanos",
    "iso8601": "iso8601",
    "rfc3339": "rfc3339",
    "rfc3339nano": "rfc3339nano",
}

# Flag -> where its value goes in the configuration file.
_OVERLAYS: Final = {
    "metrics-bind-address": ("metrics", "bindAddress"),
    "health-probe-bind-address": ("health", "healthProbeBindAddress"),
    "kube-api-qps": ("clientConnection", "qps"),
    "kube-api-burst": ("clientConnection", "burst"),
    "leader-elect": ("leaderElection", "leaderElect"),
    "leader-elect-lease-duration": ("leaderElection", "leaseDuration"),
    "leader-elect-renew-deadline": ("leaderElection", "renewDeadline"),
    "leader-elect-retry-period": ("leaderElection", "retryPeriod"),
    "leader-elect-resource-lock": ("leaderElection", "resourceLock"),
    "leader-elect-resource-name": ("leaderElection", "resourceName"),
}


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says.

    Attributes:
        config: path of the configuration file; empty for none.
        kubeconfig: path of the kubeconfig; empty to look for one.
        context: context of the kubeconfig; empty for its current one.
        serve_webhooks_locally: name or address of this machine for API servers, `AUTO` to find it, None to register
            no webhooks.
        version: whether only the version is wanted.
        overlay: what flags put over the configuration file, in its shape.
        workers: concurrent reconciles of each controller, or None.
        logs: how to log; ``format`` is decided by the terminal unless a flag says so.
    """

    config: str = ""
    kubeconfig: str = ""
    context: str = ""
    serve_webhooks_locally: str | None = None
    version: bool = False
    overlay: JSON = field(default_factory=dict)
    workers: int | None = None
    logs: LogSettings = field(default_factory=LogSettings)


def parse_flags(argv: Sequence[str], *, terminal: bool) -> Flags:
    """Read the command line; ``terminal`` says whether the log goes to a terminal.

    Raises:
        CommandLineError: a flag is unknown or its value is wrong; the message names it.
        SystemExit: help was asked for, and printed.
    """
    given = vars(flag_parser().parse_args(argv))
    overlay: JSON = {}
    for flag, (section, member) in _OVERLAYS.items():
        if flag in given:
            overlay.setdefault(section, {})[member] = given[flag]
    return Flags(
        config=given.get("config", ""),
        kubeconfig=given.get("kubeconfig", ""),
        context=given.get("context", ""),
        serve_webhooks_locally=given.get("serve-webhooks-locally"),
        version=given.get("version", False),
        overlay=overlay,
        workers=given.get("max-concurrent-reconciles"),
        logs=_logs(given, terminal),
    )


def overlaid(document: JSON, overlay: JSON) -> JSON:
    """A configuration file with flags put over it."""
    result = dict(document)
    for section, members in overlay.items():
        result[section] = {**(result.get(section) or {}), **members}
    return result


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        plain = re.sub(r"argument (--[\w-]+)/-[\w-]+", r"\1", message)
        raise CommandLineError(f"{plain}; see {self.prog} --help")


def flag_parser() -> argparse.ArgumentParser:
    """Everything that the command understands."""
    parser = _Parser(
        prog="lws-controller",
        description="Runs LeaderWorkerSets: the controller and its admission webhook.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    _add(parser, "config", str, "FILE", "configuration file; flags override it")
    _add(parser, "kubeconfig", str, "FILE", "else $KUBECONFIG, the pod's service account, ~/.kube/config")
    _add(parser, "context", str, "NAME", "context of the kubeconfig; by default its current one")
    parser.add_argument(
        *("--serve-webhooks-locally", "-serve-webhooks-locally"),
        dest="serve-webhooks-locally",
        nargs="?",
        const=AUTO,
        metavar="HOST",
        help="outside a cluster: have the API server ask this process, which it reaches as HOST (found by default)",
    )
    _add(parser, "kube-api-qps", _number, "N", "requests per second to the API server (default 500)")
    _add(parser, "kube-api-burst", _integer, "N", "requests in a burst to the API server (default 500)")
    _add_boolean(parser, "leader-elect", "run only while holding the lease (default true)")
    _add(parser, "leader-elect-lease-duration", _duration, "T", "others take the lease after it (default 15s)")
    _add(parser, "leader-elect-renew-deadline", _duration, "T", "the leader gives up after it (default 10s)")
    _add(parser, "leader-elect-retry-period", _duration, "T", "wait between tries to acquire or renew (default 2s)")
    _add(parser, "leader-elect-resource-lock", str, "KIND", "only leases is supported")
    _add(parser, "leader-elect-resource-name", str, "NAME", "name of the lease (default b8b2488c.x-k8s.io)")
    _add(parser, "metrics-bind-address", str, "ADDR", "address of metrics, over TLS; 0 disables (default :8443)")
    _add(parser, "health-probe-bind-address", str, "ADDR", "address of probes; 0 disables (default :8081)")
    _add(parser, "max-concurrent-reconciles", _positive, "N", "keys reconciled at once per controller (default 8)")
    _add_boolean(parser, "version", "print version, build date and commit, and exit")
    _add(parser, "log-level", _choice(_LEVELS), "LEVEL", "debug, info, warning or error (default info)")
    _add(parser, "log-format", _choice({"json": "json", "console": "console"}), "FORM", "json or console")
    _add_boolean(parser, "zap-devel", "debug level and console format, unless set otherwise")
    _add(parser, "zap-encoder", _choice({"json": "json", "console": "console"}), "FORM", "as --log-format")
    _add(parser, "zap-log-level", _zap_level, "LEVEL", "debug, info, error, panic, or a number for debug")
    _add(parser, "zap-stacktrace-level", _choice(_LEVELS), "LEVEL", "panic: log errors without traceback")
    _add(parser, "zap-time-encoding", _choice(_TIMES), "FORM", f"one of {', '.join(_TIMES)}")
    return parser


def _add(parser: argparse.ArgumentParser, name: str, kind: Callable[[str], Any], metavar: str, help_: str) -> None:
    parser.add_argument(f"--{name}", f"-{name}", dest=name, type=kind, metavar=metavar, help=help_)


def _add_boolean(parser: argparse.ArgumentParser, name: str, help_: str) -> None:
    parser.add_argument(
        f"--{name}", f"-{name}", dest=name, type=_boolean, nargs="?", const=True, metavar="true|false", help=help_
    )


def _logs(given: JSON, terminal: bool) -> LogSettings:
    development = given.get("zap-devel", False)
    level = given.get("log-level", given.get("zap-log-level", "debug" if development else "info"))
    default = "console" if development or terminal else "json"
    form = given.get("log-format", given.get("zap-encoder", default))
    return LogSettings(
        level=cast("Level", level),
        format=cast("Format", form),
        time=given.get("zap-time-encoding", "iso8601"),
        tracebacks=given.get("zap-stacktrace-level") != "critical",
    )


# Types; argparse puts their names and messages into its errors.


def _boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return _BOOLEANS[text.lower()]


def _duration(text: str) -> str:
    try:
        return format_duration(parse_duration(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _integer(text: str) -> int:
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer")
    return int(text)


def _positive(text: str) -> int:
    number = _integer(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not positive")
    return number


def _choice(choices: dict[str, Any]) -> Callable[[str], Any]:
    def choose(text: str) -> Any:
        if text.lower() not in choices:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(choices)}")
        return choices[text.lower()]

    return choose


def _zap_level(text: str) -> Any:
    if text.isascii() and text.isdigit() and int(text) > 0:
        return "debug"
    return _choice(_LEVELS)(text)
