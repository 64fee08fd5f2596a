"""Prints a document as JSON, YAML or names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from lws.cli.kubectl.documents import Document
from lws.cli.kubectl.terminal import Terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

Text = Callable[[], "list[str] | RenderableType"]


def show(
    terminal: Terminal, output: str, document: Callable[[], Document], names: Iterable[str], *, stream: bool = False
) -> None:
    """Print a document.

    Args:
        terminal: where.
        output: ``json``, ``yaml`` or ``name``.
        document: makes what is printed.
        names: what ``-o name`` prints, a line each.
        stream: whether others follow: JSON then takes one line, and YAML begins with its separator.
    """
    match output:
        case "json":
            raw = msgspec.json.encode(document())
            terminal.line((raw if stream else msgspec.json.format(raw, indent=4)).decode())
        case "yaml":
            import yaml

            data = msgspec.to_builtins(document())
            written = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=10_000)
            terminal.line(("---\n" if stream else "") + written.rstrip("\n"))
        case _:
            for name in names:
                terminal.line(name)
