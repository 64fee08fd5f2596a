"""The parsers of ``kubectl lws``: its commands with their flags, and kubectl's global flags.

Usage errors name flags and commands, never values: one of them may be a token.
"""

from __future__ import annotations

import argparse
from typing import Final, NoReturn

from lws.apimachinery.durations import parse_duration

PROGRAM: Final = "kubectl lws"
OUTPUTS: Final = ("json", "yaml", "name", "wide")
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
_LARGEST: Final = 18  # digits of a number


class UsageError(Exception):
    """The command line is wrong; the message says how, without the values given."""


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, without values."""
        if message.startswith("unrecognized arguments"):
            message = "too many arguments"
        elif "invalid choice" in message:
            message = f"unknown {message.partition(':')[0].removeprefix('argument ').lower()}"
        raise UsageError(f"{message}; see {self.prog} --help")


Commands = argparse._SubParsersAction


def command_parser() -> Parser:
    """Parses everything but the global flags."""
    top = Parser(
        prog=PROGRAM,
        description="Look at LeaderWorkerSets and DisaggregatedSets, plan changes, and steer rollouts.",
        epilog=_GLOBAL_HELP,
        allow_abbrev=False,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    _looking(commands)
    _members(commands)
    _rollout(commands)
    _changing(commands)
    _output(_command(commands, "version", "print the version of this plugin"))
    _command(commands, "help", "print this help, or that of a command")
    return top


def global_parser() -> Parser:
    """Parses kubectl's global flags, and leaves the rest."""
    parser = Parser(prog=PROGRAM, add_help=False, allow_abbrev=False)
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


def flags(parser: argparse.ArgumentParser) -> list[str]:
    """Every flag of a parser and of the commands below it."""
    found: list[str] = []
    for action in parser._actions:
        found += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                found += flags(sub)
    return found


def _looking(commands: Commands[Parser]) -> None:
    listing = _output(_command(commands, "list", "list sets with their numbers, and why they are not available"))
    listing.add_argument("-A", "--all-namespaces", action="store_true", help="of every namespace")
    listing.add_argument("-l", "--selector", default="", metavar="SELECTOR", help="only sets with these labels")
    _named(commands, "tree", "show groups, pods, nodes and revisions, and why pods are not ready")
    status = _named(commands, "status", "show counts, conditions and what the set waits for")
    status.add_argument("-w", "--watch", action="store_true", help="follow until every group is ready and updated")
    _named(commands, "explain-stuck", "say what a set waits for; exit 0 if for nothing")
    failures = _named(commands, "failures", "list the failures that recreated groups, newest first")
    _group(failures, "only of this group")
    events = _named(commands, "events", "list events of the set, its StatefulSets and pods by time")
    _group(events, "only of this group")
    events.add_argument("--types", default="", metavar="TYPE", help="Warning or Normal")
    _named(commands, "top", "add up what the pods request, by node")
    _page(commands)
    plan = _output(_command(commands, "plan", "show what a change would do, without making it"))
    plan.usage = (
        f"{PROGRAM} plan -f FILE | plan NAME --set KEY=VALUE... | plan scale NAME N|ROLE=N... | plan drain NODE..."
        " | plan upgrade"
    )
    plan.add_argument("words", nargs="*", metavar="NAME | scale NAME N|ROLE=N... | drain NODE... | upgrade")
    plan.add_argument("-f", "--filename", default="", metavar="FILE", help="the manifest to be applied; - is stdin")
    plan.add_argument(
        "--set",
        action="append",
        default=[],
        dest="assignments",
        metavar="KEY=VALUE",
        help="image=IMAGE, replicas=N, or any path below spec, such as startupPolicy=LeaderReady; of a role, ROLE.KEY",
    )


def _page(commands: Commands[Parser]) -> None:
    page = _command(commands, "ui", "serve a page on 127.0.0.1 that shows sets, groups, places and rollouts, live")
    page.add_argument("-A", "--all-namespaces", action="store_true", help="show all namespaces")
    page.add_argument("--port", type=_port, default=0, metavar="N", help="0, the default, takes a free one")
    page.add_argument("--no-browser", action="store_true", help="print the address only")
    page.add_argument(
        "--allow-actions", action="store_true", help="let the page pause, resume, undo, restart, evacuate and release"
    )


def _members(commands: Commands[Parser]) -> None:
    logs = _named(commands, "logs", "print the logs of groups, each line with its pod")
    _group(logs, "only of this group")
    logs.add_argument("-c", "--container", default="", metavar="NAME", help="default: the first, as kubectl chooses it")
    logs.add_argument("--all-containers", action="store_true", help="of every container")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as lines come")
    logs.add_argument("-p", "--previous", action="store_true", help="of the previous instance of each container")
    logs.add_argument("--tail", type=_natural, metavar="LINES", help="only the last lines of each container")
    logs.add_argument("--since", type=_timeout, metavar="DURATION", help="only lines newer than this, such as 5m")
    run = _command(commands, "exec", "run a command in a member of a group, by kubectl exec")
    run.usage = f"{PROGRAM} exec NAME --group N [--worker K] [-c CONTAINER] [-it] -- COMMAND..."
    _name(run)
    _group(run, "the group", needed=True)
    run.add_argument(
        "--worker", type=_natural, default=0, metavar="K", help="the member; 0, the default, is the leader"
    )
    run.add_argument("-c", "--container", default="", metavar="NAME", help="the container")
    run.add_argument("-i", "--stdin", action="store_true", help="pass standard input on")
    run.add_argument("-t", "--tty", action="store_true", help="at a terminal")
    run.add_argument("-it", "-ti", dest="interactive", action="store_true", help="both")


def _rollout(commands: Commands[Parser]) -> None:
    rollout = _command(commands, "rollout", "follow, pause, resume or undo a rolling update")
    steps = rollout.add_subparsers(dest="step", required=True, metavar="COMMAND", parser_class=Parser)
    following = _named(steps, "status", "follow an update to its end")
    following.add_argument(
        "-w", "--watch", type=_truth, nargs="?", const=True, default=True, metavar="BOOL", help="default true"
    )
    _waiting(following)
    _named(steps, "pause", "stop the update where it stands")
    _named(steps, "resume", "let a paused update go on")
    history = _named(steps, "history", "list the stored revisions, the groups of each, and what each changed")
    history.add_argument("--revision", type=_natural, default=0, metavar="N", help="print this one's templates")
    undo = _named(steps, "undo", "put an earlier revision's template back")
    undo.add_argument("--to-revision", type=_natural, default=0, metavar="N", help="0, the default, is the previous")
    diff = _named(commands, "diff", "show what differs between two revisions; exit 1 if anything does")
    diff.add_argument("words", nargs="*", metavar="A [B]", help="revisions; default: the previous and the current")


def _changing(commands: Commands[Parser]) -> None:
    restart = _named(commands, "restart", "recreate groups, at most maxUnavailable at a time")
    _group(restart, "only this group; one that gave up is recovered")
    restart.add_argument("--now", action="store_true", help="all at once")
    _waiting(restart)
    empty = _output(_command(commands, "evacuate", "cordon nodes, and say which groups are moved off them"))
    empty.add_argument("names", nargs="+", metavar="NODE", help="the nodes")
    empty.add_argument("-w", "--watch", action="store_true", help="wait until the groups that are moved are gone")
    empty.add_argument("--dry-run", action="store_true", help="write nothing, and say what would happen")
    _waiting(empty)
    lost = _output(_command(commands, "release", "have the pods of a lost node ended, by a taint"))
    lost.add_argument("names", nargs=1, metavar="NODE", help="the node, which has not been ready for 30 s")
    lost.add_argument("--dry-run", action="store_true", help="write nothing, and say what would happen")
    back = _output(_command(commands, "hand-back", "remove what the reference controller would leave behind"))
    back.add_argument("names", nargs="*", metavar="NAME", help="sets; default: all of the namespace")
    back.add_argument("-A", "--all-namespaces", action="store_true", help="of every namespace")
    back.add_argument("--dry-run", action="store_true", help="write nothing, and say what would be removed")


def _command(commands: Commands[Parser], name: str, text: str) -> Parser:
    return commands.add_parser(
        name, help=text, description=f"{text[:1].upper()}{text[1:]}.", epilog=_GLOBAL_HELP, allow_abbrev=False
    )


def _named(commands: Commands[Parser], name: str, text: str) -> Parser:
    return _output(_name(_command(commands, name, text)))


def _name(parser: Parser) -> Parser:
    parser.add_argument("name", metavar="NAME", help="the set: NAME, lws/NAME or disaggregatedset/NAME")
    return parser


def _output(parser: Parser) -> Parser:
    parser.add_argument("-o", "--output", choices=OUTPUTS, default="", metavar="FORM", help="json, yaml, name or wide")
    return parser


def _group(parser: Parser, text: str, *, needed: bool = False) -> None:
    parser.add_argument("--group", default="", required=needed, metavar="N", help=text)


def _waiting(parser: Parser) -> None:
    parser.add_argument("--timeout", type=_timeout, metavar="DURATION", help="such as 5m; 0s, the default, is never")


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


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 65536):
        raise argparse.ArgumentTypeError("no port number")
    return int(text)


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _LARGEST):
        raise argparse.ArgumentTypeError("no number of digits alone")
    return int(text)
