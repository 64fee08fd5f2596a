"""Tables of plain text: columns as kubectl aligns them, folded where a terminal is too narrow. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import Final

GAP: Final = 3  # spaces between columns, as kubectl has them
LEAST: Final = 24  # columns that a folded last column gets at least


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """The table in lines.

    With a width no line is wider, unless a single word is: the last column is folded under itself; where that leaves it
    too little room, or a word of it does not fit, it goes below its row; and where the others do not fit either, each
    row becomes a block of ``NAME: value`` lines. Without a width nothing is folded.
    """
    cells = [[_flat(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    before = sum(widths[:-1]) + GAP * (len(header) - 1)
    if width is None or before + widths[-1] <= width:
        return [_line(row, widths) for row in cells]
    if before + min(max(LEAST, *_words(cells)), widths[-1]) <= width:
        return [line for row in cells for line in _folded(row, widths, before, width)]
    if before - GAP <= width:
        return [line for row in cells for line in _below(row, widths, width)]
    return _blocks(cells[0], cells[1:], width)


def age(then: str, now: datetime) -> str:
    """How long ago, as short as kubectl says it, such as ``45s`` or ``9d``; ``<unknown>`` where nothing tells."""
    try:
        seconds = max(0, int((now - datetime.fromisoformat(then)).total_seconds()))
    except (ValueError, TypeError):
        return "<unknown>"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def wrapped(text: str, width: int | None, indent: str = "") -> list[str]:
    """A sentence in lines of at most ``width`` columns; words are never cut, names must stay copyable."""
    if width is None:
        return [text]
    return textwrap.wrap(
        text, max(width, LEAST), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def ranges(numbers: Sequence[int]) -> str:
    """Numbers as ``0-3,7``; ``-`` where there are none."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and parts[-1][-1] == number - 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts) or "-"


def _words(cells: Sequence[Sequence[str]]) -> list[int]:
    """How long the words of the last column are."""
    return [len(word) for row in cells for word in row[-1].split()]


def _flat(cell: str) -> str:
    return " ".join(cell.split())


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return (" " * GAP).join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _folded(row: Sequence[str], widths: Sequence[int], before: int, width: int) -> list[str]:
    first, *rest = wrapped(row[-1], width - before)
    return [_line([*row[:-1], first], widths), *(" " * before + line for line in rest)]


def _below(row: Sequence[str], widths: Sequence[int], width: int) -> list[str]:
    return [_line(row[:-1], widths[:-1]), *wrapped(f"    {row[-1]}", width, "    ")]


def _blocks(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    lines: list[str] = []
    for row in rows:
        lines += [""] if lines else []
        for index, (name, cell) in enumerate(zip(header, row, strict=True)):
            pad = "" if index == 0 else "  "
            lines += wrapped(f"{pad}{name}: {cell}", width, "    ")
    return lines or list(header[:1])
