"""Words of others, made fit for a sentence."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

LONGEST: Final = 256  # characters of a quotation


def quoted(text: str, limit: int = LONGEST) -> str:
    """One line without a final stop, at most ``limit`` characters; an ellipsis marks what is left out."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def after_colon(text: str) -> str:
    """``: text``, or nothing."""
    line = quoted(text)
    return f": {line}" if line else ""


def ranges(numbers: Iterable[int]) -> str:
    """``0-2, 5`` for 0, 1, 2, 5."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def groups_named(indices: Collection[int]) -> str:
    """``group 2`` or ``groups 0-1``."""
    return f"group{'s' if len(indices) > 1 else ''} {ranges(indices)}"


def listed(names: Iterable[str], most: int = 3) -> str:
    """``a, b, c and 4 more``."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
