"""Every command of ``kubectl lws``, with lines that try it on the example ``vllm``: a new one needs rows here."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lws.cli.kubectl.commandline import command_parser


@dataclass(frozen=True)
class Row:
    """A command line.

    Attributes:
        line: after ``kubectl lws``.
        codes: exit codes that are right, whatever the set does just now.
        verbatim: whether it prints what others wrote, such as logs and templates, whose lines are as long as they are.
        documents: whether it has ``-o``.
        folded: whether cells of a table are folded where a terminal is narrow, in the middle of words.
        serves: whether it runs until it is interrupted.
    """

    line: str
    codes: tuple[int, ...] = (0,)
    verbatim: bool = False
    documents: bool = True
    folded: bool = False
    serves: bool = False


ROWS: Final[dict[str, tuple[Row, ...]]] = {
    "list": (Row("list"), Row("list -A -o wide")),
    "tree": (Row("tree vllm"), Row("tree vllm -o wide")),
    "status": (Row("status vllm"),),
    "explain-stuck": (Row("explain-stuck vllm", (0, 1)),),
    "failures": (Row("failures vllm"),),
    "events": (Row("events vllm --types Normal"),),
    "top": (Row("top vllm"),),
    "ui": (Row("ui --no-browser", serves=True, documents=False),),
    "plan": (
        Row("plan vllm --set image=other:2", (0, 1), verbatim=True),
        Row("plan scale vllm 3", (0, 1), verbatim=True),
        Row("plan drain node-0", (0, 1)),
        Row("plan upgrade"),
    ),
    "logs": (Row("logs vllm --group 0", (0, 1), verbatim=True),),
    "exec": (Row("exec vllm --group 0 -- true", (0, 1), documents=False, verbatim=True),),
    "rollout status": (Row("rollout status vllm --watch=false"),),
    "rollout pause": (Row("rollout pause vllm", (0, 1)),),
    "rollout resume": (Row("rollout resume vllm", (0, 1)),),
    "rollout history": (
        Row("rollout history vllm", folded=True),
        Row("rollout history vllm --revision 1", verbatim=True),
    ),
    "rollout undo": (Row("rollout undo vllm", (0, 1)),),
    "diff": (Row("diff vllm", (0, 1), verbatim=True),),
    "restart": (Row("restart vllm --group 0 --timeout 60s", (0, 1)),),
    "evacuate": (Row("evacuate node-3 --dry-run"),),
    "release": (Row("release node-3 --dry-run", (0, 1)),),
    "hand-back": (Row("hand-back vllm --dry-run"),),
    "version": (Row("version"),),
    "help": (Row("help", documents=False),),
}


def leaves(parser: argparse.ArgumentParser | None = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command that has none below it."""
    subs = [one for one in (parser or command_parser())._actions if isinstance(one, argparse._SubParsersAction)]
    if not subs:
        yield path
    for action in subs:
        for name, sub in action.choices.items():
            yield from leaves(sub, (*path, name))


def parser_of(path: tuple[str, ...]) -> argparse.ArgumentParser:
    """The parser of a command."""
    parser: argparse.ArgumentParser = command_parser()
    for name in path:
        (action,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
        parser = action.choices[name]
    return parser
