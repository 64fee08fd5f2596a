"""Renders the Grafana dashboard: its panels as JSON for Grafana, and as a picture for the docs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from html import escape
from typing import Final

from hack.panels import PANELS, ROWS, VARIABLES, WRONG_NOW, Panel, Variable
from lws.apimachinery.manifests import JSON

_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_HEIGHT, _WIDTH = 8, 12


def dashboard() -> str:
    """The Grafana dashboard."""
    board = {
        "title": "LeaderWorkerSet",
        "uid": "leaderworkerset",
        "tags": ["kubernetes", "leaderworkerset"],
        "schemaVersion": 39,
        "annotations": {"list": []},
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source_variable(), *map(_variable, VARIABLES)]},
        "panels": list(_panels()),
    }
    return json.dumps(board, indent=1) + "\n"


def _source_variable() -> JSON:
    return {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _variable(variable: Variable) -> JSON:
    return {
        "name": variable.name,
        "type": "query",
        "datasource": _SOURCE,
        "query": variable.query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panels() -> Iterator[JSON]:
    yield {**_panel(1, WRONG_NOW), "gridPos": {"h": 10, "w": 24, "x": 0, "y": 0}}
    number, top = 2, 10
    for row in ROWS:
        places = range(len(row.panels))
        heights = [top + 1 + _HEIGHT * (place // 2) for place in places]
        panels = [
            {
                **_panel(number + 1 + place, panel),
                "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": _WIDTH * (place % 2), "y": heights[place]},
            }
            for place, panel in enumerate(row.panels)
        ]
        heading = {"id": number, "type": "row", "title": row.title, "collapsed": row.collapsed}
        yield {
            **heading,
            "gridPos": {"h": 1, "w": 24, "x": 0, "y": top},
            "panels": panels if row.collapsed else [],
        }
        if not row.collapsed:
            yield from panels
        number += 1 + len(panels)
        top = heights[-1] + _HEIGHT


def _panel(number: int, panel: Panel) -> JSON:
    made = {
        "id": number,
        "title": panel.title,
        "type": "table" if panel.table else "timeseries",
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend,
                **({"format": "table", "instant": True} if panel.table else {}),
            }
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }
    if panel.table:
        made |= _as_table(panel)
    return made


def _as_table(panel: Panel) -> JSON:
    """One line for each set and reason, the values of each query in a column of its own."""
    columns = {f"Value #{chr(ord('A') + index)}": legend for index, (_, legend) in enumerate(panel.queries)}
    spans = [
        {"matcher": {"id": "byName", "options": legend}, "properties": [{"id": "unit", "value": "s"}]}
        for _, legend in panel.queries
        if legend.endswith(" for")
    ]
    return {
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": spans},
        "transformations": [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": columns}},
        ],
    }


WIDTH, WRAP = 560, 78
COLOURS = ("#3b6fb6", "#c2702c", "#3f8f5f", "#8a5fb0", "#555")
TEXT = "font-family='sans-serif' fill='#222'"
CODE = "font-family='monospace' font-size='10' fill='#555'"


def picture() -> str:
    """The panels of the dashboard as SVG, in their order: title, unit, legends and what each asks."""
    heights = [0] * -(-len(PANELS) // 2)
    for number, panel in enumerate(PANELS):
        heights[number // 2] = max(heights[number // 2], _height(panel))
    tops = [10 + sum(heights[:row]) for row in range(len(heights) + 1)]
    drawn = [
        _draw(panel, 10 + (number % 2) * WIDTH, tops[number // 2], heights[number // 2])
        for number, panel in enumerate(PANELS)
    ]
    size = f"{2 * WIDTH + 10} {tops[-1]}"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {size}' role='img' aria-label='Panels'>"
    return "\n".join([head, f"<rect width='100%' height='{tops[-1]}' fill='#f4f5f7'/>", *drawn, "</svg>", ""])


def _wrapped(query: str) -> list[str]:
    return textwrap.wrap(query, WRAP, break_long_words=False)


def _height(panel: Panel) -> int:
    return 50 + sum(20 + 13 * len(_wrapped(query)) for query, _ in panel.queries)


def _draw(panel: Panel, left: int, top: int, height: int) -> str:
    right = left + WIDTH - 24
    lines = [
        f"<rect x='{left}' y='{top}' width='{WIDTH - 10}' height='{height - 10}' rx='4' fill='#fff' stroke='#ccd'/>",
        f"<text x='{left + 14}' y='{top + 22}' {TEXT} font-size='14'>{escape(panel.title)}</text>",
        f"<text x='{right}' y='{top + 22}' {TEXT} font-size='11' text-anchor='end'>{escape(panel.unit)}</text>",
    ]
    y = top + 34
    for number, (query, legend) in enumerate(panel.queries):
        y += 14
        colour = COLOURS[number % len(COLOURS)]
        lines.append(f"<rect x='{left + 14}' y='{y - 5}' width='16' height='3' fill='{colour}'/>")
        lines.append(f"<text x='{left + 38}' y='{y}' {TEXT} font-size='11'>{escape(legend)}</text>")
        for text in _wrapped(query):
            y += 13
            lines.append(f"<text x='{left + 38}' y='{y}' {CODE}>{escape(text)}</text>")
        y += 6
    return "\n".join(lines)
