"""Draws what a terminal shows as SVG that looks the same in every renderer, light or dark.

Each word stands at its own place, since fonts differ in width, and renderers in whether they stretch a line to a length
that is given. Nothing is loaded from elsewhere. Colours follow the reader's scheme (``prefers-color-scheme``).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from html import escape
from typing import Any, Final

from rich.console import Console
from rich.segment import Segment
from rich.style import Style

CELL: Final = 8.4  # width of a character: 0.6 of the font's size
LINE: Final = 20
SIZE: Final = 14
MARGIN: Final = 16
BAR: Final = 32  # height of the title bar
# Names of colours -> (on light, on dark); both keep a contrast of 4.5 to their ground.
PALETTE: Final = {
    "text": ("#1f2328", "#e6edf3"),
    "dim": ("#59636e", "#9198a1"),
    "green": ("#116329", "#3fb950"),
    "yellow": ("#7d4e00", "#d29922"),
    "red": ("#a40e26", "#f85149"),
    "cyan": ("#1b6d85", "#39c5cf"),
    "magenta": ("#8250df", "#d2a8ff"),
}
GROUND: Final = ("#ffffff", "#0d1117")
FRAME: Final = ("#d1d9e0", "#3d444d")
_BLOCKS: Final = "━╸╺─│├└"


def draw(title: str, renderables: Iterable[Any], width: int) -> str:
    """The SVG of a terminal of ``width`` columns that shows these, one below the other."""
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system="standard")
    lines: list[list[Segment]] = []
    for renderable in renderables:
        lines += console.render_lines(renderable, pad=False)
    used = max((sum(segment.cell_length for segment in line) for line in lines), default=0)
    across = round(max(used, len(title)) * CELL + 2 * MARGIN)
    down = BAR + len(lines) * LINE + MARGIN
    body = [text for row, line in enumerate(lines) for text in _line(row, line)]
    frame = f'<rect class="ground" x="0.5" y="0.5" width="{across - 1}" height="{down - 1}" rx="8"/>'
    dots = "".join(f'<circle class="dot" cx="{MARGIN + 4 + 16 * place}" cy="16" r="5"/>' for place in range(3))
    head = f'<text class="dim" x="{across / 2:g}" y="21" text-anchor="middle">{escape(title)}</text>'
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {down}" width="{across}" height="{down}" '
        f'role="img" aria-label="{escape(title)}" font-family="ui-monospace, Menlo, Consolas, monospace" '
        f'font-size="{SIZE}">'
    )
    return "\n".join([opening, _style(), frame, dots, head, *body, "</svg>", ""])


def _style() -> str:
    light = "".join(f".{name}{{fill:{colours[0]}}}" for name, colours in PALETTE.items())
    dark = "".join(f".{name}{{fill:{colours[1]}}}" for name, colours in PALETTE.items())
    ground = [f".ground{{fill:{GROUND[side]};stroke:{FRAME[side]}}}.dot{{fill:{FRAME[side]}}}" for side in (0, 1)]
    return (
        f"<style>{light}{ground[0]}.b{{font-weight:bold}}@media(prefers-color-scheme:dark){{{dark}{ground[1]}}}</style>"
    )


def _line(row: int, segments: Iterable[Segment]) -> Iterable[str]:
    column = 0
    y = BAR + row * LINE + SIZE
    for segment in segments:
        for match in re.finditer(rf"[{_BLOCKS}]+|[^\s{_BLOCKS}]+", segment.text):
            x = MARGIN + (column + match.start()) * CELL
            yield _piece(match[0], x, y, segment.style)
        column += segment.cell_length


def _piece(text: str, x: float, y: int, style: Style | None) -> str:
    """A word; lines and bars are drawn, since few fonts join their characters."""
    kind = _class(style)
    if text[0] in "━╸╺":
        return f'<rect class="{kind}" x="{x:g}" y="{y - 7}" width="{len(text) * CELL:g}" height="4" rx="2"/>'
    bold = " b" if style is not None and style.bold else ""
    return f'<text class="{kind}{bold}" x="{x:g}" y="{y}">{escape(text)}</text>'


def _class(style: Style | None) -> str:
    if style is None:
        return "text"
    name = style.color.name.removeprefix("bright_") if style.color is not None else ""
    if name in PALETTE:
        return name
    return "dim" if style.dim or name.startswith(("grey", "color(23")) else "text"
