"""Where the commands print: plain lines, or pictures made for the width of a terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console

WIDTH: Final = 160  # columns where nothing else is known
HEIGHT: Final = 24  # lines, which nothing printed depends on
NARROWEST: Final = 20


class Terminal:
    """Standard output, or what stands for it.

    Attributes:
        live: whether what was printed can be drawn over: a terminal that is not dumb.
        coloured: whether colours may be printed: on such a terminal, unless ``NO_COLOR`` is set.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        """What the stream cannot encode is printed as a question mark."""
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        self._stream = stream
        self._environ = environ
        self._console: Console | None = None
        self.live = stream.isatty() and environ.get("TERM", "") not in ("", "dumb", "unknown")
        self.coloured = self.live and not environ.get("NO_COLOR")

    def line(self, text: str) -> None:
        """Print one line at once."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def picture(self, renderable: Any) -> None:
        """Print something that rich draws."""
        self.console.print(renderable)

    @property
    def width(self) -> int | None:
        """Columns that plain text has to fit into; None where nobody gave a width, as in a pipe."""
        if given := self._columns():
            return given
        if not self._stream.isatty():
            return None
        try:
            return max(os.get_terminal_size(self._stream.fileno()).columns, NARROWEST)
        except (OSError, ValueError):
            return None

    @property
    def console(self) -> Console:
        """A console of rich, as wide as the terminal, else as ``COLUMNS`` says; rich is imported for it."""
        if self._console is None:
            from rich.console import Console

            # Of a dumb terminal rich does not ask the size, and it heeds a width only beside a height.
            width, height = (None, None) if self.live else (self.width or WIDTH, HEIGHT)
            self._console = Console(file=self._stream, width=width, height=height)
        return self._console

    def _columns(self) -> int:
        """What the environment says; nought if nothing usable."""
        columns = self._environ.get("COLUMNS", "")
        given = int(columns) if columns.isascii() and columns.isdigit() and len(columns) < 10 else 0
        return max(given, NARROWEST) if given else 0


def standard_output() -> Terminal:
    """The process's own."""
    return Terminal(sys.stdout)


def silent() -> Terminal:
    """Nobody reads it."""
    return Terminal(io.StringIO(), {})
