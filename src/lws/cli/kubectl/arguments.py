"""The command line of ``kubectl lws``: its commands, and kubectl's global flags before or after them.

Usage errors name flags and commands, never values: one of them may be a token.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from lws.apimachinery.durations import parse_duration
from lws.client.overrides import Overrides

LEADERWORKERSET: Final = "leaderworkerset"
DISAGGREGATEDSET: Final = "disaggregatedset"
# What kubectl calls a kind: its short name, singular, plural, and plural with group.
KINDS: Final = {
    "lws": LEADERWORKERSET,
    "leaderworkerset": LEADERWORKERSET,
    "leaderworkersets": LEADERWORKERSET,
    "leaderworkersets.leaderworkerset.x-k8s.io": LEADERWORKERSET,
    "disaggregatedset": DISAGGREGATEDSET,
    "disaggregatedsets": DISAGGREGATEDSET,
    "disaggregatedsets.disaggregatedset.x-k8s.io": DISAGGREGATEDSET,
}
PROGRAM: Final = "kubectl lws"
# Flags of kubectl that change nothing here: (name, whether it takes a value).
_WITHOUT_EFFECT: Final = (
    ("cache-dir", True),
    ("disable-compression", False),
    ("kuberc", True),
    ("log-flush-frequency", True),
    ("match-server-version", False),
    ("profile", True),
    ("profile-output", True),
    ("v", True),
    ("vmodule", True),
    ("warnings-as-errors", False),
)
_GLOBAL_HELP: Final = "kubectl's global flags, such as -n, --context and --kubeconfig, go before or after the command."


class UsageError(Exception):
    """The command line is wrong; the message says how, without the values given."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the command line says.

    Attributes:
        command: such as ``tree`` or ``rollout pause``; ``version`` needs no cluster.
        name: of the set.
        kind: `LEADERWORKERSET` or `DISAGGREGATEDSET`; empty if the name alone was given.
        overrides: what the global flags put over the kubeconfig.
        watch: whether to follow.
        timeout: seconds to follow; None for ever.
        revision: of ``rollout undo``; 0 is the previous one.
        everywhere: whether ``ui`` shows all namespaces.
        port: of ``ui``, on 127.0.0.1; 0 takes a free one.
        browser: whether ``ui`` opens one.
        acting: whether ``ui`` offers actions.
    """

    command: str
    name: str = ""
    kind: str = ""
    overrides: Overrides = field(default_factory=Overrides)
    watch: bool = False
    timeout: float | None = None
    revision: int = 0
    everywhere: bool = False
    port: int = 0
    browser: bool = True
    acting: bool = False


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments"):
            message = "too many arguments"
        elif "invalid choice" in message:
            message = f"unknown {message.partition(':')[0].removeprefix('argument ').lower()}"
        raise UsageError(f"{message}; see {self.prog} --help")


def parse(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: it is wrong.
        SystemExit: help was asked for, and printed.
    """
    global_values, rest = _globals().parse_known_args(list(argv))
    parser = command_parser()
    if rest[:1] == ["help"]:
        rest = [*(word for word in rest[1:] if not word.startswith("-")), "--help"]
    if rest == ["--version"]:
        rest = ["version"]
    if not rest:
        parser.print_help()
        raise SystemExit(0)
    _refuse_unknown(parser, rest)
    values = parser.parse_args(rest)
    step = getattr(values, "step", None)
    kind, name = _name(values.name) if hasattr(values, "name") else ("", "")
    return Arguments(
        command=f"{values.command} {step}" if step else values.command,
        name=name,
        kind=kind,
        overrides=_overrides(global_values),
        watch=getattr(values, "watch", False),
        timeout=getattr(values, "timeout", None),
        revision=getattr(values, "to_revision", 0),
        everywhere=getattr(values, "all_namespaces", False),
        port=getattr(values, "port", 0),
        browser=not getattr(values, "no_browser", False),
        acting=getattr(values, "allow_actions", False),
    )


def command_parser() -> argparse.ArgumentParser:
    """Parses everything but the global flags."""
    top = _Parser(
        prog=PROGRAM,
        description="Look at LeaderWorkerSets and DisaggregatedSets, and steer rollouts.",
        epilog=_GLOBAL_HELP,
        allow_abbrev=False,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    _named(commands, "tree", "show groups, pods, nodes and revisions, and why pods are not ready")
    _named(commands, "explain-stuck", "say what a set waits for; exit 0 if for nothing")
    status = _named(commands, "status", "show counts, conditions and what the set waits for")
    status.add_argument("-w", "--watch", action="store_true", help="follow until every group is ready and updated")
    rollout = _command(commands, "rollout", "follow, pause, resume or undo a rolling update")
    steps = rollout.add_subparsers(dest="step", required=True, metavar="COMMAND", parser_class=_Parser)
    following = _named(steps, "status", "follow an update to its end")
    following.add_argument(
        "-w", "--watch", type=_truth, nargs="?", const=True, default=True, metavar="BOOL", help="default true"
    )
    following.add_argument("--timeout", type=_timeout, metavar="DURATION", help="such as 5m; 0s, the default, is never")
    _named(steps, "pause", "stop the update where it stands, by raising the partition")
    _named(steps, "resume", "let a paused update go on")
    _named(steps, "history", "list the stored revisions, the groups of each, and what each changed")
    undo = _named(steps, "undo", "put an earlier revision's template back")
    undo.add_argument("--to-revision", type=_revision, default=0, metavar="N", help="0, the default, is the previous")
    page = _command(commands, "ui", "serve a page on 127.0.0.1 that shows sets, groups, places and rollouts, live")
    page.add_argument("-A", "--all-namespaces", action="store_true", help="show all namespaces")
    page.add_argument("--port", type=_port, default=0, metavar="N", help="0, the default, takes a free one")
    page.add_argument("--no-browser", action="store_true", help="print the address only")
    page.add_argument("--allow-actions", action="store_true", help="let the page pause, resume, undo and restart")
    _command(commands, "version", "print the version of this plugin")
    _command(commands, "help", "print this help, or that of a command")
    return top


def _command(commands: argparse._SubParsersAction[_Parser], name: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name, help=text, description=f"{text[:1].upper()}{text[1:]}.", epilog=_GLOBAL_HELP, allow_abbrev=False
    )


def _named(commands: argparse._SubParsersAction[_Parser], name: str, text: str) -> argparse.ArgumentParser:
    parser = _command(commands, name, text)
    parser.add_argument("name", metavar="NAME", help="the set: NAME, lws/NAME or disaggregatedset/NAME")
    return parser


def _globals() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, add_help=False, allow_abbrev=False)
    parser.add_argument("-n", "--namespace")
    parser.add_argument("-s", "--server")
    for name in ("kubeconfig", "context", "cluster", "user", "token", "tls-server-name"):
        parser.add_argument(f"--{name}")
    for name in ("certificate-authority", "client-certificate", "client-key", "as", "as-uid"):
        parser.add_argument(f"--{name}")
    for name in ("as-group", "as-user-extra"):
        parser.add_argument(f"--{name}", action="append", default=[])
    parser.add_argument("--insecure-skip-tls-verify", type=_truth, nargs="?", const=True)
    parser.add_argument("--request-timeout", type=_timeout)
    for name, takes_value in _WITHOUT_EFFECT:
        flags = (f"-{name}", f"--{name}") if len(name) == 1 else (f"--{name}",)
        parser.add_argument(*flags, **({} if takes_value else {"nargs": "?", "const": "true"}))  # type: ignore[arg-type]
    return parser


def _overrides(values: argparse.Namespace) -> Overrides:
    extra: dict[str, tuple[str, ...]] = {}
    for text in values.as_user_extra:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError("--as-user-extra wants KEY=VALUE")
        extra[key] = (*extra.get(key, ()), value)
    return Overrides(
        kubeconfig=values.kubeconfig or "",
        context=values.context or "",
        namespace=values.namespace or "",
        cluster=values.cluster or "",
        user=values.user or "",
        server=values.server or "",
        token=values.token or "",
        certificate_authority=values.certificate_authority or "",
        client_certificate=values.client_certificate or "",
        client_key=values.client_key or "",
        tls_server_name=values.tls_server_name or "",
        insecure_skip_tls_verify=values.insecure_skip_tls_verify,
        impersonate=vars(values)["as"] or "",
        impersonate_uid=values.as_uid or "",
        impersonate_groups=tuple(values.as_group),
        impersonate_extra=extra,
        request_timeout=values.request_timeout or 0.0,
    )


def _refuse_unknown(parser: argparse.ArgumentParser, rest: Sequence[str]) -> None:
    """Name what is unknown before argparse does, which would print the words around it."""
    known = set(_flags(parser))
    unknown = [word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"]
    bad = [flag for flag in unknown if flag not in known]
    if bad:
        raise UsageError(f"unknown flag: {bad[0] if bad[0].startswith('--') else bad[0][:2]}; see {PROGRAM} --help")


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    found: list[str] = []
    for action in parser._actions:
        found += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                found += _flags(sub)
    return found


def _name(text: str) -> tuple[str, str]:
    """Kind and name of the set."""
    kind, slash, name = text.rpartition("/")
    if slash and kind.lower() not in KINDS:
        only = "only LeaderWorkerSets and DisaggregatedSets are looked at"
        raise UsageError(f"{only}: write NAME, lws/NAME or disaggregatedset/NAME; see {PROGRAM} --help")
    if not name:
        raise UsageError(f"the name of the set is empty; see {PROGRAM} --help")
    return (KINDS[kind.lower()] if slash else ""), name


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "t", "1", "false", "f", "0"):
        raise argparse.ArgumentTypeError("neither true nor false")
    return text.lower() in ("true", "t", "1")


def _timeout(text: str) -> float | None:
    """Seconds, as kubectl reads them: a duration, or a bare number; nought is for ever."""
    try:
        seconds = float(text) if text.isascii() and text.isdigit() else parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError("no duration; write it as 90s or 5m") from None
    return seconds if seconds > 0 else None


def _revision(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError("no revision number")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 65536):
        raise argparse.ArgumentTypeError("no port number")
    return int(text)
