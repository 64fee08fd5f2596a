"""``kubectl_complete-lws``: what kubectl's own completion asks for the words after ``kubectl lws``.

kubectl runs it with those words, the last one unfinished, and takes one suggestion a line, with a description after a
tab, and at the end a directive of cobra; so bash, zsh and fish complete alike. A cluster that does not answer within
seconds, or not at all, gives no suggestions and no complaint.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lws.cli.kubectl.commandline import UsageError, command_parser, global_parser

if TYPE_CHECKING:
    from lws.client.api import ApiClient

NO_FILES: Final = 4  # cobra's directive: suggest no file names
FILES: Final = 0
TIMEOUT: Final = 3.0  # seconds for the cluster's answer
_KUBECONFIG: Final = {"context": "contexts", "cluster": "clusters", "user": "users"}
_FILE_FLAGS: Final = ("filename", "kubeconfig", "certificate_authority", "client_certificate", "client_key")
Suggestions = tuple[list[str], int]


@dataclass(slots=True)
class Place:
    """Where the unfinished word stands.

    Attributes:
        parser: of the command so far.
        command: its words.
        given: positional words after the command.
        values: values of flags, by destination.
        flag: the flag whose value is being written; None if it is no value.
        last: the unfinished word, or the unfinished part of it.
    """

    parser: argparse.ArgumentParser
    command: tuple[str, ...] = ()
    given: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    flag: argparse.Action | None = None
    last: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Print suggestions; always 0, for a shell could do nothing with an error."""
    words = list(sys.argv[1:] if argv is None else argv) or [""]
    try:
        found, directive = suggestions(words)
    except (UsageError, KeyboardInterrupt):
        found, directive = [], NO_FILES
    sys.stdout.write("".join(f"{line}\n" for line in (*found, f":{directive}")))
    return 0


def suggestions(words: Sequence[str]) -> Suggestions:
    """What the last word may become, and cobra's directive."""
    if "--" in words[:-1]:
        return [], FILES  # a command that runs elsewhere
    place = locate(words)
    if place.flag is not None:
        return _values(place, place.flag)
    if place.last.startswith("-"):
        return _matching(place.last, _flag_lines(place.parser)), NO_FILES
    commands = _commands(place.parser)
    if commands is not None:
        return _matching(place.last, [f"{name}\t{text}" for name, text in commands]), NO_FILES
    return _positional(place)


def locate(words: Sequence[str]) -> Place:
    """Read the words before the last as far as they go."""
    place = Place(command_parser(), last=words[-1])
    known = global_parser()
    pending: argparse.Action | None = None
    for word in words[:-1]:
        if pending is not None:
            place.values[pending.dest], pending = word, None
        elif word.startswith("-") and len(word) > 1:
            name, equals, value = word.partition("=")
            action = _action(place.parser, known, name)
            if action is not None and equals:
                place.values[action.dest] = value
            elif action is not None and action.nargs is None:
                pending = action
        elif (sub := _sub(place.parser, word)) is not None:
            place.parser, place.command = sub, (*place.command, word)
        else:
            place.given.append(word)
    name, equals, value = place.last.partition("=")
    if pending is None and equals and name.startswith("-"):
        pending, place.last = _action(place.parser, known, name), value
    place.flag = pending
    return place


def _action(parser: argparse.ArgumentParser, known: argparse.ArgumentParser, name: str) -> argparse.Action | None:
    every = (*parser._actions, *known._actions)
    return next((one for one in every if name in one.option_strings), None)


def _sub(parser: argparse.ArgumentParser, word: str) -> argparse.ArgumentParser | None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found: argparse.ArgumentParser | None = action.choices.get(word)
            return found
    return None


def _commands(parser: argparse.ArgumentParser) -> list[tuple[str, str]] | None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return [(one.dest, one.help or "") for one in action._choices_actions]
    return None


def _flag_lines(parser: argparse.ArgumentParser) -> list[str]:
    actions = [*parser._actions, *global_parser()._actions]
    return [f"{flag}\t{one.help}" if one.help else flag for one in actions for flag in one.option_strings]


def _matching(start: str, lines: Iterable[str]) -> list[str]:
    return sorted({line for line in lines if line.startswith(start)})


def _values(place: Place, flag: argparse.Action) -> Suggestions:
    """Values of a flag."""
    if flag.choices:
        return _matching(place.last, [str(one) for one in flag.choices]), NO_FILES
    if flag.dest in _FILE_FLAGS:
        return [], FILES
    if flag.dest in _KUBECONFIG:
        return _matching(place.last, _of_kubeconfig(place, _KUBECONFIG[flag.dest])), NO_FILES
    if flag.dest == "types":
        return _matching(place.last, ["Normal", "Warning"]), NO_FILES
    if flag.dest == "assignments":
        known = ["image=", "replicas=", "size=", "maxSurge=", "maxUnavailable="]
        return _matching(place.last, known), NO_FILES | 2  # no space after the equals sign
    from lws.cli.kubectl import suggest

    asked: dict[str, Callable[[ApiClient, str, str], Awaitable[list[str]]]] = {
        "namespace": suggest.namespaces,
        "group": suggest.groups,
        "worker": suggest.workers,
        "container": suggest.containers,
        "to_revision": suggest.revisions,
        "revision": suggest.revisions,
    }
    reading = asked.get(flag.dest)
    return (_of_cluster(place, reading) if reading is not None else []), NO_FILES


def _positional(place: Place) -> Suggestions:
    """Names of sets, and what some commands take beside or after them."""
    from lws.cli.kubectl import suggest

    command, count = place.command, len(place.given)
    if command == ("plan",):
        form = place.given[0] if place.given else ""
        forms = [] if count else _matching(place.last, ["drain", "scale", "upgrade"])
        if form == "drain":
            return _of_cluster(place, suggest.nodes), NO_FILES
        names = count == 0 or (form == "scale" and count == 1)
        return forms + (_of_cluster(place, suggest.sets) if names else []), NO_FILES
    if command in ((), ("version",), ("list",), ("help",)):
        listed = (_commands(command_parser()) or []) if command == ("help",) else []
        return _matching(place.last, [f"{name}\t{text}" for name, text in listed]), NO_FILES
    if command in (("evacuate",), ("release",)):
        return _of_cluster(place, suggest.nodes), NO_FILES
    if count == 0 or command == ("hand-back",):
        return _of_cluster(place, suggest.sets), NO_FILES
    if command == ("diff",) and count < 3:
        return _of_cluster(place, suggest.revisions), NO_FILES
    return [], NO_FILES


def _of_cluster(place: Place, reading: Callable[[ApiClient, str, str], Awaitable[list[str]]]) -> list[str]:
    from lws.cli.kubectl.suggest import ask

    flags = [f"--{name.replace('_', '-')}={value}" for name, value in place.values.items() if name in _GLOBAL]
    name = place.given[0].rpartition("/")[2] if place.given else ""
    return _matching(place.last, ask(reading, flags, name, TIMEOUT))


_GLOBAL: Final = frozenset(one.dest for one in global_parser()._actions)


def _of_kubeconfig(place: Place, section: str) -> list[str]:
    from lws.cli.kubectl.suggest import entries

    return entries(place.values.get("kubeconfig", ""), section)


if __name__ == "__main__":
    sys.exit(main())
