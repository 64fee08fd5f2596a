"""The table and the chart of a comparison, for `docs/performance.md`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hack.peer.meters import Figures
from hack.peer.workloads import NAMES

Run = Mapping[str, Figures]  # by workload
COLOURS: Final = ("#3465a4", "#c17d11", "#75507b")
COLUMNS: Final = (
    ("statuses", "status writes"),
    ("events", "event writes"),
    ("others", "other writes"),
    ("reads", "reads"),
    ("cpu", "CPU s"),
    ("wall", "wall s"),
    ("rss", "MiB"),
    ("foreign", "foreign CPU s"),
)
WIDTH, LEFT, BAR, GAP = 720, 150, 14, 12
FONT: Final = 'font-family="sans-serif" font-size="11"'


def table(runs: Mapping[str, Run]) -> str:
    """A Markdown table: a row for each workload and controller."""
    head = ["workload", "controller", *(title for _, title in COLUMNS)]
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * len(COLUMNS)]
    for code, title in NAMES.items():
        for controller, run in runs.items():
            if code in run:
                values = [f"{getattr(run[code], member):g}" for member, _ in COLUMNS]
                lines.append("| " + " | ".join([f"{code} {title}", controller, *values]) + " |")
    return "\n".join(lines) + "\n"


def chart(runs: Mapping[str, Run]) -> str:
    """An SVG of bars: writes of each workload, statuses, events and others, by controller."""
    rows = [(code, name, run[code]) for code in NAMES for name, run in runs.items() if code in run]
    most = max((_writes(figures) for _, _, figures in rows), default=1) or 1
    height = 60 + len(rows) * BAR + len({code for code, _, _ in rows}) * GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" {FONT}>',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="10" y="18" font-size="13">Writes by workload: statuses, events, all others</text>',
    ]
    for at, (label, colour) in enumerate(zip(("statuses", "events", "others"), COLOURS, strict=True)):
        parts.append(f'<rect x="{LEFT + at * 90}" y="28" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + 14 + at * 90}" y="37">{label}</text>')
    y, before = 50, ""
    for code, name, figures in rows:
        y += GAP if before and code != before else 0
        before = code
        parts.append(f'<text x="10" y="{y + 10}">{code} {name}</text>')
        parts += _bar(figures, y, (WIDTH - LEFT - 60) / most)
        y += BAR
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(figures: Figures, y: int, scale: float) -> list[str]:
    x, out = float(LEFT), []
    for value, colour in zip((figures.statuses, figures.events, figures.others), COLOURS, strict=True):
        out.append(f'<rect x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="{BAR - 3}" fill="{colour}"/>')
        x += value * scale
    out.append(f'<text x="{x + 4:.1f}" y="{y + 10}">{_writes(figures)}</text>')
    return out


def _writes(figures: Figures) -> int:
    return figures.statuses + figures.events + figures.others
