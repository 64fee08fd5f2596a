"""Draws courses as SVG: a row for each pod, group or condition, its state along the seconds, and what happened when.

Hues are those of the page (`lws.cli.kubectl.ui`), told apart by every kind of colour vision; a legend names those that
occur, and each stretch has a title with its state and seconds, which screen readers and pointers find.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Final, TypeAlias

Panel: TypeAlias = tuple[str, Mapping[str, str], Mapping[int, str]]  # title, letters by row, words by second

STATES: Final = {
    "r": ("ready", "#009e73"),
    "s": ("starting, or not ready", "#a9d8f4"),
    "t": ("ending", "#0072b2"),
    "q": ("waits for a node", "#c3c9d3"),
    "b": ("failed, or backing off", "#e69f00"),
    "d": ("degraded", "#f0e442"),
    "x": ("stuck", "#d55e00"),
}
WIDTH: Final = 840
LEFT: Final = 150
RIGHT: Final = 20
ROW: Final = 26
BAR: Final = 18
HEAD: Final = 26
LINE: Final = 17
FOOT: Final = 34
_STYLE: Final = (
    "svg { background: #ffffff; font-family: system-ui, sans-serif; font-size: 13px; } text { fill: #1f2328; }\n"
    ".n { fill: #57606a; font-size: 12px; } .h { font-weight: 600; } line { stroke: #57606a; stroke-dasharray: 4 3; }\n"
    + "".join(f".{state} {{ fill: {colour}; }} " for state, (_, colour) in STATES.items())
    + "\n.bar { stroke: #57606a; stroke-width: .5; } .old { fill: url(#old); stroke: none; }"
)
_OLD: Final = (
    '<defs><pattern id="old" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="2.4" height="6" fill="#ffffff" fill-opacity=".7"/></pattern></defs>'
)


def draw(title: str, panels: Sequence[Panel], *, conditions: bool = False) -> str:
    """The picture; of conditions a stretch means that they are True."""
    parts: list[str] = []
    top = 0
    for panel in panels:
        parts += _panel(panel, top, conditions=conditions)
        top += _height(panel)
    used = sorted({letter for _, course, _ in panels for row in course.values() for letter in row if letter != " "})
    if not conditions:
        parts += _legend(used, top)
        top += 30
    box = f'viewBox="0 0 {WIDTH} {top + 6}" role="img" aria-label="{escape(title)}"'
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" {box}>', f"<title>{escape(title)}</title>"]
    return "\n".join([*head, f"<style>\n{_STYLE}\n</style>", _OLD, *parts, "</svg>", ""])


def _height(panel: Panel) -> int:
    _, course, acts = panel
    return HEAD + LINE * len(acts) + ROW * len(course) + FOOT


def _panel(panel: Panel, top: int, *, conditions: bool) -> Iterator[str]:
    title, course, acts = panel
    seconds = max(len(row) for row in course.values())
    scale = (WIDTH - LEFT - RIGHT) / seconds
    rows = top + HEAD + LINE * len(acts)
    bottom = rows + ROW * len(course)
    yield f'<text class="h" x="10" y="{top + 18}">{escape(title)}</text>'
    for place, (name, letters) in enumerate(sorted(course.items(), key=lambda one: _natural(one[0]))):
        y = rows + ROW * place
        yield f'<text x="10" y="{y + 14}">{escape(name)}</text>'
        yield from _bars(letters, y, scale, conditions=conditions)
    for place, (second, words) in enumerate(sorted(acts.items())):
        x, y = LEFT + second * scale, top + HEAD + LINE * place
        yield f'<line x1="{x:.1f}" y1="{y + 4}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text class="n" x="{x + 5:.1f}" y="{y + 13}">{escape(words)}</text>'
    step = next(each for each in (5, 10, 20, 30, 60, 120) if seconds / each <= 12)
    for second in range(0, seconds, step):
        yield f'<text class="n" x="{LEFT + second * scale:.1f}" y="{bottom + 14}">{second} s</text>'


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _bars(letters: str, y: int, scale: float, *, conditions: bool) -> Iterator[str]:
    begin = 0
    for letter, run in groupby(letters):
        end = begin + len(list(run))
        if letter != " ":
            word = "True" if conditions else STATES[letter.lower()][0]
            old = ", old revision" if letter.isupper() else ""
            box = f'x="{LEFT + begin * scale:.1f}" y="{y}" width="{(end - begin) * scale:.1f}" height="{BAR}"'
            told = f"<title>{word}{old}, {begin} s to {end} s</title>"
            yield f'<rect class="bar {letter.lower()}" {box}>{told}</rect>'
            if old:
                yield f'<rect class="old" {box}/>'
        begin = end


def _legend(used: Sequence[str], top: int) -> Iterator[str]:
    x = 10
    entries = [(each, STATES[each][0]) for each in STATES if each in used or each.upper() in used]
    for letter, word in entries:
        yield f'<rect class="bar {letter}" x="{x}" y="{top + 6}" width="14" height="14"/>'
        yield f'<text class="n" x="{x + 20}" y="{top + 18}">{word}</text>'
        x += 36 + 7 * len(word)
    if any(letter.isupper() for letter in used):
        yield f'<rect class="bar r" x="{x}" y="{top + 6}" width="14" height="14"/>'
        yield f'<rect class="old" x="{x}" y="{top + 6}" width="14" height="14"/>'
        yield f'<text class="n" x="{x + 20}" y="{top + 18}">old revision</text>'
