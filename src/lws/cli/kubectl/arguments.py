"""What the command line of ``kubectl lws`` says."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from lws.cli.kubectl.commandline import PROGRAM, UsageError, command_parser, flags, global_parser
from lws.client.overrides import Overrides

__all__ = ["DISAGGREGATEDSET", "LEADERWORKERSET", "Arguments", "UsageError", "parse"]

LEADERWORKERSET: Final = "leaderworkerset"
DISAGGREGATEDSET: Final = "disaggregatedset"
# What kubectl calls a kind: its short name, singular, plural, and plural with group.
KINDS: Final = {
    "lws": LEADERWORKERSET,
    "leaderworkerset": LEADERWORKERSET,
    "leaderworkersets": LEADERWORKERSET,
    "leaderworkersets.leaderworkerset.x-k8s.io": LEADERWORKERSET,
    "leaderworkerset.leaderworkerset.x-k8s.io": LEADERWORKERSET,
    "disaggregatedset": DISAGGREGATEDSET,
    "disaggregatedsets": DISAGGREGATEDSET,
    "disaggregatedsets.disaggregatedset.x-k8s.io": DISAGGREGATEDSET,
    "disaggregatedset.disaggregatedset.x-k8s.io": DISAGGREGATEDSET,
}
_PLANS: Final = ("scale", "drain", "upgrade")
_PLAN_FORMS: Final = "plan takes -f FILE, NAME --set KEY=VALUE, scale NAME N or ROLE=N, drain NODE..., or upgrade"
_COUNT: Final = re.compile(r"([a-z0-9-]+=)?[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the command line says.

    Attributes:
        command: such as ``tree``, ``rollout pause`` or ``plan drain``; ``version`` needs no cluster.
        name: of the set; empty where a command is about none, or about several.
        kind: `LEADERWORKERSET` or `DISAGGREGATEDSET`; empty if the name alone was given.
        overrides: what the global flags put over the kubeconfig.
        output: ``json``, ``yaml``, ``name`` or ``wide``; empty is text for people.
        watch: whether to follow.
        timeout: seconds to follow or wait; None for ever.
        revision: of ``rollout undo``, where 0 is the previous one, and of ``rollout history``, where it is none.
        group: label of one group; empty is every group.
        worker: index of a member in its group.
        container: its name; empty is the default one.
        all_namespaces: whether sets of every namespace are meant.
        selector: of the labels of sets.
        types: of events; empty is every type.
        all_containers: whether logs of every container are wanted.
        previous: whether logs of the previous instance are.
        tail: last lines of each log; None is all.
        since: seconds that logs go back; None is all.
        stdin: whether standard input is passed on.
        tty: whether a command runs at a terminal.
        words: revisions of ``diff``, sets of ``hand-back``, nodes of ``plan drain``, ``evacuate`` and ``release``, the
            command of ``exec``.
        now: whether all is restarted at once.
        dry_run: whether nothing is to be written.
        filename: of the manifest to plan for.
        assignments: ``KEY=VALUE`` to plan for.
        port: of ``ui``, on 127.0.0.1; 0 takes a free one.
        browser: whether ``ui`` opens one.
        acting: whether ``ui`` offers actions.
    """

    command: str
    name: str = ""
    kind: str = ""
    overrides: Overrides = field(default_factory=Overrides)
    output: str = ""
    watch: bool = False
    timeout: float | None = None
    revision: int = 0
    group: str = ""
    worker: int = 0
    container: str = ""
    all_namespaces: bool = False
    selector: str = ""
    types: str = ""
    all_containers: bool = False
    previous: bool = False
    tail: int | None = None
    since: float | None = None
    stdin: bool = False
    tty: bool = False
    words: tuple[str, ...] = ()
    now: bool = False
    dry_run: bool = False
    filename: str = ""
    assignments: tuple[str, ...] = ()
    port: int = 0
    browser: bool = True
    acting: bool = False


def parse(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: it is wrong.
        SystemExit: help was asked for, and printed.
    """
    line, inner = _divided(list(argv))
    global_values, rest = global_parser().parse_known_args(line)
    parser = command_parser()
    if rest[:1] == ["help"]:
        rest = [*rest[1:], "--help"]
    if rest == ["--version"]:
        rest = ["version"]
    if not rest:
        parser.print_help()
        raise SystemExit(0)
    known = set(flags(parser))
    bad = [flag for word in rest if _flag(word) and (flag := word.partition("=")[0]) not in known]
    if bad:
        raise UsageError(f"unknown flag: {bad[0] if bad[0].startswith('--') else bad[0][:2]}; see {PROGRAM} --help")
    return _arguments(parser.parse_args(rest), _overrides(global_values), inner)


def _divided(argv: list[str]) -> tuple[list[str], tuple[str, ...] | None]:
    """What is ours, and after ``--`` the command that is to run elsewhere."""
    if "--" not in argv:
        return argv, None
    place = argv.index("--")
    return argv[:place], tuple(argv[place + 1 :])


def _flag(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _arguments(values: argparse.Namespace, overrides: Overrides, inner: tuple[str, ...] | None) -> Arguments:
    given = vars(values)
    step = given.get("step")
    command = f"{values.command} {step}" if step else values.command
    words = tuple(given.get("words") or given.get("names") or ())
    kind, name = set_name(given["name"]) if "name" in given else ("", "")
    if (inner is not None) != (command == "exec"):
        raise UsageError(f"exec alone takes a command after --; see {PROGRAM} exec --help")
    if inner is not None and not inner:
        raise UsageError(f"the command after -- is missing; see {PROGRAM} exec --help")
    if command == "plan":
        command, kind, name, words = _plan(words, given)
    if command == "diff" and (len(words) > 2 or not all(word.isascii() and word.isdigit() for word in words)):
        raise UsageError(f"diff takes at most two revision numbers; see {PROGRAM} diff --help")
    return Arguments(
        command=command,
        name=name,
        kind=kind,
        overrides=overrides,
        output=given.get("output", ""),
        watch=given.get("watch", given.get("follow", False)),
        timeout=given.get("timeout"),
        revision=given.get("to_revision", given.get("revision", 0)),
        group=given.get("group", ""),
        worker=given.get("worker", 0),
        container=given.get("container", ""),
        all_namespaces=given.get("all_namespaces", False),
        selector=given.get("selector", ""),
        types=given.get("types", ""),
        all_containers=given.get("all_containers", False),
        previous=given.get("previous", False),
        tail=given.get("tail"),
        since=given.get("since"),
        stdin=given.get("stdin", False) or given.get("interactive", False),
        tty=given.get("tty", False) or given.get("interactive", False),
        words=inner or words,
        now=given.get("now", False),
        dry_run=given.get("dry_run", False),
        filename=given.get("filename", ""),
        assignments=tuple(given.get("assignments", ())),
        port=given.get("port", 0),
        browser=not given.get("no_browser", False),
        acting=given.get("allow_actions", False),
    )


def _plan(words: tuple[str, ...], given: dict[str, object]) -> tuple[str, str, str, tuple[str, ...]]:
    """Command, kind, name and further words of a plan; a set called ``drain`` is ``lws/drain``."""
    filename, assignments = given["filename"], given["assignments"]
    form = words[0] if words and words[0] in _PLANS else ""
    wrong = UsageError(f"{_PLAN_FORMS}; see {PROGRAM} plan --help")
    if form and (filename or assignments):
        raise wrong
    match form, len(words):
        case "scale", count if count > 2 and all(map(_COUNT.fullmatch, words[2:])):
            return ("plan scale", *set_name(words[1]), words[2:])
        case "drain", count if count > 1:
            return "plan drain", "", "", words[1:]
        case "upgrade", 1:
            return "plan upgrade", "", "", ()
        case "", 1 if assignments and not filename:
            return ("plan edit", *set_name(words[0]), ())
        case "", 0 if filename and not assignments:
            return "plan edit", "", "", ()
    raise wrong


def global_overrides(flags_alone: Sequence[str]) -> Overrides:
    """What global flags say, where nothing else is on the line.

    Raises:
        UsageError: one of them is wrong.
    """
    return _overrides(global_parser().parse_args(list(flags_alone)))


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


def set_name(text: str) -> tuple[str, str]:
    """Kind and name of the set that a word names; the kind is empty where it says none.

    Raises:
        UsageError: it names none.
    """
    kind, slash, name = text.rpartition("/")
    if slash and kind.lower() not in KINDS:
        only = "only LeaderWorkerSets and DisaggregatedSets are looked at"
        raise UsageError(f"{only}: write NAME, lws/NAME or disaggregatedset/NAME; see {PROGRAM} --help")
    if not name:
        raise UsageError(f"the name of the set is empty; see {PROGRAM} --help")
    return (KINDS[kind.lower()] if slash else ""), name
